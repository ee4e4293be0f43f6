"""What is due is sent: signed, a bounded number at a time, and again after a failure."""

import asyncio
import base64
import hashlib
import hmac
from datetime import timedelta
from functools import partial

import pytest
from attrs import define, evolve, field

from adapters.memory.manual_clock import ManualClock, no_jitter
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookStore
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.webhooks.delivery import Delivery, DeliveryState, Reply
from domain.webhooks.dispatcher import DeliveryCounts, DeliveryDispatcher, DeliveryPolicy
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import ENDS, DisabledReason, Event, SecretVersion, Webhook
from tests.support.waiting import until

KEY = SigningKey(b"k" * 32)
ALICE, BOB = Owner("alice"), Owner("bob")
OK = Reply(200, answer="ok")


@define(eq=False)
class ManualSender:
    """Replies as `replies` says, by URL; a message to a URL in `held` waits until `release` is set."""

    replies: dict[str, Reply] = field(factory=dict)
    held: set[str] = field(factory=set)
    sent: list[tuple] = field(factory=list)
    in_flight: dict[str, int] = field(factory=dict)
    most: int = 0
    release: asyncio.Event = field(factory=asyncio.Event)

    async def send(self, url, headers, payload):
        self.sent.append((url, headers, payload))
        self.in_flight[url] = self.in_flight.get(url, 0) + 1
        self.most = max(self.most, self.in_flight[url])
        if url in self.held:
            await self.release.wait()
        self.in_flight[url] -= 1
        return self.replies.get(url, OK)


@define(eq=False)
class World:
    """A dispatcher on a fake queue."""

    policy: DeliveryPolicy = field(factory=lambda: DeliveryPolicy(busy_pause_s=0, idle_pause_s=0))
    store: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    sender: ManualSender = field(factory=ManualSender)
    clock: ManualClock = field(factory=ManualClock)
    ids: SequentialIds = field(factory=SequentialIds)
    tasks: BackgroundTasks = field(factory=BackgroundTasks)
    dispatcher: DeliveryDispatcher = field(init=False)

    def __attrs_post_init__(self):
        queue = MemoryDeliveryQueue(self.store)
        self.dispatcher = DeliveryDispatcher(queue, self.sender, KEY, self.clock, self.policy, self.tasks, no_jitter)

    def webhook(self, url="https://example.com/", **facts):
        secret = facts.pop("secret", SecretVersion(KEY.key_id))
        owner = facts.pop("owner", ALICE)
        webhook = Webhook(self.ids.new(self.clock.now()), owner, url, ENDS, secret, **facts)
        self.store.webhooks[webhook.webhook_id] = webhook
        return webhook

    def delivery(self, webhook, payload='{"a":1}'):
        now = self.clock.now()
        delivery = Delivery(self.ids.new(now), webhook.webhook_id, webhook.owner, Event.SUCCEEDED, payload, now)
        self.store.deliveries[delivery.delivery_id] = delivery
        return delivery

    async def send_due(self):
        found = await self.dispatcher.send_due()
        await self.tasks.drain(5)
        return found

    def state(self, delivery):
        return self.store.deliveries[delivery.delivery_id].state


@pytest.fixture
def world():
    return World()


async def test_a_message_is_signed_with_the_secret_of_its_webhook(world):
    webhook = world.webhook(secret=SecretVersion(KEY.key_id, 2, world.clock.now()))
    delivery = world.delivery(webhook)
    assert await world.send_due() == 1
    ((url, headers, payload),) = world.sender.sent
    assert (url, payload) == ("https://example.com/", b'{"a":1}')
    assert headers["webhook-id"] == str(delivery.delivery_id)
    signed = b"%s.%s.%s" % (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), payload)
    secrets = [base64.b64decode(KEY.secret(webhook.webhook_id, version)[6:]) for version in (2, 1)]
    digests = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets]
    assert headers["webhook-signature"] == " ".join(f"v1,{digest}" for digest in digests)
    assert world.state(delivery) is DeliveryState.DELIVERED
    assert world.dispatcher.counts == DeliveryCounts(delivered=1)


async def test_a_failed_message_is_sent_again_when_it_is_due_under_the_same_id(world):
    webhook = world.webhook()
    delivery = world.delivery(webhook)
    world.sender.replies[webhook.url] = Reply(500)
    await world.send_due()
    assert await world.send_due() == 0
    world.clock.advance(timedelta(seconds=6))
    world.sender.replies[webhook.url] = OK
    await world.send_due()
    ids = [headers["webhook-id"] for _, headers, _ in world.sender.sent]
    assert ids == [str(delivery.delivery_id)] * 2
    assert world.dispatcher.counts == DeliveryCounts(delivered=1, retried=1)


async def test_a_webhook_gets_four_messages_at_a_time(world):
    webhook = world.webhook()
    world.sender.held.add(webhook.url)
    deliveries = [world.delivery(webhook) for _ in range(9)]
    await world.dispatcher.send_due()
    await until(lambda: len(world.sender.sent) >= 4)
    world.sender.release.set()
    await world.tasks.drain(5)
    assert world.sender.most == 4
    assert {world.state(delivery) for delivery in deliveries} == {"delivered"}


async def test_a_webhook_that_hangs_holds_up_only_itself(world):
    hanging, other = world.webhook("https://hanging.example/"), world.webhook("https://other.example/")
    world.sender.held.add(hanging.url)
    stuck, first = world.delivery(hanging), world.delivery(other)
    await world.dispatcher.send_due()
    await until(lambda: len(world.sender.sent) >= 2)
    await until(lambda: world.store.claimed_until[other.webhook_id] <= world.clock.now())
    second = world.delivery(other)
    assert await world.dispatcher.send_due() == 1
    await until(lambda: world.state(second) is DeliveryState.DELIVERED)
    assert (world.state(first), world.state(stuck)) == ("delivered", "pending")
    world.sender.release.set()
    await world.tasks.drain(5)
    assert world.state(stuck) is DeliveryState.DELIVERED


async def test_no_more_webhooks_are_served_at_once_than_allowed():
    world = World(DeliveryPolicy(webhooks_max=1))
    for webhook in [world.webhook(f"https://{n}.example/") for n in range(2)]:
        world.sender.held.add(webhook.url)
        world.delivery(webhook)
    assert await world.dispatcher.send_due() == 1
    assert await world.dispatcher.send_due() == 0
    world.sender.release.set()
    await world.tasks.drain(5)
    assert await world.send_due() == 1


async def test_a_receiver_that_is_overloaded_gets_nothing_for_a_while(world):
    webhook = world.webhook()
    for _ in range(9):
        world.delivery(webhook)
    world.sender.replies[webhook.url] = Reply(429, retry_after=timedelta(hours=1))
    await world.send_due()
    assert len(world.sender.sent) == 1
    world.clock.advance(timedelta(minutes=59))
    assert await world.send_due() == 0
    world.clock.advance(timedelta(minutes=1))
    assert await world.send_due() == 1


async def test_a_receiver_that_is_gone_gets_nothing_more(world):
    webhook = world.webhook()
    deliveries = [world.delivery(webhook) for _ in range(9)]
    world.sender.replies[webhook.url] = Reply(410)
    await world.send_due()
    assert world.store.webhooks[webhook.webhook_id].disabled_reason is DisabledReason.GONE
    assert {world.state(delivery) for delivery in deliveries} == {"failed"}
    assert len(world.sender.sent) == 1


async def test_a_message_whose_secret_follows_from_another_key_waits_for_the_process_that_has_it(world):
    webhook = world.webhook(secret=SecretVersion("0123456789abcdef"))
    delivery = world.delivery(webhook)
    await world.send_due()
    waits = world.store.deliveries[delivery.delivery_id]
    assert (waits.state, waits.attempts, world.sender.sent) == ("pending", 1, [])
    assert waits.error.startswith("WEBHOOK_KEY has changed")
    assert world.store.webhooks[webhook.webhook_id] == webhook, "its receiver has not failed"
    world.store.webhooks[webhook.webhook_id] = evolve(webhook, secret=SecretVersion(KEY.key_id, 2))
    world.clock.advance(timedelta(seconds=6))
    await world.send_due()
    assert world.state(delivery) is DeliveryState.DELIVERED


async def test_receivers_of_one_owner_that_hang_leave_places_to_others(world):
    for n in range(20):
        hanging = world.webhook(f"https://{n}.example/")
        world.sender.held.add(hanging.url)
        world.delivery(hanging)
    other = world.delivery(world.webhook("https://other.example/", owner=BOB))
    assert await world.dispatcher.send_due() == 5
    await until(lambda: world.state(other) is DeliveryState.DELIVERED)
    assert await world.dispatcher.send_due() == 0
    world.sender.release.set()
    await world.tasks.drain(5)
    assert await world.send_due() == 4


async def test_a_turn_begins_no_message_after_its_time_so_that_it_ends_before_its_claim(world):
    webhook = world.webhook()
    world.sender.held.add(webhook.url)
    deliveries = [world.delivery(webhook) for _ in range(6)]
    await world.dispatcher.send_due()
    await until(lambda: len(world.sender.sent) >= 4)
    world.clock.advance(timedelta(seconds=world.policy.turn_s))
    world.sender.release.set()
    await world.tasks.drain(5)
    assert [world.state(each) for each in deliveries] == ["delivered"] * 4 + ["pending"] * 2
    assert await world.send_due() == 1
    assert {world.state(each) for each in deliveries} == {"delivered"}


async def test_a_turn_of_a_webhook_that_its_owner_changes_ends(world):
    webhook = world.webhook()
    world.sender.held.add(webhook.url)
    deliveries = [world.delivery(webhook) for _ in range(6)]
    await world.dispatcher.send_due()
    await until(lambda: len(world.sender.sent) >= 4)
    world.store.webhooks[webhook.webhook_id] = evolve(webhook, url="https://new.example/", revision=2)
    world.sender.release.set()
    await world.tasks.drain(5)
    await world.send_due()
    assert [url for url, _, _ in world.sender.sent] == [webhook.url] * 4 + ["https://new.example/"] * 2
    assert {world.state(each) for each in deliveries} == {"delivered"}


async def test_without_a_database_nothing_is_sent(world):
    world.delivery(world.webhook())
    world.store.failure = StorageUnavailable()
    assert await world.send_due() == 0
    assert world.sender.sent == []


async def test_an_attempt_that_cannot_be_recorded_is_made_again_after_the_claim(world):
    webhook = world.webhook()
    delivery = world.delivery(webhook)
    world.sender.held.add(webhook.url)
    await world.dispatcher.send_due()
    await until(lambda: world.sender.sent)
    world.store.failure = StorageUnavailable()
    world.sender.release.set()
    await world.tasks.drain(5)
    world.store.failure = None
    assert await world.send_due() == 0
    world.clock.advance(timedelta(minutes=3))
    await world.send_due()
    assert len(world.sender.sent) == 2
    assert world.state(delivery) is DeliveryState.DELIVERED


async def test_it_sends_until_it_is_stopped_and_begins_nothing_afterwards(world):
    webhook = world.webhook()
    delivery = world.delivery(webhook)
    running = asyncio.create_task(world.dispatcher.run())
    await until(lambda: world.state(delivery) is DeliveryState.DELIVERED)
    world.dispatcher.stop()
    await running
    world.delivery(webhook)
    await world.send_due()
    assert len(world.sender.sent) == 1


def _has(items, count):
    return len(items) >= count


async def test_it_looks_at_once_when_it_is_woken_and_less_often_while_nothing_is_due():
    pauses = []

    def noted(_shortest_s, longest_s):
        pauses.append(longest_s)
        return longest_s

    world = World(DeliveryPolicy(busy_pause_s=60, idle_pause_s=100, growth=1.5))
    world.dispatcher = DeliveryDispatcher(
        MemoryDeliveryQueue(world.store), world.sender, KEY, world.clock, world.policy, world.tasks, noted
    )
    running = asyncio.create_task(world.dispatcher.run())
    for looked in range(1, 4):
        await until(partial(_has, pauses, looked))
        world.dispatcher.wake()
    await until(lambda: len(pauses) >= 4)
    world.dispatcher.stop()
    await running
    assert pauses == [90, 100, 100, 100]


async def test_an_end_of_an_execution_shortens_a_long_pause():
    world = World(DeliveryPolicy(busy_pause_s=0.01, idle_pause_s=60, growth=10_000))
    pauses = []

    def seen(_, longest_s):
        pauses.append(longest_s)
        return longest_s

    world.dispatcher = evolve(world.dispatcher, jitter=seen)
    running = asyncio.create_task(world.dispatcher.run())
    await until(lambda: pauses == [60])
    delivery = world.delivery(world.webhook())
    for _ in range(2):
        world.dispatcher.hurry()
    await until(lambda: world.state(delivery) is DeliveryState.DELIVERED, 20)
    world.dispatcher.stop()
    await running
