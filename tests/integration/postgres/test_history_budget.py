"""What is over the budget goes: the oldest day of the history first, never today's, and never a session."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from adapters.postgres.codec import day_at
from adapters.postgres.retention.cleanup import empty_partition
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.retention.history_budget import HistoryBudget
from domain.sessions.session import Session
from domain.storage.storage import Part, StorageBudget
from tests.contracts.storage import Storage
from tests.integration.postgres.conftest import storage_on
from tests.integration.postgres.gateways import SteeredGateway, lose_response, time_out

DAY = timedelta(days=1)
_FILL = """
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, params, params_length)
SELECT
    e.slot, e.request_id, (left(e.execution_id::text, 24) || lpad(to_hex(n), 12, 'f'))::uuid, e.owner, 'succeeded',
    repeat('x', 1900), 1900
FROM (SELECT * FROM meta.executions WHERE slot = %s LIMIT 1) AS e, generate_series(1, 200) AS n
"""


@pytest.fixture
def steered(gateway) -> SteeredGateway:
    return SteeredGateway(gateway)


@pytest.fixture
def storage(steered, statements) -> Storage:
    return storage_on(steered, statements)


@pytest.fixture
def gauge(gateway, statements) -> StorageGauge:
    return StorageGauge(gateway, statements.storage)


@pytest.fixture
async def session(storage) -> Session:
    return await storage.add(ttl_seconds=10**7, lifetime_seconds_max=10**7)


@pytest.fixture
def days(storage, session, database_url):
    """Fill so many days of the history, the last of which is today, with some 450 kB each."""

    async def fill(count: int) -> None:
        for number in range(count):
            if number:
                storage.clock.advance(DAY)
            await storage.execute(session.ref)
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(_FILL, [day_at(storage.clock.now()) % 32])

    return fill


@pytest.fixture
def budget_of(steered, statements):
    def new(size_max_bytes: int | None) -> HistoryBudget:
        return HistoryBudget.of(steered, statements, StorageBudget(size_max_bytes, 7))

    return new


async def test_sizes_are_measured_by_part_and_day(storage, session, days, gauge):
    await storage.begin(session.ref)
    await days(2)
    stored = await gauge.stored()
    today = storage.clock.now().date()
    assert [each.day for each in stored.history] == [today - DAY, today]
    assert all(each.amount.size_bytes > 400_000 for each in stored.history)
    assert stored.parts[Part.HISTORY].size_bytes > sum(each.amount.size_bytes for each in stored.history)
    assert stored.parts[Part.SESSIONS].size_bytes > 0
    assert stored.parts[Part.OPEN_EXECUTIONS].size_bytes > 0
    assert stored.parts[Part.OTHER].size_bytes > 0


async def test_the_oldest_days_are_removed_until_the_rest_is_within_the_budget(storage, days, gauge, budget_of):
    await days(4)
    now, before = storage.clock.now(), await gauge.stored()
    budget = budget_of(before.size_bytes - before.history[0].amount.size_bytes - 1)
    with capture_logs() as lines:
        await budget.enforce(now)
    assert [each.day for each in budget.state.stored.history] == [now.date() - DAY, now.date()]
    assert [each.day for each in budget.state.shortened] == [now.date() - 3 * DAY, now.date() - 2 * DAY]
    assert not budget.state.is_exceeded
    logged = [line["day"] for line in lines if line["event"] == "history_shortened"]
    assert logged == [str(now.date() - 3 * DAY), str(now.date() - 2 * DAY)]


async def test_within_the_budget_or_without_one_nothing_is_removed(storage, days, gauge, budget_of):
    await days(3)
    for size_max_bytes in (None, (await gauge.stored()).size_bytes):
        budget = budget_of(size_max_bytes)
        await budget.enforce(storage.clock.now())
        assert len(budget.state.stored.history) == 3
        assert not budget.state.shortened


async def test_a_budget_that_cannot_be_kept_costs_neither_todays_history_nor_sessions(
    storage, session, days, budget_of
):
    await days(3)
    budget = budget_of(1)
    with capture_logs() as lines:
        await budget.enforce(storage.clock.now())
        await budget.enforce(storage.clock.now())
    assert [each.day for each in budget.state.stored.history] == [storage.clock.now().date()]
    assert budget.state.is_exceeded
    assert [line["event"] for line in lines].count("storage_budget_exceeded") == 1
    assert (await storage.sessions.get(session.ref)).execution_count == 3


async def test_several_controllers_at_once_remove_no_extra_day(storage, days, gauge, budget_of):
    await days(4)
    before = await gauge.stored()
    budgets = [budget_of(before.size_bytes - 1) for _ in range(4)]
    await asyncio.gather(*(budget.enforce(storage.clock.now()) for budget in budgets))
    assert len((await gauge.stored()).history) == 3


async def test_all_controllers_report_a_shortened_day(storage, days, gauge, budget_of):
    await days(3)
    size_max_bytes = (await gauge.stored()).size_bytes - 1
    await budget_of(size_max_bytes).enforce(storage.clock.now())
    other = budget_of(size_max_bytes)
    await other.enforce(storage.clock.now())
    assert len(other.state.shortened) == 1


async def test_a_shortened_day_is_reported_after_a_lost_response(storage, days, gauge, budget_of, steered):
    await days(2)
    budget = budget_of((await gauge.stored()).size_bytes - 1)
    steered.steps["shorten_history"] = [lose_response]
    await budget.enforce(storage.clock.now())
    assert len((await gauge.stored()).history) == 1
    assert [each.day for each in budget.state.shortened] == [storage.clock.now().date() - DAY]


async def test_a_reused_partition_is_not_emptied_for_its_former_day(storage, days, gateway, statements):
    await days(1)
    today = day_at(storage.clock.now())
    assert not await empty_partition(gateway, statements.cleanup, today % 32, today - 32 + 1)
    assert await empty_partition(gateway, statements.cleanup, today % 32, today + 1)


async def test_a_day_that_is_being_read_is_left_for_the_next_run(storage, days, gauge, budget_of, database_url):
    await days(2)
    budget = budget_of((await gauge.stored()).size_bytes - 1)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT FROM meta.executions")
        with capture_logs() as lines:
            await budget.enforce(storage.clock.now())
    assert len((await gauge.stored()).history) == 2
    assert not budget.state.is_exceeded
    assert "partition_in_use" in [line["event"] for line in lines]
    await budget.enforce(storage.clock.now())
    assert len((await gauge.stored()).history) == 1


async def test_a_shortened_day_is_replaced_when_its_partition_is_shortened_again(
    storage, session, days, gauge, budget_of
):
    await days(2)
    budget = budget_of(1)
    await budget.enforce(storage.clock.now())
    storage.clock.advance(31 * DAY)
    await days(1)
    storage.clock.advance(DAY)
    await budget.enforce(storage.clock.now())
    (shortened,) = await gauge.shortened()
    assert shortened.day == storage.clock.now().date() - DAY


async def test_a_failed_measurement_keeps_the_last_state(storage, days, budget_of, steered):
    await days(2)
    budget = budget_of(None)
    await budget.enforce(storage.clock.now())
    steered.steps["select_table_sizes"] = [time_out]
    with pytest.raises(Exception, match="did not respond"):
        await budget.enforce(storage.clock.now())
    assert budget.state is not None
