"""The gateway on a real server."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from adapters.postgres.connections.errors import StatementRefused, TookTooLong
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import CALLER, DatabaseWaiter, Gateway, GatewayOptions
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from tests.support.waiting import until, within

TIMEOUT_S = 10.0
SLEEP = Statement("select_sleep", "SELECT pg_sleep(%(seconds)s)")
BACKEND = Statement("select_backend", "SELECT pg_backend_pid()")
INSERT = Statement("insert_thing", "INSERT INTO things (name) VALUES (%(name)s)")
COUNT = Statement("select_count", "SELECT count(*) FROM things")
CLOCK = Statement("select_clock", "SELECT clock_timestamp()")
WAIT = Statement("select_wait", "SELECT pg_advisory_lock_shared(1)")


@contextlib.asynccontextmanager
async def opened(dsn, observe=None, **options):
    gateway = Gateway(GatewayOptions(dsn, **{"request_timeout_s": TIMEOUT_S, **options}), observe)
    await gateway.open()
    try:
        yield gateway
    finally:
        await gateway.close()


@pytest.fixture
def other(database_url):
    """Somebody else's connection."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS things (name text UNIQUE)")
        yield connection


@contextlib.contextmanager
def held_up(other):
    """Keep `WAIT` from ending."""
    other.execute("SELECT pg_advisory_lock(1)")
    try:
        yield
    finally:
        other.execute("SELECT pg_advisory_unlock(1)")


@pytest.fixture
async def gateway(database_url, other):
    async with opened(database_url) as gateway:
        yield gateway


async def backend_of(gateway):
    return (await gateway.fetch(BACKEND, {}))[0][0]


async def test_rows_come_back_as_tuples(gateway):
    select = Statement("select_all", "SELECT n, %(text)s::text FROM generate_series(1, 2) n")
    assert await gateway.fetch(select, {"text": "x"}) == [(1, "x"), (2, "x")]


async def test_a_statement_without_rows_returns_none_and_is_stored(gateway):
    assert await gateway.fetch(INSERT, {"name": "a"}) == []
    assert await gateway.fetch(COUNT, {}) == [(1,)]


@pytest.mark.parametrize("options", [{}, {"server_timeouts": False}], ids=["options", "no options"])
async def test_instants_are_in_utc_whatever_the_server_is_set_to(database_url, other, options):
    other.execute(f"ALTER DATABASE \"{other.info.dbname}\" SET TimeZone = 'America/New_York'")
    async with opened(database_url, **options) as gateway:
        ((instant,),) = await gateway.fetch(CLOCK, {})
    assert instant.utcoffset() == timedelta(0)
    assert abs(instant - datetime.now(UTC)) < timedelta(minutes=1)


async def prepared(gateway):
    plans = Statement("select_plans", "SELECT count(*) FROM pg_prepared_statements", prepare=False)
    return (await gateway.fetch(plans, {}))[0][0]


@pytest.mark.parametrize(("prepares", "prepare", "plans"), [(True, True, 1), (True, False, 0), (False, True, 0)])
async def test_statements_are_prepared_by_default(database_url, other, prepares, prepare, plans):
    async with opened(database_url, prepares=prepares, pool_size_max=1) as gateway:
        await gateway.fetch(Statement("select_it", "SELECT %(x)s::int", prepare=prepare), {"x": 1})
        assert await prepared(gateway) == plans


async def test_each_statement_is_observed_by_its_name(database_url, other):
    observed = []
    async with opened(database_url, lambda *noted: observed.append(noted)) as gateway:
        await gateway.fetch(SLEEP, {"seconds": 0.02})
    ((name, duration_s, failure),) = observed
    assert (name, failure) == ("select_sleep", None)
    assert 0.02 <= duration_s < 2


@pytest.mark.parametrize(
    ("sql", "failure"), [("SELECT 1 / 0", "22"), ("SELECT nothing", "42"), ("SELECT %(x)s::text", "driver")]
)
async def test_a_statement_that_fails_is_observed_with_the_class_of_its_failure(database_url, other, sql, failure):
    observed = []
    async with opened(database_url, lambda *noted: observed.append(noted), attempts_max=1) as gateway:
        with pytest.raises((StatementRefused, StorageUnavailable)):
            await gateway.fetch(Statement("select_it", sql), {"x": "\0"})
    assert [(name, noted) for name, _, noted in observed] == [("select_it", failure)]


async def test_waits_are_reported_to_the_caller_and_not_for_background_work(database_url, other):
    waits = []

    class Waiting(DatabaseWaiter):
        def waited(self, name, duration_s):
            waits.append((name, duration_s > 0.02))

    async with opened(database_url) as gateway:
        CALLER.set(Waiting())
        await gateway.fetch(SLEEP, {"seconds": 0.02})
        CALLER.set(None)
        await gateway.fetch(SLEEP, {"seconds": 0.02})
    assert waits == [("select_sleep", True)]


async def test_a_slow_statement_is_logged_by_its_name(database_url, other):
    with capture_logs() as lines:
        async with opened(database_url, slow_statement_s=0.1) as gateway:
            await gateway.fetch(SLEEP, {"seconds": 0.12})
    slow = [line for line in lines if line["event"] == "slow_statement"]
    assert [(line["statement"], line["duration_ms"] >= 120) for line in slow] == [("select_sleep", True)]


async def test_a_statement_that_fails_in_the_database_is_logged_once_with_its_reason(gateway):
    with capture_logs() as lines, pytest.raises(StorageUnavailable):
        await gateway.fetch(Statement("select_nowhere", "SELECT 1 FROM nowhere"), {})
    failed = [line for line in lines if line["event"] == "statement_failed"]
    logged = [(line["statement"], line["sqlstate"], line["reason"]) for line in failed]
    assert logged == [("select_nowhere", "42P01", 'relation "nowhere" does not exist')]


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"], ids=["NUL", "lone surrogate"])
async def test_text_that_postgres_cannot_hold_is_refused(gateway, value):
    with pytest.raises(StatementRefused):
        await gateway.fetch(INSERT, {"name": value})


async def test_a_violated_constraint_is_refused(gateway):
    await gateway.fetch(INSERT, {"name": "a"})
    with pytest.raises(StatementRefused) as caught:
        await gateway.fetch(INSERT, {"name": "a"})
    assert isinstance(caught.value.__cause__, psycopg.errors.UniqueViolation)


@pytest.mark.parametrize("prepares", [True, False], ids=["in preparing", "in carrying out"])
async def test_a_bug_is_raised_unchanged_and_keeps_the_connection(database_url, other, prepares):
    async with opened(database_url, pool_size_max=1, prepares=prepares) as gateway:
        before = await backend_of(gateway)
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedFunction):
                await gateway.fetch(Statement("select_no_function", "SELECT no_function(%(x)s)"), {"x": 1})
        assert await backend_of(gateway) == before


async def test_a_row_locked_by_another_ends_the_wait_and_nothing_is_stored(database_url, other):
    other.execute("INSERT INTO things VALUES ('locked')")
    async with opened(database_url, attempts_max=1) as gateway:
        with other.transaction():
            other.execute("UPDATE things SET name = 'locked' WHERE name = 'locked'")
            with within(TIMEOUT_S), pytest.raises(StorageUnavailable) as caught:
                await gateway.fetch(Statement("delete_things", "DELETE FROM things"), {})
    assert caught.value.stored == "no"
    assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)


async def test_a_lock_that_is_released_in_time_is_awaited(gateway, other):
    other.execute("INSERT INTO things VALUES ('locked')")
    with other.transaction():
        other.execute("UPDATE things SET name = 'locked' WHERE name = 'locked'")
        asked = asyncio.ensure_future(gateway.fetch(Statement("delete_things", "DELETE FROM things"), {}))
        await until(lambda: gateway.stats().in_flight == 1)
    assert await asked == []


async def test_a_long_statement_is_ended_by_the_server(database_url, other):
    async with opened(database_url, attempts_max=1) as gateway:
        with within(TIMEOUT_S), pytest.raises(StorageUnavailable) as caught:
            await gateway.fetch(Statement("insert_slowly", SLEEP.sql), {"seconds": 30})
    assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)
    assert caught.value.stored == "no"


async def test_a_long_statement_of_several_calls_is_ended_once(gateway):
    with within(gateway._options.statement_timeout_s), pytest.raises(TookTooLong):
        await gateway.fetch(SLEEP, {"seconds": 30}, parts=2)


async def test_without_the_servers_timeouts_the_socket_deadline_ends_a_long_statement(database_url, other):
    async with opened(database_url, server_timeouts=False, request_timeout_s=2.0) as gateway:
        with within(2.0), pytest.raises(StorageUnavailable) as caught:
            await gateway.fetch(Statement("insert_slowly", SLEEP.sql), {"seconds": 30})
    assert caught.value.stored == "unknown"


async def test_idle_connections_that_the_server_has_ended_are_found_before_use(gateway, other):
    await asyncio.gather(*(gateway.fetch(SLEEP, {"seconds": 0.05}) for _ in range(4)))
    await until(lambda: gateway.stats().pool_idle >= 2)
    other.execute(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'pglambda' AND datname = current_database()"
    )
    with within(TIMEOUT_S):
        assert await gateway.fetch(INSERT, {"name": "a"}, repeatable=False) == []


async def kill_in_the_middle(other):
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    await until(lambda: other.execute(waiting).fetchall())
    other.execute(f"SELECT pg_terminate_backend(pid) FROM ({waiting}) it")


async def test_a_read_whose_connection_is_lost_is_retried(gateway, other):
    with held_up(other):
        asked = asyncio.ensure_future(gateway.fetch(WAIT, {}))
        await kill_in_the_middle(other)
    assert await asked == [("",)]


async def test_a_write_that_is_not_repeatable_may_be_stored_after_a_lost_connection(gateway, other):
    slow = Statement("insert_slowly", WAIT.sql)
    with held_up(other), within(TIMEOUT_S):
        asked = asyncio.ensure_future(gateway.fetch(slow, {}, repeatable=False))
        await kill_in_the_middle(other)
        with pytest.raises(StorageUnavailable) as caught:
            await asked
    assert caught.value.stored == "unknown"


def failing(other, times, sqlstate):
    """Make a statement that fails so many times."""
    other.execute("CREATE SEQUENCE calls")
    other.execute(
        f"""CREATE FUNCTION try() RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE call bigint := nextval('calls');
        BEGIN IF call <= {times} THEN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END IF; RETURN call; END $$"""
    )
    return Statement("update_by_trying", "SELECT try()")


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "53200", "42P05"])
async def test_a_passing_failure_is_retried(gateway, other, sqlstate):
    assert await gateway.fetch(failing(other, 2, sqlstate), {}) == [(3,)]


async def test_attempts_are_bounded_and_the_last_failure_says_that_nothing_is_stored(gateway, other):
    with within(TIMEOUT_S), pytest.raises(StorageUnavailable) as caught:
        await gateway.fetch(failing(other, 1000, "40001"), {})
    assert caught.value.stored == "no"
    assert other.execute("SELECT last_value FROM calls").fetchone() == (5,)


async def test_a_statement_that_is_not_repeatable_runs_once(gateway, other):
    with pytest.raises(StorageUnavailable):
        await gateway.fetch(failing(other, 1, "40001"), {}, repeatable=False)
    assert other.execute("SELECT last_value FROM calls").fetchone() == (1,)


async def test_a_stale_plan_is_replaced_after_a_migration(database_url, other):
    everything = Statement("select_everything", "SELECT * FROM things")
    async with opened(database_url, pool_size_max=1) as gateway:
        assert await gateway.fetch(everything, {}) == []
        other.execute("ALTER TABLE things ADD COLUMN more int")
        assert await gateway.fetch(everything, {}) == []


async def test_a_server_that_became_read_only_is_left_for_a_new_connection(database_url, other):
    async with opened(database_url, pool_size_max=1) as gateway:
        await gateway.fetch(Statement("set_read_only", "SET default_transaction_read_only = on"), {})
        assert await gateway.fetch(INSERT, {"name": "a"}) == []


async def test_a_wait_for_a_connection_of_a_responsive_database_means_overload(database_url, other):
    async with opened(database_url, pool_size_max=1, request_timeout_s=2.0) as gateway:
        asked = [gateway.fetch(SLEEP, {"seconds": 0.1}) for _ in range(20)]
        with within(2.0):
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert [("",)] in outcomes
    assert {type(outcome) for outcome in outcomes if outcome != [("",)]} == {Overloaded}


async def test_beyond_the_pools_queue_a_call_is_refused_at_once(database_url, other):
    async with opened(database_url, pool_size_max=1, pool_queue_max=1) as gateway:
        await gateway.fetch(COUNT, {})
        with held_up(other):
            asked = [asyncio.ensure_future(gateway.fetch(WAIT, {})) for _ in range(2)]
            await until(lambda: gateway.stats().pool_waiting == gateway.stats().in_flight == 1)
            with pytest.raises(Overloaded):
                await gateway.fetch(COUNT, {})
        await asyncio.gather(*asked)


async def test_lock_waits_do_not_delay_the_normal_pool(database_url, other):
    async with opened(database_url, pool_size_max=1, lock_wait_pool_size_max=1) as gateway:
        with held_up(other):
            asked = asyncio.ensure_future(gateway.fetch(WAIT, {}, pool="lock_wait"))
            await until(lambda: gateway.stats().in_flight == 1)
            assert await gateway.fetch(COUNT, {}) == [(0,)]
            assert not asked.done()
        assert await asked == [("",)]


WRITE_WAIT = Statement("update_wait", "SELECT pg_advisory_lock_shared(1)")


async def test_reads_do_not_wait_for_writes_that_are_held_up(database_url, other):
    async with opened(database_url, pool_size_max=3) as gateway:
        with held_up(other):
            asked = [asyncio.ensure_future(gateway.fetch(WRITE_WAIT, {})) for _ in range(4)]
            await until(lambda: gateway.stats().in_flight == gateway.stats().pool_waiting == 2)
            assert await gateway.fetch(COUNT, {}) == [(0,)]
            assert not any(each.done() for each in asked)
        assert await asyncio.gather(*asked) == [[("",)]] * 4


async def test_a_write_beyond_the_queue_is_refused_at_once_and_one_that_left_frees_its_place(database_url, other):
    async with opened(database_url, pool_size_max=2, pool_queue_max=1) as gateway:
        await gateway.fetch(COUNT, {})
        with held_up(other):
            first, second = (asyncio.ensure_future(gateway.fetch(WRITE_WAIT, {})) for _ in range(2))
            await until(lambda: gateway.stats().in_flight == gateway.stats().pool_waiting == 1)
            with pytest.raises(Overloaded):
                await gateway.fetch(WRITE_WAIT, {})
            second.cancel()
            await until(lambda: gateway.stats().pool_waiting == 0)
            third = asyncio.ensure_future(gateway.fetch(WRITE_WAIT, {}))
            await until(lambda: gateway.stats().pool_waiting == 1)
        assert await asyncio.gather(first, third) == [[("",)]] * 2


async def test_the_stats_show_the_state_of_the_pool(gateway, other):
    await gateway.fetch(COUNT, {})
    with held_up(other):
        asked = asyncio.ensure_future(gateway.fetch(WAIT, {}))
        await until(lambda: gateway.stats().in_flight == 1)
        stats = gateway.stats()
    assert 1 <= stats.pool_size <= stats.pool_size_max == 8
    assert stats.pool_waiting == 0
    await asked


async def test_a_ping_returns_the_time_of_a_round_trip(gateway):
    assert 0 < await gateway.ping(TIMEOUT_S) < TIMEOUT_S


async def test_a_gateway_that_is_not_open_has_no_database(database_url):
    gateway = Gateway(GatewayOptions(database_url))
    with pytest.raises(StorageUnavailable) as caught:
        await gateway.fetch(INSERT, {"name": "a"})
    assert caught.value.stored == "no"


async def test_closing_waits_for_statements_in_flight_and_refuses_others(database_url, other):
    async with opened(database_url) as gateway:
        with held_up(other):
            asked = asyncio.ensure_future(gateway.fetch(WAIT, {}))
            await until(lambda: gateway.stats().in_flight == 1)
            closing = asyncio.ensure_future(gateway.close())
            await asyncio.sleep(0)
        await closing
        assert await asked == [("",)]
        with pytest.raises(ShuttingDown):
            await gateway.fetch(COUNT, {})
