"""Versions of functions that were replaced go when no session can be pinned to them, and not before."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.retention.cleanup import Cleanup, CleanupOptions, Retention
from adapters.postgres.retention.history_budget import HistoryBudget
from domain.functions.function import Definition, Function
from domain.functions.schema import FunctionSchema, FunctionVersionNotFound
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.storage.storage import StorageBudget
from tests.integration.postgres.conftest import storage_on

ADDER = LanguageTitle(Language.NODEJS, "adder")
MOMENT = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def storage(gateway, statements):
    return storage_on(gateway, statements)


@pytest.fixture
def functions(gateway, statements):
    return PostgresFunctionRepository(gateway, statements.functions)


@pytest.fixture
def new_cleanup(gateway, statements, storage):
    def new(**options: int) -> Cleanup:
        budget = HistoryBudget.of(gateway, statements, StorageBudget(None, 7))
        retention = Retention(sessions=DAY, history=7 * DAY)
        return Cleanup(gateway, statements.cleanup, storage.clock, retention, budget, CleanupOptions(**options))

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
            return Function(title, made, now, now) if stored is None else stored.replace(made, now)

        return await functions.update(title, change)

    return register


async def kept(functions: PostgresFunctionRepository, title: LanguageTitle = ADDER) -> list[int]:
    found = []
    for version in range(1, 1 + (await functions.get(title)).version):
        try:
            await functions.schema(title, version)
        except FunctionVersionNotFound:
            continue
        found.append(version)
    return found


@pytest.fixture
def fresh(gateway, statements):
    """Make a repository that has read nothing yet, as after a restart."""
    return lambda: PostgresFunctionRepository(gateway, statements.functions)


async def test_a_replaced_version_is_removed_after_an_hour(storage, register, fresh, new_cleanup):
    await register()
    await register()
    cleanup = new_cleanup()
    storage.clock.advance(HOUR)
    await cleanup.run_once()
    assert await kept(fresh()) == [1, 2]
    storage.clock.advance(MOMENT)
    await cleanup.run_once()
    assert await kept(fresh()) == [2]
    assert cleanup.stats().versions_removed == 1


async def test_a_replaced_version_stays_while_there_is_a_session_of_its_time(storage, register, fresh, new_cleanup):
    await register()
    pinned = await storage.add(ttl_seconds=10**7, lifetime_seconds_max=10**7, function_version=1)
    storage.clock.advance(HOUR)
    await register()
    storage.clock.advance(90 * DAY)
    await register()
    await storage.add(ttl_seconds=10**7, lifetime_seconds_max=10**7, function_version=3)
    storage.clock.advance(2 * HOUR)
    await new_cleanup().run_once()
    assert (await storage.sessions.get(pinned.ref)).function_version == 1
    assert await kept(fresh()) == [1, 2, 3]
    storage.clock.advance(timedelta(seconds=10**7) - 89 * DAY)
    await new_cleanup().run_once()
    assert await kept(fresh()) == [2, 3]


async def test_the_current_version_of_a_deactivated_function_stays(storage, register, functions, fresh, new_cleanup):
    await register()
    await register()
    await functions.update(ADDER, lambda stored: stored.deactivate(storage.clock.now()))
    storage.clock.advance(100 * DAY)
    await new_cleanup().run_once()
    assert await kept(fresh()) == [2]
    assert (await register()).version == 3


async def test_versions_without_an_instant_are_removed_after_a_later_one(
    storage, register, fresh, new_cleanup, database_url
):
    await register()
    await register()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE meta.function_versions SET registered_at = NULL")
    storage.clock.advance(DAY)
    await new_cleanup().run_once()
    assert await kept(fresh()) == [1, 2]
    await register()
    storage.clock.advance(DAY)
    await new_cleanup().run_once()
    assert await kept(fresh()) == [3]


async def test_several_cleanups_at_once_remove_many_versions_in_batches(storage, register, fresh, new_cleanup):
    other = LanguageTitle(Language.PYTHON, "adder")
    for _ in range(13):
        await register()
    await register(other)
    storage.clock.advance(DAY)
    cleanups = [new_cleanup(batch_max=5), new_cleanup(batch_max=5)]
    await asyncio.gather(*(cleanup.run_once() for cleanup in cleanups))
    assert sum(cleanup.stats().versions_removed for cleanup in cleanups) == 12
    assert (await kept(fresh()), await kept(fresh(), other)) == ([13], [1])
