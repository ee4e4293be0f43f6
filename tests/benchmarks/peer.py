"""The sessions of the peer, in its own table of the same database."""

import json
from datetime import UTC, datetime, timedelta

import psycopg

from tests.benchmarks.database import Database
from tests.benchmarks.requests import SESSION_SECRET, express_session_id
from tests.benchmarks.sessions import CONTEXT, LIFETIME_S, SCRIPT, SessionSet

_CREATE = """
CREATE TABLE IF NOT EXISTS express_sessions (sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL)
"""
_INDEX = "CREATE INDEX IF NOT EXISTS express_sessions_by_expiry ON express_sessions (expire)"


def fill(database: Database, sessions: SessionSet) -> None:
    """Make the table and as many sessions as in the set."""
    database.execute(_CREATE)
    database.execute(_INDEX)
    database.execute("TRUNCATE express_sessions")
    expires_at = datetime.now(UTC) + timedelta(seconds=LIFETIME_S)
    stored = _stored(expires_at)
    with psycopg.connect(database.url, autocommit=True) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY express_sessions FROM STDIN") as copy:
            for number in range(sessions.count):
                copy.write_row((express_session_id(number), stored, expires_at.replace(tzinfo=None)))
        cursor.execute("VACUUM (ANALYZE) express_sessions")


def environment(database: Database) -> dict[str, str]:
    """Return what the peer reads its database and its secret from."""
    return database.environment | {"SESSION_SECRET": SESSION_SECRET, "NODE_ENV": "production"}


def _stored(expires_at: datetime) -> str:
    expires = expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    cookie = {"originalMaxAge": LIFETIME_S * 1000, "expires": expires, "httpOnly": True, "path": "/"}
    return json.dumps({"cookie": cookie, "context": json.loads(CONTEXT), "script": SCRIPT, "count": 0})
