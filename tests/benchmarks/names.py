"""How systems and operations are called in the report."""

BARE = "bare Starlette"
PLAIN = "pool per request"
EXPRESS = "express-session"
PGBENCH = "pgbench"
PGLAMBDA = "pglambda"
PGLAMBDA_WATCHED = "pglambda, all on"
"""Callers authenticated and limited, requests logged, metrics scraped: see `watched`."""
PGLAMBDA_REMOTE = "pglambda, runtime host"
PGQUEUER = "pgqueuer, psycopg"
PGQUEUER_TUNED = "pgqueuer, psycopg, large batches"
PROCRASTINATE = "procrastinate"

GET = "get"
INITIALIZE = "initialize"
NEW_SCRIPTS = {"python": "initialize, new python", "nodejs": "initialize, new nodejs"}
SAME_SCRIPT = {"python": "initialize, same python", "nodejs": "initialize, same nodejs"}
PATCH = "patch"
BEGIN = "begin"
FINISH = "finish"
COUNT = "count a use"
UPDATE = "update of a count"
BEGIN_AND_FINISH = "begin and finish"
WARM = {"python": "execute, warm python", "nodejs": "execute, warm nodejs"}
FIRST = {"python": "first execution, python", "nodejs": "first execution, nodejs"}
PACED = {"python": "100 first a second, python", "nodejs": "100 first a second, nodejs"}
BURST = {"python": "200 first at once, python", "nodejs": "200 first at once, nodejs"}
TURN = "sessions in turn"
ACCEPT = "accept"
INITIALIZE_BESIDE = "initialize, beside accept"
DRAIN = "drain of a queue"
START = "start, accepted here"
START_ELSEWHERE = "start, accepted elsewhere"
START_AFTER_IDLING = "start, after idling"
CLAIM = "claim"
CLAIM_DEAD = "claim, behind dead rows"
LAUNCHER = "bwrap, 2 loops"
POST_BESIDE = {"python": "POST beside warm python", "nodejs": "POST beside warm nodejs"}
"""What bare Starlette does in the turns between executions."""
