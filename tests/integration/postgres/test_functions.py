"""Functions in PostgreSQL: several controllers, what is kept in memory, and what comes with the schema."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from attrs import evolve

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.repositories.functions import FunctionRepositoryOptions, PostgresFunctionRepository
from adapters.postgres.statements.catalogue import Statements
from domain.errors import StorageUnavailable
from domain.functions.function import Definition, Function, FunctionConflict, FunctionNotFound, FunctionType
from domain.functions.lists import FIRST_PLACE, FunctionFilter
from domain.functions.ports import FunctionLookup
from domain.functions.schema import FunctionSchema
from domain.identity import SHARED, Owner
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from tests.support.acts import act
from tests.support.ports import free_port
from tests.support.waiting import until

ADDER = LanguageTitle(Language.NODEJS, "adder")
CALCULATOR = LanguageTitle(Language.NODEJS, "calculator")
TEXT_PROCESSOR = LanguageTitle(Language.PYTHON, "text_processor")
NOW = ManualClock().now()
IDS = SequentialIds()
ALICE, BOB = Owner("alice"), Owner("bob")
SCHEMA = FunctionSchema(JsonText('{"type": "object"}'))

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def made(number: int) -> Definition:
    return Definition(Script.of(f"return {number};", 1000), schema=SCHEMA)


def registered(stored: Function | None, owner: Owner = SHARED) -> Function:
    """Return the next version, whose script says how many there were before."""
    if stored is None:
        return Function(IDS.new(NOW), owner, ADDER, made(0), NOW, NOW)
    return stored.replace(made(stored.version), SHARED, NOW + timedelta(hours=1))


def shared(title: LanguageTitle) -> FunctionLookup:
    return FunctionLookup.exact(SHARED, title)


@pytest.fixture
def executed() -> list[str]:
    """The names of the statements that were run."""
    return []


@pytest.fixture
async def gateway(database_url: str, executed: list[str]) -> AsyncIterator[Gateway]:
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10), lambda name, *_: executed.append(name))
    await gateway.open()
    yield gateway
    await gateway.close()


@pytest.fixture
def functions(gateway: Gateway, statements: Statements) -> PostgresFunctionRepository:
    return PostgresFunctionRepository(gateway, statements.functions)


async def test_updates_of_several_controllers_are_all_kept(gateway, statements):
    patient = FunctionRepositoryOptions(races_max=200, race_pause_s=0.01)
    controllers = [PostgresFunctionRepository(gateway, statements.functions, patient) for _ in range(4)]
    updates = [controller.update(SHARED, ADDER, registered, act()) for controller in controllers for _ in range(5)]
    versions = [function.version for function in await asyncio.gather(*updates)]
    assert sorted(versions) == list(range(1, 21))
    assert (await controllers[0].find(shared(ADDER))).definition.script.source == "return 19;"


async def test_races_that_do_not_end_are_a_conflict(gateway, statements, database_url):
    hasty = PostgresFunctionRepository(gateway, statements.functions, FunctionRepositoryOptions(races_max=1))
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as watcher:
        other.execute("UPDATE meta.functions SET version = version + 1")
        update = asyncio.create_task(
            hasty.update(SHARED, CALCULATOR, lambda stored: stored.replace(made(1), SHARED, NOW), act())
        )
        await until(lambda: watcher.execute(BLOCKED).fetchone() == (1,))
        other.commit()
        with pytest.raises(FunctionConflict):
            await update


async def test_a_version_and_a_deactivation_that_race_are_both_seen(functions):
    await functions.update(SHARED, ADDER, registered, act())

    def deactivated(stored: Function | None) -> Function:
        assert stored is not None
        return stored.deactivate(NOW)

    await asyncio.gather(
        functions.update(SHARED, ADDER, registered, act()), functions.update(SHARED, ADDER, deactivated, act())
    )
    function = await functions.find(shared(ADDER))
    assert (function.version, function.deactivated_at) in {(2, NOW), (2, None)}


async def test_a_schema_is_read_once(functions, executed):
    adder_id = (await functions.update(SHARED, ADDER, registered, act())).function_id
    assert await asyncio.gather(*(functions.schema(adder_id, 1) for _ in range(10))) == [SCHEMA] * 10
    assert await functions.schema(adder_id, 1) is await functions.schema(adder_id, 1)
    assert executed.count("select_function_schemas") == 1


async def test_cached_schemas_are_bounded(gateway, statements, executed):
    functions = PostgresFunctionRepository(
        gateway, statements.functions, FunctionRepositoryOptions(cached_schemas_size_max=1)
    )
    adder_id = (await functions.update(SHARED, ADDER, registered, act())).function_id
    for _ in range(2):
        assert await functions.schema(adder_id, 1) == SCHEMA
    assert executed.count("select_function_schemas") == 2


async def test_functions_of_many_owners_and_versions_are_read_in_one_statement(functions, executed):
    for owner in (SHARED, ALICE):
        for _ in range(2):
            await functions.update(owner, ADDER, partial(registered, owner=owner), act())
    executed.clear()
    lookups = [FunctionLookup.usable(owner, ADDER, version) for owner in (ALICE, BOB) for version in (None, 1)]
    found = await asyncio.gather(*map(functions.find, lookups))
    assert [(each.owner, each.version) for each in found] == [(ALICE, 2), (ALICE, 1), (SHARED, 2), (SHARED, 1)]
    assert executed == ["select_functions"]


async def test_functions_that_are_read_together_are_one_statement(functions, executed):
    names = [CALCULATOR, TEXT_PROCESSOR, CALCULATOR]
    found = await asyncio.gather(*(functions.find(shared(name)) for name in names))
    assert [function.language_title for function in found] == names
    assert executed.count("select_functions") == 1


async def test_an_unavailable_database_stores_nothing(statements):
    gateway = Gateway(GatewayOptions(f"host=127.0.0.1 port={free_port()} dbname=d user=u", request_timeout_s=0.3))
    await gateway.open()
    functions = PostgresFunctionRepository(gateway, statements.functions)
    try:
        with pytest.raises(StorageUnavailable) as caught:
            await functions.update(SHARED, ADDER, registered, act())
        assert caught.value.stored == "no"
    finally:
        await gateway.close()


def test_reads_have_metrics(functions):
    assert [coalescer.name for coalescer in functions.coalescers] == ["function", "callable", "schema"]


class TestPredefined:
    @pytest.mark.parametrize("title", [CALCULATOR, TEXT_PROCESSOR])
    async def test_the_predefined_function_is_complete(self, functions, title):
        function = await functions.find(shared(title))
        assert (function.version, function.type) == (1, FunctionType.PREDEFINED)
        script = function.definition.script
        assert Script.of(script.source, 10_000) == script
        schema = function.definition.schema
        assert (function.owner, function.author) == (SHARED, None)
        assert await functions.schema(function.function_id, 1) == schema
        compiler = JsonSchemaCompiler()
        params, result = await compiler.compile(schema.params), await compiler.compile(schema.result)
        assert len(function.definition.examples) >= 4
        for example in function.definition.examples:
            assert (params.problems(example.params), result.problems(example.result)) == ((), ())

    async def test_there_are_two_predefined_functions(self, functions):
        page = await functions.page(FunctionFilter(type=FunctionType.PREDEFINED), FIRST_PLACE, 10)
        assert [summary.language_title for summary in page.items] == [CALCULATOR, TEXT_PROCESSOR]

    async def test_a_callers_version_survives_another_migration(self, functions, database_url, statements):
        replaced = await functions.update(
            SHARED, CALCULATOR, lambda stored: stored.replace(made(1), SHARED, NOW), act()
        )
        assert (replaced.version, replaced.type) == (2, FunctionType.DYNAMIC)
        runner = MigrationRunner(database_url, statements.migrations, ManualClock())
        assert await runner.up() == []
        assert await functions.find(shared(CALCULATOR)) == replaced

    async def test_predefined_functions_return_with_their_tables(self, functions, database_url, statements):
        before = await functions.find(shared(CALCULATOR))
        await functions.update(SHARED, ADDER, registered, act())
        runner = MigrationRunner(database_url, statements.migrations, ManualClock())
        await runner.down(2, destroy={"audit", "functions", "function-authors", "registration-times"})
        await runner.up()
        after = await functions.find(shared(CALCULATOR))
        assert after == evolve(before, function_id=after.function_id)
        with pytest.raises(FunctionNotFound):
            await functions.find(shared(ADDER))
