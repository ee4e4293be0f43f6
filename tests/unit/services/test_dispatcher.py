"""A bounded number of queued executions runs at once, each once, and return to the queue if they did not start."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import Overloaded, StorageUnavailable
from domain.identity import ANONYMOUS, Owner
from domain.queue.dispatcher import DispatchPolicy
from domain.queue.entry import AcceptOptions, RetryCause, RetryPolicy
from domain.queue.submission import Start
from domain.scripts.report import ExecutionStatus
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import ALLOWANCE, Later

ALICE, BOB = Owner("alice"), Owner("bob")
PATIENT = DispatchPolicy(2, 2, ALLOWANCE, busy_pause_s=60, idle_pause_s=60)
"""Claims only when it is woken."""


async def test_a_bounded_number_of_executions_runs_at_once(world: World) -> None:
    later = Later(world, PATIENT)
    ref = await world.session()
    world.runner.hold()
    entries = [await later.add(ref) for _ in range(5)]
    async with later.dispatching():
        await until(lambda: world.runner.running == 2)
        assert (later.dispatcher.held, len(world.store.queued)) == (2, 3)
        world.runner.let_go()
        assert {(await later.ended(each)).status for each in entries} == {ExecutionStatus.SUCCEEDED}
    assert Counter(world.runner.ran) == Counter(each.execution_id for each in entries)
    assert world.store.sessions[ref.session_id].execution_count == 5


async def test_a_claim_takes_a_bounded_number_and_the_next_follows_at_once(world: World) -> None:
    later = Later(world, evolve(PATIENT, claimed_max=1))
    ref = await world.session()
    world.runner.hold()
    for _ in range(2):
        await later.add(ref)
    async with later.dispatching():
        await until(lambda: world.runner.running == 2)
        assert later.queue.claims == 2
        world.runner.let_go()


async def test_the_next_claim_is_sent_before_what_was_claimed_starts(world: World) -> None:
    later = Later(world, evolve(PATIENT, claimed_max=1))
    running: list[int] = []

    async def sent() -> None:
        running.append(world.runner.running)

    later.queue.sent = sent
    ref = await world.session()
    world.runner.hold()
    for _ in range(2):
        await later.add(ref)
    async with later.dispatching():
        await until(lambda: world.runner.running == 2)
        assert running == [0, 0]
        world.runner.let_go()


async def test_an_accepted_execution_is_claimed_without_a_pause(world: World) -> None:
    later = Later(world, PATIENT)
    ref = await world.session()
    async with later.dispatching():
        await until(lambda: later.queue.claims)
        assert (await later.ended(await later.add(ref))).status is ExecutionStatus.SUCCEEDED


async def test_what_another_process_accepted_is_found_by_polling(world: World) -> None:
    later = Later(world)
    entry = await later.add(await world.session(), start=Start(delay=timedelta(seconds=1)))
    async with later.dispatching():
        await until(lambda: later.queue.claims > 3)
        world.clock.advance(timedelta(seconds=1))
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED


async def test_a_bounded_number_of_executions_of_an_owner_runs_at_once(world: World) -> None:
    later = Later(world, evolve(PATIENT, running_max=3, owner_running_max=1))
    world.runner.hold()
    for owner in (ALICE, BOB):
        ref = await world.session_of(owner)
        for _ in range(2):
            await later.add(ref)
    async with later.dispatching():
        await until(lambda: world.runner.running == 2)
        owners = [each.ref.owner for each in world.store.open_executions.values()]
        assert sorted(owners) == [ALICE, BOB]
        world.runner.let_go()
        await until(lambda: not world.store.queued)


async def test_nothing_is_claimed_while_nothing_serves_a_language(world: World) -> None:
    later = Later(world)
    entry = await later.add(await world.session())
    world.runner.unavailable = "install it."
    later = Later(world)
    async with later.dispatching():
        await asyncio.sleep(0.02)
        assert later.queue.claims == 0
    assert (await later.state(entry)).status is ExecutionStatus.QUEUED


async def test_an_execution_without_a_worker_returns_to_the_queue(world: World) -> None:
    later = Later(world)
    await later.served.now()
    entry = await later.add(await world.session())
    world.runner.unavailable = "install it."  # after its health was asked for
    async with later.dispatching():
        await until(lambda: later.queue.claims and world.store.queued)
        assert (await later.state(entry)).status is ExecutionStatus.QUEUED
        world.runner.unavailable = None
        world.clock.advance(timedelta(seconds=1))
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED


async def test_of_an_owner_whose_execution_cannot_start_nothing_more_is_taken_at_once(world: World) -> None:
    later = Later(world)
    await later.served.now()
    ref = await world.session()
    entries = [await later.add(ref) for _ in range(10)]
    world.runner.unavailable = "install it."  # after its health was asked for
    async with later.dispatching():
        await until(lambda: later.queue.claims > 20)
        assert later.queue.put_backs == 2, "as many as run at once"
        world.runner.unavailable = None
        world.clock.advance(timedelta(seconds=1))
        assert {(await later.ended(each)).status for each in entries} == {ExecutionStatus.SUCCEEDED}


async def test_a_claim_in_the_same_turn_of_the_loop_finds_that_the_owner_rests(world: World) -> None:
    later = Later(world, PATIENT)
    await later.served.now()
    ref = await world.session()
    for _ in range(10):
        await later.add(ref)
    world.runner.unavailable = "install it."
    async with later.dispatching():
        for _ in range(50):  # in each turn, as a pause of real time may end in any
            later.dispatcher.wake()
            await asyncio.sleep(0)
        assert later.queue.put_backs == 2, "as many as run at once"
        world.runner.unavailable = None


async def test_an_execution_beyond_the_limit_of_the_process_returns_to_the_queue(world: World) -> None:
    world.execution_limiter = CapacityLimiter("an execution", 1)
    later = Later(world)
    world.runner.hold()
    ref = await world.session()
    entries = [await later.add(ref) for _ in range(2)]
    async with later.dispatching():
        await until(lambda: later.dispatcher.held == 1 and len(world.store.queued) == 1)
        world.runner.let_go()
        await until(lambda: not later.dispatcher.held)
        world.clock.advance(timedelta(seconds=1))
        assert {(await later.ended(each)).status for each in entries} == {ExecutionStatus.SUCCEEDED}


async def test_a_failure_is_followed_by_the_next_attempt(world: World) -> None:
    later = Later(world)
    retry = AcceptOptions(retry=RetryPolicy(2, frozenset({RetryCause.SCRIPT_ERROR})))
    entry = await later.add(await world.session("raise ValueError"), options=retry)
    async with later.dispatching():
        first = await later.ended(entry)
        assert (first.status, first.next_attempt is None) == (ExecutionStatus.FAILED, False)
        world.clock.advance(timedelta(seconds=1))
        second = await later.service.wait(ANONYMOUS, first.next_attempt, 5)  # type: ignore[arg-type]
    assert (second.status, second.attempt, second.retry_of) == (ExecutionStatus.FAILED, 2, entry.execution_id)
    assert second.next_attempt is None, "that was the last attempt"


async def test_no_attempt_follows_a_success_or_the_expiry(world: World) -> None:
    later = Later(world)
    retry = AcceptOptions(retry=RetryPolicy(3, frozenset({RetryCause.SCRIPT_ERROR})))
    good = await later.add(await world.session(), options=retry)
    start = Start(expires_in=timedelta(milliseconds=500))
    bad = await later.add(await world.session("raise ValueError"), options=retry, start=start)
    async with later.dispatching():
        assert [(await later.ended(each)).next_attempt for each in (good, bad)] == [None, None]


async def test_an_unknown_end_is_not_followed_by_another_run(world: World) -> None:
    later = Later(world)
    world.runner.unknown_next = "the runtime disconnected"
    entry = await later.add(await world.session())
    async with later.dispatching():
        await until(lambda: world.runner.ran and not later.dispatcher.held)
    assert (await later.state(entry)).status is ExecutionStatus.RUNNING
    later.queue.end_overdue(world.clock.now() + timedelta(days=1))
    assert (await later.state(entry)).status is ExecutionStatus.UNKNOWN
    assert len(world.runner.ran) == 1


async def test_a_database_that_is_away_is_asked_again(world: World) -> None:
    later = Later(world)
    entry = await later.add(await world.session())
    async with later.dispatching():
        for failure in (StorageUnavailable(), Overloaded("the database")):
            later.queue.before["claim"] = failure
            await until(lambda: not later.queue.before)
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED


@define
class LateClock(ManualClock):
    """Has no time at first, as before the first contact with the database."""

    misses_left: int = 0

    @override
    def now(self) -> datetime:
        if self.misses_left:
            self.misses_left -= 1
            raise StorageUnavailable
        return super().now()


async def test_a_time_that_is_not_known_yet_is_waited_for() -> None:
    world = World(clock=LateClock())
    later = Later(world)
    entry = await later.add(await world.session())
    world.clock.misses_left = 2
    async with later.dispatching():
        await until(lambda: not world.clock.misses_left)
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED


async def test_what_a_claim_without_response_took_is_returned_and_then_run(world: World) -> None:
    later = Later(world)
    entry = await later.add(await world.session())
    later.queue.after["claim"] = StorageUnavailable(stored="unknown")
    later.queue.before["unclaim"] = StorageUnavailable()
    async with later.dispatching():
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED
    assert len(world.runner.ran) == 1
    assert not later.queue.before


async def test_what_a_claim_took_after_its_response_was_lost_is_returned_too(world: World) -> None:
    later = Later(world, evolve(PATIENT, idle_pause_s=0.001))
    entry = await later.add(await world.session())
    later.queue.is_late = True
    async with later.dispatching():
        assert (await later.ended(entry)).status is ExecutionStatus.SUCCEEDED
    assert len(world.runner.ran) == 1


async def test_a_claim_without_response_is_not_looked_for_beyond_its_deadlines(world: World) -> None:
    later = Later(world)
    entry = await later.add(await world.session())
    later.queue.after["claim"] = StorageUnavailable(stored="unknown")
    async with later.dispatching():
        await until(lambda: not later.queue.after)
        later.queue.before["unclaim"] = StorageUnavailable()
        world.clock.advance(timedelta(hours=1))
    later.queue.end_overdue(world.clock.now())
    assert (await later.state(entry)).status is ExecutionStatus.UNKNOWN


async def test_a_drain_waits_for_what_runs_and_claims_nothing_more(world: World) -> None:
    later = Later(world)
    world.runner.hold()
    ref = await world.session()
    running = [await later.add(ref) for _ in range(2)]
    loop = asyncio.create_task(later.dispatcher.run())
    await until(lambda: world.runner.running == 2)
    waiting = await later.add(ref)
    assert await later.dispatcher.drain(0.01) == 2, "its time was over"
    draining = asyncio.create_task(later.dispatcher.drain(5))
    world.runner.let_go()
    assert await draining == 0
    await loop
    assert {(await later.state(each)).status for each in running} == {ExecutionStatus.SUCCEEDED}
    assert (await later.state(waiting)).status is ExecutionStatus.QUEUED


async def test_a_process_that_may_run_nothing_claims_nothing(world: World) -> None:
    later = Later(world, evolve(PATIENT, running_max=0))
    entry = await later.add(await world.session())
    async with later.dispatching():
        await asyncio.sleep(0)
    assert (later.queue.claims, (await later.state(entry)).status) == (0, ExecutionStatus.QUEUED)
