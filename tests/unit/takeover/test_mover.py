"""What each kill leaves, and what the next run does with it."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.takeover.fence import Fence
from domain.takeover.mover import Moved
from domain.takeover.moving import Progress, TakenState
from domain.takeover.ownership import Direction, Step, View, next_step
from domain.takeover.ports import Holding
from domain.takeover.source import SourceRefused, SourceUnavailable
from tests.unit.domain.builders import session_at
from tests.unit.takeover.world import SCRIPT, SETTLE, OriginRow, Process, World, inbound_of

HOUR = timedelta(hours=1)
SESSION = UUID("20000000-0000-4000-8000-000000000100")
OTHERS_FENCE = Fence.of(UUID("019ac000-0000-7000-8000-00000000cc00"))


def completed(work: Coroutine[Any, Any, Any]) -> Any:
    process = Process("work", work)
    process.finish()
    return process.result


def killed_after(turns: int, work: Coroutine[Any, Any, Any]) -> bool:
    """Run a number of turns and kill the process; return whether it was still running."""
    process = Process("work", work)
    for _ in range(turns):
        if process.is_running:
            process.turn()
    was_running = process.is_running
    process.kill()
    return was_running


def holding(world: World) -> Holding:
    return completed(world.returns.held([SESSION]))[SESSION].holding


def empty(world: World) -> None:
    """The origin has one live session, and nothing is stored here."""
    now = world.clock.now()
    world.origin.rows[SESSION] = OriginRow(now, now + HOUR, count=5)
    world.acknowledged[SESSION] = 5


def copied(world: World) -> None:
    empty(world)
    completed(world.store.receive([inbound_of(SESSION, world.origin.rows[SESSION])], "copy", Progress()))


def owned(world: World) -> None:
    copied(world)
    completed(world.adopt(10))


def settled(world: World) -> None:
    owned(world)
    world.clock.advance(SETTLE)
    completed(world.sweep(10))


def born_here(world: World) -> None:
    """A session that was made here, and was executed three times."""
    now = world.clock.now()
    world.memory.sessions[SESSION] = session_at(
        now,
        ref=SessionRef(ANONYMOUS, SESSION),
        script_hash=SCRIPT.hash,
        foreign_created_at=now,
        expires_at=now + HOUR,
        expires_max_at=now + HOUR,
        execution_count=3,
    )
    world.acknowledged[SESSION] = 3


def returned(world: World) -> None:
    settled(world)
    completed(world.back(10))


BEGINNINGS = [empty, copied, owned, settled, born_here, returned]
COMMANDS: dict[Direction, Callable[[World], Coroutine[Any, Any, None]]] = {
    Direction.HERE: lambda world: world.adopt(10),
    Direction.THERE: lambda world: world.back(10),
}
SIDES = {Direction.HERE: "here", Direction.THERE: "there"}


def count_at(world: World, side: str) -> int:
    return world.origin.rows[SESSION].count if side == "there" else world.memory.sessions[SESSION].execution_count


def finish(world: World, direction: Direction) -> None:
    """Run a command to its end, with the sweep; no turn leaves the session with two owners."""

    def check() -> None:
        assert len(world.owners(SESSION)) <= 1

    Process("command", COMMANDS[direction](world)).finish(check)
    world.clock.advance(SETTLE)
    Process("sweep", world.sweep(10)).finish(check)
    Process("command", COMMANDS[direction](world)).finish(check)


@pytest.mark.parametrize("is_copied", [False, True])
@pytest.mark.parametrize("lives", [True, False])
@pytest.mark.parametrize("direction", Direction)
def test_a_session_of_the_origin_with_the_id_of_one_that_was_made_here_is_never_touched(
    direction: Direction, *, lives: bool, is_copied: bool
) -> None:
    world = World()
    (copied if is_copied else empty)(world)
    born_here(world)
    row, made = world.origin.rows[SESSION], world.memory.sessions[SESSION]
    row.expires_at = world.clock.now() + (HOUR if lives else -HOUR)
    before = (row.expires_at, row.count)
    moved = completed(world.mover.settle([SESSION], direction))
    taken = completed(world.mover.take([SESSION])) if direction is Direction.HERE else Moved()
    completed(COMMANDS[direction](world))
    assert (row.expires_at, row.count) == before
    assert (world.memory.sessions[SESSION], world.memory.taken) == (made, {})
    assert moved.refused == ({SESSION} if direction is Direction.THERE else set())
    assert (taken.owned, taken.fenced_again) == (set(), set())


@pytest.mark.parametrize("then", Direction)
@pytest.mark.parametrize("killed", Direction)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_after_a_kill_between_any_two_transactions_the_next_run_completes_the_move(
    beginning: Callable[[World], None], killed: Direction, then: Direction
) -> None:
    turns, was_running = 0, True
    while was_running:
        world = World()
        beginning(world)
        was_running = killed_after(turns, COMMANDS[killed](world))
        assert len(world.owners(SESSION)) <= 1
        finish(world, then)
        assert world.owners(SESSION) == [SIDES[then]], f"killed after {turns} turns"
        assert count_at(world, SIDES[then]) == world.acknowledged[SESSION]
        assert holding(world) not in {Holding.FENCING, Holding.RETURNING}
        turns += 1
    assert turns > 1


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_repeating_a_command_writes_nothing(beginning: Callable[[World], None], direction: Direction) -> None:
    world = World()
    beginning(world)
    finish(world, direction)
    before = (dict(world.memory.sessions), dict(world.memory.taken), dict(world.origin.rows))
    completed(COMMANDS[direction](world))
    assert (dict(world.memory.sessions), dict(world.memory.taken), dict(world.origin.rows)) == before


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("holding", Holding)
@pytest.mark.parametrize("view", View)
def test_every_state_has_a_next_step(direction: Direction, holding: Holding, view: View) -> None:
    assert next_step(direction, holding, view) in Step


@pytest.mark.parametrize("holding", Holding)
@pytest.mark.parametrize("direction", Direction)
def test_what_another_takeover_has_hidden_is_never_stored_here_nor_released(
    holding: Holding, direction: Direction
) -> None:
    assert next_step(direction, holding, View.FOREIGN) not in {Step.COPY, Step.TAKE, Step.FENCE, Step.OWN}


def test_two_takeovers_of_one_origin_do_not_both_own_a_session() -> None:
    mine, others = World(), World()
    copied(mine)
    others.origin.rows = mine.origin.rows
    others.origin.fence_of = OTHERS_FENCE
    copied(others)
    completed(mine.store.take([SESSION], mine.clock.now()))
    completed(others.origin.fence([SESSION]))
    moved: Moved = completed(mine.mover.settle([SESSION], Direction.HERE))
    assert moved.foreign == {SESSION}
    assert mine.owners(SESSION) == []
    assert holding(mine) is Holding.UNKNOWN


def test_a_session_that_expired_before_the_fence_is_dropped() -> None:
    world = World()
    copied(world)
    world.clock.advance(HOUR)
    moved: Moved = completed(world.mover.take([SESSION]))
    assert moved.dropped == {SESSION}
    assert holding(world) is Holding.UNKNOWN


def test_a_session_that_cannot_be_kept_here_stays_with_the_origin() -> None:
    world = World()
    empty(world)
    world.origin.rows[SESSION].is_odd = True
    moved: Moved = completed(world.mover.settle([SESSION], Direction.HERE))
    assert moved.left == {SESSION}
    assert world.owners(SESSION) == ["there"]


def test_a_session_that_changes_so_that_it_cannot_be_kept_is_given_back() -> None:
    world = World()
    copied(world)
    world.origin.rows[SESSION].is_odd = True
    completed(world.mover.take([SESSION]))
    assert world.owners(SESSION) == ["there"]


def test_counts_of_executions_that_the_origin_ends_after_the_fence_are_added_once() -> None:
    world = World()
    owned(world)
    world.origin.rows[SESSION].count = 7
    world.origin.rows[SESSION].last_executed_at = world.clock.now()
    completed(world.sweep(10))
    assert world.memory.sessions[SESSION].execution_count == 5
    world.clock.advance(SETTLE)
    completed(world.sweep(10))
    completed(world.sweep(10))
    assert world.memory.sessions[SESSION].execution_count == 7
    assert world.memory.taken[SESSION].late_count == 2


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_late_write_of_a_smaller_count_or_a_removed_row_adds_nothing(is_gone: bool) -> None:
    world = World()
    owned(world)
    world.origin.rows[SESSION].count = 4
    if is_gone:
        del world.origin.rows[SESSION]
    world.clock.advance(SETTLE)
    completed(world.sweep(10))
    assert world.memory.sessions[SESSION].execution_count == 5
    assert world.memory.taken[SESSION].late_count == 0


def test_a_session_is_not_returned_before_its_late_count_is_known() -> None:
    world = World()
    owned(world)
    completed(world.back(10))
    assert world.owners(SESSION) == ["here"]


def test_a_session_that_executes_waits_closed_until_its_count_is_final() -> None:
    world = World()
    settled(world)
    completed(world.call(SESSION))
    moved: Moved = completed(world.mover.settle([SESSION], Direction.THERE))
    assert moved.waiting == {SESSION}
    assert world.owners(SESSION) == []
    world.finish_here(world.executing_here[0])
    completed(world.mover.settle([SESSION], Direction.THERE))
    assert world.owners(SESSION) == ["there"]
    assert world.origin.rows[SESSION].count == 6


def test_a_session_that_the_origin_refuses_is_served_here_again() -> None:
    world = World()
    settled(world)
    world.origin.refused.add(SESSION)
    moved: Moved = completed(world.mover.settle([SESSION], Direction.THERE))
    assert moved.refused == {SESSION}
    assert world.owners(SESSION) == ["here"]


def test_a_row_that_was_removed_at_the_origin_is_written_again() -> None:
    world = World()
    settled(world)
    del world.origin.rows[SESSION]
    completed(world.back(10))
    assert world.owners(SESSION) == ["there"]
    assert world.origin.rows[SESSION].count == 5


def test_a_session_is_fenced_again_if_the_origin_was_restored_and_its_newer_count_stays() -> None:
    world = World()
    settled(world)
    completed(world.call(SESSION))
    world.finish_here(world.executing_here[0])
    now = world.clock.now()
    world.origin.rows[SESSION] = OriginRow(now - SETTLE, now + HOUR - SETTLE, count=2)
    moved: Moved = completed(world.mover.settle([SESSION], Direction.HERE))
    assert moved.fenced_again == {SESSION}
    assert world.owners(SESSION) == ["here"]
    assert world.memory.sessions[SESSION].execution_count == 6


def test_a_session_that_a_restore_of_this_side_has_lost_is_taken_from_behind_the_fence() -> None:
    world = World()
    owned(world)
    world.memory.sessions.clear()
    world.memory.taken.clear()
    completed(world.adopt(10))
    assert world.owners(SESSION) == ["here"]


def test_a_copy_of_a_hidden_session_gives_it_back_on_the_way_back() -> None:
    world = World()
    copied(world)
    completed(world.origin.fence([SESSION]))
    completed(world.back(10))
    assert world.owners(SESSION) == ["there"]


def test_a_session_that_was_returned_can_come_again() -> None:
    world = World()
    returned(world)
    completed(world.adopt(10))
    assert world.owners(SESSION) == ["here"]
    assert world.memory.taken[SESSION].state is TakenState.OWNED


def test_a_mover_that_wakes_up_after_the_way_back_leaves_one_owner_and_the_next_run_returns_the_session() -> None:
    world = World()
    copied(world)
    asleep = Process("asleep", world.mover.take([SESSION]))
    for _ in range(2):
        asleep.turn()
    assert holding(world) is Holding.FENCING
    completed(world.back(10))
    assert world.owners(SESSION) == ["there"]
    asleep.finish()
    assert len(world.owners(SESSION)) == 1
    finish(world, Direction.THERE)
    assert world.owners(SESSION) == ["there"]


def test_a_session_made_here_has_an_id_of_its_own_at_the_origin() -> None:
    world = World()
    now = world.clock.now()
    session_id = uuid7_at(now, 0)
    world.memory.sessions[session_id] = session_at(now, expires_at=now + HOUR, expires_max_at=now + HOUR)
    completed(world.back(10))
    assert world.owners(session_id) == ["there"]


@pytest.mark.parametrize(
    ("failure", "then"),
    [
        (SourceUnavailable("there is no connection.", sent=False), Holding.INBOUND),
        (SourceRefused("The role lacks a right.", remedy="GRANT it."), Holding.INBOUND),
        (SourceUnavailable("the connection broke."), Holding.FENCING),
    ],
)
def test_a_session_stays_the_origins_unless_its_fence_may_have_reached_the_origin(
    failure: Exception, then: Holding
) -> None:
    world = World()
    copied(world)
    world.origin.failure = failure
    with pytest.raises(type(failure)):
        completed(world.mover.take([SESSION]))
    assert holding(world) is then
    world.origin.failure = None
    completed(world.adopt(10))
    assert world.owners(SESSION) == ["here"]


def test_a_session_whose_row_the_origin_has_locked_waits_and_moves_later() -> None:
    world = World()
    copied(world)
    world.origin.locked.add(SESSION)
    moved: Moved = completed(world.mover.take([SESSION]))
    assert moved.waiting == {SESSION}
    assert world.owners(SESSION) == ["there"]
    world.origin.locked.clear()
    completed(world.adopt(10))
    assert world.owners(SESSION) == ["here"]
