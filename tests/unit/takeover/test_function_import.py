"""Functions of the origin become versions here, and repeating it changes nothing."""

import json
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, evolve, field

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.sequential_ids import SequentialIds
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import RuntimeUnavailable
from domain.functions.examples import ExamplePolicy, ExampleRuns
from domain.functions.function import Function, FunctionType
from domain.functions.ports import FunctionLookup
from domain.identity import SHARED
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault
from domain.takeover.function_import import FunctionImporter, ImportedFunction, ImportOutcome
from domain.takeover.functions import FunctionFlag, FunctionReason, FunctionRow, LeftFunction
from domain.takeover.languages import OriginLanguages
from tests.support.acts import OPERATOR
from tests.unit.takeover.test_functions import ROW

ADDER = LanguageTitle(Language.PYTHON, "adder")
SAMPLE = "def handler(context):\n    params = context.get('params', {})\n    return {'result': params['a'] + 1}"


@define(eq=False)
class World:
    """The importer over fakes."""

    clock: ManualClock = field(factory=ManualClock)
    functions: MemoryFunctionRepository = field(factory=MemoryFunctionRepository)
    runner: MemoryScriptRunner = field(factory=MemoryScriptRunner)
    runners: dict[Language, Any] = field()
    ids: SequentialIds = field(factory=SequentialIds)

    @runners.default
    def _runners(self) -> dict[Language, Any]:
        return {Language.PYTHON: self.runner}

    async def add(self, row: FunctionRow = ROW, **given: Any) -> ImportedFunction | LeftFunction:
        schemas, limits = JsonSchemaCompiler(), Limits(1000, 128, Isolation.SESSION)
        policy = ExamplePolicy(limits, 5.0, 5.0)
        runs = ExampleRuns(self.clock, self.ids, schemas, self.runners, policy, BackgroundTasks())
        importer = FunctionImporter(
            self.functions, schemas, self.runners, runs, self.clock, self.ids, OPERATOR, SHARED, OriginLanguages(), 1000
        )
        return await importer.add(row, **given)

    async def added(self, row: FunctionRow = ROW, **given: Any) -> ImportedFunction:
        found = await self.add(row, **given)
        assert isinstance(found, ImportedFunction), found
        return found

    async def stored(self, title: LanguageTitle = ADDER, version: int | None = None) -> Function:
        return await self.functions.find(FunctionLookup.exact(SHARED, title, version))


@pytest.fixture
def world() -> World:
    return World()


async def test_a_function_is_registered_for_everybody_with_its_times(world):
    row = evolve(ROW, created_at=ROW.created_at - timedelta(days=2), updated_at=ROW.updated_at - timedelta(days=1))
    assert await world.added(row) == ImportedFunction(ADDER, ImportOutcome.NEW, 1, Convention.OWN, 1, ())
    stored = await world.stored()
    assert (stored.owner, stored.version, stored.type) == (SHARED, 1, FunctionType.PREDEFINED)
    assert (stored.created_at, stored.updated_at, stored.author) == (row.created_at, row.updated_at, None)
    assert [(each.params, each.result) for each in stored.definition.examples] == [('{"a": 1}', "2")]
    assert (stored.definition.description, stored.definition.tags) == ("Adds", ("math",))


async def test_a_time_that_cannot_be_kept_is_now(world):
    await world.added(evolve(ROW, created_at=None, updated_at=None))
    stored = await world.stored()
    assert (stored.created_at, stored.updated_at) == (world.clock.now(), world.clock.now())


async def test_importing_again_changes_nothing(world):
    await world.added()
    stored = await world.stored()
    world.clock.advance(timedelta(days=1))
    assert await world.added(evolve(ROW, description="Other", examples=None)) == ImportedFunction(
        ADDER, ImportOutcome.UNCHANGED, 1, Convention.OWN, 0, ()
    )
    assert await world.stored() == stored


async def test_a_version_that_was_replaced_here_is_not_imported_again(world):
    await world.added()
    await world.added(evolve(ROW, content="result = 2", examples=None))
    assert (await world.added()).outcome is ImportOutcome.UNCHANGED
    assert (await world.stored()).version == 2


async def test_another_function_of_the_name_gets_the_next_version(world):
    await world.added()
    for version, row in enumerate(
        [evolve(ROW, content="result = params['a']  + 1"), evolve(ROW, schema_definition="true")], start=2
    ):
        found = await world.added(row)
        assert (found.outcome, found.version) == (ImportOutcome.NEXT_VERSION, version)
    stored = await world.stored()
    assert (stored.updated_at, stored.version, stored.definition.schema.params) == (world.clock.now(), 3, "true")


async def test_a_dry_run_stores_nothing(world):
    assert (await world.added(dry_run=True)).outcome is ImportOutcome.NEW
    assert world.functions.functions == {}
    await world.added()
    found = await world.added(evolve(ROW, content="result = 2", examples=None), dry_run=True)
    assert (found.outcome, found.version) == (ImportOutcome.NEXT_VERSION, 2)
    assert (await world.stored()).version == 1


async def test_a_script_that_reads_the_event_in_context_gets_event_first(world):
    found = await world.added(evolve(ROW, content=SAMPLE))
    assert found == ImportedFunction(
        ADDER, ImportOutcome.NEW, 1, Convention.EVENT_FIRST, 1, (FunctionFlag.EVENT_FIRST,)
    )
    stored = await world.stored()
    assert stored.definition.convention is Convention.EVENT_FIRST
    assert [(each.params, each.result) for each in stored.definition.examples] == [('{"a": 1}', '{"result": 2}')]


async def test_examples_are_kept_in_the_reading_that_holds_and_dropped_otherwise(world):
    examples = (
        '[{"a": 1, "result": 2}, {"a": 2, "result": 7}, {"request": {"params": {"a": 3}}, "response": {"result": 4}},'
        ' {"a": "x", "result": 1}]'
    )
    found = await world.added(evolve(ROW, examples=examples))
    assert (found.examples, found.flags) == (2, (FunctionFlag.EXAMPLES_DROPPED,))
    stored = await world.stored()
    assert [(each.params, each.result) for each in stored.definition.examples] == [('{"a": 1}', "2"), ('{"a": 3}', "4")]


async def test_examples_that_do_not_fit_the_schema_are_dropped(world):
    schema = '{"params": {"required": ["b"]}, "result": {"type": "number"}}'
    examples = '[{"a": 1, "result": 2}, {"a": 1, "b": 1, "result": 2}]'
    found = await world.added(evolve(ROW, schema_definition=schema, examples=examples))
    assert (found.examples, found.flags) == (1, (FunctionFlag.EXAMPLES_DROPPED,))


async def test_more_examples_than_a_function_may_have_are_dropped(world):
    many = json.dumps([{"a": 1, "result": 2}] * 17)
    found = await world.added(evolve(ROW, examples=many))
    assert (found.examples, found.flags) == (16, (FunctionFlag.EXAMPLES_DROPPED,))
    large = json.dumps([{"result": 1}, {"a": "x" * 300_000, "result": 1}, {"result": 1}])
    found = await world.added(evolve(ROW, content="result = 1", examples=large))
    assert (found.examples, found.flags) == (1, (FunctionFlag.EXAMPLES_DROPPED,))


@pytest.mark.parametrize("schema", ['{"type": "text"}', '{"params": {"$ref": "http://x"}}', '{"result": {"type": 1}}'])
async def test_a_schema_that_is_refused_here_is_left_out(world, schema):
    found = await world.added(evolve(ROW, schema_definition=schema))
    assert found.flags == (FunctionFlag.SCHEMA_REFUSED,)
    assert (await world.stored()).definition.schema.params is None


async def test_an_inactive_function_is_registered_and_deactivated_at_once(world):
    found = await world.added(evolve(ROW, is_active=False))
    assert found.flags == (FunctionFlag.DEACTIVATED,)
    assert (await world.stored()).deactivated_at == world.clock.now()
    assert len(world.functions.audit.entries) == 1
    assert (await world.added(evolve(ROW, is_active=False))).outcome is ImportOutcome.UNCHANGED


async def test_an_inactive_function_does_not_replace_a_registered_one(world):
    await world.added()
    row = evolve(ROW, content="result = 2", is_active=False)
    assert await world.add(row) == LeftFunction("python-adder", FunctionReason.NAME_TAKEN)
    assert (await world.stored()).version == 1


async def test_a_deactivated_function_is_registered_again_by_another_script(world):
    await world.added(evolve(ROW, is_active=False))
    assert (await world.added(evolve(ROW, content="result = 2", examples=None))).version == 2
    assert (await world.stored()).deactivated_at is None


async def test_a_function_that_cannot_be_registered_is_left(world):
    assert await world.add(evolve(ROW, language_title="rust-x")) == LeftFunction(
        "rust-x", FunctionReason.LANGUAGE_NOT_SERVED
    )
    unserved = evolve(ROW, language_title="nodejs-x")
    assert await world.add(unserved) == LeftFunction("nodejs-x", FunctionReason.LANGUAGE_NOT_SERVED)


async def test_a_script_that_does_not_parse_is_left_with_the_fault(world):
    found = await world.add(evolve(ROW, content="return 1 +"))
    assert isinstance(found, LeftFunction)
    assert found.reason is FunctionReason.SYNTAX_ERROR
    assert "(line 1, column" in found.detail
    assert world.functions.functions == {}


async def test_a_script_that_parses_under_the_convention_of_the_origin_only_has_it(world):
    class OriginOnly:
        async def check(self, _language, _script, _owner, convention):
            if convention is not Convention.ORIGIN:
                raise ScriptSyntaxError(SyntaxFault("no"))
            return InputForm.PLAIN

        async def evict(self, _):
            """Nothing is kept."""

    world.runners = {Language.NODEJS: OriginOnly()}
    found = await world.added(evolve(ROW, language_title="nodejs-x", examples=None))
    assert (found.convention, found.flags) == (Convention.ORIGIN, (FunctionFlag.CONVENTION_ORIGIN,))


async def test_without_a_sandbox_nothing_is_imported(world):
    world.runner.unavailable = "no user namespaces"
    with pytest.raises(RuntimeUnavailable):
        await world.add()
    assert world.functions.functions == {}
