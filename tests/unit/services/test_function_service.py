"""What callers do with functions, and what that means for sessions."""

import asyncio
from unittest.mock import AsyncMock

import pytest
from attrs import define, evolve

from adapters.memory.script_runner import MemoryScriptRunner
from domain.access.principal import ANYBODY
from domain.errors import InvalidRequest, Problem, QuotaReached, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionFailed
from domain.functions.function import (
    Example,
    Function,
    FunctionConditionFailed,
    FunctionNotFound,
    FunctionVersionNotFound,
    Precondition,
)
from domain.functions.quota import FunctionQuota
from domain.functions.schema import FunctionSchema, ParamsRefused, PinnedVersionNotFound, SchemaUnusable
from domain.functions.service import ExamplesFailed, FunctionRequest, Registered, Write
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import SHARED, Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Isolation, LimitsRequest
from domain.scripts.report import ExecutionUnknown, Failure, FailureCode
from domain.scripts.script import InputForm
from domain.sessions.requests import SessionRequest
from tests.support.acts import recorded
from tests.unit.services.conftest import World
from tests.unit.services.test_execution_service import settled

ALICE, BOB = Owner("alice"), Owner("bob")
ANY = Precondition()
ABSENT = Precondition(registered=False)
NAME = "python-adder"
ADDER = LanguageTitle.of(NAME)
NUMBERS = JsonText('{"type": "object", "additionalProperties": {"type": "number"}}')


def example(params: str, result: str) -> Example:
    return Example(JsonText(params), JsonText(result))


GRANTS = Grants(StateGrant(StateMode.EXCLUSIVE))
REQUEST = FunctionRequest(
    "result = params['a'] + 1",
    "Adds one",
    FunctionSchema(NUMBERS, JsonText('{"type": "number"}')),
    (example('{"a": 1}', "2"), example('{"a": 1.5}', "2.5")),
    ("arithmetic",),
)


async def register(
    world: World,
    request: FunctionRequest = REQUEST,
    condition: Precondition = ANY,
    *,
    owner: Owner = ALICE,
    check: bool = False,
) -> Registered:
    return await world.function_service.register(write(owner, condition), request, check=check)


def write(owner: Owner = ALICE, condition: Precondition = ANY, author: Owner = ALICE) -> Write:
    return Write(owner, author, NAME, condition, "192.0.2.7", ANYBODY.require_grants)


async def pinned(world: World, **fields: object) -> SessionRef:
    request = SessionRequest(**{"language_title": NAME} | fields)
    made = await world.session_service.initialize(ALICE, request)
    return made.ref


async def test_problems_of_schemas_and_examples_are_raised_together(world: World) -> None:
    schema = FunctionSchema(JsonText('{"type": "text"}'), JsonText('{"type": "string"}'))
    with pytest.raises(InvalidRequest) as caught:
        await register(world, evolve(REQUEST, schema=schema))
    assert {problem.pointer for problem in caught.value.problems} == {
        "/schema/params/type",
        "/examples/0/result",
        "/examples/1/result",
    }
    assert not world.functions.functions


async def test_other_tasks_run_between_the_checks_of_examples(world: World) -> None:
    turns, checked = 0, []

    class NotingSchema:
        def problems(self, value: JsonText) -> tuple[Problem, ...]:
            checked.append(turns)
            return ()

    class NotingCompiler:
        async def compile(self, text: JsonText) -> NotingSchema:
            return NotingSchema()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    world.schemas = NotingCompiler()  # type: ignore[assignment]  # the same methods
    other = asyncio.create_task(take_turns())
    await register(world)
    other.cancel()
    assert len(set(checked)) == len(checked) == 4


async def test_examples_that_do_not_hold_are_raised_and_nothing_is_registered(world: World) -> None:
    examples = (
        example('{"a": 1}', "2"),
        example('{"a": 1}', "3"),
        example('{"b": 1}', "2"),
        example('{"a": 1}', "2.0"),
    )
    with pytest.raises(ExamplesFailed) as caught:
        await register(world, evolve(REQUEST, examples=examples), check=True)
    assert {problem.pointer: problem.message for problem in caught.value.problems} == {
        "/examples/1": "gave 2, not 3",
        "/examples/2": "failed with SCRIPT_ERROR: KeyError: 'a'",
    }
    assert not world.functions.functions
    await register(world, evolve(REQUEST, examples=examples))
    checked = await world.function_service.check(ALICE, NAME)
    assert [outcome.holds for outcome in checked.outcomes] == [True, False, False, True]


async def test_a_result_that_does_not_fit_the_schema_does_not_hold(world: World) -> None:
    request = evolve(REQUEST, schema=FunctionSchema(), script_content="result = 'x' * 300", examples=())
    registered = await register(world, request)
    made = evolve(
        registered.function.definition,
        schema=FunctionSchema(result=JsonText('{"type": "null"}')),
        examples=(example("{}", f'"{"x" * 300}"'), example("{}", "1")),
    )
    world.functions.functions[ALICE, ADDER] = evolve(registered.function, definition=made)
    checked = await world.function_service.check(ALICE, NAME)
    assert checked.outcomes[0].reason == "gave a result that does not fit the schema: /: must be of type null"
    assert checked.outcomes[1].reason == f'gave "{"x" * 199}…, not 1'


async def test_examples_of_a_function_with_a_state_find_an_empty_one(world: World) -> None:
    request = evolve(REQUEST, script_content="result = len(state)", schema=FunctionSchema(), grants=GRANTS)
    await register(world, evolve(request, examples=(example("{}", "0"),)), check=True)
    assert not world.store.states


async def test_examples_leave_no_session_and_no_worker(world: World) -> None:
    await register(world, check=True)
    await settled(world)
    assert len(world.runner.ran) == 2
    assert len(world.runner.evicted) == 1
    assert not world.store.sessions
    assert not world.store.history
    assert not world.store.open_executions


async def test_all_examples_share_one_time_limit(world: World) -> None:
    await register(world)
    world.examples_s = 0
    checked = await world.function_service.check(ALICE, NAME)
    assert {outcome.reason for outcome in checked.outcomes} == {"was not run: the examples together may take 0 seconds"}
    assert not world.runner.ran


@pytest.mark.parametrize("code", [FailureCode.EXECUTION_TIMEOUT, FailureCode.CPU_LIMIT])
@pytest.mark.parametrize(
    ("examples_s", "message"),
    [
        (0.9, "The script was stopped because the examples together may take 0.9 seconds. "),
        (60, "the limit of one execution"),
    ],
)
async def test_an_example_that_is_stopped_names_the_limit_that_stopped_it(world, code, examples_s, message) -> None:
    @define(eq=False)
    class StoppingRunner(MemoryScriptRunner):
        async def execute(self, run, function, stop):
            return evolve(
                await super().execute(run, function, stop), failure=Failure(code, "the limit of one execution")
            )

    await register(world)
    world.examples_s, world.runner = examples_s, StoppingRunner()
    outcomes = (await world.function_service.check(ALICE, NAME)).outcomes
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert outcome.reason.startswith(f"failed with {code}: {message}")
        assert outcome.report.failure.message.startswith(message)


async def test_a_function_without_examples_neither_holds_nor_fails(world: World) -> None:
    await register(world, evolve(REQUEST, examples=()))
    assert (await world.function_service.check(ALICE, NAME)).holds is None


async def test_a_run_without_a_response_ends_a_check(world: World) -> None:
    await register(world)
    world.runner.hold()
    world.run_overhead_s, world.example_timeout_ms = 0.01, 1
    with pytest.raises(ExecutionUnknown):
        await world.function_service.check(ALICE, NAME)
    await settled(world)
    assert len(world.runner.evicted) == 1


async def test_an_unavailable_runtime_is_raised(world: World) -> None:
    await register(world)
    world.runner.unavailable = "it is away"
    with pytest.raises(RuntimeUnavailable):
        await world.function_service.check(ALICE, NAME)
    with pytest.raises(RuntimeUnavailable):
        await register(world, evolve(REQUEST, description="Other"))


async def test_a_silent_syntax_check_ends_with_the_budget(world: World) -> None:
    class SilentRunner:
        async def check(self, *_: object) -> InputForm:
            await asyncio.Event().wait()
            raise AssertionError

    world.runner = SilentRunner()  # type: ignore[assignment]  # what is not called need not be there
    world.request_timeout_s = 0.01
    with pytest.raises(RuntimeUnavailable):
        await register(world)


async def test_a_write_that_does_not_end_in_time_may_be_stored(world: World) -> None:
    class SilentFunctions:
        async def update(self, *_: object) -> None:
            await asyncio.Event().wait()

    world.functions = SilentFunctions()  # type: ignore[assignment]  # what is not called need not be there
    world.request_timeout_s = 0.05
    with pytest.raises(StorageUnavailable) as caught:
        await register(world)
    assert (caught.value.stored, caught.value.retry_after_ms) == ("unknown", None)


class TestAudit:
    async def test_every_change_is_recorded_with_its_author_and_the_address(self, world: World) -> None:
        await world.function_service.register(write(SHARED, author=BOB), REQUEST, check=False)
        await world.function_service.register(write(SHARED), evolve(REQUEST, description="Other"), check=False)
        await world.function_service.roll_back(write(SHARED), 1, check=False)
        await world.function_service.deactivate(write(SHARED))
        entries = await recorded(world.audit)
        assert [(entry.act, entry.actor.name, entry.details) for entry in entries] == [
            ("functions.delete", ALICE, {"version": 3}),
            ("functions.rollback", ALICE, {"version": 3}),
            ("functions.put", ALICE, {"version": 2}),
            ("functions.put", BOB, {"version": 1}),
        ]
        assert {(entry.actor.origin, entry.owner, entry.at) for entry in entries} == {
            ("192.0.2.7", SHARED, world.clock.now())
        }

    async def test_a_change_that_is_refused_is_not_recorded(self, world: World) -> None:
        with pytest.raises(FunctionNotFound):
            await world.function_service.deactivate(write())
        assert await recorded(world.audit) == []


class TestGrants:
    async def test_a_session_of_a_function_has_its_grants(self, world: World) -> None:
        await register(world, evolve(REQUEST, grants=GRANTS))
        for asked in (None, GRANTS):
            ref = await pinned(world, grants=asked)
            assert (await world.session_service.get(ref)).grants == GRANTS

    async def test_the_hidden_session_of_a_function_has_its_grants(self, world: World) -> None:
        await register(world, evolve(REQUEST, grants=GRANTS))
        sessions = world.container.function_sessions()
        async with asyncio.timeout(5):
            await sessions.in_session(ALICE, NAME, None, seen := AsyncMock())
        ref, _ = seen.call_args.args
        assert (await world.session_service.get(ref)).grants == GRANTS

    async def test_a_session_asks_in_vain_for_what_its_function_does_not_grant(self, world: World) -> None:
        await register(world)
        with pytest.raises(InvalidRequest) as caught:
            await pinned(world, grants=GRANTS)
        assert [problem.pointer for problem in caught.value.problems] == ["/state"]
        assert not world.store.sessions

    async def test_a_script_of_its_own_has_what_its_session_asks_for(self, world: World) -> None:
        request = SessionRequest("python-x", "result = 1", grants=GRANTS)
        made = await world.session_service.initialize(ALICE, request)
        assert (made.grants, (await world.session_service.get(made.ref)).grants) == (GRANTS, GRANTS)

    async def test_a_script_of_the_origin_has_none(self, world: World) -> None:
        request = SessionRequest("python-x", "result = 1", convention=Convention.ORIGIN, grants=GRANTS)
        with pytest.raises(InvalidRequest):
            await world.session_service.initialize(ALICE, request)


class TestVersions:
    async def test_the_author_of_each_version_is_recorded(self, world: World) -> None:
        await world.function_service.register(write(SHARED, author=BOB), REQUEST, check=False)
        await world.function_service.register(write(SHARED), evolve(REQUEST, description="Other"), check=False)
        found = await world.function_service.versions(ALICE, NAME)
        assert [(each.version, each.author) for each in found.versions] == [(2, ALICE), (1, BOB)]
        assert (found.function.owner, found.function.version) == (SHARED, 2)

    async def test_an_older_version_is_read_and_rolled_back_to(self, world: World) -> None:
        first = (await register(world)).function
        await register(world, evolve(REQUEST, convention=Convention.EVENT_FIRST, grants=GRANTS))
        assert await world.function_service.get(ALICE, NAME, version=1) == first
        back = await world.function_service.roll_back(write(), 1, check=True)
        assert (back.function.version, back.function.definition, back.created) == (3, first.definition, False)

    async def test_a_version_with_grants_keeps_them_when_it_is_rolled_back_to(self, world: World) -> None:
        first = (await register(world, evolve(REQUEST, grants=GRANTS))).function
        assert first.definition.grants == GRANTS
        await register(world)
        back = await world.function_service.roll_back(write(), 1, check=False)
        assert (back.function.version, back.function.definition.grants) == (3, GRANTS)

    async def test_a_script_of_the_origin_has_no_grants(self, world: World) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await register(world, evolve(REQUEST, convention=Convention.ORIGIN, grants=GRANTS))
        assert [problem.pointer for problem in caught.value.problems] == ["/state"]
        with pytest.raises(FunctionNotFound):
            await world.function_service.get(ALICE, NAME)

    async def test_rolling_back_to_the_current_content_changes_nothing(self, world: World) -> None:
        first = (await register(world)).function
        assert (await world.function_service.roll_back(write(), 1, check=False)).function == first

    async def test_rolling_back_registers_a_deactivated_function_again(self, world: World) -> None:
        await register(world)
        await world.function_service.deactivate(write())
        back = await world.function_service.roll_back(write(), 1, check=False)
        assert (back.function.version, back.function.deactivated_at, back.created) == (2, None, True)

    async def test_rolling_back_has_conditions(self, world: World) -> None:
        await register(world)
        with pytest.raises(FunctionConditionFailed):
            await world.function_service.roll_back(write(condition=Precondition(frozenset({"7"}))), 1, check=False)

    async def test_a_version_that_is_not_kept_is_named_with_those_that_are(self, world: World) -> None:
        await register(world)
        with pytest.raises(FunctionVersionNotFound) as caught:
            await world.function_service.roll_back(write(), 3, check=False)
        assert list(caught.value.kept) == [1]
        with pytest.raises(FunctionVersionNotFound):
            await pinned(world, language_title=f"{NAME}@2")


class TestOwners:
    async def test_another_owner_does_not_find_a_function(self, world: World) -> None:
        await register(world)
        for call in (
            world.function_service.get(BOB, NAME),
            world.function_service.versions(BOB, NAME),
            world.function_service.check(BOB, NAME),
            world.function_service.deactivate(write(BOB)),
            world.function_service.roll_back(write(BOB), 1, check=False),
            world.session_service.initialize(BOB, SessionRequest(NAME)),
        ):
            with pytest.raises(FunctionNotFound):
                await call

    async def test_a_write_changes_the_function_of_its_owner_alone(self, world: World) -> None:
        shared = (await register(world, owner=SHARED)).function
        assert (await register(world, evolve(REQUEST, description="Mine"))).created
        assert await world.function_service.get(BOB, NAME) == shared
        await world.function_service.deactivate(write())
        assert await world.function_service.get(ALICE, NAME) == shared

    async def test_a_session_is_pinned_to_ones_own_function_before_the_shared_one(self, world: World) -> None:
        shared = (await register(world, owner=SHARED)).function
        first = await world.session_service.get(await pinned(world))
        own = (await register(world)).function
        second = await world.session_service.get(await pinned(world))
        assert (first.function_id, second.function_id) == (shared.function_id, own.function_id)


class TestQuotas:
    @staticmethod
    def limited(world: World, functions: int | None = None, size: int | None = None) -> None:
        world.quota = FunctionQuota(world.functions, functions, size)

    async def test_a_new_function_beyond_the_quota_is_refused(self, world: World) -> None:
        self.limited(world, functions=1)
        await register(world)
        await register(world, owner=BOB)
        await register(world, evolve(REQUEST, description="Other"))
        with pytest.raises(QuotaReached) as caught:
            await world.function_service.register(evolve(write(), name="python-other"), REQUEST, check=False)
        assert (caught.value.limit, caught.value.allowed, caught.value.observed) == ("functions", 1, 1)

    async def test_versions_take_bytes_of_the_quota(self, world: World) -> None:
        self.limited(world, size=1500)
        await register(world, FunctionRequest("#" + "x" * 900))
        with pytest.raises(QuotaReached) as caught:
            await register(world, FunctionRequest("#" + "y" * 900))
        assert (caught.value.limit, caught.value.allowed, caught.value.observed) == ("function_bytes", 1500, 901)
        assert "function" in caught.value.message

    async def test_a_quota_counts_bytes(self, world: World) -> None:
        self.limited(world, size=700)
        with pytest.raises(QuotaReached):
            await register(world, FunctionRequest("#" + "ä" * 400))

    async def test_what_changes_nothing_needs_no_room(self, world: World) -> None:
        first = (await register(world, FunctionRequest("#" + "x" * 900))).function
        self.limited(world, functions=0, size=0)
        assert (await register(world, FunctionRequest("#" + "x" * 900))).function == first
        assert (await world.function_service.roll_back(write(), 1, check=False)).function == first
        with pytest.raises(QuotaReached):
            await register(world, FunctionRequest("#" + "x" * 901))

    async def test_a_deactivated_function_takes_no_room_until_it_is_registered_again(self, world: World) -> None:
        self.limited(world, functions=1, size=1500)
        await register(world, FunctionRequest("#" + "x" * 900))
        await world.function_service.deactivate(write())
        other = evolve(write(), name="python-other")
        await world.function_service.register(other, FunctionRequest("#" + "y" * 900), check=False)
        for source, limit in (("#", "functions"), ("#" + "x" * 900, "function_bytes")):
            with pytest.raises(QuotaReached) as caught:
                await register(world, FunctionRequest(source))
            assert (caught.value.limit, "delete" in caught.value.message) == (limit, True)
        await world.function_service.deactivate(other)
        assert (await register(world, FunctionRequest("#"))).function.version == 2

    async def test_without_a_quota_nothing_is_counted(self, world: World) -> None:
        class Uncounted:
            async def find(self, *_: object) -> Function:
                raise FunctionNotFound(ADDER)

        await FunctionQuota(Uncounted()).require(ALICE, ADDER, (await register(world)).function.definition)  # type: ignore[arg-type]  # what is not called need not be there


class TestPinnedSessions:
    async def test_it_runs_the_version_that_was_current(self, world: World) -> None:
        await register(world)
        ref = await pinned(world)
        await register(world, FunctionRequest("result = 'new'"))
        newer = await pinned(world)
        await world.function_service.deactivate(write())
        executed = await world.execution_service.execute(ref, JsonText('{"a": 1}'))
        assert executed.report.result == "2"
        assert (await world.session_service.get(ref)).function_version == 1
        assert (await world.execution_service.execute(newer, JsonText('"anything"'))).report.result == '"new"'
        assert (await world.session_service.get(newer)).function_version == 2

    async def test_it_runs_the_version_that_it_names(self, world: World) -> None:
        await register(world)
        await register(world, FunctionRequest("result = 'new'"))
        ref = await pinned(world, language_title=f"{NAME}@1")
        assert (await world.session_service.get(ref)).function_version == 1
        assert (await world.execution_service.execute(ref, JsonText('{"a": 1}'))).report.result == "2"

    async def test_a_version_beside_a_script_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await pinned(world, language_title=f"{NAME}@1", script_content="result = 1")
        assert [problem.pointer for problem in caught.value.problems] == ["/headers/Language-Title"]
        assert not world.store.sessions

    async def test_params_that_do_not_fit_run_nothing_and_leave_nothing(self, world: World) -> None:
        await register(world)
        ref = await pinned(world)
        with pytest.raises(ParamsRefused) as caught:
            await world.execution_service.execute(ref, JsonText('{"a": "x", "b": null}'))
        assert {problem.pointer for problem in caught.value.problems} == {"/params/a", "/params/b"}
        assert (caught.value.language_title, caught.value.version) == (ADDER, 1)
        await settled(world)
        assert world.executions.called == ["begin", "withdraw"]
        assert not world.runner.ran
        assert (await world.session_service.get(ref)).execution_count == 0
        assert not world.store.open_executions
        assert not world.store.history

    async def test_params_that_fit_the_schema_may_still_fail(self, world: World) -> None:
        await register(world)
        with pytest.raises(ExecutionFailed):
            await world.execution_service.execute(await pinned(world), JsonText("{}"))

    async def test_results_are_not_checked_against_the_schema(self, world: World) -> None:
        await register(world, evolve(REQUEST, script_content="result = 'text'", examples=()))
        executed = await world.execution_service.execute(await pinned(world), JsonText("{}"))
        assert executed.report.result == '"text"'

    async def test_a_script_of_its_own_has_no_relation_to_a_function(self, world: World) -> None:
        await register(world)
        ref = await pinned(world, script_content="result = params")
        world.functions.failure = AssertionError("a session of its own asks for no function")
        assert (await world.execution_service.execute(ref, JsonText('"x"'))).report.result == '"x"'

    async def test_it_has_the_limits_of_its_request(self, world: World) -> None:
        await register(world)
        ref = await pinned(world, limits=LimitsRequest(timeout_ms=77, isolation=Isolation.PROCESS))
        limits = (await world.session_service.get(ref)).limits
        assert (limits.timeout_ms, limits.isolation) == (77, Isolation.PROCESS)

    async def test_a_schema_that_cannot_be_read_is_a_storage_error(self, world: World) -> None:
        await register(world)
        ref = await pinned(world)
        world.functions.failure = StorageUnavailable()
        with pytest.raises(StorageUnavailable) as caught:
            await world.execution_service.execute(ref, JsonText("{}"))
        assert (caught.value.stored, caught.value.executed) == ("no", "no")
        await settled(world)
        assert not world.store.open_executions

    async def test_a_version_that_is_no_longer_stored_is_not_found(self, world: World) -> None:
        await register(world)
        ref = await pinned(world)
        world.functions.stored.clear()
        with pytest.raises(PinnedVersionNotFound):
            await world.execution_service.execute(ref, JsonText("{}"))
        await settled(world)
        assert not world.store.open_executions

    async def test_a_schema_that_is_no_longer_accepted_is_unusable(self, world: World) -> None:
        function = (await register(world)).function
        ref = await pinned(world)
        made = evolve(function.definition, schema=FunctionSchema(JsonText('{"pattern": "(?=a)"}')))
        world.functions.stored[function.function_id, 1] = evolve(function, definition=made)
        with pytest.raises(SchemaUnusable, match="/pattern: is not accepted"):
            await world.execution_service.execute(ref, JsonText("{}"))
        await settled(world)
        assert not world.store.open_executions
