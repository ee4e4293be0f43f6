"""Sends the messages that are due, a bounded number at a time."""

import asyncio
import contextlib
from datetime import timedelta
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Clock, Jitter
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import Unavailable
from domain.identity import NO_ID
from domain.webhooks.delivery import Delivery, DeliveryState, Reply, WebhookTurn, judge
from domain.webhooks.ports import DeliveryClaim, DeliveryQueue, Sender
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import Webhook

_OTHER_KEY = "WEBHOOK_KEY has changed since this webhook got its secret; rotate the secret, and send the message again"


@frozen
class DeliveryPolicy:
    """How much one process sends at once, and how often it looks; times in seconds.

    A turn sends at most `turn_max` messages, `concurrency` at a time, and so ends within `claim_s`, even if each takes
    the whole time of the sender.
    """

    webhooks_max: int = 16
    concurrency: int = 4
    turn_max: int = 20
    claim_s: float = 120.0
    busy_pause_s: float = 0.05
    idle_pause_s: float = 1.0
    growth: float = 1.3


@frozen
class DeliveryCounts:
    """Attempts by result, since the process started."""

    delivered: int = 0
    retried: int = 0
    failed: int = 0

    def with_one(self, state: DeliveryState) -> "DeliveryCounts":
        """Return the counts with one more attempt that led to this state."""
        name = {DeliveryState.DELIVERED: "delivered", DeliveryState.PENDING: "retried"}.get(state, "failed")
        return evolve(self, **{name: getattr(self, name) + 1})


@define(eq=False)
class DeliveryDispatcher:
    """Claims webhooks with due messages, and sends these.

    A claim follows at once when this process has made a message due, or has ended a turn. Otherwise the pause grows
    from `busy_pause_s` to `idle_pause_s`. Once `stop` was called, no message is begun.
    """

    _queue: DeliveryQueue
    _sender: Sender
    _key: SigningKey
    _clock: Clock
    _policy: DeliveryPolicy
    _tasks: BackgroundTasks
    _jitter: Jitter
    _woken: asyncio.Event = field(init=False, factory=asyncio.Event)
    _serving: int = field(init=False, default=0)
    _after: UUID = field(init=False, default=NO_ID)
    _is_stopped: bool = field(init=False, default=False)
    _hurried: asyncio.TimerHandle | None = field(init=False, default=None)
    counts: DeliveryCounts = field(init=False, factory=DeliveryCounts)

    def wake(self) -> None:
        """Claim now rather than after the pause."""
        self._woken.set()

    def hurry(self) -> None:
        """Claim within `busy_pause_s`. For ends of executions, which are many, and of which few webhooks hear."""
        if self._hurried is None:
            self._hurried = asyncio.get_running_loop().call_later(self._policy.busy_pause_s, self._hurry)

    def _hurry(self) -> None:
        self._hurried = None
        self.wake()

    def stop(self) -> None:
        """Begin no further message."""
        self._is_stopped = True
        self.wake()

    async def run(self) -> None:
        """Send until `stop`; a database that is away is tried again."""
        pause_s = self._policy.busy_pause_s
        while not self._is_stopped:
            self._woken.clear()
            found = await self.send_due()
            idle_s = min(self._policy.idle_pause_s, pause_s * self._policy.growth)
            pause_s = self._policy.busy_pause_s if found else idle_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._jitter(pause_s / 2, pause_s)):
                    await self._woken.wait()

    async def send_due(self) -> int:
        """Claim webhooks and start their turns; return how many there were."""
        free = self._policy.webhooks_max - self._serving
        if free <= 0:
            return 0
        try:
            now = self._clock.now()
            claim = DeliveryClaim(
                now, now + timedelta(seconds=self._policy.claim_s), free, self._policy.turn_max, self._after
            )
            claimed = await self._queue.claim(claim)
        except Unavailable:
            return 0
        self._after = claimed.reached
        for turn in claimed.turns:
            self._serving += 1
            self._tasks.spawn(self._serve(turn, claim))
        return len(claimed.turns)

    async def _serve(self, turn: WebhookTurn, claim: DeliveryClaim) -> None:
        service = _Service(self, turn.webhook, list(reversed(turn.deliveries)))
        try:
            await asyncio.gather(*(service.run() for _ in range(self._policy.concurrency)))
            pause_until = self._clock.now() + (service.pause or timedelta(0))
            with contextlib.suppress(Unavailable):  # the claim ends by itself
                await self._queue.release(turn.webhook.webhook_id, claim.until, pause_until)
        finally:
            self._serving -= 1
            self.wake()

    @property
    def is_stopped(self) -> bool:
        """Whether no further message is begun."""
        return self._is_stopped

    async def send(self, delivery: Delivery, webhook: Webhook) -> Reply:
        """Send one message, signed now."""
        if webhook.secret.key_id != self._key.key_id:
            return Reply(error=_OTHER_KEY, aborts=True)
        now, payload = self._clock.now(), delivery.payload.encode()
        versions = webhook.secret.versions(now)
        headers = self._key.headers(webhook.webhook_id, versions, delivery.delivery_id, now, payload)
        return await self._sender.send(webhook.url, headers, payload)

    def judge(self, delivery: Delivery, reply: Reply, webhook: Webhook) -> tuple[Delivery, Webhook]:
        """Return the delivery and the webhook after an attempt."""
        now = self._clock.now()
        done = judge(delivery, reply, now, self._jitter)
        self.counts = self.counts.with_one(done.state)
        if reply.is_success:
            return done, webhook.after_success()
        return done, webhook.after_failure(now, is_gone=reply.is_gone)

    async def record(self, done: Delivery, before: Webhook, after: Webhook) -> None:
        """Store an attempt; one that cannot be stored is made again, so a receiver gets each message at least once."""
        with contextlib.suppress(Unavailable):
            await self._queue.record(done, before, after)


@define(eq=False)
class _Service:
    """One turn of a webhook: its deliveries, the next one last, and the webhook after the attempts so far."""

    _dispatcher: DeliveryDispatcher
    _webhook: Webhook
    _waiting: list[Delivery]
    pause: timedelta | None = None

    async def run(self) -> None:
        """Send deliveries until none waits, the webhook is disabled or wants a pause, or the process stops."""
        while self._waiting and self._webhook.is_enabled and self.pause is None and not self._dispatcher.is_stopped:
            delivery = self._waiting.pop()
            reply = await self._dispatcher.send(delivery, self._webhook)
            self.pause = reply.pause or self.pause
            before = self._webhook
            done, self._webhook = self._dispatcher.judge(delivery, reply, before)
            await self._dispatcher.record(done, before, self._webhook)
