"""States: one writer at a time, saved with the count, and written from outside between executions."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.states import MemoryStateRepository
from adapters.random_ids import RandomIds
from domain.errors import StorageUnavailable
from domain.executions.execution import ExecutionFailed, ExecutionNotStored
from domain.executions.service import ExecutionService
from domain.grants.grants import Grants, GrantsUnknown
from domain.grants.secrets import SecretsGrant
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.queue.dispatcher import DispatchPolicy
from domain.scripts.report import ExecutionStatus
from domain.secrets.secret import SecretRef
from domain.secrets.service import SecretRequest
from domain.sessions.requests import SessionRequest
from domain.sessions.session import SessionClosed, SessionCondition
from domain.states.limits import StateLimits
from domain.states.service import StateService
from domain.states.slots import StateSlots
from domain.states.state import SessionState, StateKeyNotFound, StateMismatch, StateNotFound, StateRefused, StateTaken
from tests.support.acts import act
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import ALLOWANCE, Later

COUNT = "def handler(state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']"
FAILS = "def handler(state):\n    state['n'] = 1\n    raise ValueError('no')"
PARAMS = JsonText("{}")


def granted(mode: StateMode = StateMode.EXCLUSIVE, save_on: SaveOn = SaveOn.SUCCESS) -> Grants:
    return Grants(state=StateGrant(mode, save_on))


async def a_session(world: World, source: str = COUNT, **grant: Any) -> SessionRef:
    return await world.session(source, grants=granted(**grant))


def state_of(world: World, ref: SessionRef) -> Any:
    found = world.store.states.get(ref.session_id)
    return None if found is None else (found.version, json.loads(found.text))


async def test_executions_find_what_the_last_one_has_left_and_say_its_version(world: World) -> None:
    ref, service = await a_session(world), world.execution_service
    for nth in (1, 2, 3):
        executed = await service.execute(ref, PARAMS)
        assert (executed.report.result, executed.state_version, executed.execution_count) == (str(nth), nth, nth)
    assert state_of(world, ref) == (3, {"n": 3})


async def test_an_execution_that_changes_nothing_saves_nothing(world: World) -> None:
    ref = await a_session(world, "result = state.get('n')")
    assert (await world.execution_service.execute(ref, PARAMS)).state_version == 0
    assert state_of(world, ref) == (0, {})
    (row,) = (await world.history_service.page(ref, None, 10)).items
    assert row.uses is None


async def test_the_history_has_the_version_that_an_execution_has_saved_and_the_keys_that_it_has_changed(
    world: World,
) -> None:
    ref = await a_session(world, "def handler(state, params):\n    state.update(params)\n    state.pop('b', None)")
    for params in ('{"a": 1, "ä": 2}', '{"a": 1, "c": {}}'):
        await world.execution_service.execute(ref, JsonText(params))
    rows = (await world.history_service.page(ref, None, 10)).items
    assert [json.loads(row.uses or "") for row in rows] == [
        {"state": {"version": 2, "changed": ["c"]}},
        {"state": {"version": 1, "changed": ["a", "ä"]}},
    ]


async def test_a_session_with_grants_of_a_later_release_does_not_run(world: World) -> None:
    ref = await world.session(COUNT, grants=granted())
    stored = world.store.sessions[ref.session_id]
    world.store.put(evolve(stored, grants=evolve(granted(), unknown=("teleport",))))
    with pytest.raises(GrantsUnknown, match="teleport") as caught:
        await world.execution_service.execute(ref, PARAMS)
    assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert not world.store.open_executions
    assert (await world.session_service.get(ref)).execution_count == 0


async def test_a_session_without_a_state_has_no_version_and_no_row(world: World) -> None:
    ref = await world.session("result = 'state' in event")
    executed = await world.execution_service.execute(ref, PARAMS)
    assert (executed.report.result, executed.state_version, state_of(world, ref)) == ("false", None, None)


async def test_concurrent_executions_write_one_after_the_other_in_the_order_of_their_arrival(world: World) -> None:
    ref, service = await a_session(world), world.execution_service
    world.runner.hold()
    calls = [asyncio.ensure_future(service.execute(ref, PARAMS)) for _ in range(6)]
    await until(lambda: world.runner.running == 1)
    world.runner.let_go()
    ended = await asyncio.gather(*calls)
    assert [each.report.result for each in ended] == ["1", "2", "3", "4", "5", "6"]
    assert state_of(world, ref) == (6, {"n": 6})


async def test_executions_of_other_sessions_do_not_wait(world: World) -> None:
    service = world.execution_service
    refs = [await a_session(world) for _ in range(3)]
    world.runner.hold()
    calls = [asyncio.ensure_future(service.execute(ref, PARAMS)) for ref in refs]
    await until(lambda: world.runner.running == 3)
    world.runner.let_go()
    await asyncio.gather(*calls)


async def test_a_secret_counts_no_use_for_an_execution_that_does_not_get_the_slot(world: World) -> None:
    world.state_wait_s = 0.0
    container = world.container
    await container.secrets().put(SecretRef(ANONYMOUS, "TOKEN"), SecretRequest("s3cret-value"), act().actor)
    grants = Grants(StateGrant(StateMode.EXCLUSIVE), secrets=SecretsGrant(("TOKEN",)))
    initialized = await container.sessions().initialize(ANONYMOUS, SessionRequest("python-x", COUNT, grants=grants))
    service = container.executions()
    world.runner.hold()
    running = asyncio.ensure_future(service.execute(initialized.ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    with pytest.raises(StateTaken):
        await service.execute(initialized.ref, PARAMS)
    world.runner.let_go()
    await running
    assert container.secret_values().stats.given == 1


async def test_shared_states_are_read_by_executions_at_once(world: World) -> None:
    ref, service = await a_session(world, "result = state", mode=StateMode.SHARED), world.execution_service
    world.runner.hold()
    calls = [asyncio.ensure_future(service.execute(ref, PARAMS)) for _ in range(3)]
    await until(lambda: world.runner.running == 3)
    world.runner.let_go()
    assert [(each.report.result, each.state_version) for each in await asyncio.gather(*calls)] == [("{}", 0)] * 3


async def test_a_wait_that_is_too_long_names_the_execution_that_runs_and_nothing_ran(world: World) -> None:
    world.state_wait_s = 0.0
    ref, service = await a_session(world), world.execution_service
    world.runner.hold()
    running = asyncio.ensure_future(service.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    with pytest.raises(StateTaken) as caught:
        await service.execute(ref, PARAMS)
    world.runner.let_go()
    executed = await running
    assert caught.value.details == {
        "running": executed.execution_id,
        "stored": "no",
        "executed": "no",
        "retry_after_ms": 1000,
    }
    await until(lambda: not world.store.open_executions)
    assert (await service.execute(ref, PARAMS)).execution_count == 2
    assert state_of(world, ref) == (2, {"n": 2})


async def test_an_execution_of_another_process_is_waited_for(world: World) -> None:
    ref = await a_session(world)
    here, there = world.execution_service, world.execution_service
    world.runner.hold()
    first = asyncio.ensure_future(there.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    second = asyncio.ensure_future(here.execute(ref, PARAMS))
    await until(lambda: len(world.store.open_executions) == 2)
    world.runner.let_go()
    assert [each.report.result for each in await asyncio.gather(first, second)] == ["1", "2"]


async def test_a_wait_that_the_database_ends_says_that_nothing_ran(world: World) -> None:
    ref = await a_session(world)
    here, there = world.execution_service, world.execution_service
    world.runner.hold()
    first = asyncio.ensure_future(there.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    second = asyncio.ensure_future(here.execute(ref, PARAMS))
    await until(lambda: len(world.store.open_executions) == 2)
    world.store.failure = StorageUnavailable(stored=None)
    with pytest.raises(StorageUnavailable) as caught:
        await second
    world.store.failure = None
    world.runner.let_go()
    assert (caught.value.stored, caught.value.executed) == ("no", "no")
    assert (await first).report.result == "1"


async def test_a_caller_that_leaves_as_its_turn_comes_passes_it_on(world: World) -> None:
    slots = StateSlots(MemoryStateRepository(world.store), world.clock, lambda least, _: least, 5.0)
    ref, ends_s = await a_session(world), asyncio.get_running_loop().time() + 5

    async def take() -> None:
        async with slots.turn(ref.session_id, ref.session_id, ends_s):
            pass

    async with slots.turn(ref.session_id, ref.session_id, ends_s):
        leaving, last = [asyncio.ensure_future(take()) for _ in range(2)]
        await asyncio.sleep(0)
    leaving.cancel()
    await last
    assert leaving.cancelled()


async def test_a_caller_that_leaves_while_it_waits_is_withdrawn_and_holds_nobody_up(world: World) -> None:
    ref, service = await a_session(world), world.execution_service
    world.runner.hold()
    first, leaving, last = [asyncio.ensure_future(service.execute(ref, PARAMS)) for _ in range(3)]
    await until(lambda: len(world.store.open_executions) == 3)
    leaving.cancel()
    await until(lambda: len(world.store.open_executions) == 2)
    world.runner.let_go()
    assert [each.report.result for each in await asyncio.gather(first, last)] == ["1", "2"]
    assert len(world.runner.ran) == 2


@pytest.mark.parametrize(
    ("save_on", "state"), [(SaveOn.SUCCESS, (0, {})), (SaveOn.ALWAYS, (1, {"n": 1}))], ids=["success", "always"]
)
async def test_a_script_that_fails_leaves_its_state_only_if_it_is_saved_always(
    world: World, save_on: SaveOn, state: Any
) -> None:
    ref = await a_session(world, FAILS, save_on=save_on)
    with pytest.raises(ExecutionFailed):
        await world.execution_service.execute(ref, PARAMS)
    assert state_of(world, ref) == state
    assert world.store.sessions[ref.session_id].execution_count == 1


async def test_an_end_that_cannot_be_saved_yet_is_saved_with_its_state_in_the_background(world: World) -> None:
    ref, service = await a_session(world), world.execution_service
    world.executions.failures["finish"] = StorageUnavailable(stored="unknown")
    with pytest.raises(ExecutionNotStored) as caught:
        await service.execute(ref, PARAMS)
    assert caught.value.stored == "unknown"
    await until(lambda: state_of(world, ref) == (1, {"n": 1}))
    assert world.store.sessions[ref.session_id].execution_count == 1


async def test_an_overdue_execution_whose_slot_another_one_took_is_neither_saved_nor_counted(world: World) -> None:
    ref, service, other = await a_session(world), world.execution_service, world.execution_service
    world.runner.hold()
    overdue = asyncio.ensure_future(service.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    (open_execution,) = world.store.open_executions.values()
    session = world.store.sessions[ref.session_id]
    world.store.put(evolve(session, expires_at=session.expires_max_at))
    world.clock.advance(open_execution.deadline_at - world.clock.now())
    later = asyncio.ensure_future(other.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 2)
    world.runner.let_go()
    with pytest.raises(ExecutionNotStored) as caught:
        await overdue
    assert caught.value.stored == "no"
    assert (await later).report.result == "1"
    assert state_of(world, ref) == (1, {"n": 1})


async def test_an_accepted_execution_that_finds_the_slot_taken_is_due_again_without_an_attempt(world: World) -> None:
    ref, service = await a_session(world), world.execution_service
    later = Later(world, DispatchPolicy(2, 2, ALLOWANCE, busy_pause_s=60, idle_pause_s=60))
    world.runner.hold()
    running = asyncio.ensure_future(service.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    entry = await later.add(ref)
    async with later.dispatching():
        later.dispatcher.wake()
        await until(lambda: later.dispatcher.held == 1)
        await until(lambda: later.dispatcher.held == 0)
        await until(lambda: entry.execution_id in world.store.queued)  # the withdrawal runs in the background
        state = await later.state(entry)
        assert (state.status, state.attempt) == (ExecutionStatus.QUEUED, 1)
        world.runner.let_go()
        await running
        world.clock.advance(timedelta(milliseconds=250))
        later.dispatcher.wake()
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED
    assert state_of(world, ref) == (2, {"n": 2})


async def test_callers_read_and_write_the_state_and_its_keys(world: World) -> None:
    ref = await a_session(world)
    states = world.container.states()
    assert (await states.get(ref)).version == 0
    assert (await states.replace(ref, JsonText('{ "a" : 1, "b": {"c": 2.50}}'))).version == 1
    assert (await states.get(ref)).text == '{ "a" : 1, "b": {"c": 2.50}}'
    patched = await states.merge(ref, JsonText('{"a": null, "b": {"d": [1]}, "e": "é"}'))
    assert (patched.version, json.loads(patched.text)) == (2, {"b": {"c": 2.5, "d": [1]}, "e": "é"})
    assert (await states.replace_key(ref, "f", JsonText("3"))).version == 3
    assert (await states.get_key(ref, "f")).text == "3"
    assert (await states.remove_key(ref, "f")).version == 4
    for call in (states.get_key(ref, "f"), states.remove_key(ref, "f")):
        with pytest.raises(StateKeyNotFound):
            await call
    assert (await states.remove(ref)).text == "{}"
    assert (await world.execution_service.execute(ref, PARAMS)).state_version == 6


async def test_a_write_holds_only_under_its_condition(world: World) -> None:
    ref = await a_session(world)
    states = world.container.states()
    creates = SessionCondition(excluded=None)
    assert (await states.replace(ref, JsonText("{}"), creates)).version == 1
    for condition in (creates, SessionCondition(matched=frozenset({"2"})), SessionCondition(excluded=frozenset({"1"}))):
        with pytest.raises(StateMismatch) as caught:
            await states.merge(ref, JsonText('{"a": 1}'), condition)
        assert caught.value.details == {"version": 1}
    assert (await states.merge(ref, JsonText('{"a": 1}'), SessionCondition(matched=frozenset({"1"})))).version == 2


@pytest.mark.parametrize("text", ["[]", '{"a": "' + 65_536 * "x" + '"}', json.dumps({129 * "k": 1})])
async def test_a_state_that_no_script_could_save_is_refused(world: World, text: str) -> None:
    ref = await a_session(world)
    states = world.container.states()
    with pytest.raises(StateRefused) as caught:
        await states.replace(ref, JsonText(text))
    assert caught.value.details["stored"] == "no"
    assert (await states.get(ref)).version == 0


async def test_a_write_waits_for_the_execution_that_runs(world: World) -> None:
    ref = await a_session(world)
    container = world.container
    states, service = container.states(), container.executions()
    world.runner.hold()
    running = asyncio.ensure_future(service.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    writing = asyncio.ensure_future(states.merge(ref, JsonText('{"a": 1}')))
    await asyncio.sleep(0)
    world.runner.let_go()
    assert json.loads((await writing).text) == {"n": 1, "a": 1}
    await running


async def test_a_write_that_waits_too_long_names_the_execution_that_runs(world: World) -> None:
    world.state_wait_s = 0.0
    ref = await a_session(world)
    elsewhere: ExecutionService = world.execution_service
    states = world.container.states()
    world.runner.hold()
    running = asyncio.ensure_future(elsewhere.execute(ref, PARAMS))
    await until(lambda: world.runner.running == 1)
    with pytest.raises(StateTaken) as caught:
        await states.remove(ref)
    world.runner.let_go()
    assert caught.value.running == (await running).execution_id


class RacedStates(MemoryStateRepository):
    """Each first read is followed by a write of another process."""

    raced = False

    async def read(self, ref: SessionRef, now: datetime) -> SessionState:
        read = await super().read(ref, now)
        if not self.raced:
            self.raced = True
            await super().write(ref, read, JsonText('{"theirs": 1}'), now)
        return read


async def test_a_write_that_another_process_overtakes_is_made_on_what_that_has_left(world: World) -> None:
    ref, states = await a_session(world), RacedStates(world.store)
    slots = StateSlots(states, world.clock, lambda least, _: least, 5.0)
    sessions, limits = MemorySessionRepository(world.store), StateLimits(1000)
    service = StateService(world.clock, RandomIds(), sessions, states, slots, limits)
    written = await service.merge(ref, JsonText('{"ours": 1}'))
    assert (written.version, json.loads(written.text)) == (2, {"theirs": 1, "ours": 1})


async def test_a_session_without_a_state_or_that_has_ended_has_none(world: World) -> None:
    plain, closed = await world.session(), await a_session(world)
    await world.session_service.close(closed)
    states = world.container.states()
    with pytest.raises(StateNotFound):
        await states.get(plain)
    with pytest.raises(StateNotFound):
        await states.replace(plain, JsonText("{}"))
    with pytest.raises(SessionClosed):
        await states.replace(closed, JsonText("{}"))
