"""What runs later, is sent and is counted over several buckets."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import define, evolve, field

from adapters.buckets.claims import REST_MAX, BucketTurns
from adapters.buckets.counts import BucketExecutionCounts, BucketUsageReader
from adapters.buckets.deliveries import BucketDeliveries
from adapters.buckets.directory import Storage
from adapters.buckets.owners import BucketAudit, BucketOwnerMover, BucketOwnerPurger, BucketTimeline
from adapters.buckets.queue import BucketQueue
from adapters.buckets.schedules import BucketSchedules
from adapters.buckets.webhooks import BucketWebhooks, WebhookRepairs
from adapters.memory.manual_clock import no_jitter
from adapters.memory.webhooks import MemoryWebhookStore
from domain.access.owner_move import MoveStep, OwnedData
from domain.audit import ActName
from domain.buckets.bucket_map import HOME, Bucket, in_bucket
from domain.errors import Overloaded, QuotaReached, StorageUnavailable
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import ANONYMOUS, EVERY_OWNER, NO_ID, Owner, SessionRef
from domain.queue.ports import StateFilter
from domain.schedules.plan import SessionTarget
from domain.schedules.schedule import ScheduleElsewhere
from domain.sessions.session import Session
from domain.webhooks.delivery import Delivery, Reply, judge
from domain.webhooks.ports import DeliveryClaim
from domain.webhooks.webhook import ENDS, Event, SecretVersion, Webhook, WebhookNotFound
from tests.contracts.execution_queue import FAILED, LONG, QueueOfOne
from tests.contracts.schedule_repository import PERIOD, Planner
from tests.contracts.storage import ALICE, BOB
from tests.support.acts import act
from tests.support.waiting import until
from tests.unit.buckets.world import World

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def world() -> World:
    return await World().opened()


@pytest.fixture
def process(world: World) -> QueueOfOne:
    return QueueOfOne(world.storage())


async def in_each(world: World) -> list[Session]:
    """Return a session in each bucket but HOME."""
    sessions = [await world.storage().add(ANONYMOUS, **LONG) for _ in range(3)]
    return sorted(sessions, key=lambda each: each.ref.session_id.int & 0xFF)


async def test_claims_take_from_the_buckets_in_turn(world, process):
    sessions = await in_each(world)
    for session in sessions:
        for _ in range(2):
            await process.add(session)
    taken = [(await process.claim(1))[0].entry.ref for _ in range(6)]
    assert taken == [session.ref for session in sessions] * 2
    assert await process.claim() == []


async def test_a_bucket_without_work_rests_until_a_second_has_passed_or_it_gets_some(world):
    queue = BucketQueue(world.directory)
    process = QueueOfOne(evolve(world.storage(), queue=queue))
    elsewhere = QueueOfOne(world.storage())
    session, *_ = await in_each(world)
    for _ in range(20):
        world.later(REST_MAX)
        assert await process.claim() == []
    await elsewhere.add(session)
    assert await process.claim() == []
    world.later(REST_MAX)
    assert len(await process.claim()) == 1
    assert await process.claim() == []
    await process.add(session)
    assert len(await process.claim()) == 1


async def test_a_bucket_that_is_away_holds_up_no_claim_of_the_others(world, process):
    sessions = await in_each(world)
    for session in sessions:
        await process.add(session)
    world.stores[2].failure = StorageUnavailable(stored="no")
    assert {(await process.claim(1))[0].entry.ref for _ in range(2)} == {sessions[0].ref, sessions[2].ref}
    for store in world.stores.values():
        store.failure = StorageUnavailable(stored="no")
    with pytest.raises(StorageUnavailable):
        await process.claim()


async def test_a_claim_fails_only_if_no_bucket_answers(world):
    turns = BucketTurns(world.directory, timedelta(0))
    failures: dict[int, Exception] = {0: Overloaded("the database"), 1: StorageUnavailable(stored="no")}

    async def ask(storage: Storage) -> int:
        if storage.number in failures:
            raise failures[storage.number]
        return 0

    assert await turns.claim(world.clock.now(), ask, bool) is None
    failures |= {number: Overloaded("the database") for number in (2, 3)}
    with pytest.raises(Overloaded):
        await turns.claim(world.clock.now(), ask, bool)


async def test_a_bucket_that_had_something_rests_for_a_short_time_again(world):
    turns, has_some = BucketTurns(world.directory), False

    async def ask(storage: Storage) -> bool:
        return has_some and storage.number == 2

    for _ in range(30):
        await turns.claim(world.later(REST_MAX), ask, bool)
    has_some = True
    assert await turns.claim(world.later(REST_MAX), ask, bool)
    has_some = False
    await turns.claim(world.clock.now(), ask, bool)
    has_some = True
    assert await turns.claim(world.later(REST_MAX / 10), ask, bool), "the bucket had nothing once"


async def test_a_bucket_that_loses_the_response_to_a_claim_holds_up_no_claim_of_the_others(world):
    process = QueueOfOne(evolve(world.storage(), queue=BucketQueue(world.directory)))
    sessions = await in_each(world)
    for session in sessions:
        await process.add(session)
    world.stores[1].failure = StorageUnavailable(stored="unknown")
    with pytest.raises(StorageUnavailable):
        await process.claim()
    assert {(await process.claim(1))[0].entry.ref for _ in range(2)} == {sessions[1].ref, sessions[2].ref}


async def test_a_claim_whose_response_was_lost_is_put_back_in_every_bucket(world, process):
    for session in await in_each(world):
        await process.add(session)
    wish = process.wish(1)
    for _ in range(3):
        await process.queue.claim(wish)
    world.stores[1].failure = StorageUnavailable(stored="unknown")
    with pytest.raises(StorageUnavailable) as lost:
        await process.claim()
    assert lost.value.stored == "unknown"
    world.stores[1].failure = None
    assert await process.queue.unclaim(wish.claim_id, world.clock.now()) == 3
    assert {len(await process.claim()) for _ in range(3)} == {1}


async def test_retries_and_states_are_in_the_bucket_of_the_session(world, process):
    session = (await in_each(world))[2]
    entry = await process.add(session)
    claimed = await process.claim_one()
    following = entry.next_attempt(world.ids.new(world.clock.now(), session.ref.session_id), timedelta(0))
    await process.finish(claimed, FAILED, following)
    assert world.stores[3].queued == {following.execution_id}
    assert await process.status(following.execution_id, ANONYMOUS) == "queued"
    assert await process.queue.entry(ANONYMOUS, following.execution_id, world.clock.now()) == following


async def test_lists_and_counts_of_the_queue_are_of_all_buckets(world, process):
    sessions = await in_each(world)
    entries = [await process.add(session) for session in sessions for _ in range(2)]
    newest_first = sorted((each.execution_id for each in entries), reverse=True)
    now = world.clock.now()
    first = await process.queue.page(ANONYMOUS, None, 4, now)
    rest = await process.queue.page(ANONYMOUS, first.next_after, 4, now)
    assert [each.execution_id for each in (*first.items, *rest.items)] == newest_first
    of_one = await process.queue.page(ANONYMOUS, None, 9, now, StateFilter(session_id=sessions[0].ref.session_id))
    assert len(of_one.items) == 2
    assert [await process.queue.queued(ANONYMOUS, most) for most in (100, 5)] == [6, 5]
    (facts,) = [each for each in await process.queue.facts(EVERY_OWNER, now, 100) if each.queued]
    assert (facts.queued, facts.due_at, facts.running) == (6, now, 0)


async def test_executions_to_stop_are_found_though_a_bucket_is_away(world, process):
    sessions = await in_each(world)
    for session in sessions:
        await process.add(session)
    running = [(await process.claim(1))[0] for _ in sessions]
    named = [(each.entry.ref.session_id, each.entry.execution_id) for each in running]
    for session_id, execution_id in named:
        await process.cancel(execution_id)
        assert session_id
    world.stores[1].failure = StorageUnavailable()
    assert await process.queue.to_stop(named) == {execution_id for _, execution_id in named[1:]}


async def test_entries_of_all_buckets_end_when_they_can_no_longer_run(world, process):
    for session in await in_each(world):
        await process.add(session, expires_in=MINUTE)
    world.later(MINUTE)
    assert await process.queue.end_entries(world.clock.now()) == 3


async def test_a_bucket_that_is_away_counts_as_at_its_last_answer(world, process):
    usage = BucketUsageReader(world.directory)
    now = world.clock.now()
    for session in await in_each(world):
        await process.add(session)
        await world.storage().begin(session.ref)

    async def counted() -> tuple[int, int, int, int]:
        ((stored,), (opened,), (held,)) = (
            await usage.usage([ANONYMOUS], now),
            await usage.open_executions([ANONYMOUS], now),
            await usage.holdings([ANONYMOUS], 100),
        )
        return stored.live_sessions, opened, held.queued_executions, await process.queue.queued(ANONYMOUS, 100)

    world.stores[1].failure = StorageUnavailable()
    assert await counted() == (2, 2, 2, 2), "it never answered"
    world.stores[1].failure = None
    assert await counted() == (3, 3, 3, 3)
    world.stores[1].failure = StorageUnavailable()
    assert await counted() == (3, 3, 3, 3)
    for store in world.stores.values():
        store.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await usage.usage([ANONYMOUS], now)


async def test_usage_of_days_is_added_over_buckets(world):
    storage, counts = world.storage(), BucketExecutionCounts(world.directory)
    today = world.clock.now().date()
    assert await counts.counted_until() is None
    for session in await in_each(world):
        await storage.execute(session.ref)
    await storage.execute((await storage.add(ALICE)).ref)
    until = world.later(MINUTE)
    for each in world.counts:
        each.count(until)
    assert await counts.counted_until() == until
    ((used,), (alices,)) = await counts.days([ANONYMOUS, ALICE], today)
    assert (used.executions, used.execution_time_ms, alices.executions) == (3, 3.75, 1)
    assert await counts.owners(ANONYMOUS[:1], 1) == [ALICE]
    assert await counts.owners(ALICE, 5) == [ANONYMOUS]


async def test_pages_of_owners_are_sorted_as_the_database_sorts(world):
    counts, owners = BucketExecutionCounts(world.directory), [Owner(name) for name in ("Zoë", "bob", "alice", "Carol")]
    for owner in owners * 3:
        await world.storage().add(owner)
    paged, after = [], Owner("")
    while page := await counts.owners(after, 2):
        paged += page
        after = page[-1]
    assert paged == ["alice", "bob", "Carol", "Zoë"]


async def test_the_quota_of_schedules_counts_all_buckets(world):
    schedules = BucketSchedules(world.directory)
    planner = Planner(world.storage(), schedules)
    sessions = [await world.storage().add(ALICE, **LONG) for _ in range(3)]
    for session in sessions[:2]:
        await schedules.add(planner.new(session), 2, act())
    third = planner.new(sessions[2])
    with pytest.raises(QuotaReached) as reached:
        await schedules.add(third, 2, act())
    assert (reached.value.allowed, reached.value.observed) == (2, 2)
    assert await schedules.add(third, 3, act())
    page = await schedules.page(ALICE, None, 2)
    assert [each.owner for each in page.items] == [ALICE] * 2
    assert page.items[0].schedule_id == third.schedule_id


async def test_a_key_of_a_schedule_is_stored_once_though_two_buckets_get_it_at_the_same_time(world):
    schedules = BucketSchedules(world.directory)
    planner = Planner(world.storage(), schedules)
    one, two, three = [planner.new(await world.storage().add(ALICE, **LONG)) for _ in range(3)]
    key = IdempotencyKey("once", "0" * 64)
    assert await schedules.add(one, 9, act(), key)
    assert not await schedules.add(two, 9, act(), key)
    with pytest.raises(IdempotencyConflict):
        await schedules.add(three, 9, act(), IdempotencyKey("once", "f" * 64))
    assert (await schedules.page(ALICE, None, 9)).items == [one]
    assert await schedules.add(one, 9, act(), key), "a repeated write"


async def test_a_keyed_schedule_may_be_stored_if_another_bucket_cannot_say_that_it_has_the_key(world):
    schedules = BucketSchedules(world.directory)
    planner = Planner(world.storage(), schedules)
    here, there = [await world.storage().add(ALICE, **LONG) for _ in range(2)]
    key = IdempotencyKey("once", "0" * 64)
    world.stores[there.ref.session_id.int & 0xFF].failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable) as caught:
        await schedules.add(planner.new(here), 9, act(), key)
    assert caught.value.stored == "unknown"
    world.stores[there.ref.session_id.int & 0xFF].failure = None
    assert await schedules.created(ALICE, key) is not None


async def test_schedules_that_are_due_are_found_in_all_buckets_that_serve(world):
    schedules = BucketSchedules(world.directory)
    planner = Planner(world.storage(), schedules)
    made = [await planner.add(await world.storage().add(ALICE, **LONG)) for _ in range(3)]
    now = world.clock.now()
    assert (await schedules.due(now, 5, 5)).next_at == now + PERIOD
    now = world.later(PERIOD)
    assert {each.schedule_id for each in (await schedules.due(now, 5, 5)).schedules} == {s.schedule_id for s in made}
    assert len((await schedules.due(now, 2, 5)).schedules) == 2
    world.stores[made[0].schedule_id.int & 0xFF].failure = StorageUnavailable()
    found = (await schedules.due(now, 5, 5)).schedules
    assert {each.schedule_id for each in found} == {each.schedule_id for each in made[1:]}
    assert len((await schedules.due(now, 5, 1)).schedules) == 1


async def test_what_is_due_first_comes_first_whatever_bucket_has_it(world):
    schedules = BucketSchedules(world.directory)
    planner, sessions = Planner(world.storage(), schedules), await in_each(world)
    begun_at = world.clock.now()
    last = await planner.add(sessions[2])
    world.later(timedelta(seconds=1))
    first = await planner.add(sessions[0])
    assert (await schedules.due(world.clock.now(), 5, 5)).next_at == begun_at + PERIOD
    now = world.later(PERIOD)
    for size, expected in ((1, [last]), (5, [last, first])):
        found = (await schedules.due(now, size, 5)).schedules
        assert [each.schedule_id for each in found] == [each.schedule_id for each in expected]


async def test_the_queue_of_a_language_is_due_since_its_oldest_entry_in_any_bucket(world, process):
    sessions, begun_at = await in_each(world), world.clock.now()
    await process.add(sessions[2])
    world.later(timedelta(seconds=1))
    await process.add(sessions[0])
    facts = {each.language: each for each in await process.queue.facts(ANONYMOUS, world.clock.now(), 100)}
    waiting = facts.pop(sessions[0].language_title.language)
    assert (waiting.queued, waiting.due_at) == (2, begun_at)
    assert all((each.queued, each.due_at) == (0, None) for each in facts.values())


async def test_an_entry_that_is_put_back_or_repeated_wakes_its_bucket(world):
    process = QueueOfOne(evolve(world.storage(), queue=BucketQueue(world.directory)))
    session = (await in_each(world))[1]
    entry = await process.add(session)
    claimed = await process.claim_one()
    assert await process.claim() == [], "now all buckets rest"
    await process.queue.put_back(claimed, world.clock.now())
    again = await process.claim_one()
    assert await process.claim() == []
    following = entry.next_attempt(world.ids.new(world.clock.now(), session.ref.session_id), timedelta(0))
    await process.finish(again, FAILED, following)
    assert (await process.claim_one()).entry.execution_id == following.execution_id


async def test_a_message_that_is_added_or_sent_again_wakes_its_bucket(world):
    webhooks, deliveries = BucketWebhooks(world.directory), BucketDeliveries(world.directory)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    assert (await deliveries.claim(delivery_claim(world))).turns == [], "now all buckets rest"
    sent = message(world, webhook, 2)
    await deliveries.add(sent)
    (turn,) = (await deliveries.claim(delivery_claim(world))).turns
    assert [each.delivery_id for each in turn.deliveries] == [sent.delivery_id]


async def test_the_last_answer_for_an_owner_counts_whoever_else_was_counted_with_them(world):
    usage, now = BucketUsageReader(world.directory), world.clock.now()
    for _ in range(3):
        await world.storage().add(ALICE)
    await usage.usage([BOB, ALICE], now)
    world.stores[1].failure = StorageUnavailable()
    (counted,) = await usage.usage([ALICE], now)
    assert counted.live_sessions == 3


async def test_nothing_waits_for_a_bucket_that_was_away_a_moment_ago(world, process):
    sessions = await in_each(world)
    for session in sessions:
        await process.add(session)
    assert await process.queue.queued(ANONYMOUS, 100) == 3
    world.away = {1}
    await process.add(sessions[0])
    assert await process.queue.queued(ANONYMOUS, 100) == 3, "it was not asked"
    taken = [(await process.claim(1))[0].entry.ref for _ in range(3)]
    assert taken == [sessions[1].ref, sessions[2].ref, sessions[0].ref], "it was asked last"


async def test_work_in_the_background_does_not_wait_for_a_bucket_that_was_away_a_moment_ago(world, process):
    for session in await in_each(world):
        await process.add(session, expires_in=MINUTE)
    world.later(MINUTE)
    world.away = {1}
    assert await process.queue.end_entries(world.clock.now()) == 2
    world.away = {*world.directory.buckets.all_numbers}
    assert await process.queue.end_entries(world.clock.now()) == 1, "somebody must try"


async def test_a_schedule_is_added_though_another_bucket_is_away(world):
    planner = Planner(world.storage(), BucketSchedules(world.directory))
    here, there = [await world.storage().add(ALICE, **LONG) for _ in range(2)]
    world.stores[there.ref.session_id.int & 0xFF].failure = StorageUnavailable()
    schedule = await planner.add(here)
    assert await planner.read(schedule) == schedule


async def test_a_schedule_gets_no_target_in_another_bucket(world):
    schedules = BucketSchedules(world.directory)
    planner = Planner(world.storage(), schedules)
    here, there = [await world.storage().add(ALICE, **LONG) for _ in range(2)]
    schedule = await planner.add(here)
    other = SessionTarget(there.ref.session_id)
    with pytest.raises(ScheduleElsewhere, match="Create a new schedule"):
        await schedules.update(
            ALICE, schedule.schedule_id, lambda read: evolve(read, plan=evolve(read.plan, target=other)), act()
        )
    assert await planner.read(schedule) == schedule


def webhook_of(world: World) -> Webhook:
    return Webhook(
        world.ids.new(world.clock.now()), ALICE, "https://a.example/", ENDS, SecretVersion("0123456789abcdef")
    )


def message(world: World, webhook: Webhook, number: int) -> Delivery:
    now = world.clock.now()
    session_id = in_bucket(world.ids.new(now), number)
    delivery_id = world.ids.new(now, session_id)
    return Delivery(delivery_id, webhook.webhook_id, ALICE, Event.SUCCEEDED, "{}", now, session_id, UUID(int=1))


def delivery_claim(world: World, webhooks_max: int = 10) -> DeliveryClaim:
    now = world.clock.now()
    return DeliveryClaim(now, now + MINUTE, webhooks_max, 10, 10, NO_ID)


async def test_each_bucket_has_a_copy_of_each_webhook_as_it_is_at_home(world):
    webhooks = BucketWebhooks(world.directory)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())

    def copies() -> list[Webhook | None]:
        return [store.webhooks.get(webhook.webhook_id) for store in world.sent.values()]

    assert copies() == [webhook] * 4
    changed = await webhooks.update(ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://b.ä/"), act())
    assert copies() == [changed] * 4
    await webhooks.remove(ALICE, webhook.webhook_id, act())
    assert copies() == [None] * 4


@define
class Interrupted(MemoryWebhookStore):
    """Lets something happen once, before a copy is written."""

    meanwhile: list[Callable[[], None]] = field(factory=list)

    def require_available(self) -> None:
        super().require_available()
        if self.meanwhile:
            self.meanwhile.pop()()


async def interrupted() -> tuple[World, Interrupted]:
    """Return a world whose bucket 2 is interrupted."""
    world, store = World(), Interrupted()
    world.sent[2] = store
    return await world.opened(), store


async def test_a_webhook_whose_owner_is_purged_while_it_changes_leaves_no_copy():
    world, store = await interrupted()
    webhooks = BucketWebhooks(world.directory)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())

    def purge() -> None:
        for each in world.sent.values():
            each.webhooks.clear()

    store.meanwhile.append(purge)
    await webhooks.update(ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://b.ä/"), act())
    assert [each.webhooks for each in world.sent.values()] == [{}] * 4


async def test_a_webhook_whose_owner_is_moved_while_it_changes_has_copies_of_the_new_owner():
    world, store = await interrupted()
    webhooks = BucketWebhooks(world.directory)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())

    def move() -> None:
        for each in world.sent.values():
            stored = each.webhooks[webhook.webhook_id]
            each.put(evolve(stored, owner=BOB, revision=stored.revision + 1))

    store.meanwhile.append(move)
    await webhooks.update(ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://b.ä/"), act())
    assert {each.webhooks[webhook.webhook_id].owner for each in world.sent.values()} == {BOB}


async def test_a_webhook_that_is_added_while_copies_are_compared_keeps_its_copies():
    world, store = await interrupted()
    webhook = webhook_of(world)

    def add() -> None:
        for each in world.sent.values():
            each.put(webhook)

    store.meanwhile.append(add)  # after the webhooks of HOME were read, and before those of bucket 2
    assert await BucketWebhooks(world.directory).repair(act()) == 0
    assert all(webhook.webhook_id in each.webhooks for each in world.sent.values())


async def test_copies_that_a_bucket_missed_are_repaired(world):
    webhooks = BucketWebhooks(world.directory)
    stays, goes = webhook_of(world), webhook_of(world)
    await webhooks.add(goes, 20, act())
    world.sent[2].failure = StorageUnavailable()
    await webhooks.add(stays, 20, act())
    await webhooks.remove(ALICE, goes.webhook_id, act())
    world.sent[2].failure = None
    assert set(world.sent[2].webhooks) == {goes.webhook_id}
    assert await webhooks.repair(act()) == 1
    assert set(world.sent[2].webhooks) == {stays.webhook_id}


async def test_a_new_bucket_has_copies_before_it_gets_sessions(world):
    webhooks, repairs = BucketWebhooks(world.directory), WebhookRepairs(world.directory, world.ids)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    await repairs.run_if_due()
    world.announced.buckets = [*world.announced.buckets, Bucket(9, world.clock.now() + MINUTE)]
    await world.directory.refresh()
    await repairs.run_if_due()
    assert world.sent[9].webhooks == {webhook.webhook_id: webhook}


async def test_copies_are_repaired_every_5_minutes_and_half_a_minute_after_a_failure(world):
    webhooks, repairs = BucketWebhooks(world.directory), WebhookRepairs(world.directory, world.ids)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    world.sent[2].failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await repairs.run_if_due()
    world.sent[2].failure = None
    began_at = world.now_known.now()
    world.sent[2].failure = StorageUnavailable()
    world.later(timedelta(minutes=1))
    with pytest.raises(StorageUnavailable):
        await repairs.run_if_due()
    assert repairs.compared_at == began_at, "since then copies may differ"
    world.sent[2].failure = None
    for span in (timedelta(seconds=30), timedelta(minutes=5)):
        world.sent[2].webhooks.clear()
        await repairs.run_if_due()
        assert world.sent[2].webhooks == {}
        world.later(span)
        await repairs.run_if_due()
        assert set(world.sent[2].webhooks) == {webhook.webhook_id}
        assert repairs.compared_at == world.now_known.now() > began_at


async def test_a_process_repairs_copies_when_it_starts(world):
    webhooks, repairs = BucketWebhooks(world.directory), WebhookRepairs(world.directory, world.ids)
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    world.sent[3].webhooks.clear()
    running = asyncio.create_task(repairs.run())
    await until(lambda: world.sent[3].webhooks)
    running.cancel()
    assert world.sent[3].webhooks == {webhook.webhook_id: webhook}


async def test_messages_are_claimed_and_released_in_the_bucket_of_their_execution(world):
    webhooks, deliveries = BucketWebhooks(world.directory), BucketDeliveries(world.directory, timedelta(0))
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    sent = {number: message(world, webhook, number) for number in (1, 3)}
    for each in sent.values():
        await deliveries.add(each)
    claims = [await deliveries.claim(delivery_claim(world)) for _ in range(3)]
    assert [[each.delivery_id for turn in claim.turns for each in turn.deliveries] for claim in claims] == [
        [sent[1].delivery_id], [sent[3].delivery_id], [],
    ]  # fmt: skip
    await deliveries.release(webhook.webhook_id, delivery_claim(world).until, None)
    assert [len((await deliveries.claim(delivery_claim(world))).turns) for _ in range(3)] == [1, 1, 0]
    page = await deliveries.page(ALICE, webhook.webhook_id, None, 5, None)
    assert {each.delivery_id for each in page.items} == {each.delivery_id for each in sent.values()}


async def test_a_webhook_that_one_bucket_finds_gone_is_disabled_in_all(world):
    webhooks, deliveries = BucketWebhooks(world.directory), BucketDeliveries(world.directory, timedelta(0))
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    here, elsewhere = message(world, webhook, 1), message(world, webhook, 2)
    for each in (here, elsewhere):
        await deliveries.add(each)
    after = webhook.after_failure(world.clock.now(), is_gone=True)
    assert await deliveries.record(judge(here, Reply(410), world.clock.now(), no_jitter), webhook, after)
    assert not (await webhooks.find(ALICE, webhook.webhook_id)).is_enabled
    assert (await deliveries.find(ALICE, elsewhere.delivery_id)).error == "the webhook was disabled"
    assert {store.webhooks[webhook.webhook_id].is_enabled for store in world.sent.values()} == {False}


async def test_what_an_owner_has_changed_at_home_counts_more_than_what_a_bucket_has_found(world):
    webhooks, deliveries = BucketWebhooks(world.directory), BucketDeliveries(world.directory, timedelta(0))
    webhook = webhook_of(world)
    await webhooks.add(webhook, 20, act())
    here = message(world, webhook, 1)
    await deliveries.add(here)
    world.sent[1].failure = StorageUnavailable()
    changed = await webhooks.update(ALICE, webhook.webhook_id, lambda stored: evolve(stored, url="https://b.ä/"), act())
    world.sent[1].failure = None
    after = webhook.after_failure(world.clock.now(), is_gone=True)
    assert await deliveries.record(judge(here, Reply(410), world.clock.now(), no_jitter), webhook, after)
    assert await webhooks.find(ALICE, webhook.webhook_id) == changed
    await webhooks.repair(act())
    assert world.sent[1].webhooks[webhook.webhook_id].is_enabled
    with pytest.raises(WebhookNotFound):
        await webhooks.find(BOB, webhook.webhook_id)


async def test_what_an_owner_has_is_counted_moved_and_erased_bucket_by_bucket(world):
    storage = world.storage()
    sessions = [await storage.add(ALICE) for _ in range(6)]
    mover, purger = BucketOwnerMover(world.directory), BucketOwnerPurger(world.directory)
    counted = await mover.count(ALICE)
    assert (counted[OwnedData.SESSIONS], counted[OwnedData.WEBHOOKS], counted[OwnedData.SCHEDULES]) == (6, 1, 4)
    assert await mover.collisions(ALICE, BOB) == []
    steps = [step async for step in mover.move(ALICE, BOB, act())]
    moved = {part: sum(step.moved for step in steps if step.part is part) for part in OwnedData}
    assert (moved[OwnedData.SESSIONS], moved[OwnedData.WEBHOOKS], moved[OwnedData.FUNCTIONS]) == (6, 1, 1)
    for session in sessions:
        assert await storage.sessions.get(SessionRef(BOB, session.ref.session_id))
    erased = [step async for step in purger.purge(BOB, act())]
    assert erased == [MoveStep(OwnedData.SESSIONS, 1, 1)] * 6
    assert (await purger.count(BOB))[OwnedData.SESSIONS] == 0


async def test_an_act_in_several_buckets_is_one_entry_with_all_its_numbers(world):
    audit = BucketAudit(world.directory)
    acts = [act(ActName.OWNERS_PURGE, world.ids) for _ in range(3)]
    for number, sessions in ((1, 2), (2, 3)):
        for each in acts:
            world.audits[number].record(each, ALICE, "alice", {"sessions": sessions, "to": "bob", "whole": True})
    world.audits[HOME].record(acts[0], ALICE, "alice", {"functions": 1})
    first = await audit.page(None, 2)
    rest = await audit.page(first.next_after, 2)
    assert [each.act_id for each in (*first.items, *rest.items)] == [each.act_id for each in reversed(acts)]
    assert first.items[0].details == {"sessions": 5, "to": "bob", "whole": True}
    assert rest.items[0].details == {"functions": 1, "sessions": 5, "to": "bob", "whole": True}


async def test_an_id_is_explained_by_its_bucket(world):
    timeline = BucketTimeline(world.directory)
    for session in await in_each(world):
        found = await timeline.read(session.ref.session_id)
        assert (found.session, found.bucket) == (session, session.ref.session_id.int & 0xFF)
