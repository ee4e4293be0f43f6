"""The SQL files and the code name the same statements, and the server plans them as meant."""

import re
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from attrs import fields, frozen

import sql
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.origin.statements import OriginStatements
from adapters.postgres import codec
from adapters.postgres.clock.probe import AT_HOME
from adapters.postgres.codec import first_id_of, partitions_between
from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.repositories.executions import FinishExecutions, WithdrawExecutions
from adapters.postgres.repositories.keyed_executions import FinishKeyedExecutions, WithdrawKeyedExecutions
from adapters.postgres.repositories.live_output import AppendOutput
from adapters.postgres.repositories.queue_reader import SelectStates
from adapters.postgres.repositories.queue_statements import (
    AcceptCall,
    AcceptExecutions,
    AcceptPlainExecutions,
    CancelExecutions,
    EndCall,
    FinishQueuedExecutions,
    PutBackCall,
    PutBackExecutions,
)
from adapters.postgres.statements.catalogue import Statements
from adapters.postgres.statements.files import load
from adapters.sql_files import StatementsDiffer
from domain.executions.execution import FinishedExecution, OpenExecution
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.live.events import OutputPart, OutputPiece
from domain.live.position import OutputStream
from domain.queue.entry import Entry, StartWindow
from domain.queue.state import CANCELLED
from tests.sql_clocks import clock_reads
from tests.support.acts import act
from tests.unit.domain.builders import session_at

SQL = Path(sql.__file__).parent
TIMES = (
    "now()",
    "'now'::timestamptz",
    "timestamp 'NOW'",
    "date 'today'",
    "CAST(' tomorrow ' AS date)",
    "E'yesterday'::date",
    "$$now$$::timestamptz",
    "'to'\n'day'::date",
    "'Today 12:00'::timestamptz",
    "'04:05 yesterday'::timestamp",
    "'tomorrow allballs'::timestamptz",
    "lower(tstzrange('now', NULL))",
    "greatest('-infinity'::timestamptz, 'now')",
)
"""Expressions that PostgreSQL evaluates to an instant within two days."""
_IDS, _CLOCK = SequentialIds(), ManualClock()
NIL = "00000000-0000-0000-0000-000000000000"
SOME_ID = _IDS.new(_CLOCK.now())
_ROWS_READ = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables"
_RUNS_BEFORE_GENERIC_PLANS = 6
PAGE = {
    "owner": "owner 7",
    "after": None,
    "language": None,
    "status": None,
    "text": None,
    "metadata": None,
    "contexts": False,
    "judged_at": _CLOCK.now(),
}
NO_ATTEMPTS = {"execution_id": None, "next_ids": "{}", "next_partition": 1, "jitters": "{}"}
SOME_KEY = {"request_ids": codec.uuids([SOME_ID]), "owners": codec.texts(["alice"])}


@frozen
class NoStatements:
    """Uses nothing."""


@frozen
class MoreStatements:
    """Uses one that has no file."""

    select_clock: Statement
    select_server_clock: Statement
    select_node_clock: Statement
    select_node_facts: Statement
    limit_node_connects: Statement
    settle_clock: Statement
    select_moon: Statement


def test_a_missing_statement_stops_the_start():
    with pytest.raises(StatementsDiffer, match="missing \\['select_moon'\\]"):
        load(MoreStatements, "clock.sql")


def test_an_unused_statement_stops_the_start():
    with pytest.raises(StatementsDiffer, match=r"unused \['limit_node_connects', 'select_clock', "):
        load(NoStatements, "clock.sql")


def test_only_the_statements_of_the_clock_read_the_time():
    # The origin judges its sessions by the clock of its own server, and so do the statements for it.
    files = [path for path in SQL.rglob("*.sql") if not path.name.startswith("origin_")]
    reads = {path.name: clock_reads(path.read_text()) for path in files}
    assert {name: found for name, found in reads.items() if found} == {
        "clock.sql": ["clock_timestamp("] * 4,
        # Of transaction ids: they count transactions.
        "inspection.sql": [
            "age(d.datfrozenxid)",
            "age(coalesce(a.backend_xmin, a.backend_xid))",
            "age(p.transaction)",
            "age(s.xmin)",
        ],
    }


def test_strings_that_the_server_reads_as_the_present_time_are_found(database_url):
    near = "SELECT abs(extract(epoch FROM ({})::timestamptz - clock_timestamp())) < 172800"
    with psycopg.connect(database_url) as connection:
        for time in TIMES:
            assert connection.execute(near.format(time)).fetchall() == [(True,)], time
            assert len(clock_reads(time)) == 1, time


def test_every_file_of_statements_is_loaded(statements):
    names = {f"{holder.name}.sql" for holder in fields(Statements)}
    names |= {f"origin_{holder.name}.sql" for holder in fields(OriginStatements)}
    assert names == {path.name for path in SQL.glob("*.sql")}


def test_each_statement_has_a_name_of_its_own(statements):
    """Connections and buckets keep statements by their names."""
    names = [statement.name for statement in _all(statements)]
    assert sorted(names) == sorted(set(names))


def test_statements_that_name_partitions_or_run_in_batches_are_not_prepared(statements):
    assert {statement.name for statement in _all(statements) if not statement.prepare} == {
        "complete_file",
        "select_file",
        "select_file_chunk",
        "abandon_file",
        "remove_file",
        "erase_files",
        "select_ended_file_slots",
        "empty_file_slot",
        "move_files",
        "hide_files",
        "purge_files",
        "wait_for_accepts",
        "select_queue_backlogs",
        "select_execution_counts",
        "select_execution_page",
        "select_execution",
        "select_filled_partitions",
        "empty_partition",
        "shorten_history",
        "select_table_sizes",
        "select_first_executions",
        "select_oldest_execution",
        "select_history_count",
        "move_history",
        "select_execution_trace",
        "select_history_trace",
        "delete_expired_sessions",
        "delete_expired_keys",
        "delete_old_acts",
        "purge_session",
        "purge_sessions",
        "purge_keys",
        "purge_history",
        "purge_functions",
        "purge_schedules",
        "move_schedules",
        "delete_deactivated_functions",
        "delete_old_versions",
        "select_pinned_versions",
        "select_environment_use",
        "move_overdue_executions",
        "move_functions",
        "move_queue",
        "move_sessions",
        "move_initialize_keys",
        "forget_rates",
        "count_usage",
        "delete_old_usage",
        "move_takings",
        "purge_takings",
        "purge_inbound",
        "delete_expired_inbound",
        "delete_expired_takings",
        "delete_old_recordings",
        "count_added_usage",
        "purge_queue",
        "erase_execution",
        "delete_old_live_output",
        "delete_old_runtime_hosts",
        "delete_unused_trees",
        "delete_retired_environment",
        "delete_old_deliveries",
        "delete_excess_deliveries",
        "load_inbound",
        "settle_deliveries",
        "move_webhooks",
        "purge_webhooks",
        "purge_secrets",
        "move_egress_rules",
        "share_environments",
        "purge_environments",
        "purge_egress_rules",
        "select_schedule_page",
        "select_webhook_page",
    }


def test_the_clock_statement_returns_the_databases_time(database_url, statements):
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(statements.clock.select_clock.sql, AT_HOME).fetchall()
    assert rows[0][0].tzinfo is not None


def _conninfo(database_url: str) -> str:
    """Return the address with the settings of plans, and with time limits for a busy machine."""
    return GatewayOptions(database_url, request_timeout_s=20).conninfo


@pytest.mark.parametrize("filled", [True, False], ids=["many rows", "no rows yet"])
async def test_statements_by_key_use_an_index_whatever_the_size(database_url, statements, filled):
    with psycopg.connect(_conninfo(database_url), autocommit=True) as connection:
        if filled:
            _fill(connection)
        sessions, executions = statements.sessions, statements.executions
        ids = {**SOME_KEY, "execution_ids": codec.uuids([SOME_ID])}
        of_function = {"owner": "alice", "function_id": SOME_ID}
        begin = {"partitions": "{1}", "started_ats": "{2026-01-01}", "allowances": "{1 s}", "waits": False}
        for statement, parameters in (
            (sessions.select_sessions, SOME_KEY),
            (sessions.select_scripts, SOME_KEY),
            (sessions.select_hidden_sessions, {**of_function, "version": None, "rows_max": 100}),
            (sessions.select_key_holder, {**of_function, "key": "k", "now": _CLOCK.now()}),
            (executions.begin_executions, {**ids, **begin}),
            (executions.delete_open_executions, ids),
            *_queue_statements(statements),
        ):
            plan = _plan(connection, statement, parameters)
            assert "Seq Scan on" not in plan, f"{statement.name}\n{plan}"


_BEGINS = {
    "by_turn": r"^\(\(?(ROW\()?language\b",
    "by_expiry": r"^\(expires_at\b",
    "id": r"^\(\(?execution_id [=<] ",
    "pkey": r"^\(\(?request_id = ",
    "in_order": r"^\(\(?request_id = ",
}
"""How the condition of a lookup in each index of the queue, and of open records, begins."""


def test_statements_of_the_queue_find_entries_by_the_right_index_before_there_are_any(database_url, statements):
    """A queue is mostly empty when it is analysed, and prepared plans stay."""
    with psycopg.connect(_conninfo(database_url), autocommit=True) as connection:
        connection.execute("ANALYZE meta.queued_executions")
        for statement, parameters in _queue_statements(statements):
            plan = _plan(connection, statement, parameters)
            lookups = re.findall(r"using queued_executions_(\w+) on .*\n(?: *Index Cond: (.*))?", plan)
            right = [re.search(_BEGINS[index], condition) for index, condition in lookups]
            assert all(right), f"{statement.name}\n{plan}"


_OPEN_RECORDS = """
INSERT INTO meta.open_executions (request_id, execution_id, owner, slot, deadline_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'alice', 1, 'infinity' FROM generate_series(1, 2000)
"""


_DELETE_OPEN_RECORDS = "DELETE FROM meta.open_executions"


@pytest.mark.parametrize(
    "history",
    [
        ["VACUUM meta.open_executions"],
        [_OPEN_RECORDS, _DELETE_OPEN_RECORDS, "ANALYZE meta.open_executions"],
        [_OPEN_RECORDS, _DELETE_OPEN_RECORDS, "VACUUM (TRUNCATE off) meta.open_executions", _OPEN_RECORDS],
        [_OPEN_RECORDS, "ANALYZE meta.open_executions"],
    ],
    ids=["never filled", "dead at its analysis", "filled after its vacuum", "filled"],
)
def test_open_records_are_looked_up_whatever_a_vacuum_or_an_analysis_has_found(database_url, statements, history):
    with psycopg.connect(_conninfo(database_url), autocommit=True) as connection:
        for text in (*history, "ANALYZE meta.live_output"):
            connection.execute(text)
        for statement, parameters in _statements_of_open_records(statements):
            plan = _plan(connection, statement, parameters)
            lookups = re.findall(r"using (?:open_executions|live_output)_(\w+) on .*\n(?: *Index Cond: (.*))?", plan)
            assert lookups, plan
            assert all(re.search(_BEGINS[index], condition) for index, condition in lookups), (
                f"{statement.name}\n{plan}"
            )


def test_ends_look_keys_up_after_an_analysis_that_found_none(database_url, statements):
    keyed = statements.keyed_calls.finish_keyed_executions, statements.keyed_calls.withdraw_keyed_executions
    with psycopg.connect(_conninfo(database_url), autocommit=True) as connection:
        connection.execute("ANALYZE meta.idempotency_keys")
        for statement, parameters in _statements_of_open_records(statements):
            if statement in keyed:
                plan = _plan(connection, statement, parameters)
                assert re.search(r"using idempotency_keys_pkey on .*\n *Index Cond: \(\(request_id = ", plan), plan


_SESSIONS = """
INSERT INTO meta.sessions (request_id, owner, language, title, script_hash, script, timeout_ms, memory_mb, isolation,
    renewal, ttl_seconds, expires_at, expires_max_at, context, metadata)
SELECT gen_random_uuid(), 'owner ' || n % 10, 'python', 't', repeat('a', 64), 'x', 1, 1, 'session', 'sliding', 1,
    '2026-01-01', '2026-01-02', '{}', '{}'
FROM generate_series(1, 2000) AS n
"""
_STATES = """
INSERT INTO meta.session_states (request_id, version, state, updated_at)
SELECT request_id, 1, '{}', '2026-01-01' FROM meta.sessions
"""
_DELETE_SESSIONS = "DELETE FROM meta.session_states", "DELETE FROM meta.sessions"
_LOOKUPS_OF_SESSIONS = (
    r"_pkey on .*\n *Index Cond: \(\(?request_id = | on .*\n *Index Cond: \(\(owner = .* AND \(request_id = "
)
"""A lookup in an index of sessions or of their states. An index by owner has no lookup by the id alone."""


@pytest.mark.parametrize(
    "history",
    [
        ["VACUUM ANALYZE"],
        [_SESSIONS, _STATES, *_DELETE_SESSIONS, "VACUUM (ANALYZE, TRUNCATE off)", _SESSIONS, _STATES],
        [_SESSIONS, _STATES, "ANALYZE"],
    ],
    ids=["never filled", "filled after its vacuum", "filled"],
)
def test_sessions_are_looked_up_whatever_a_vacuum_has_found(database_url, statements, history):
    """An installation may lose all its sessions, and get many before they are counted again."""
    with psycopg.connect(_conninfo(database_url), autocommit=True) as connection:
        for text in history:
            connection.execute(text)
        for statement in _statements_of_sessions(statements):
            plan = _generic_plan(connection, statement)
            lookups = re.findall(r"using session\w+ on .*\n(?: *Index Cond: .*)?", plan)
            assert lookups, plan
            assert all(re.search(_LOOKUPS_OF_SESSIONS, each) for each in lookups), f"{statement.name}\n{plan}"


@pytest.fixture(scope="module")
def full_url(new_database, template):
    """The address of a database with 50,000 rows in each large table, of which the tests keep no change."""
    with new_database(template) as url, psycopg.connect(url, autocommit=True) as connection:
        _fill(connection, 50_000)
        connection.execute(
            "INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome) "
            "SELECT 3, CASE WHEN n <= 30 THEN %s ELSE gen_random_uuid() END, gen_random_uuid(), 'alice', 'failed' "
            "FROM generate_series(1, 50000) AS n",
            [SOME_ID],
        )
        connection.execute("ANALYZE meta.executions")
        yield url


@pytest.mark.parametrize(
    ("room", "name", "parameters"),
    [
        ("cleanup", "delete_expired_sessions", {"expired_before": "2026-02-01"}),
        ("queue_sweeps", "move_overdue_executions", {"now": "2026-02-01", **NO_ATTEMPTS}),
        ("cleanup", "delete_expired_keys", {"now": "2026-02-01", "accepted_before": NIL}),
        (
            "owners",
            "move_sessions",
            {
                "owner_from": "owner 7",
                "owner_to": "bob",
                "after": None,
                "now": "2026-02-01",
                **codec.act_columns(act()),
            },
        ),
        (
            "purges",
            "purge_sessions",
            {"owner": "owner 7", "after": None, "now": "2026-02-01", **codec.act_columns(act())},
        ),
        (
            "purges",
            "purge_keys",
            {
                "owner": "alice",
                "after_request_id": NIL,
                "after_owner": "",
                "after_key": "",
                "bytes_max": 2**40,
                **codec.act_columns(act()),
            },
        ),
    ],
)
async def test_statements_of_cleanup_examine_few_rows_of_many(full_url, statements, room, name, parameters):
    rows_max = 10
    statement = getattr(getattr(statements, room), name)
    conninfo = GatewayOptions(full_url).conninfo
    connection = await GatewayConnection.connect(conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=10)
    async with connection, connection.transaction(force_rollback=True):
        await connection.run(statement, {**parameters, "rows_max": rows_max})
        cursor = await connection.execute(_ROWS_READ)
        assert 0 < (await cursor.fetchall())[0][0] <= 20 * rows_max


_PURGE = {
    "request_id": SOME_ID, "owner": "alice", "partitions": "{2,3}", "key_expires_at": "2026-02-01", "bytes_max": 2**40,
}  # fmt: skip


async def test_a_purge_of_a_session_reads_few_rows_of_a_long_history(full_url, statements):
    rows_max = 10
    conninfo = GatewayOptions(full_url).conninfo
    connection = await GatewayConnection.connect(conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=10)
    async with connection, connection.transaction(force_rollback=True):
        found = await connection.run(
            statements.purges.purge_session, {**_PURGE, "rows_max": rows_max, **codec.act_columns(act())}
        )
        assert found == [(True, rows_max)]
        cursor = await connection.execute(_ROWS_READ)
        assert 0 < (await cursor.fetchall())[0][0] <= 20 * rows_max


async def test_a_page_of_sessions_reads_its_index(database_url, statements):
    page = PAGE | {"language": "python", "status": "closed"}
    bounds = {"rows_max": 50, "size": 10, "bytes_max": 1000}
    with psycopg.connect(database_url, autocommit=True) as connection:
        _fill(connection)
        plan = _plan(connection, statements.sessions.select_session_page, {**page, **bounds})
        every = _plan(connection, statements.sessions.select_session_page, {**page, **bounds, "owner": "*"})
    assert "sessions_by_owner" in plan
    assert "Scan Backward using sessions_pkey" not in plan
    assert "Scan Backward using sessions_pkey" in every
    assert "Seq Scan on" not in plan + every


@pytest.fixture(scope="module")
def labelled_url(new_database, template):
    """The address of a database with 20,000 sessions, each with metadata."""
    with new_database(template) as url, psycopg.connect(url, autocommit=True) as connection:
        _fill(connection, 20_000)
        connection.execute(
            "UPDATE meta.sessions SET metadata = "
            "jsonb_build_object('env', 'prod', 'order', (hashtext(request_id::text) & 2047)::text)::text"
        )
        connection.execute("VACUUM ANALYZE meta.sessions")
        yield url


@pytest.mark.parametrize(
    ("metadata", "rows_examined_max"),
    [
        ('{"order": "nobody"}', 0),
        ('{"order": "77"}', 20),
        ('{"env": "prod", "order": "none"}', 0),
        ('{"env": "prod"}', 45),
    ],
)
async def test_a_filter_by_metadata_examines_few_rows_of_many(labelled_url, statements, metadata, rows_examined_max):
    bounds = {"rows_max": 20, "size": 10, "bytes_max": 1000}
    statement = statements.sessions.select_session_page
    conninfo = GatewayOptions(labelled_url).conninfo
    connection = await GatewayConnection.connect(conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=10)
    async with connection, connection.transaction():
        found = await connection.run(statement, {**PAGE, **bounds, "metadata": metadata})
        cursor = await connection.execute(_ROWS_READ)
        shown = sum(row[1] is not None for row in found)
        assert 0 <= (await cursor.fetchall())[0][0] - shown <= rows_examined_max


_SCHEDULES = """
INSERT INTO meta.schedules (schedule_id, owner, name, session_id, params, interval_s, jitter_s, catch_up, overlap,
    expires_in, options, anchor_at, settled_at)
SELECT gen_random_uuid(), 'owner ' || n % 500, 'n', gen_random_uuid(), '{}', 60, 0, 'once', 'skip', '1 h', '{}',
    '2026-01-01', '2026-01-01'
FROM generate_series(1, 5000) AS n
"""
_WEBHOOKS = """
INSERT INTO meta.webhooks (webhook_id, owner, url, events, description, key_id)
SELECT gen_random_uuid(), 'owner ' || n % 500, 'https://h', '{}', '', '' FROM generate_series(1, 5000) AS n
"""


@pytest.mark.parametrize(("table", "filling"), [("schedules", _SCHEDULES), ("webhooks", _WEBHOOKS)])
async def test_pages_of_an_owner_read_its_rows_alone(database_url, statements, table, filling):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(filling)
        connection.execute(f"ANALYZE meta.{table}")
    statement = getattr(getattr(statements, table), f"select_{table.removesuffix('s')}_page")
    page = {"owner": "owner 7", "after": None, "rows_max": 100}
    conninfo = GatewayOptions(database_url).conninfo
    connection = await GatewayConnection.connect(conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=10)
    async with connection:
        for _ in range(_RUNS_BEFORE_GENERIC_PLANS):
            await connection.run(statement, page)
        async with connection.transaction():
            assert len(await connection.run(statement, page)) == 10
            cursor = await connection.execute(_ROWS_READ)
            assert (await cursor.fetchall())[0][0] <= 200


async def test_a_page_of_the_history_reads_only_its_own_partitions(database_url, statements):
    page = {
        "partitions": "{3,4}",
        "request_ids": codec.uuids([SOME_ID]),
        "owner": "alice",
        "after": None,
        "since": None,
        "outcome": None,
    }
    bounds = {"rows_max": 10, "size": 10, "bytes_max": 1000, "now": _CLOCK.now()}
    with psycopg.connect(database_url, autocommit=True) as connection:
        plan = _plan(connection, statements.executions.select_execution_page, {**page, **bounds})
        assert set(re.findall(r"on executions_(\d\d)", plan)) == {"03", "04"}
        assert set(re.findall(r"on execution_uses_(\d\d)", plan)) == {"03", "04"}
        look = {**SOME_KEY, "execution_ids": codec.uuids([SOME_ID]), "partitions": "{5}", "named_partitions": "{5}"}
        plan = _plan(connection, statements.executions.select_execution_counts, look)
        assert set(re.findall(r"on executions_(\d\d)", plan)) == {"05"}
        one = {"partition": 6, "owner": "alice", "execution_id": SOME_ID}
        plan = _plan(connection, statements.executions.select_execution, one)
        assert set(re.findall(r"on executions_(\d\d)", plan)) == {"06"}
        assert set(re.findall(r"on execution_uses_(\d\d)", plan)) == {"06"}
        assert "Index Scan using executions_06_execution_id_slot_idx" in plan


def test_partitions_are_days_in_a_ring():
    assert list(partitions_between(31, 33)) == [1, 0, 31]
    assert sorted(partitions_between(0, 1000)) == list(range(32))
    assert list(partitions_between(5, 4)) == []


def test_the_first_id_of_a_day_is_the_least():
    assert first_id_of(1).int >> 80 == 86_400_000
    assert first_id_of(1).version == 7


def test_array_literals_hold_special_values(database_url):
    values = ["a,b", '"quoted"', "back\\slash", "{}", "", None, "NULL", " ä\n"]
    with psycopg.connect(database_url) as connection:
        ((found, numbers, flags),) = connection.execute(
            "SELECT %s::text[], %s::double precision[], %s::boolean[]",
            [
                codec.texts(values),
                codec.numbers([1, None, 0.1, -3e300]),
                codec.booleans([True, None, False]),
            ],
        ).fetchall()
    assert found == values
    assert numbers == [1, None, 0.1, -3e300]
    assert flags == [True, None, False]


def _queue_statements(statements: Statements) -> list[tuple[Statement, dict[str, object]]]:
    """Return the statements of the queue that calls run, with parameters."""
    queue, ends, states, now = statements.queue, statements.queue_ends, statements.queue_states, _CLOCK.now()
    sweeps, claims = statements.queue_sweeps, statements.queue_claims
    ref = SessionRef(Owner("alice"), SOME_ID)
    key, window = IdempotencyKey("k", "0" * 64), StartWindow.after(now)
    entry = Entry(ref, SOME_ID, JsonText("{}"), key, window)
    call = AcceptCall(entry, timedelta(0), timedelta(0))
    finished = FinishedExecution(OpenExecution(SOME_ID, session_at(now, ref=ref), now), now, JsonText("{}"), CANCELLED)
    one, state = (
        {"request_ids": codec.uuids([SOME_ID]), "execution_ids": codec.uuids([SOME_ID])},
        [("alice", SOME_ID, now)],
    )
    few = {"now": now, "rows_max": 100}
    claim = {
        "claim_id": SOME_ID, "languages": "{python}", "after_language": "", "after_owner": "", "blocked": "{}",
        "entries_max": 8, "owner_max": 8, "turns_max": 64, "bytes_max": 1000, "allowance": timedelta(0), **few,
    }  # fmt: skip
    end, ended = EndCall(finished, entry, entry), {"cancelled": "", "cancelled_error": ""}
    return [
        (queue.accept_plain_executions, AcceptPlainExecutions(queue).parameters([call], "normal")),
        (
            queue.accept_executions,
            {"copy": 1, **AcceptExecutions(queue).parameters([call], "normal")},
        ),
        (claims.claim_executions, claim),
        (
            claims.put_back_executions,
            PutBackExecutions(claims.put_back_executions).columns([PutBackCall(SOME_ID, SOME_ID, SOME_ID, now)]),
        ),
        (
            ends.finish_queued_executions,
            FinishQueuedExecutions(ends.finish_queued_executions, full=True).parameters([end], "normal"),
        ),
        (ends.cancel_executions, CancelExecutions(ends.cancel_executions).columns(state)),
        (ends.request_cancel, {"request_id": SOME_ID, "execution_id": SOME_ID, "now": now}),
        (sweeps.select_expired_entries, few),
        (sweeps.select_entries_of, {**few, "request_id": SOME_ID}),
        (sweeps.select_blocking_entries, {**few, "rows_max": 50, "turns_max": 64, "ended_max": 10}),
        (sweeps.end_entries, {**one, "bytes_max": 1000, "now": now, **ended, "expired": "", "expired_error": ""}),
        (states.select_to_stop, one),
        (states.select_kept_call, {"request_id": SOME_ID, "owner": "alice", "key": "k", "now": now}),
        (states.select_states, SelectStates(states.select_states).columns(state)),
        (
            states.select_state_page,
            {**few, "owner": "alice", "after": None, "since": None, "request_id": None, "status": None, "size": 5}
            | {"languages": codec.texts(["python"]), "entries_max": 100},
        ),
        (states.select_queued_count, {"owner": "alice", "languages": "{python}", "counted_max": 100}),
        (states.select_all_queued_count, {"counted_max": 100}),
    ]


_STATE = {
    "request_ids": codec.uuids([SOME_ID]), "execution_ids": codec.uuids([SOME_ID]),
    "nows": codec.instants([_CLOCK.now()]),
}  # fmt: skip


def _statements_of_open_records(statements: Statements) -> list[tuple[Statement, dict[str, object]]]:
    """Return the statements that find open records, or their live output, by a join; with parameters."""
    ends, claims, live = statements.queue_ends, statements.queue_claims, statements.live_output
    queued = ends.finish_queued_executions, ends.cancel_executions, claims.put_back_executions
    now, ref, key = _CLOCK.now(), SessionRef(Owner("alice"), SOME_ID), IdempotencyKey("k", "0" * 64)
    finished = FinishedExecution(OpenExecution(SOME_ID, session_at(now, ref=ref), now), now, JsonText("{}"), CANCELLED)
    part = OutputPart(SOME_ID, SOME_ID, 1, *(OutputPiece(stream, 0, "") for stream in OutputStream))
    finish, withdraw = statements.executions.finish_executions, statements.executions.delete_open_executions
    keyed = statements.keyed_calls
    return [
        (finish, FinishExecutions(finish, full=True).parameters([finished], "normal")),
        (withdraw, WithdrawExecutions(withdraw).columns([(ref, SOME_ID)])),
        (
            keyed.finish_keyed_executions,
            FinishKeyedExecutions(keyed.finish_keyed_executions, full=True).parameters([(finished, key)], "normal"),
        ),
        (
            keyed.withdraw_keyed_executions,
            WithdrawKeyedExecutions(keyed.withdraw_keyed_executions).columns([(ref, SOME_ID, key)]),
        ),
        (live.append_live_output, AppendOutput(live.append_live_output).columns([part])),
        (statements.states.take_states, {**_STATE, "untils": codec.instants([now]), "waits": False}),
        (statements.states.select_session_states, {**SOME_KEY, "nows": codec.instants([now])}),
        (
            statements.executions.save_states_and_uses,
            {
                **_STATE,
                "owners": "{alice}",
                "partitions": "{1}",
                "states": codec.texts(["{}"]),
                "uses": codec.texts(["{}"]),
            },
        ),
        (
            statements.executions.add_network_usage,
            {**_STATE, "owners": "{alice}", "connections": "{1}", "sent_bytes": "{1}", "received_bytes": "{1}"},
        ),
        (live.delete_live_output, {"request_ids": codec.uuids([SOME_ID]), "execution_ids": codec.uuids([SOME_ID])}),
        (ends.request_cancels, {"request_id": SOME_ID, "owner": "alice", "now": now}),
        (statements.queue_sweeps.move_overdue_executions, {"now": now, "rows_max": 100, **NO_ATTEMPTS}),
        (statements.purges.purge_session, {**_PURGE, "rows_max": 100, **codec.act_columns(act())}),
        *(each for each in _queue_statements(statements) if each[0] in queued),
    ]


def _statements_of_sessions(statements: Statements) -> list[Statement]:
    """Return the statements that find sessions, or their states, by their ids."""
    sessions, executions, keyed = statements.sessions, statements.executions, statements.keyed_calls
    return [
        sessions.select_sessions,
        sessions.select_scripts,
        sessions.update_sessions,
        executions.begin_executions,
        executions.finish_executions,
        executions.save_states_and_uses,
        keyed.begin_keyed_executions,
        keyed.finish_keyed_executions,
        statements.queue.accept_plain_executions,
        statements.queue.accept_executions,
        statements.queue_claims.claim_executions,
        statements.queue_ends.finish_queued_executions,
        statements.queue_sweeps.select_entries_of,
        statements.queue_sweeps.select_blocking_entries,
        statements.queue_sweeps.end_entries,
        statements.queue_states.select_states,
        statements.queue_states.select_state_page,
        statements.queue_states.select_queue_facts,
        statements.queue_states.select_all_queue_facts,
        statements.schedules.fire_schedule,
        statements.explain.select_session_trace,
        statements.states.take_states,
        statements.states.select_session_states,
    ]


def _all(statements: Statements) -> list[Statement]:
    holders = [getattr(statements, holder.name) for holder in fields(Statements)]
    return [getattr(holder, wanted.name) for holder in holders for wanted in fields(type(holder))]


def _plan(connection: psycopg.Connection, statement: Statement, parameters: dict[str, object]) -> str:
    rows = connection.execute(f"EXPLAIN {statement.sql}", parameters).fetchall()
    return "\n".join(row[0] for row in rows)


def _generic_plan(connection: psycopg.Connection, statement: Statement) -> str:
    """Return the plan for any values, as calls use it."""
    connection.execute(b"PREPARE planned AS " + statement.numbered)
    nulls = ", ".join(["NULL"] * len(_names_of(statement)))
    rows = connection.execute(f"EXPLAIN EXECUTE planned ({nulls})").fetchall()
    connection.execute("DEALLOCATE planned")
    return "\n".join(row[0] for row in rows)


def _names_of(statement: Statement) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", statement.sql))


def _fill(connection: psycopg.Connection, count: int = 5000) -> None:
    connection.execute(
        """
        INSERT INTO meta.sessions (request_id, owner, language, title, script_hash, script, timeout_ms, memory_mb,
            isolation, renewal, ttl_seconds, expires_at, expires_max_at, context, metadata)
        SELECT gen_random_uuid(), 'owner ' || n %% 10, 'python', 't', repeat('a', 64), 'x', 1, 1, 'session', 'sliding',
            1, '2026-01-01', '2026-01-02', '{}', '{}'
        FROM generate_series(1, %s) AS n
        """,
        [count],
    )
    connection.execute(
        "INSERT INTO meta.open_executions SELECT gen_random_uuid(), gen_random_uuid(), 'alice', 1, "
        "'2026-01-01' FROM generate_series(1, %s) AS n",
        [count],
    )
    connection.execute(
        "INSERT INTO meta.idempotency_keys (request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at) "
        ""
        "SELECT gen_random_uuid(), 'alice', 'k', decode(repeat('00', 32), 'hex'), gen_random_uuid(), 'python-t', '2026-01-01', "
        "'2026-01-02' FROM generate_series(1, %s) AS n",
        [count],
    )
    connection.execute(
        "INSERT INTO meta.queued_executions SELECT gen_random_uuid(), gen_random_uuid(), '2026-01-01', '2026-01-01', "
        "'2026-01-02', '2026-01-03', 1, n %% 2 = 0, 'owner ' || n %% 10, 'python', 't', '{}' FROM generate_series(1, %s) AS n",
        [count],
    )
    connection.execute("ANALYZE meta.sessions, meta.open_executions, meta.idempotency_keys, meta.queued_executions")
