"""Functions in PostgreSQL: several controllers, what is kept in memory, and what comes with the schema."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.memory.manual_clock import ManualClock
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.repositories.functions import FunctionRepositoryOptions, PostgresFunctionRepository
from adapters.postgres.statements import Statements
from domain.errors import StorageUnavailable
from domain.functions.function import Definition, Function, FunctionConflict, FunctionNotFound, FunctionType
from domain.functions.ports import FunctionFilter
from domain.functions.schema import FunctionSchema
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from tests.support.ports import free_port
from tests.support.waiting import until

ADDER = LanguageTitle(Language.NODEJS, "adder")
CALCULATOR = LanguageTitle(Language.NODEJS, "calculator")
TEXT_PROCESSOR = LanguageTitle(Language.PYTHON, "text_processor")
NOW = ManualClock().now()
SCHEMA = FunctionSchema(JsonText('{"type": "object"}'))

BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def made(number: int) -> Definition:
    return Definition(Script.of(f"return {number};", 1000), schema=SCHEMA)


def registered(stored: Function | None) -> Function:
    """Return the next version, whose script says how many there were before."""
    if stored is None:
        return Function(ADDER, made(0), NOW, NOW)
    return stored.replace(made(stored.version), NOW + timedelta(hours=1))


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
    updates = [controller.update(ADDER, registered) for controller in controllers for _ in range(5)]
    versions = [function.version for function in await asyncio.gather(*updates)]
    assert sorted(versions) == list(range(1, 21))
    assert (await controllers[0].get(ADDER)).definition.script.source == "return 19;"


async def test_races_that_do_not_end_are_a_conflict(gateway, statements, database_url):
    hasty = PostgresFunctionRepository(gateway, statements.functions, FunctionRepositoryOptions(races_max=1))
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as watcher:
        other.execute("UPDATE meta.functions SET version = version + 1")
        update = asyncio.create_task(hasty.update(CALCULATOR, lambda stored: stored.replace(made(1), NOW)))
        await until(lambda: watcher.execute(BLOCKED).fetchone() == (1,))
        other.commit()
        with pytest.raises(FunctionConflict):
            await update


async def test_a_version_and_a_deactivation_that_race_are_both_seen(functions):
    await functions.update(ADDER, registered)

    def deactivated(stored: Function | None) -> Function:
        assert stored is not None
        return stored.deactivate(NOW)

    await asyncio.gather(functions.update(ADDER, registered), functions.update(ADDER, deactivated))
    function = await functions.get(ADDER)
    assert (function.version, function.deactivated_at) in {(2, NOW), (2, None)}


async def test_a_schema_is_read_once(functions, executed):
    await functions.update(ADDER, registered)
    assert await asyncio.gather(*(functions.schema(ADDER, 1) for _ in range(10))) == [SCHEMA] * 10
    assert await functions.schema(ADDER, 1) is await functions.schema(ADDER, 1)
    assert executed.count("select_function_schemas") == 1


async def test_cached_schemas_are_bounded(gateway, statements, executed):
    functions = PostgresFunctionRepository(
        gateway, statements.functions, FunctionRepositoryOptions(cached_schemas_size_max=1)
    )
    await functions.update(ADDER, registered)
    for _ in range(2):
        assert await functions.schema(ADDER, 1) == SCHEMA
    assert executed.count("select_function_schemas") == 2


async def test_functions_that_are_read_together_are_one_statement(functions, executed):
    names = [CALCULATOR, TEXT_PROCESSOR, CALCULATOR]
    found = await asyncio.gather(*map(functions.get, names))
    assert [function.language_title for function in found] == names
    assert executed.count("select_functions") == 1


async def test_an_unavailable_database_stores_nothing(statements):
    gateway = Gateway(GatewayOptions(f"host=127.0.0.1 port={free_port()} dbname=d user=u", request_timeout_s=0.3))
    await gateway.open()
    functions = PostgresFunctionRepository(gateway, statements.functions)
    try:
        with pytest.raises(StorageUnavailable) as caught:
            await functions.update(ADDER, registered)
        assert caught.value.stored == "no"
    finally:
        await gateway.close()


def test_reads_have_metrics(functions):
    assert [coalescer.name for coalescer in functions.coalescers] == ["function", "schema"]


class TestPredefined:
    @pytest.mark.parametrize("title", [CALCULATOR, TEXT_PROCESSOR])
    async def test_the_predefined_function_is_complete(self, functions, title):
        function = await functions.get(title)
        assert (function.version, function.type) == (1, FunctionType.PREDEFINED)
        script = function.definition.script
        assert Script.of(script.source, 10_000) == script
        schema = function.definition.schema
        assert await functions.schema(title, 1) == schema
        compiler = JsonSchemaCompiler()
        params, result = await compiler.compile(schema.params), await compiler.compile(schema.result)
        assert len(function.definition.examples) >= 4
        for example in function.definition.examples:
            assert (params.problems(example.params), result.problems(example.result)) == ((), ())

    async def test_there_are_two_predefined_functions(self, functions):
        page = await functions.page(FunctionFilter(type=FunctionType.PREDEFINED), 0, 10)
        assert [summary.language_title for summary in page.items] == [CALCULATOR, TEXT_PROCESSOR]

    async def test_a_callers_version_survives_another_migration(self, functions, database_url, statements):
        replaced = await functions.update(CALCULATOR, lambda stored: stored.replace(made(1), NOW))
        assert (replaced.version, replaced.type) == (2, FunctionType.DYNAMIC)
        runner = MigrationRunner(database_url, statements.migrations, ManualClock())
        assert await runner.up() == []
        assert await functions.get(CALCULATOR) == replaced

    async def test_predefined_functions_return_with_their_tables(self, functions, database_url, statements):
        before = await functions.get(CALCULATOR)
        await functions.update(ADDER, registered)
        runner = MigrationRunner(database_url, statements.migrations, ManualClock())
        await runner.down(2, destroy={"functions", "registration-times"})
        await runner.up()
        assert await functions.get(CALCULATOR) == before
        with pytest.raises(FunctionNotFound):
            await functions.get(ADDER)
