"""The way down deletes no data of a kind that was not allowed, and counts what it deletes."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.migrations.down import DestructionRefused
from adapters.postgres.migrations.migration import load_migrations
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements
from tests.integration.conftest import NewDatabase
from tests.support.waiting import until

STEPS = load_migrations()

FILL = """
INSERT INTO meta.sessions (
    request_id, owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, expires_at,
    expires_max_at, context, metadata, function_version, function_id
)
SELECT
    gen_random_uuid(), 'alice', 'python', 'x', 1, 1, 'session', 'fixed', 1, now(), now(), '{}', '{}',
    p.version, p.function_id
FROM generate_series(1, 4) AS n
LEFT JOIN (
    VALUES (1, 1, '00000000-0000-7000-8000-000000000001'::uuid), (2, 1, '00000000-0000-7000-8000-000000000003'::uuid)
) AS p (n, version, function_id) ON n.n = p.n;
UPDATE meta.sessions SET hidden = TRUE WHERE function_id = '00000000-0000-7000-8000-000000000003';
UPDATE meta.sessions
SET created_at = now(), convention = 'origin', context = '[1]', script = 'x', script_hash = repeat('0', 64)
WHERE request_id = (SELECT s.request_id FROM meta.sessions AS s WHERE s.function_id IS NULL LIMIT 1);
UPDATE meta.sessions SET grants = '{"state":{}}', script = 'x', script_hash = repeat('0', 64)
WHERE request_id = (SELECT s.request_id FROM meta.sessions AS s WHERE s.function_id IS NULL AND s.convention = 'own');
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome)
SELECT n, gen_random_uuid(), gen_random_uuid(), 'alice', 'unknown' FROM generate_series(0, 31) AS n;
INSERT INTO meta.open_executions SELECT gen_random_uuid(), gen_random_uuid(), 'alice', 0, now();
INSERT INTO meta.functions (function_id, owner, language, title, version, created_at, updated_at)
VALUES
('00000000-0000-7000-8000-000000000001', 'shared', 'python', 'mine', 2, now(), now()),
('00000000-0000-7000-8000-000000000002', 'shared', 'nodejs', 'mine', 1, now(), now()),
('00000000-0000-7000-8000-000000000003', 'alice', 'nodejs', 'mine', 2, now(), now()),
('00000000-0000-7000-8000-000000000004', 'bob', 'nodejs', 'mine', 1, now(), now()),
('00000000-0000-7000-8000-000000000005', 'shared', 'nodejs', 'granted', 1, now(), now());
UPDATE meta.functions SET deactivated_at = now() WHERE title = 'text_processor';
INSERT INTO meta.function_versions (
    function_id, version, type, author, description, tags, script, script_hash, examples, registered_at
)
SELECT
    format('00000000-0000-7000-8000-00000000000%s', v.n)::uuid, version, 'dynamic', author, '', '{}', '',
    repeat('0', 64), '[]', now()
FROM (VALUES (1, 1, NULL), (1, 2, 'bob'), (2, 1, 'bob'), (3, 1, 'alice'), (3, 2, 'alice'), (4, 1, 'bob'),
    (5, 1, NULL))
    AS v (n, version, author);
UPDATE meta.function_versions SET convention = 'event-first'
WHERE (function_id, version) IN (
    ('00000000-0000-7000-8000-000000000002', 1), ('00000000-0000-7000-8000-000000000001', 1)
);
UPDATE meta.function_versions SET grants = '{"state":{}}' WHERE function_id = '00000000-0000-7000-8000-000000000005';
INSERT INTO meta.idempotency_keys (
    request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer
)
SELECT
    gen_random_uuid(), 'alice', 'k', sha256(''), gen_random_uuid(), 'python-x', now(), now(),
    CASE WHEN n > 1 THEN '{}' END
FROM generate_series(1, 3) AS n;
INSERT INTO meta.runtime_hosts VALUES
('h', gen_random_uuid(), 'http://h:1', '10.0.0.1', '{}', 1, '0.3.0', 'ready', now(), now());
UPDATE meta.clock SET correction_us = 1000;
INSERT INTO meta.live_output VALUES (gen_random_uuid(), gen_random_uuid(), 1, 0, 'x', 0, '', 0, NULL, NULL, now());
INSERT INTO meta.schedules (
    schedule_id, owner, name, function_name, params, interval_s, jitter_s, catch_up, overlap, expires_in, options,
    anchor_at, settled_at
) VALUES (gen_random_uuid(), 'alice', 'x', 'python-x', '{}', 10, 0, 'once', 'skip', '1 h', '{}', now(), now());
INSERT INTO meta.schedule_firings
SELECT c.schedule_id, now(), now(), 1, 'missed', now(), 'late', NULL, FALSE FROM meta.schedules AS c;
INSERT INTO meta.queued_executions VALUES (
    '00000000-0000-7000-8000-00000000000a', gen_random_uuid(), now(), now(), now(), now(), 0, FALSE, 'alice', 'python',
    'x', '{}', '{}', 'k', sha256('')
);
INSERT INTO meta.idempotency_keys (
    request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer, outcome, params,
    options, ready_at, start_until, next_attempt
)
SELECT
    gen_random_uuid(), 'alice', 'k', sha256(''), format('00000000-0000-7000-8000-00000000000%s', v.n)::uuid, 'python-x',
    now(), now(), v.answer, v.outcome, '{}', '{}', now(), now(), gen_random_uuid()
FROM (VALUES ('a', NULL, NULL), ('b', '{}', 'succeeded'), ('c', '{}', 'cancelled')) AS v (n, answer, outcome);
INSERT INTO meta.open_executions (
    request_id, execution_id, owner, slot, deadline_at, in_order, claim_id, language_title, ready_at, start_until,
    kept_until, params, options, key, payload_hash
) VALUES (
    gen_random_uuid(), gen_random_uuid(), 'alice', 0, now(), TRUE, gen_random_uuid(), 'python-x', now(), now(), now(),
    '{}', '{}', 'k', sha256('')
);
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
VALUES (0, gen_random_uuid(), gen_random_uuid(), 'alice', 'cancelled', 1);
INSERT INTO meta.repeated_accepts VALUES (gen_random_uuid(), gen_random_uuid(), 2);
INSERT INTO meta.usage_additions VALUES (gen_random_uuid(), 'alice', '2026-11-27', 1, 1, 0, 1, 1);
INSERT INTO meta.rates VALUES ('alice', 'execute', now(), interval '1 s');
INSERT INTO meta.rates VALUES ('alice', 'live_sessions', now(), interval '0', 7, 6, 2, 3, 0);
INSERT INTO meta.shortened_days VALUES (1, now(), now(), 1), (2, now(), now(), 1);
INSERT INTO meta.usage VALUES ('alice', '2026-11-25', 1, 0, 0, 1, 1), ('alice', '2026-11-26', 1, 0, 0, 1, 1);
INSERT INTO meta.takeover VALUES (TRUE, gen_random_uuid(), '{}', '{}', 'adopt', '2026-11-27');
INSERT INTO meta.inbound_sessions VALUES (
    gen_random_uuid(), 'alice', 'python', 'x', 1, 16, 'session', 'fixed', 1, '2026-11-27', '2026-11-27',
    '2026-11-27', NULL, NULL, 0, 1, 'origin', NULL, NULL, '{}', '{}', NULL, 'python-x', NULL, '{}'
);
INSERT INTO meta.taken_sessions VALUES
(gen_random_uuid(), 'alice', 'owned', 'python-x', NULL, '{}', '2026-11-27'),
(gen_random_uuid(), 'alice', 'returned', 'python-x', NULL, '{}', '2026-11-27');
INSERT INTO meta.recorded_calls VALUES
(gen_random_uuid(), gen_random_uuid(), 'alice', '', '{}', NULL, 2, NULL),
(gen_random_uuid(), gen_random_uuid(), 'alice', '', '{}', '1', 3, '{}');
INSERT INTO meta.recording VALUES (TRUE, '2026-11-27');
INSERT INTO meta.webhooks (webhook_id, owner, url, events, key_id)
VALUES ('00000000-0000-7000-8000-000000000009', 'alice', 'https://example.com/', '{}', 'k');
INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, event, payload, next_at)
SELECT gen_random_uuid(), gen_random_uuid(), '00000000-0000-7000-8000-000000000009', 'webhook.test', '{}', now()
FROM generate_series(1, 2);
INSERT INTO meta.execution_uses SELECT 3, gen_random_uuid(), gen_random_uuid(), '{}' FROM generate_series(1, 2);
INSERT INTO meta.session_states SELECT gen_random_uuid(), 1, '{}', NULL, NULL, now() FROM generate_series(1, 2);
INSERT INTO meta.files (slot, file_id, owner, name, content_type, bytes, expires_at, complete)
SELECT 3, gen_random_uuid(), 'alice', 'a.csv', 'text/csv', 1, now(), TRUE FROM generate_series(1, 2);
INSERT INTO meta.file_chunks VALUES (3, gen_random_uuid(), 0, '');
INSERT INTO meta.secrets (owner, name, version, key_id, nonce, sealed, created_at, author)
SELECT 'alice', n, 1, 'k', '', '', now(), 'alice' FROM generate_series(1, 2) AS n;
INSERT INTO meta.usage VALUES ('bob', '2026-11-26', 0, 0, 0, 0, 0, 2, 10, 20);
INSERT INTO meta.egress_rules VALUES ('alice', 'api.example.com:443', now()), ('bob', '*:443', now());
INSERT INTO meta.environments VALUES ('data', 1, 'python', '', '{}', NULL, '', now(), 'root', NULL);
INSERT INTO meta.environment_builds VALUES (
    'data', 1, 'cp313-x86_64-glibc', 'ready', sha256(''), NULL, '', 1, gen_random_uuid(), now(), now()
);
INSERT INTO meta.trees VALUES (sha256(''), 1, 0, 0, 0, 0, TRUE, now());
INSERT INTO meta.tree_chunks VALUES (sha256(''), 0, '');
INSERT INTO meta.audit VALUES (gen_random_uuid(), 'root@example', 'cli', 'keys.create', 'alice', 'k', '{}');
"""
ADD_KEY = "INSERT INTO meta.api_keys VALUES (gen_random_uuid(), 'alice', ARRAY['admin'], sha256(''))"
WAITING = """
SELECT exists(
    SELECT FROM pg_locks AS l INNER JOIN pg_database AS d ON l.database = d.oid
    WHERE d.datname = current_database() AND NOT l.granted
)
"""
TABLES = """
SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attnum)
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
WHERE c.relnamespace = 'meta'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND a.attgenerated = ''
    AND NOT a.attisdropped
GROUP BY c.relname
"""
LOSSES = {
    "reservations": "1 reservation",
    "files": "2 files (1 file chunk)",
    "egress-rules": "2 egress rules",
    "network-usage": "1 network usage",
    "environments": "1 environment (1 build, 1 tree, 1 chunk)",
    "execution-uses": "2 execution uses",
    "granted-functions": "1 granted function (1 granted version)",
    "granted-sessions": "1 granted session",
    "runtime-hosts": "1 runtime host",
    "secrets": "2 secrets",
    "states": "2 states",
    "clock-correction": "1 clock correction",
    "live-output": "1 live part",
    "schedules": "1 schedule (1 firing)",
    "queue": "1 queued execution (3 accepted executions, 1 open execution, 1 ended execution, 1 usage addition, "
    "1 repeated accept)",
    "webhooks": "1 webhook (2 deliveries)",
    "recorded-calls": "2 recorded calls (1 recording)",
    "takeover": "2 taken sessions (1 inbound session, 1 takeover)",
    "foreign-functions": "1 foreign function (2 foreign versions)",
    "key-uses": "1 key use",
    "foreign-sessions": "1 foreign session",
    "creation-times": "1 creation time",
    "audit": "1 audited act",
    "usage": "3 usage days",
    "hidden-marks": "1 hidden mark",
    "owned-functions": "2 owned functions (3 versions, 1 session pin)",
    "function-authors": "2 function authors",
    "registration-times": "7 registration times",
    "shortened-days": "2 shortened days",
    "rates": "2 rate accounts",
    "keys": "1 API key",
    "idempotency": "6 idempotency keys (4 answers)",
    "functions": "6 functions (7 versions, 2 session pins)",
    "history": "33 executions (2 open executions)",
    "sessions": "4 sessions",
}
"""What there is before the first step."""

DELETED = LOSSES | {
    "usage": "2 usage days",
    "function-authors": "1 function author",
    "registration-times": "1 registration time",
    "functions": "2 functions (1 version, 1 session pin)",
    "idempotency": "4 idempotency keys (3 answers)",
}
"""What each step deletes when those before it have deleted their part."""


def runner_on(url: str, statements: Statements) -> MigrationRunner:
    options = MigrationOptions(connect_timeout_s=2, lock_timeout_s=0.05, pause_s=0.01)
    return MigrationRunner(url, statements.migrations, ManualClock(), options, STEPS)


@pytest.fixture
def runner(database_url, statements) -> MigrationRunner:
    return runner_on(database_url, statements)


def fill(url: str) -> str:
    """Store rows of every kind, and return the address."""
    with psycopg.connect(url) as connection:
        connection.execute(FILL)
        connection.execute(ADD_KEY)
        connection.execute("UPDATE meta.api_keys SET last_used_at = now()")
    return url


@pytest.fixture
def filled(database_url: str) -> str:
    """The address of the test's database, with rows of every kind."""
    return fill(database_url)


@pytest.fixture(scope="module")
def kept(new_database: NewDatabase, template: str) -> Iterator[str]:
    """The address of a database with rows of every kind, for tests that change nothing."""
    with new_database(template) as url:
        yield fill(url)


def contents_of(url: str) -> dict[str, list[str]]:
    """Return every row of every table, without what PostgreSQL computes, and without acts of migrations."""
    with psycopg.connect(url) as connection:
        found = {
            name: connection.execute(f"SELECT ROW({columns})::text FROM meta.{name} ORDER BY 1").fetchall()
            for name, columns in connection.execute(TABLES).fetchall()
        }
    return {name: [row for (row,) in rows if ",migrations." not in row] for name, rows in found.items()}


@pytest.mark.usefixtures("filled")
async def test_a_dry_run_counts_what_each_step_would_delete(runner):
    steps = await runner.down(0, dry_run=True)
    assert {loss.kind: loss.text for step in steps for loss in step.losses} == LOSSES
    assert [step.name for step in steps if not step.losses] == [
        "0027_buckets",
        "0016_works_beside",
        "0015_session_filters",
        "0011_texts_as_sent",
        "0008_execution_ids",
    ]


@pytest.mark.parametrize("kind", LOSSES)
async def test_one_kind_that_is_not_allowed_keeps_all_data(kept, statements, kind):
    before = contents_of(kept)
    with pytest.raises(DestructionRefused) as refused:
        await runner_on(kept, statements).down(0, destroy=LOSSES.keys() - {kind})
    step = next(step for step in STEPS if kind in step.down_migration.counts)
    would = f"{step} would delete {LOSSES[kind]}: add --destroy-{kind} to allow it."
    assert str(refused.value).splitlines()[1:] == [would, "Nothing was changed."]
    assert contents_of(kept) == before


@pytest.mark.usefixtures("filled")
async def test_kinds_that_are_allowed_are_deleted_and_counted(runner):
    steps = await runner.down(0, destroy=LOSSES)
    assert {loss.kind: loss.text for step in steps for loss in step.losses} == DELETED
    assert await runner.pending() == STEPS


async def test_a_kind_without_rows_needs_no_option(runner):
    assert [step.losses for step in await runner.down(0)] == [[]] * len(STEPS)
    assert await runner.pending() == STEPS


async def test_predefined_functions_need_the_option_after_a_change(runner, database_url):
    await runner.down(3, destroy=LOSSES)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE meta.functions SET deactivated_at = now() WHERE title = 'calculator'")
    with pytest.raises(DestructionRefused, match=r"0003_functions would delete 1 function:"):
        await runner.down(2)


async def test_rows_that_appear_after_the_first_count_are_not_deleted(runner, database_url):
    async with await psycopg.AsyncConnection.connect(database_url) as caller:
        await caller.execute(ADD_KEY)
        down = asyncio.create_task(runner.down(4))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as watcher:

            async def waits_for_the_lock() -> bool:
                found = await watcher.execute(WAITING)
                return await found.fetchone() == (True,)

            await until(waits_for_the_lock, timeout_s=30)
        await caller.commit()
        with pytest.raises(DestructionRefused) as refused:
            await down
    assert str(refused.value).splitlines()[1:] == [
        "0005_api_keys would delete 1 API key: add --destroy-keys to allow it.",
        f"Reverted before: {', '.join(str(step) for step in STEPS[:4:-1])}.",
    ]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM meta.api_keys").fetchall() == [(1,)]


async def test_no_step_changes_a_row_that_it_has_not_counted(runner, filled):
    for step in reversed(STEPS):
        before = contents_of(filled)
        (back,) = await runner.down(step.version - 1, destroy=LOSSES)
        after = contents_of(filled)
        gone = {name: set(rows) - set(after.get(name, [])) for name, rows in before.items() if name != "migrations"}
        changed = [name for name, rows in gone.items() if rows]
        assert bool(back.losses) == bool(changed), (str(step), changed)
