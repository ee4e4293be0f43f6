"""Executions are accepted only if they can run, and callers can read their state at any time."""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from domain.errors import Overloaded, QuotaReached, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionNotFound
from domain.functions.schema import ParamsRefused
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.queue.entry import (
    DELAY_MAX,
    AcceptOptions,
    CallbackNotFound,
    Entry,
    ResponsesNotKept,
    RetryCause,
    RetryPolicy,
    ScheduleRefused,
)
from domain.queue.ports import StateFilter
from domain.queue.quota import QueueMaxima, QueueQuota
from domain.queue.service import QueuePolicy
from domain.queue.state import CancelResult, ExecutionNotEnded, ExecutionNotKept, ExecutionState
from domain.queue.submission import Start
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import SessionNotFound
from domain.webhooks.webhook import SecretVersion, Webhook
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import Later
from tests.unit.services.test_execution_service import PARAMS
from tests.unit.services.test_function_service import pinned, register

KEY = IdempotencyKey("order-1", "0" * 64)
HOUR = timedelta(hours=1)


@pytest.fixture
def later(world: World) -> Later:
    return Later(world)


async def test_an_accepted_execution_waits_until_it_is_run(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    assert (await later.state(entry)).status is ExecutionStatus.QUEUED
    async with later.dispatching():
        ended = await later.ended(entry)
    assert (ended.status, ended.executed and ended.executed.report.result) == (ExecutionStatus.SUCCEEDED, "2")


async def test_an_accept_that_is_not_confirmed_in_time_may_be_stored_and_is_repeated_under_a_key_only(
    world: World,
) -> None:
    world.request_timeout_s = 0.03
    later, ref = Later(world), await world.session()
    later.queue.gates["accept"] = asyncio.Event()
    for key, details in ((None, {"stored": "unknown"}), (KEY, {"stored": "unknown", "retry_after_ms": 1000})):
        with pytest.raises(StorageUnavailable) as late:
            await later.accept(ref, idempotency_key=key)
        assert late.value.details == details


async def test_what_cannot_run_is_refused_at_once(later: Later, world: World) -> None:
    ref = await world.session()
    with pytest.raises(SessionNotFound):
        await later.accept(SessionRef(ANONYMOUS, world.ids.new(world.clock.now())))
    for start in (Start(delay=DELAY_MAX + HOUR), Start(at=world.clock.now() + HOUR), Start(delay=-HOUR)):
        with pytest.raises(ScheduleRefused):
            await later.accept(ref, start=start)
    world.runner.unavailable = "install it."
    with pytest.raises(RuntimeUnavailable) as refused:
        await Later(world).accept(ref)
    assert "is failing" in refused.value.message
    assert not world.store.queued


async def test_a_callback_is_a_webhook_of_the_owner(later: Later, world: World) -> None:
    ref = await world.session()
    secret = SecretVersion("0123456789abcdef")
    own, foreign = [
        Webhook(world.ids.new(world.clock.now()), owner, "https://example.com/", frozenset(), secret)
        for owner in (ref.owner, Owner("bob"))
    ]
    later.webhooks.webhooks |= {each.webhook_id: each for each in (own, foreign)}
    with pytest.raises(CallbackNotFound) as refused:
        await later.accept(ref, options=AcceptOptions(webhook_id=foreign.webhook_id))
    assert str(foreign.webhook_id) in refused.value.message
    assert not world.store.queued
    entry = await later.add(ref, options=AcceptOptions(webhook_id=own.webhook_id))
    async with later.dispatching():
        ended = await later.ended(entry)
    del later.webhooks.webhooks[own.webhook_id]
    assert await later.service.retry(ended)


async def test_a_start_in_the_past_is_a_start_now(later: Later, world: World) -> None:
    entry = await later.add(await world.session(), start=Start(at=world.clock.now() - HOUR))
    assert entry.window.not_before == world.clock.now()


async def test_params_that_do_not_fit_are_refused_at_once(world: World) -> None:
    await register(world)
    ref = await pinned(world)
    with pytest.raises(ParamsRefused):
        await Later(world).accept(ref, '{"a": "text"}')
    assert await Later(world).add(ref)


async def test_a_full_queue_of_an_owner_refuses_more(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(owner_max=2))
    alice = Owner("alice")
    ref = await world.session_of(alice)
    entries = [await later.add(ref) for _ in range(2)]
    with pytest.raises(QuotaReached) as refused:
        await later.accept(ref)
    assert (refused.value.limit, refused.value.allowed, refused.value.observed) == ("queued_executions", 2, 2)
    assert "2 queued executions" in refused.value.message
    await later.service.cancel(alice, entries[0].execution_id)
    world.clock.advance(timedelta(seconds=1))
    assert await later.add(ref), "entries are counted again after a second"


async def test_a_full_queue_of_all_owners_refuses_more(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(total_max=2))
    ref = await world.session()
    for _ in range(2):
        await later.add(ref)
    with pytest.raises(Overloaded) as refused:
        await later.accept(ref)
    assert "MAX_QUEUED=2" in refused.value.message


async def test_counts_of_a_queue_that_is_far_from_full_are_kept_for_longer(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(total_max=10))
    ref = await world.session()
    for seconds, counts in ((0, 1), (9, 1), (1, 2), (1, 2)):
        world.clock.advance(timedelta(seconds=seconds))
        await later.add(ref)
        assert later.queue.counts == counts
    await later.add(ref)
    world.clock.advance(timedelta(seconds=1))
    await later.add(ref)
    assert later.queue.counts == 3, "half of the queue is full"


async def test_an_entry_that_is_being_stored_takes_room(later: Later, world: World) -> None:
    alice, quota = Owner("alice"), QueueQuota(later.queue, world.clock.monotonic_ns, QueueMaxima(owner_max=2))
    for _ in range(2):
        await quota.take(alice, 1)
    with pytest.raises(QuotaReached):
        await quota.take(alice, 1)
    quota.settle(alice, 1, stored=False)
    await quota.take(alice, 1)
    with pytest.raises(QuotaReached):
        await quota.take(alice, 1)


async def test_a_session_is_read_for_its_first_call_only(later: Later, world: World) -> None:
    ref = await world.session()
    for _ in range(3):
        await later.add(ref)
    assert later.sessions.reads == 1


async def test_a_repeated_key_gets_the_execution_that_holds_it(later: Later, world: World) -> None:
    ref = await world.session()
    entry = await later.add(ref, idempotency_key=KEY)
    repeated = await later.accept(ref, idempotency_key=KEY)
    assert isinstance(repeated, ExecutionState)
    assert (repeated.execution_id, repeated.status) == (entry.execution_id, ExecutionStatus.QUEUED)
    assert len(world.store.queued) == 1


async def test_a_repeated_key_is_read_before_anything_refuses_the_call(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(owner_max=1))
    ref, webhook = await world.session_of(Owner("alice")), AcceptOptions(webhook_id=world.ids.new(world.clock.now()))
    entry = await later.add(ref, idempotency_key=KEY)
    other = IdempotencyKey("order-2", "0" * 64)
    for refusal, options in ((QuotaReached, AcceptOptions()), (RuntimeUnavailable, webhook)):
        repeated = await later.accept(ref, options=options, idempotency_key=KEY)
        assert isinstance(repeated, ExecutionState)
        assert (repeated.execution_id, repeated.status) == (entry.execution_id, ExecutionStatus.QUEUED)
        with pytest.raises(IdempotencyConflict):
            await later.accept(ref, options=options, idempotency_key=IdempotencyKey(KEY.value, "f" * 64))
        for key in (other, None):
            with pytest.raises(refusal):
                await later.accept(ref, options=options, idempotency_key=key)
        world.runner.unavailable = "install it."
        later = Later(world, bounds=QueueMaxima(owner_max=9))


async def test_a_wait_ends_with_the_execution_or_with_its_time(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    assert (await later.service.wait(ANONYMOUS, entry.execution_id, 0.01)).status is ExecutionStatus.QUEUED
    waits = [asyncio.create_task(later.ended(entry)) for _ in range(2)]
    async with later.dispatching():
        assert [(await wait).status for wait in waits] == [ExecutionStatus.SUCCEEDED] * 2


async def test_a_wait_ends_when_the_process_stops(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    waiting = asyncio.create_task(later.service.wait(ANONYMOUS, entry.execution_id, 60))
    await asyncio.sleep(0.01)
    await later.dispatcher.drain(0.01)
    async with asyncio.timeout(30):
        assert (await waiting).status is ExecutionStatus.QUEUED
        assert (await later.service.wait(ANONYMOUS, entry.execution_id, 60)).status is ExecutionStatus.QUEUED


async def test_a_wait_of_a_caller_that_left_is_forgotten(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    stays, leaves = [asyncio.create_task(later.ended(entry)) for _ in range(2)]
    await asyncio.sleep(0.01)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    await later.service.cancel(ANONYMOUS, entry.execution_id)
    assert (await stays).status is ExecutionStatus.CANCELLED


async def test_a_queued_execution_is_cancelled_once(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    found = [(await later.service.cancel(ANONYMOUS, entry.execution_id))[0] for _ in range(2)]
    assert found == [CancelResult.CANCELLED, CancelResult.ENDED]


async def test_a_running_execution_is_stopped_at_once_where_it_runs(later: Later, world: World) -> None:
    world.runner.hold()
    entry = await later.add(await world.session())
    async with later.dispatching():
        await until(lambda: world.runner.running)
        result, state = await later.service.cancel(ANONYMOUS, entry.execution_id)
        assert (result, state.cancel_requested) == (CancelResult.CANCELLING, True)
        ended = await later.ended(entry)
    assert (ended.status, world.runner.ran) == (ExecutionStatus.CANCELLED, [])


async def test_all_running_executions_of_a_session_are_stopped(later: Later, world: World) -> None:
    world.runner.hold()
    ref = await world.session()
    entries = [await later.add(ref) for _ in range(2)]
    async with later.dispatching():
        await until(lambda: world.runner.running == 2)
        assert await later.service.cancel_running(ref) == 2
        assert {(await later.ended(each)).status for each in entries} == {ExecutionStatus.CANCELLED}


async def test_closing_a_session_ends_what_waits_of_it(later: Later, world: World) -> None:
    ref = await world.session()
    entries = [await later.add(ref) for _ in range(3)]
    await world.session_service.close(ref)
    await world.tasks.drain(5)
    assert not world.store.queued
    assert {(await later.state(each)).status for each in entries} == {ExecutionStatus.CANCELLED}


async def test_what_the_database_does_not_end_at_a_close_is_left_for_the_cleanup(later: Later, world: World) -> None:
    ref = await world.session()
    await later.add(ref)
    await world.session_service.close(ref)
    later.queue.before["end_entries"] = StorageUnavailable()
    await later.service.end_session(ref)
    await later.service.end_session(ref)
    assert not world.store.queued


async def test_an_execution_is_repeated_by_hand_with_its_params_and_options(later: Later, world: World) -> None:
    ref = await world.session()
    options = AcceptOptions(7, RetryPolicy(3, frozenset({RetryCause.TIMEOUT})), in_order=True)
    entry = await later.add(ref, '{"a": 5}', options=options)
    with pytest.raises(ExecutionNotEnded) as refused:
        await later.service.ended(ANONYMOUS, entry.execution_id)
    assert "is queued" in refused.value.message
    await later.service.cancel(ANONYMOUS, entry.execution_id)
    again = await later.service.retry(await later.service.ended(ANONYMOUS, entry.execution_id))
    assert (again.params, again.options, again.attempt) == (entry.params, options, 1)  # type: ignore[union-attr]
    assert again.retry_of == entry.execution_id  # type: ignore[union-attr]


async def test_nothing_is_accepted_or_repeated_where_no_responses_are_kept(later: Later, world: World) -> None:
    entry = await later.add(await world.session())
    await later.service.cancel(ANONYMOUS, entry.execution_id)
    service = evolve(later.service, policy=QueuePolicy(1.0, timedelta(0), keeps_responses=False))
    with pytest.raises(ResponsesNotKept):
        await service.retry(await service.ended(ANONYMOUS, entry.execution_id))


async def test_an_execution_whose_params_are_not_kept_cannot_be_repeated(later: Later, world: World) -> None:
    executed = await world.execution_service.execute(await world.session(), PARAMS)
    with pytest.raises(ExecutionNotKept) as refused:
        await later.service.retry(await later.service.ended(ANONYMOUS, executed.execution_id))
    assert str(executed.execution_id) in refused.value.message
    with pytest.raises(ExecutionNotFound):
        await later.service.ended(Owner("bob"), executed.execution_id)


async def test_executions_are_listed_and_counted(later: Later, world: World) -> None:
    ref = await world.session()
    first = await later.add(ref)
    world.clock.advance(timedelta(seconds=3))
    second = await later.add(ref, start=Start(delay=timedelta(seconds=5)))
    page = await later.service.page(ANONYMOUS, None, 5, StateFilter())
    assert [each.execution_id for each in page.items] == [second.execution_id, first.execution_id]
    of_languages = {each.facts.language: each for each in await later.service.languages(ANONYMOUS)}
    python, nodejs = of_languages[Language.PYTHON], of_languages[Language.NODEJS]
    assert (python.facts.queued, python.oldest_age, python.unserved) == (2, timedelta(seconds=3), None)
    assert (nodejs.facts.queued, nodejs.oldest_age) == (0, None)


async def test_calls_at_the_same_time_neither_exceed_a_limit_nor_count_each(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(owner_max=5))
    ref = await world.session_of(Owner("alice"))
    found = await asyncio.gather(*(later.accept(ref) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, QuotaReached) for each in found) == 15
    assert (len(world.store.queued), later.queue.counts) == (5, 2)


async def test_a_count_that_fails_after_its_caller_has_left_is_repeated(later: Later, world: World) -> None:
    ref = await world.session()
    gate = later.queue.gates["queued"] = asyncio.Event()
    leaves = asyncio.create_task(later.accept(ref))
    await until(lambda: "queued" in later.queue.waiting)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    later.queue.before["counted"] = StorageUnavailable()
    gate.set()
    await until(lambda: not later.queue.before)
    assert await later.add(ref)


async def test_an_entry_that_was_not_stored_takes_no_room(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(owner_max=1))
    ref = await world.session_of(Owner("alice"))
    for _ in range(2):
        later.queue.before["accept"] = StorageUnavailable(stored="no")
        with pytest.raises(StorageUnavailable):
            await later.accept(ref)
    assert await later.add(ref)


async def test_an_entry_that_is_stored_during_a_count_takes_its_room(world: World) -> None:
    later = Later(world, bounds=QueueMaxima(owner_max=2))
    ref = await world.session_of(Owner("alice"))
    await later.add(ref)
    accepts, counts = later.queue.gates.setdefault("accept", asyncio.Event()), asyncio.Event()
    first = asyncio.create_task(later.accept(ref))
    await until(lambda: "accept" in later.queue.waiting)
    world.clock.advance(timedelta(seconds=1))
    later.queue.gates["queued"] = counts
    second = asyncio.create_task(later.accept(ref))
    await until(lambda: "queued" in later.queue.waiting)
    accepts.set()
    assert isinstance(await first, Entry)
    counts.set()
    with pytest.raises(QuotaReached):
        await second
