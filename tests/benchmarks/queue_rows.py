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
    execution_id, request_id, owner, language, key, slot, ready_at, not_before, expires_at, in_order
)
SELECT
    (%(prefix)s || lpad(to_hex(n), 12, '0'))::uuid,
    ('019d0000-0000-7000-8000-' || lpad(to_hex(n %% %(sessions)s), 12, '0'))::uuid, 'owner ' || n %% %(owners)s, 'nodejs',
    'key ' || n, 1, now() - interval '1 day' + n * interval '1 ms', now() - interval '1 day', now() + interval '20 days',
    FALSE
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""
_FILL_KEYS = """
INSERT INTO meta.idempotency_keys (
    request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, params, asynchronous
)
SELECT
    q.request_id, q.owner, q.key, sha256(''), q.execution_id, 'nodejs-calculator', q.expires_at,
    q.expires_at + interval '1 day', '{"a": 5, "b": 3}',
    jsonb_build_object(
        'attempt', 1, 'retry_of', NULL, 'priority_s', 0, 'not_before', q.not_before, 'in_order', FALSE, 'retry',
        jsonb_build_object('attempts_max', 1, 'causes', '[]'::jsonb), 'webhook_id', NULL, 'accepted_at', q.ready_at,
        'expires_at', q.expires_at, 'allowance', interval '70 s', 'retention', interval '1 day'
    )
FROM meta.queued_executions AS q
WHERE q.execution_id < (%(prefix)s || lpad(to_hex(%(keyed)s::bigint), 12, '0'))::uuid
"""
_KILL = """
DELETE FROM meta.queued_executions
WHERE ready_at < (SELECT min(q.ready_at) FROM meta.queued_executions AS q) + %(dead)s * interval '1 ms'
"""
EMPTY = "TRUNCATE meta.sessions, meta.queued_executions, meta.idempotency_keys, meta.open_executions, meta.executions"


def fill(place: Database, entries: int, keyed: int) -> None:
    """Queue so many due entries of a hundred owners; the first `keyed` of them can be claimed."""
    prefix = str(SessionSet(0).first)[:-12]
    facts = {"owners": _OWNERS, "sessions": SESSIONS, "script": SCRIPT, "keyed": keyed, "prefix": prefix}
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT_MS}")
        connection.execute("SET synchronous_commit = off")
        connection.execute(EMPTY)
        connection.execute(_FILL_SESSIONS, facts)
        for first in range(0, entries, _CHUNK):
            connection.execute(_FILL_ENTRIES, {**facts, "first": first, "last": min(first + _CHUNK, entries) - 1})
        connection.execute(_FILL_KEYS, facts)
        for table in ("sessions", "queued_executions", "idempotency_keys"):
            connection.execute(f"VACUUM (ANALYZE) meta.{table}")


def kill(place: Database, dead: int) -> None:
    """Leave dead rows in front of the entries: about so many, which are not vacuumed from here on."""
    place.execute("ALTER TABLE meta.queued_executions SET (autovacuum_enabled = false)")
    place.execute(_KILL, {"dead": dead})
