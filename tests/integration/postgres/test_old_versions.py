"""Old versions and deactivated functions go when no session is or may become pinned to them, and not before."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from adapters.postgres.connections.statement import Statement
from adapters.postgres.repositories.functions import FunctionRepositoryOptions, PostgresFunctionRepository
from adapters.postgres.retention.cleanup import (
    Cleanup,
    CleanupOptions,
    Pinned,
    PinnedElsewhere,
    Retention,
    nothing_pinned,
)
from adapters.postgres.retention.entry_ender import EntryEnder
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.retention.usage_counter import UsageCounter
from domain.errors import StorageUnavailable
from domain.functions.function import Definition, Function, FunctionNotFound
from domain.functions.ports import FunctionLookup
from domain.functions.schema import FunctionSchema
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.storage.storage import StorageBudget
from tests.integration.postgres.conftest import storage_on
from tests.support.acts import act

ALICE = Owner("alice")
ADDER = LanguageTitle(Language.NODEJS, "adder")
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
KEPT = 2


@pytest.fixture
def storage(gateway, statements):
    return storage_on(gateway, statements)


@pytest.fixture
def functions(gateway, statements):
    return PostgresFunctionRepository(gateway, statements.functions, FunctionRepositoryOptions(versions_kept=KEPT))


@pytest.fixture
def new_cleanup(gateway, statements, storage):
    def new(versions: int = KEPT, pinned: PinnedElsewhere = nothing_pinned, **options: int) -> Cleanup:
        budget = HistoryBudget.of(gateway, statements, StorageBudget(None, 7))
        usage = UsageCounter(gateway, statements.usage, storage.clock, 7)
        retention = Retention(sessions=DAY, history=7 * DAY, versions=versions)
        entries = EntryEnder(gateway, statements.queue_sweeps)
        parts = budget, usage, entries, storage.files, CleanupOptions(**options)
        return Cleanup(gateway, statements.cleanup, storage.clock, retention, *parts, pinned)

    return new


@pytest.fixture
def register(functions, storage):
    """Register the next version, which differs from all others."""

    async def register(title: LanguageTitle = ADDER) -> Function:
        now = storage.clock.now()

        def change(stored: Function | None) -> Function:
            number = 1 if stored is None else stored.version + 1
            schema = FunctionSchema(JsonText(f'{{"const": {number}}}'))
            made = Definition(Script.of(f"return {number};", 1000), schema=schema)
            if stored is None:
                return Function(storage.ids.new(now), ALICE, title, made, now, now)
            return stored.replace(made, ALICE, now)

        return await functions.update(ALICE, title, change, act())

    return register


@pytest.fixture
def pin(storage):
    """Store a session that is pinned to a version."""

    async def pin(function: Function):
        lifetime = {"ttl_seconds": 10**7, "lifetime_seconds_max": 10**7}
        return await storage.add(ALICE, function_id=function.function_id, function_version=function.version, **lifetime)

    return pin


@pytest.fixture
def deactivate(functions, storage):
    async def deactivate() -> None:
        await functions.update(ALICE, ADDER, lambda stored: stored.deactivate(storage.clock.now()), act())

    return deactivate


@pytest.fixture
def stored(gateway, statements, functions):
    """Return the versions that are stored, as a process sees them that has read nothing yet."""

    async def stored(title: LanguageTitle = ADDER) -> list[int]:
        fresh = PostgresFunctionRepository(gateway, statements.functions)
        function = await functions.find(FunctionLookup.exact(ALICE, title))
        versions = range(1, 1 + function.version)
        return [each for each in versions if await fresh.schema(function.function_id, each) is not None]

    return stored


async def test_a_version_is_removed_an_hour_after_newer_ones_took_its_place(storage, register, stored, new_cleanup):
    for _ in range(KEPT + 1):
        await register()
    cleanup = new_cleanup()
    storage.clock.advance(HOUR)
    await cleanup.run_once()
    assert await stored() == [1, 2, 3]
    storage.clock.advance(MOMENT)
    await cleanup.run_once()
    assert await stored() == [2, 3]
    assert cleanup.stats().versions_removed == 1


async def test_the_newest_versions_stay_for_good(storage, register, stored, new_cleanup):
    for _ in range(KEPT):
        await register()
    storage.clock.advance(1000 * DAY)
    await new_cleanup().run_once()
    assert await stored() == [1, 2]


async def test_a_version_stays_while_a_session_is_pinned_to_it(storage, register, pin, stored, new_cleanup):
    await pin(await register())
    for _ in range(KEPT + 1):
        await register()
    storage.clock.advance(90 * DAY)
    await new_cleanup().run_once()
    assert await stored() == [1, 3, 4]
    storage.clock.advance(timedelta(seconds=10**7) - 89 * DAY)
    await new_cleanup().run_once()
    assert await stored() == [3, 4]


async def test_a_lower_number_removes_no_version_to_which_a_session_is_pinned(
    storage, register, pin, stored, new_cleanup
):
    made = [await register() for _ in range(4)]
    storage.clock.advance(DAY)
    await pin(made[2])
    await new_cleanup(versions=1).run_once()
    assert await stored() == [3, 4]


async def test_several_cleanups_at_once_remove_many_versions_in_batches(storage, register, stored, new_cleanup):
    other = LanguageTitle(Language.PYTHON, "adder")
    for _ in range(14):
        await register()
    await register(other)
    storage.clock.advance(DAY)
    cleanups = [new_cleanup(batch_max=5), new_cleanup(batch_max=5)]
    await asyncio.gather(*(cleanup.run_once() for cleanup in cleanups))
    assert sum(cleanup.stats().versions_removed for cleanup in cleanups) == 12
    assert (await stored(), await stored(other)) == ([13, 14], [1])


async def test_a_deactivated_function_is_removed_after_thirty_days(
    storage, register, deactivate, functions, new_cleanup
):
    function_id = (await register()).function_id
    await deactivate()
    cleanup = new_cleanup()
    storage.clock.advance(30 * DAY)
    await cleanup.run_once()
    assert await functions.schema(function_id, 1) is not None
    storage.clock.advance(MOMENT)
    await cleanup.run_once()
    with pytest.raises(FunctionNotFound):
        await functions.find(FunctionLookup.exact(ALICE, ADDER))
    assert await functions.versions(function_id) == []
    assert cleanup.stats().functions_removed == 1
    assert (await register()).version == 1


async def test_the_last_hundred_deactivated_functions_of_an_owner_stay(
    storage, register, functions, new_cleanup, database_url
):
    made = [await register(LanguageTitle(Language.NODEJS, f"f{number}")) for number in range(103)]
    now = storage.clock.now()
    with psycopg.connect(database_url) as connection:
        for number, each in enumerate(made[:-1]):
            connection.execute(
                "UPDATE meta.functions SET deactivated_at = %s WHERE function_id = %s",
                (now + number * MOMENT, each.function_id),
            )
        connection.execute(
            "UPDATE meta.functions SET owner = 'bob', deactivated_at = %s WHERE function_id = %s",
            (now, made[-1].function_id),
        )
    cleanup = new_cleanup()
    storage.clock.advance(HOUR)
    await cleanup.run_once()
    assert cleanup.stats().functions_removed == 0
    storage.clock.advance(MOMENT)
    await cleanup.run_once()
    assert [bool(await functions.versions(each.function_id)) for each in made] == [False, True] + [True] * 101
    storage.clock.advance(MOMENT)
    await cleanup.run_once()
    assert [bool(await functions.versions(each.function_id)) for each in made] == [False] * 2 + [True] * 101


async def test_a_deactivated_function_stays_while_a_session_is_pinned_to_it(
    storage, register, pin, deactivate, new_cleanup
):
    await pin(await register())
    await register()
    await deactivate()
    storage.clock.advance(90 * DAY)
    await new_cleanup().run_once()
    assert (await register()).version == 3


async def test_what_sessions_in_another_bucket_are_pinned_to_stays(  # noqa: PLR0917  # fixtures, given by name
    gateway, statements, storage, register, stored, deactivate, pin, new_cleanup
):
    functions = [await register() for _ in range(KEPT + 2)]
    for function in (functions[0], functions[0], functions[-1]):
        await pin(function)
    pinned = await gateway.fetch(statements.cleanup.select_pinned_versions, {})
    assert pinned == [(function.function_id, function.version) for function in (functions[0], functions[-1])]
    await gateway.fetch(Statement("close_all", "DELETE FROM meta.sessions"), {})

    async def elsewhere() -> Pinned:
        return pinned

    cleanup = new_cleanup(pinned=elsewhere)
    storage.clock.advance(HOUR + MOMENT)
    await cleanup.run_once()
    assert await stored() == [1, 3, 4]
    await deactivate()
    storage.clock.advance(31 * DAY)
    await cleanup.run_once()
    assert await stored() == [1, 3, 4]


async def test_nothing_that_a_bucket_may_use_is_removed_while_it_is_away(storage, register, stored, new_cleanup):
    for _ in range(KEPT + 1):
        await register()

    async def away() -> Pinned:
        raise StorageUnavailable

    storage.clock.advance(HOUR + MOMENT)
    await new_cleanup(pinned=away).run_once()
    assert await stored() == [1, 2, 3]
    await new_cleanup().run_once()
    assert await stored() == [2, 3]
