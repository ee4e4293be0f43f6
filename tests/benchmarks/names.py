"""How systems and operations are called in the report."""

BARE = "bare Starlette"
PLAIN = "pool per request"
EXPRESS = "express-session"
PGBENCH = "pgbench"
PGLAMBDA = "pglambda"
PGLAMBDA_WATCHED = "pglambda, all on"
"""Callers authenticated and limited, requests logged, metrics scraped: see `watched`."""
PGLAMBDA_REMOTE = "pglambda, runtime host"

GET = "get"
INITIALIZE = "initialize"
NEW_SCRIPTS = "initialize, new scripts"
PATCH = "patch"
BEGIN = "begin"
FINISH = "finish"
COUNT = "count a use"
UPDATE = "update of a count"
BEGIN_AND_FINISH = "begin and finish"
WARM = {"python": "execute, warm python", "nodejs": "execute, warm nodejs"}
COLD = {"python": "execute, cold python", "nodejs": "execute, cold nodejs"}
POST_BESIDE = {"python": "POST beside warm python", "nodejs": "POST beside warm nodejs"}
"""What bare Starlette does in the turns between executions."""
