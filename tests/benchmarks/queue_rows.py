"""Queues of many entries, filled in by SQL."""

import psycopg

from tests.benchmarks.database import Database
from tests.benchmarks.sessions import SCRIPT, SessionSet

_OWNERS = 100
SESSIONS = 10_000
_CHUNK = 250_000
_STATEMENT_TIMEOUT_MS = 1_200_000
_FILL_SESSIONS = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
    expires_at, expires_max_at, context, metadata, script
)
SELECT
    ('019d0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'owner ' || n %% %(owners)s, 'nodejs', 'calculator',
    repeat('0', 64), 5000, 128, 'session', 'fixed', 86400, now() + interval '30 days', now() + interval '30 days', '{}',
    '{}', %(script)s
FROM generate_series(0, %(sessions)s::bigint - 1) AS n
"""
_FILL_ENTRIES = """
INSERT INTO meta.queued_executions (
    execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title, params
)
SELECT
    (%(prefix)s || lpad(to_hex(n), 12, '0'))::uuid,
    ('019d0000-0000-7000-8000-' || lpad(to_hex(n %% %(sessions)s), 12, '0'))::uuid,
    now() - interval '1 day' + n * interval '1 ms', now() - interval '1 day', now() + interval '20 days',
    now() + interval '21 days', 1, FALSE, 'owner ' || n %% %(owners)s, 'nodejs', 'calculator', '{"a": 5, "b": 3}'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_KILL = """
DELETE FROM meta.queued_executions
WHERE ready_at < (SELECT min(q.ready_at) FROM meta.queued_executions AS q) + %(dead)s * interval '1 ms'
"""
EMPTY = "TRUNCATE meta.sessions, meta.queued_executions, meta.idempotency_keys, meta.open_executions, meta.executions"


def fill(place: Database, entries: int) -> None:
    """Queue so many due entries of a hundred owners."""
    prefix = str(SessionSet(0).first)[:-12]
    facts = {"owners": _OWNERS, "sessions": SESSIONS, "script": SCRIPT, "prefix": prefix}
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT_MS}")
        connection.execute("SET synchronous_commit = off")
        connection.execute(EMPTY)
        connection.execute(_FILL_SESSIONS, facts)
        for first in range(0, entries, _CHUNK):
            connection.execute(_FILL_ENTRIES, {**facts, "first": first, "last": min(first + _CHUNK, entries) - 1})
        for table in ("sessions", "queued_executions"):
            connection.execute(f"VACUUM (ANALYZE) meta.{table}")


def kill(place: Database, dead: int) -> None:
    """Leave dead rows in front of the entries: about so many, which are not vacuumed from here on."""
    place.execute("ALTER TABLE meta.queued_executions SET (autovacuum_enabled = false)")
    place.execute(_KILL, {"dead": dead})
