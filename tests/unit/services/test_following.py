"""Readers follow an execution from the queue to its recorded end, wherever it runs, and get each byte once."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from attrs import evolve

from domain.errors import InvalidRequest, StorageUnavailable
from domain.executions.execution import Executed, ExecutionNotFound, FinishedExecution
from domain.identity import ANONYMOUS, Owner
from domain.json_text import JsonText
from domain.live.events import PIECE_SIZE_MAX, ExecutionEnded, LiveEvent, OutputPiece
from domain.live.position import Position
from domain.queue.entry import Entry
from domain.queue.following import EventsNotKept, FollowedExecution
from domain.queue.ports import ClaimRequest
from domain.queue.state import ExecutionState
from domain.scripts.language import Language
from domain.scripts.output import ScriptProgress
from domain.scripts.report import ExecutionStatus, ExecutionUnknown, ScriptReport
from entrypoints.cli.follow import follow_execution
from tests.contracts.live_output import part_of
from tests.support.acts import OPERATOR
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import ALLOWANCE, Later

PRINTS = "print('one'); print('zwei é'); import sys; print('err', file=sys.stderr); result = 1"
STDOUT, STDERR = "one\nzwei é\n", "err\n"
START = Position()


@pytest.fixture
def later(world: World) -> Later:
    return Later(world)


async def followed(later: Later, entry: Entry, position: Position = START) -> FollowedExecution:
    return await later.events.follow(ANONYMOUS, entry.execution_id, position)


async def read_all(source: FollowedExecution, position: Position = START) -> list[LiveEvent]:
    """Read to the end, or until nothing more will come."""
    found: list[LiveEvent] = []
    async with asyncio.timeout(5):
        while events := await source.next(found[-1].position if found else position):
            found += events
    return found


async def reads(source: FollowedExecution, size: int) -> list[LiveEvent]:
    """Read until there are so many events."""
    found: list[LiveEvent] = []
    async with asyncio.timeout(5):
        while len(found) < size:
            found += await source.next(found[-1].position if found else START)
    return found


def claim_of(world: World) -> ClaimRequest:
    """Return the claim of another process."""
    now = world.clock.now()
    return ClaimRequest(world.ids.new(now), now, list(Language), 1, 1, ALLOWANCE)


def text_of(events: Sequence[LiveEvent]) -> str:
    return "".join(each.what.text for each in events if isinstance(each.what, OutputPiece))


def end_of(events: Sequence[LiveEvent]) -> object:
    """Return the one end of these events."""
    (end,) = [each.what.end for each in events if isinstance(each.what, ExecutionEnded)]
    return end


async def test_a_reader_of_a_queued_execution_gets_its_output_and_then_its_recorded_end(world, later):
    entry = await later.add(await world.session(PRINTS))
    source = await followed(later, entry)
    reading = asyncio.ensure_future(read_all(source))
    await asyncio.sleep(0)
    async with later.dispatching():
        events = await reading
    assert text_of(events) == STDOUT + STDERR
    end = end_of(events)
    assert isinstance(end, Executed)
    assert (end.report.result, end.execution_count) == ("1", 1)
    assert (await later.state(entry)).report == end.report


async def test_every_event_is_a_place_to_go_on_from_also_after_the_end(world, later):
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        events = await read_all(await followed(later, entry))
    for each in (*events, LiveEvent(START, OutputPiece)):
        rest = await read_all(await followed(later, entry, each.position), each.position)
        later_ones = events[events.index(each) + 1 :] if each in events else events
        assert text_of(rest) == text_of(later_ones)
        assert each.position.is_end or isinstance(end_of(rest), Executed)


async def test_a_failed_script_has_an_end_with_its_failure(world, later):
    entry = await later.add(await world.session("raise ValueError('no')"))
    async with later.dispatching():
        end = end_of(await read_all(await followed(later, entry)))
    assert isinstance(end, Executed)
    assert end.report.failure.code == "SCRIPT_ERROR"


async def test_an_end_that_is_not_recorded_yet_is_given_once_it_is(world, later):
    world.executions.failures["finish"] = StorageUnavailable(stored="unknown")
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        events = await read_all(await followed(later, entry))
        assert (await later.state(entry)).status.is_final
    assert text_of(events) == STDOUT + STDERR
    assert isinstance(end_of(events), Executed)


async def test_an_unknown_end_is_no_end_until_it_is_recorded_as_unknown(world, later):
    world.runner.unknown_next = "the runtime disconnected"
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        reading = asyncio.ensure_future(read_all(await followed(later, entry)))
        await until(lambda: world.runner.ran and not later.dispatcher.held)
        assert not reading.done()
        later.queue.end_overdue(world.clock.now() + timedelta(hours=1))
        events = await reading
    assert text_of(events).startswith(STDOUT)
    assert isinstance(end_of(events), ExecutionUnknown)
    position = events[-2].position
    assert isinstance(end_of(await read_all(await followed(later, entry, position), position)), ExecutionUnknown)


async def test_an_execution_elsewhere_is_read_as_it_is_stored_and_then_from_its_record(world, later):
    entry = await later.add(await world.session(PRINTS))
    (claimed,) = (await later.queue.claim(claim_of(world))).entries
    reading = asyncio.ensure_future(reads(await followed(later, entry), 2))
    await world.output.append(part_of(claimed.execution, 1, (0, "one\n"), progress=ScriptProgress(1), progress_count=1))
    events = await reading
    assert [each.position for each in events] == [Position(4), Position(4, 0, 1)]
    assert not world.runner.ran
    report = ScriptReport(JsonText("1"), None, 1.0, stdout=STDOUT, stderr=STDERR)
    await later.queue.finish(FinishedExecution(claimed.execution, world.clock.now(), entry.params, report), entry)
    position = events[-1].position
    rest = await read_all(await followed(later, entry, position), position)
    assert text_of(events) + text_of(rest) == STDOUT + STDERR
    assert isinstance(end_of(rest), Executed)


async def test_what_a_dead_controller_stored_comes_before_the_unknown_end(world, later):
    entry = await later.add(await world.session(PRINTS))
    (claimed,) = (await later.queue.claim(claim_of(world))).entries
    await world.output.append(part_of(claimed.execution, 1, (0, "one\n")))
    later.queue.end_overdue(world.clock.now() + timedelta(hours=1))
    events = await read_all(await followed(later, entry))
    assert text_of(events) == "one\n"
    assert isinstance(end_of(events), ExecutionUnknown)


async def test_a_database_that_is_away_delays_events_and_ends_no_stream(world, later):
    entry = await later.add(await world.session(PRINTS))
    source = await followed(later, entry)
    world.store.failure = StorageUnavailable()
    reading = asyncio.ensure_future(read_all(source))
    await asyncio.sleep(0)
    world.store.failure = None
    async with later.dispatching():
        assert isinstance(end_of(await reading), Executed)


async def test_a_purge_ends_the_events_with_the_error_that_a_later_call_gets(world, later):
    entry = await later.add(await world.session(PRINTS))
    source = await followed(later, entry)
    world.store.accepted.clear()
    events = await read_all(source)
    assert isinstance(end_of(events), ExecutionNotFound)
    assert events[-1].position.is_end


async def test_the_command_that_follows_a_purged_execution_reports_it_as_not_found(world, later):
    entry = await later.add(await world.session(PRINTS))
    commands = SimpleNamespace(execution_events=lambda: later.events)
    following = asyncio.ensure_future(follow_execution(commands, entry.execution_id))
    await asyncio.sleep(0)
    world.store.accepted.clear()
    with pytest.raises(ExecutionNotFound):
        await following


async def test_a_reader_that_lags_behind_an_erased_execution_gets_no_made_up_end(world, later):
    entry = await later.add(await world.session(PRINTS))
    source = await followed(later, entry)
    async with later.dispatching():
        await later.ended(entry)
    await later.service.erase(ANONYMOUS, entry.execution_id, OPERATOR)
    assert isinstance(end_of(await read_all(source, Position(2))), EventsNotKept)


async def test_a_process_that_stops_ends_the_events_of_what_still_runs(world, later):
    world.runner.hold()
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        reading = asyncio.ensure_future(read_all(await followed(later, entry)))
        await until(lambda: world.runner.running)
        later.live.close()
        assert await reading == []
        world.runner.let_go()


class FrozenReads:
    """Reads of a state to which the database never responds."""

    count = 0

    async def __call__(self, _: Owner, __: UUID) -> ExecutionState:
        self.count += 1
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_process_that_stops_waits_for_no_read(world, later):
    entry, states = await later.add(await world.session(PRINTS)), FrozenReads()
    reading = asyncio.ensure_future(evolve(await followed(later, entry), read_state=states).next(START))
    await until(lambda: states.count == 1)
    later.live.close()
    async with asyncio.timeout(5):
        assert await reading == ()


async def test_a_reader_that_is_cancelled_during_a_read_is_cancelled(world, later):
    entry, states = await later.add(await world.session(PRINTS)), FrozenReads()
    reading = asyncio.ensure_future(evolve(await followed(later, entry), read_state=states).next(START))
    await until(lambda: states.count == 1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_reading_pauses_between_pieces_of_what_runs_elsewhere(world, later):
    entry = await later.add(await world.session(PRINTS))
    (claimed,) = (await later.queue.claim(claim_of(world))).entries
    source, loop, read_at_s = await followed(later, entry), asyncio.get_running_loop(), []
    for number, text in enumerate(("one\n", "two\n")):
        await world.output.append(part_of(claimed.execution, number + 1, (4 * number, text)))
        assert text_of(await source.next(Position(4 * number))) == text
        read_at_s.append(loop.time())
    assert read_at_s[1] - read_at_s[0] > 0.09


async def test_a_begin_and_an_end_in_this_process_are_read_without_waiting_for_a_poll(world, later):
    events = evolve(later.events, jitter=lambda *_: 3600.0)
    runs, cancelled = [await later.add(await world.session(PRINTS)) for _ in range(2)]
    sources = [await events.follow(ANONYMOUS, each.execution_id, START) for each in (runs, cancelled)]
    reading = [asyncio.ensure_future(read_all(source)) for source in sources]
    for _ in range(20):
        await asyncio.sleep(0)  # so that both wait
    await later.service.cancel(ANONYMOUS, cancelled.execution_id)
    async with later.dispatching():
        ends = [end_of(await each) for each in reading]
    assert [end.report.status for end in ends] == [ExecutionStatus.SUCCEEDED, ExecutionStatus.CANCELLED]


async def test_what_is_recorded_is_read_without_a_pause(world, later):
    executed = await later.executions.execute(await world.session(PRINTS), JsonText("1"))
    pieces = 100
    stdout = "x" * pieces * PIECE_SIZE_MAX
    source = later.events.replay(evolve(executed, report=evolve(executed.report, stdout=stdout, stderr="")))
    events = await read_all(source)
    assert (len(events), text_of(events)) == (pieces + 1, stdout)


@pytest.mark.parametrize("position", [Position(1), Position(0, 1), Position(0, 0, 1), Position(is_end=True)])
async def test_nothing_of_an_execution_that_is_queued_can_have_been_received(world, later, position):
    entry = await later.add(await world.session(PRINTS))
    with pytest.raises(InvalidRequest, match="beyond"):
        await followed(later, entry, position)


async def test_a_position_that_an_execution_never_had_is_refused(world, later):
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        await later.ended(entry)
    with pytest.raises(InvalidRequest, match="beyond"):
        await followed(later, entry, Position(len(STDOUT.encode()) + 1))
    with pytest.raises(InvalidRequest, match="within a character"):
        await followed(later, entry, Position(STDOUT.encode().index("é".encode()) + 1))


async def test_a_position_is_judged_by_what_a_running_script_has_written(world, later):
    world.runner.hold()
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        await until(lambda: world.runner.running)
        with pytest.raises(InvalidRequest, match="beyond"):
            await followed(later, entry, Position(1))
        world.runner.let_go()


async def test_executions_of_others_and_unknown_ones_are_not_found(world, later):
    entry = await later.add(await world.session(PRINTS))
    for owner, execution_id in ((Owner("bob"), entry.execution_id), (ANONYMOUS, UUID(int=1))):
        with pytest.raises(ExecutionNotFound):
            await later.events.follow(owner, execution_id, START)


async def test_a_call_whose_caller_waited_has_no_events(world, later):
    executed = await later.executions.execute(await world.session(PRINTS), JsonText("1"))
    with pytest.raises(EventsNotKept, match="Accept: text/event-stream"):
        await later.events.follow(ANONYMOUS, executed.execution_id, START)
    assert end_of(await read_all(later.events.replay(executed))) == executed


async def test_an_execution_that_was_erased_has_no_events(world, later):
    entry = await later.add(await world.session(PRINTS))
    async with later.dispatching():
        await later.ended(entry)
    await later.service.erase(ANONYMOUS, entry.execution_id, OPERATOR)
    with pytest.raises(EventsNotKept, match="erased"):
        await followed(later, entry)


async def test_what_a_dead_controller_stored_is_erased_with_its_execution(world, later):
    entry = await later.add(await world.session(PRINTS))
    (claimed,) = (await later.queue.claim(claim_of(world))).entries
    await world.output.append(part_of(claimed.execution, 1, (0, "one\n")))
    later.queue.end_overdue(world.clock.now() + timedelta(hours=1))
    await later.service.erase(ANONYMOUS, entry.execution_id, OPERATOR)
    assert text_of(await read_all(await followed(later, entry))) == ""
