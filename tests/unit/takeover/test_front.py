"""Which side serves a call, by the stage and by what is stored about its session."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from attrs import define, field
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.errors import StorageUnavailable
from domain.takeover.front import Front, FrontPolicy, KnownStage, SessionMoving, Side, StageUnknown
from domain.takeover.passing import OriginUnavailable
from domain.takeover.ports import Holding, Ownership
from domain.takeover.stages import Stage
from tests.support.waiting import until

OWN = SequentialIds().new(ManualClock().now())
FOREIGN = uuid4()


@define
class ManualOwnership(Ownership):
    """Returns or raises what the test sets: one holding after the other, the last one again and again."""

    stored: Stage | None = Stage.ADOPT
    holdings: list[Holding | Exception] = field(factory=lambda: [Holding.UNKNOWN])
    settled: list[UUID] = field(factory=list)
    settle_error: Exception | None = None
    looks: int = 0
    questions: int = 0

    @override
    async def stage(self) -> Stage:
        self.questions += 1
        if self.stored is None:
            raise StorageUnavailable
        return self.stored

    @override
    async def of(self, session_id: UUID) -> Holding:
        self.looks += 1
        holding = self.holdings.pop(0) if len(self.holdings) > 1 else self.holdings[0]
        if isinstance(holding, Exception):
            raise holding
        return holding

    @override
    async def settle(self, session_id: UUID) -> None:
        self.settled.append(session_id)
        if self.settle_error is not None:
            raise self.settle_error


async def front_of(ownership: ManualOwnership, wait_s: float = 5.0, settle_each_looks: int = 50) -> Front:
    stage = KnownStage(ownership, ManualClock().monotonic_ns)
    await stage.read()
    return Front(ownership, stage, FrontPolicy(wait_s, look_each_s=0, settle_each_looks=settle_each_looks))


@pytest.mark.parametrize(
    ("stage", "new", "rest", "foreign", "own"),
    [
        (Stage.LOOK, "origin", "origin", "origin", "here"),
        (Stage.OPEN, "here", "origin", "origin", "here"),
        (Stage.ADOPT, "here", "origin", "origin", "here"),
        (Stage.BACK, "origin", "origin", "origin", "here"),
        (Stage.FINISHED, "here", "here", "here", "here"),
    ],
)
async def test_the_stage_decides_about_sessions_of_which_nothing_is_stored(stage, new, rest, foreign, own):
    front = await front_of(ManualOwnership(stage))
    assert (await front.side_of_new(), await front.side_of_rest()) == (new, rest)
    assert (await front.side_of(FOREIGN), await front.side_of(OWN)) == (foreign, own)
    assert await front.side_of(None) == ("here" if stage is Stage.FINISHED else "origin")


@pytest.mark.parametrize("stage", [Stage.ADOPT, Stage.BACK])
@pytest.mark.parametrize(
    ("holding", "side"),
    [
        (Holding.SERVED, Side.HERE),
        (Holding.RETURNED, Side.ORIGIN),
        (Holding.INBOUND, Side.ORIGIN),
        (Holding.UNKNOWN, Side.ORIGIN),
    ],
)
async def test_while_sessions_move_what_is_stored_decides_about_sessions_of_the_origin(stage, holding, side):
    assert await (await front_of(ManualOwnership(stage, [holding]))).side_of(FOREIGN) is side


@pytest.mark.parametrize("stage", [Stage.LOOK, Stage.OPEN, Stage.FINISHED])
async def test_no_statement_looks_for_a_session_while_none_moves(stage):
    ownership = ManualOwnership(stage, [Holding.SERVED])
    front = await front_of(ownership)
    for session_id in (FOREIGN, OWN):
        await front.side_of(session_id)
    assert ownership.looks == 0


async def test_the_first_call_of_a_copied_session_moves_it_here():
    ownership = ManualOwnership(Stage.ADOPT, [Holding.INBOUND, Holding.FENCING, Holding.SERVED])
    assert await (await front_of(ownership)).side_of(FOREIGN) is Side.HERE
    assert ownership.settled == [FOREIGN]


async def test_a_copied_session_that_the_first_call_cannot_move_stays_the_origins():
    ownership = ManualOwnership(Stage.ADOPT, [Holding.INBOUND], settle_error=OriginUnavailable("its database is away"))
    assert await (await front_of(ownership)).side_of(FOREIGN) is Side.ORIGIN
    assert ownership.settled == [FOREIGN]


async def test_a_copied_session_does_not_move_here_while_sessions_go_back():
    ownership = ManualOwnership(Stage.BACK, [Holding.INBOUND])
    assert await (await front_of(ownership)).side_of(FOREIGN) is Side.ORIGIN
    assert ownership.settled == []


@pytest.mark.parametrize(
    ("stage", "moving", "at_last", "side"),
    [
        (Stage.ADOPT, Holding.FENCING, Holding.SERVED, Side.HERE),
        (Stage.ADOPT, Holding.FENCING, Holding.UNKNOWN, Side.ORIGIN),
        (Stage.BACK, Holding.RETURNING, Holding.RETURNED, Side.ORIGIN),
    ],
)
async def test_a_call_waits_for_a_session_that_moves(stage, moving, at_last, side):
    ownership = ManualOwnership(stage, [moving, moving, moving, at_last])
    assert await (await front_of(ownership)).side_of(FOREIGN) is side
    assert ownership.settled == []


async def test_a_call_that_waits_long_moves_the_session_on_itself():
    ownership = ManualOwnership(Stage.ADOPT, [Holding.FENCING] * 5 + [Holding.SERVED])
    front = await front_of(ownership, settle_each_looks=2)
    assert await front.side_of(FOREIGN) is Side.HERE
    assert ownership.settled == [FOREIGN] * 2


async def test_a_call_for_a_session_that_moves_for_too_long_may_be_repeated():
    front = await front_of(ManualOwnership(Stage.ADOPT, [Holding.FENCING]), wait_s=0.05)
    with pytest.raises(SessionMoving) as caught:
        await front.side_of(FOREIGN)
    assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert "REQUEST_TIMEOUT_MS" in caught.value.message


@pytest.mark.parametrize(
    ("stage", "missed_by", "session_id", "side"),
    [
        (Stage.LOOK, Side.ORIGIN, FOREIGN, Side.HERE),  # of an earlier takeover, from another origin
        (Stage.OPEN, Side.ORIGIN, FOREIGN, Side.HERE),
        (Stage.ADOPT, Side.ORIGIN, FOREIGN, Side.HERE),
        (Stage.FINISHED, Side.HERE, FOREIGN, Side.HERE),
        (Stage.ADOPT, Side.ORIGIN, None, Side.ORIGIN),
    ],
)
async def test_a_session_that_the_origin_does_not_find_may_have_moved_here(stage, missed_by, session_id, side):
    front = await front_of(ManualOwnership(stage, [Holding.SERVED]))
    assert await front.side_after(session_id, missed_by) is side


@pytest.mark.parametrize("stage", [Stage.LOOK, Stage.OPEN, Stage.ADOPT, Stage.BACK])
@pytest.mark.parametrize("session_id", [OWN, FOREIGN])
async def test_a_session_that_is_not_found_here_may_have_been_returned(stage, session_id):
    front = await front_of(ManualOwnership(stage, [Holding.RETURNING, Holding.RETURNED]))
    assert await front.side_after(session_id, Side.HERE) is Side.ORIGIN


async def test_an_id_of_this_service_about_which_nothing_is_stored_stays_here():
    front = await front_of(ManualOwnership(Stage.BACK, [Holding.UNKNOWN]))
    assert await front.side_after(OWN, Side.HERE) is Side.HERE


async def test_a_stage_counts_for_two_seconds_after_it_was_asked_for():
    clock, ownership = ManualClock(), ManualOwnership(Stage.OPEN)
    known = KnownStage(ownership, clock.monotonic_ns)
    assert known.known is None
    assert await known.read()
    clock.advance(timedelta(seconds=2))
    ownership.stored = None
    assert await known.current() is Stage.OPEN
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(StageUnknown) as caught:
        await known.current()
    assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert "for 2 s" in caught.value.message


async def test_calls_that_come_while_the_stage_is_late_read_it_once_for_all():
    clock, ownership = ManualClock(), ManualOwnership(Stage.OPEN)
    known = KnownStage(ownership, clock.monotonic_ns)
    await known.read()
    clock.advance(timedelta(seconds=3))
    ownership.stored = Stage.ADOPT
    stages = await asyncio.gather(*(known.current() for _ in range(5)))
    assert (stages, ownership.questions) == ([Stage.ADOPT] * 5, 2)


async def test_the_stage_is_read_again_after_a_failure():
    ownership = ManualOwnership(None)
    known = KnownStage(ownership, ManualClock().monotonic_ns)
    running = asyncio.create_task(known.run())
    await until(lambda: ownership.questions)
    ownership.stored = Stage.BACK
    await until(lambda: known.known is Stage.BACK)
    running.cancel()
