"""Whole runs of adopt and back over the fakes, and the stages around them."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.audit import UNNAMED, Act, ActName
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.takeover.claim import Claim
from domain.takeover.copying import COPY
from domain.takeover.lost_origin import LostOrigin
from domain.takeover.mover import Moved, SessionMover
from domain.takeover.moving import Progress, TakenState, Takeover
from domain.takeover.moving_runs import AdoptPreview, BatchSize, MoveLimits, MoveRun, Tally
from domain.takeover.service import STAGE_SEEN_S, OriginCaller, TakeoverService
from domain.takeover.source import SourceRefused
from domain.takeover.stages import Stage, StageCommand, TakeoverRefused, require_end_here
from tests.unit.domain.builders import session_at
from tests.unit.takeover.world import FENCE, SCRIPT, SETTLE, TAKEOVER_ID, OriginRow, World, inbound_of

HOUR = timedelta(hours=1)


def session_id(number: int) -> UUID:
    return UUID(int=number << 120 | 0x4 << 76 | 0b10 << 62 | 0x100)


class Side:
    """A world whose waits pass time at once, with runs and the service over it."""

    def __init__(self, sessions: int = 5) -> None:
        self.world, self.slept, self.told = World(), [], []
        self.hooks = {}
        self.tell = lambda name, number: None
        now = self.world.clock.now()
        for number in range(1, sessions + 1):
            self.world.origin.rows[session_id(number)] = OriginRow(now, now + HOUR, count=number)

    async def begin(self, stage: Stage) -> "Side":
        takeover = Takeover(TAKEOVER_ID, {}, {}, stage, self.world.clock.now())
        await self.world.store.begin(takeover)
        return self

    async def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        self.world.clock.advance(timedelta(seconds=duration_s))
        hook = self.hooks.pop(len(self.slept), None)
        if hook is not None:
            hook()

    def run(self, limits: MoveLimits | None = None) -> MoveRun:
        world = self.world
        claim = Claim(world.returns, world.clock, world.clock.monotonic_ns, "mine", lambda _: False)
        timing = (world.clock, world.clock.monotonic_ns, self.sleep)
        limits = limits or MoveLimits(rows_max=2)
        return MoveRun(
            world.mover,
            world.origin,
            world.store,
            world.returns,
            claim,
            *timing,
            self._tell,
            limits,
        )

    def _tell(self, name: str, number: int, total: int | None) -> None:
        self.told.append((name, number, total))
        self.tell(name, number)

    def service(self) -> TakeoverService:
        world = self.world

        def new_act(name: ActName) -> Act:
            return Act(world.ids.new(world.clock.now()), UNNAMED, name)

        return TakeoverService(world.origin, world.store, world.returns, world.clock, new_act, self.sleep)

    def owners(self) -> set[str]:
        """Return who owns sessions; a session that nobody owns counts as one of nobody."""
        return {side for each in self.world.origin.rows for side in self.world.owners(each) or ["nobody"]}

    def born_here(self, number: int) -> UUID:
        world, each = self.world, session_id(number)
        now = world.clock.now()
        facts = {"foreign_created_at": now, "expires_at": now + HOUR, "expires_max_at": now + HOUR}
        world.memory.sessions[each] = session_at(now, ref=SessionRef(ANONYMOUS, each), script_hash=SCRIPT.hash, **facts)
        world.memory.scripts[each] = SCRIPT
        return each


async def test_adopt_moves_copied_and_uncopied_sessions_and_adds_late_counts_once():
    side = Side()
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", None)
    side.hooks[1] = lambda: setattr(world.origin.rows[session_id(3)], "count", 5)
    tally = await side.run().adopt()
    assert side.owners() == {"here"}
    assert tally.numbers["owned"] == 5
    assert (tally.late, tally.left_there) == (2, 0)
    assert sum(side.slept) >= SETTLE.total_seconds()
    assert world.memory.sessions[session_id(3)].execution_count == 5
    again = await side.run().adopt()
    assert (again.numbers["owned"], again.late) == (0, 0)
    assert {name for name, *_ in side.told} >= {"adopted", "examined at the origin", "fences examined"}
    assert [numbers for name, *numbers in side.told if name == "examined at the origin"][-1] == [4, 4]


async def test_adopt_completes_what_a_killed_run_has_left():
    side = Side()
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", None)
    await world.store.take([session_id(1)], world.clock.now())
    await world.origin.fence([session_id(1)])
    tally = await side.run(MoveLimits(settle_s=0)).adopt()
    assert side.owners() == {"here"}
    assert tally.numbers["owned"] == 5


async def test_what_cannot_be_kept_is_left_and_counted():
    side = Side()
    side.world.origin.rows[session_id(2)].is_odd = True
    tally = await side.run(MoveLimits(settle_s=0)).adopt()
    assert (tally.left_there, tally.named["left"]) == (1, [session_id(2)])
    assert side.world.owners(session_id(2)) == ["there"]


async def test_a_session_that_a_restore_of_this_side_has_lost_is_taken_again():
    side = Side()
    await side.run(MoveLimits(settle_s=0)).adopt()
    del side.world.memory.sessions[session_id(4)]
    del side.world.memory.taken[session_id(4)]
    assert await side.run().preview() == AdoptPreview(lost=1)
    await side.run(MoveLimits(settle_s=0)).adopt()
    assert side.owners() == {"here"}


async def test_sessions_that_a_restore_of_the_origin_shows_again_are_told_and_hidden_again():
    side = await Side(3).begin(Stage.ADOPT)
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    for each in (session_id(1), session_id(2)):
        world.origin.rows[each].expires_at = FENCE.shown(world.origin.rows[each].expires_at)
    state = await side.service().state()
    assert (state.live_there, state.live_here, state.live_twice, state.is_over) == (2, 3, 2, False)
    assert await side.run().preview() == AdoptPreview(restored=2)
    with pytest.raises(TakeoverRefused, match=r"finished: 2 sessions are served by both sides.*`takeover adopt` hides"):
        await side.service().finish()
    tally = await side.run(MoveLimits(settle_s=0)).adopt()
    assert tally.numbers["fenced_again"] == 2
    assert ((await side.service().finish()).live_twice, side.owners()) == (0, {"here"})


async def test_an_origin_that_is_restored_after_the_end_is_hidden_again_and_the_takeover_finished_again():
    side = await Side(2).begin(Stage.ADOPT)
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    await side.service().finish()
    row = world.origin.rows[session_id(1)]
    row.expires_at = FENCE.shown(row.expires_at)
    with pytest.raises(TakeoverRefused, match=r"1 sessions are served by both sides.*`takeover adopt` hides"):
        await side.service().finish()
    assert await side.service().enter(StageCommand.ADOPT)
    assert (await side.run(MoveLimits(settle_s=0)).adopt()).numbers["fenced_again"] == 1
    state = await side.service().finish()
    assert (state.live_twice, side.owners()) == (0, {"here"})


async def test_a_preview_tells_what_would_move_and_writes_nothing():
    side = Side()
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", None)
    world.origin.rows[session_id(2)].is_odd = True
    before = dict(world.memory.inbound)
    assert await side.run().preview() == AdoptPreview(movable=4, copied=1, left=1)
    assert (world.memory.inbound, world.memory.taken, side.owners()) == (before, {}, {"there"})


async def test_back_waits_for_late_counts_and_returns_sessions_of_both_kinds():
    side = Side()
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    made = side.born_here(9)
    side.hooks[1] = lambda: setattr(world.origin.rows[session_id(3)], "count", 5)
    tally = await side.run().back()
    assert side.owners() == {"there"}
    assert world.owners(made) == ["there"]
    assert tally.numbers["returned"] == 6
    assert tally.waiting == 0


async def test_back_returns_a_session_that_executes_when_its_count_is_final():
    side = Side(1)
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    await world.call(session_id(1))
    sleeps = len(side.slept)
    side.hooks[sleeps + 2] = world.finish_here_now
    tally = await side.run().back()
    assert world.owners(session_id(1)) == ["there"]
    assert world.origin.rows[session_id(1)].count == 2
    assert tally.waiting == 0


async def test_back_does_not_wait_for_ever_for_an_execution():
    side = Side(1)
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    await world.call(session_id(1))
    tally = await side.run(MoveLimits(settle_s=0, wait_s=1)).back()
    assert tally.waiting == 1


async def test_back_gives_a_session_back_that_a_killed_run_has_hidden():
    side = Side(2)
    await side.world.origin.fence([session_id(1)])
    await side.run(MoveLimits(settle_s=0)).back()
    assert side.owners() == {"there"}


async def test_a_run_without_the_claim_stops():
    side = Side()
    await side.world.returns.hold("others", side.world.clock.now(), side.world.clock.now() + HOUR)
    with pytest.raises(TakeoverRefused, match="others"):
        await side.run().adopt()
    assert side.owners() == {"there"}


def test_batches_become_smaller_while_they_take_too_long_and_larger_while_they_are_quick():
    size = BatchSize(MoveLimits(rows_max=100, rows_min=20, batch_s=0.04), 32)
    for took_s, rows in ((0.01, 64), (0.01, 100), (0.03, 100), (0.05, 50), (1, 25), (1, 20), (1, 20)):
        size.took(took_s)
        assert size.rows == rows


def test_a_tally_names_the_first_sessions_of_each_outcome():
    tally = Tally()
    tally.add(Moved(foreign={session_id(number) for number in range(1, 91)}))
    tally.add(Moved(foreign={session_id(number) for number in range(91, 181)}))
    assert tally.numbers["foreign"] == 180
    assert tally.named["foreign"] == [session_id(number) for number in range(1, 101)]


@pytest.mark.parametrize("command", StageCommand)
async def test_no_stage_changes_without_a_takeover(command):
    side = Side()
    with pytest.raises(TakeoverRefused, match="There is no takeover here"):
        await side.service().enter(command)
    with pytest.raises(TakeoverRefused, match="There is no takeover here"):
        await side.service().state()


async def test_a_stage_changes_once_is_recorded_and_known_to_every_front_afterwards():
    side = await Side().begin(Stage.LOOK)
    assert await side.service().enter(StageCommand.OPEN)
    assert side.slept == [STAGE_SEEN_S]
    assert not await side.service().enter(StageCommand.OPEN)
    assert side.slept == [STAGE_SEEN_S, 0]
    assert (await side.world.store.takeover()).stage is Stage.OPEN
    assert [each.act.name for each in side.world.takeovers.changes] == [ActName.TAKEOVER_OPEN]
    with pytest.raises(TakeoverRefused, match="back"):
        await (await Side().begin(Stage.LOOK)).service().enter(StageCommand.BACK)


async def killed_after_a_second(side: Side, command: StageCommand) -> None:
    """Enter a stage, and end after one of the seconds for which the command waits."""

    def kill() -> None:
        side.world.clock.advance(timedelta(seconds=1 - STAGE_SEEN_S))
        raise EOFError

    side.hooks[1] = kill
    with pytest.raises(EOFError):
        await side.service().enter(command)


@pytest.mark.parametrize("command", [StageCommand.OPEN, StageCommand.FINISH])
async def test_the_repetition_of_a_command_that_was_killed_waits_until_every_front_knows_the_stage(command):
    side = await Side().begin(Stage.LOOK if command is StageCommand.OPEN else Stage.OPEN)
    await killed_after_a_second(side, command)
    await (side.service().enter(command) if command is StageCommand.OPEN else side.service().finish())
    assert side.slept == [STAGE_SEEN_S, STAGE_SEEN_S - 1]


async def test_the_end_before_open_drops_the_copies_and_leaves_the_origin_its_sessions():
    side = await Side().begin(Stage.LOOK)
    world = side.world
    copies = [inbound_of(each, row) for each, row in world.origin.rows.items()]
    closed_at = world.clock.now()
    copies[0] = evolve(copies[0], session=evolve(copies[0].session, closed_at=closed_at))
    await world.takeovers.receive(copies, COPY, Progress(JsonText("{}"), examined=5))
    assert (await side.service().finish()).is_over
    assert world.memory.inbound == {}
    takeover = await world.takeovers.takeover()
    assert (takeover.stage, takeover.progress) == (Stage.LOOK, {})
    assert side.owners() == {"there"}


async def test_a_stage_that_another_command_changes_meanwhile_is_left():
    side = await Side().begin(Stage.LOOK)

    class Overtaken:
        """Another command changes the stage after each look at it."""

        change_stage = staticmethod(side.world.store.change_stage)

        async def takeover(self) -> Takeover | None:
            found = await side.world.takeovers.takeover()
            await side.world.takeovers.change_stage(Stage.LOOK, Stage.ADOPT, side.world.clock.now())
            return found

    side.world.store = Overtaken()
    with pytest.raises(TakeoverRefused, match="meanwhile"):
        await side.service().enter(StageCommand.OPEN)


async def test_the_claim_is_kept_while_sessions_are_counted():
    side = Side()
    world, page = side.world, side.world.origin.live
    mine, other = [
        Claim(world.returns, world.clock, world.clock.monotonic_ns, name, lambda _: False) for name in ("mine", "other")
    ]

    async def slow_page(after, size):
        world.clock.advance(timedelta(seconds=4))
        with pytest.raises(TakeoverRefused):
            await other.take()
        return await page(after, size)

    world.origin.live = slow_page
    await mine.take()
    await side.run(MoveLimits(rows_max=1, settle_s=0)).adopt()
    assert side.owners() == {"here"}


async def test_adopt_ends_although_somebody_makes_sessions_at_the_origin_all_the_time():
    side = Side(0)
    run = side.run(MoveLimits(settle_s=0))
    now = side.world.clock.now()
    numbers = iter(range(250, 0, -1))
    side.world.origin.rows[session_id(251)] = OriginRow(now, now + HOUR)

    def make_one(name: str, _: int) -> None:
        if name == "examined at the origin":
            side.world.origin.rows[session_id(next(numbers))] = OriginRow(now, now + HOUR)

    side.tell = make_one
    tally = await run.adopt()
    assert 20 <= tally.numbers["owned"] <= 60


async def test_back_ends_although_somebody_makes_sessions_here_all_the_time():
    side = Side(0)
    numbers = iter(range(250, 0, -1))
    side.born_here(251)
    side.tell = lambda name, _: side.born_here(next(numbers)) if name == "returned" else None
    tally = await side.run(MoveLimits(settle_s=0)).back()
    assert 20 <= tally.numbers["returned"] <= 60


async def test_the_state_tells_what_speaks_against_the_end():
    side = await Side(3).begin(Stage.ADOPT)
    world = side.world
    await side.run(MoveLimits(settle_s=0)).adopt()
    now = world.clock.now()
    world.clock.advance(timedelta(seconds=1))
    late = world.clock.now()
    world.origin.rows[session_id(8)] = OriginRow(late, late + HOUR)
    world.origin.rows[session_id(2)].count = 9
    state = await side.service().state()
    assert (state.live_there, state.live_here, state.unsettled) == (1, 3, 0)
    assert state.sessions[TakenState.OWNED] == 3
    assert state.behind == [OriginCaller(session_id(8), late, 0), OriginCaller(session_id(2), None, 7)]
    assert not state.is_over
    assert now < late
    with pytest.raises(
        TakeoverRefused, match=r"1 live sessions.*`takeover adopt` moves those that can.*behind the front"
    ):
        await side.service().finish()


async def test_a_takeover_ends_when_the_origin_owns_nothing_and_its_copies_go():
    side = await Side(2).begin(Stage.ADOPT)
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", None)
    ended = evolve(world.memory.inbound[session_id(1)])
    await side.run(MoveLimits(settle_s=0)).adopt()
    world.memory.inbound[session_id(7)] = ended
    assert (await side.service().finish()).is_over
    assert (await world.store.takeover()).stage is Stage.FINISHED
    assert world.memory.inbound == {}
    assert world.takeovers.changes[-1].details["sessions_owned"] == 2
    await side.service().finish()


async def test_after_the_way_back_a_takeover_ends_when_nothing_is_left_here():
    side = await Side(2).begin(Stage.BACK)
    made = side.born_here(9)
    with pytest.raises(TakeoverRefused, match=r"1 live sessions are here"):
        await side.service().finish()
    del side.world.memory.sessions[made]
    await side.service().finish()
    assert (await side.world.store.takeover()).stage is Stage.LOOK


async def test_a_takeover_does_not_end_while_sessions_move_or_executions_are_late():
    side = await Side(2).begin(Stage.ADOPT)
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", None)
    await world.mover.take([session_id(1)])
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(2)])], "copy", None)
    await world.store.take([session_id(2)], world.clock.now())
    with pytest.raises(TakeoverRefused, match=r"between the two sides.*executions of 1 sessions"):
        await side.service().finish()


def lost(side: Side) -> LostOrigin:
    return LostOrigin(side.world.takeovers, side.world.clock, FENCE)


def without_origin(side: Side) -> tuple[MoveRun, TakeoverService]:
    """Return a run and the use cases for an origin that is lost."""
    world, origin = side.world, lost(side)
    mover = SessionMover(origin, world.store, world.returns, world.clock, FENCE)
    claim = Claim(world.returns, world.clock, world.clock.monotonic_ns, "mine", lambda _: False)
    timing = (world.clock, world.clock.monotonic_ns, side.sleep)
    limits = MoveLimits(rows_max=2, settle_s=0)
    run = MoveRun(mover, origin, world.store, world.returns, claim, *timing, lambda *_: None, limits)
    return run, evolve(side.service(), origin=origin, facts={"origin": "lost"})


async def test_copies_of_an_origin_that_is_lost_become_sessions_and_the_takeover_ends_without_it():
    side = await Side(4).begin(Stage.ADOPT)
    world = side.world
    copies = [each.inbound for each in await world.origin.look([session_id(number) for number in (1, 2, 3)])]
    await world.store.receive(copies, "copy", Progress())
    await world.store.take([session_id(2)], world.clock.now())  # by a command that was killed
    world.origin.rows.clear()
    run, service = without_origin(side)
    with pytest.raises(TakeoverRefused, match="live sessions are the origin's"):
        await service.finish()
    assert await run.preview() == AdoptPreview(movable=3, copied=2)
    tally = await run.adopt()
    assert (tally.numbers["owned"], tally.left_there) == (3, 0)
    assert sum(side.slept) < 1
    counts = {each: session.execution_count for each, session in world.memory.sessions.items()}
    assert counts == {session_id(number): number for number in (1, 2, 3)}
    assert (await service.finish()).live_here == 3
    stored = await world.store.takeover()
    assert (stored.stage, world.takeovers.changes[-1].details["origin"]) == (Stage.FINISHED, "lost")


async def test_sessions_that_returned_to_an_origin_that_is_lost_are_served_again_if_they_are_stored_here():
    side = await Side(3).begin(Stage.ADOPT)
    await side.run(MoveLimits(settle_s=0)).adopt()
    await side.world.store.change_stage(Stage.ADOPT, Stage.BACK, side.world.clock.now())
    await side.run().back()
    assert side.owners() == {"there"}
    del side.world.memory.sessions[session_id(3)]
    side.world.origin.rows.clear()
    await without_origin(side)[0].adopt()
    live = {each for each, session in side.world.memory.sessions.items() if session.closed_at is None}
    assert live == {session_id(1), session_id(2)}


async def test_an_origin_that_was_not_lost_after_all_is_hidden_as_after_a_restore():
    side = await Side(2).begin(Stage.ADOPT)
    world = side.world
    await world.store.receive([each.inbound for each in await world.origin.look([session_id(1)])], "copy", Progress())
    await without_origin(side)[0].adopt()
    tally = await side.run(MoveLimits(settle_s=0)).adopt()
    assert (side.owners(), tally.numbers["fenced_again"], tally.numbers["owned"]) == ({"here"}, 1, 1)


async def test_copies_that_have_ended_are_dropped_and_nothing_returns_to_an_origin_that_is_lost():
    side = await Side(2).begin(Stage.ADOPT)
    world = side.world
    copies = [each.inbound for each in await world.origin.look([session_id(1), session_id(2)])]
    await world.store.receive(copies, "copy", Progress())
    await world.store.take([session_id(1)], world.clock.now())
    world.clock.advance(2 * HOUR)
    run, _ = without_origin(side)
    assert (await run.adopt()).numbers["dropped"] == 1
    assert world.memory.sessions == {}
    for refused in (run.back(), lost(side).restore(copies)):
        with pytest.raises(SourceRefused, match="lost, so no session can return"):
            await refused
    await lost(side).unfence([])
    assert await lost(side).missing_users(["alice"]) == ["alice"]


@pytest.mark.parametrize("stage", Stage)
def test_a_takeover_ends_without_its_origin_only_where_its_end_leaves_nothing_there(stage):
    if stage in {Stage.LOOK, Stage.BACK}:
        with pytest.raises(TakeoverRefused, match=f"In the stage {stage} .*open --origin-lost"):
            require_end_here(stage)
    else:
        require_end_here(stage)


async def test_a_session_that_the_origin_refuses_in_each_pass_is_told_once():
    side = await Side(2).begin(Stage.ADOPT)
    await side.run(MoveLimits(settle_s=0)).adopt()
    side.world.origin.refused.add(session_id(1))
    tally = await side.run(MoveLimits(settle_s=0)).back()
    assert (tally.numbers["returned"], tally.numbers["refused"], tally.named["refused"]) == (1, 1, [session_id(1)])
