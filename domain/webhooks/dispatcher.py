"""Sends the messages that are due, a bounded number at a time."""

import asyncio
import contextlib
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Clock, Jitter
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import Unavailable
from domain.identity import NO_ID, Owner
from domain.webhooks.delivery import Delivery, DeliveryState, Reply, WebhookTurn, judge
from domain.webhooks.ports import DeliveryClaim, DeliveryQueue, Sender
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import Webhook

_OTHER_KEY = (
    "WEBHOOK_KEY has changed since this webhook got its secret: rotate the secret, or ask the operator for the old key"
)


@frozen
class DeliveryPolicy:
    """How much one process sends at once, and how often it looks; times in seconds.

    A turn sends at most `turn_max` messages, `concurrency` at a time, and begins none after `turn_s`. So it ends within
    `claim_s`, even if the last one takes the whole time of the sender. An owner with `owner_max` turns gets no further
    one before one of them has ended: receivers of one owner that hang cannot take all places.
    """

    webhooks_max: int = 16
    owner_max: int = 4
    concurrency: int = 4
    turn_max: int = 20
    turn_s: float = 10.0
    claim_s: float = 40.0
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
    _serving: Counter[Owner] = field(init=False, factory=Counter)
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
        if self._serving.total() >= self._policy.webhooks_max:
            return 0
        try:
            claim = self._next_claim(self._clock.now())
            claimed = await self._queue.claim(claim)
        except Unavailable:
            return 0
        self._after = claimed.reached
        for turn in claimed.turns:
            self._serving[turn.webhook.owner] += 1
            self._tasks.spawn(self._serve(turn, claim))
        return len(claimed.turns)

    def _next_claim(self, now: datetime) -> DeliveryClaim:
        policy, serving = self._policy, self._serving
        return DeliveryClaim(
            now,
            now + timedelta(seconds=policy.claim_s),
            policy.webhooks_max - serving.total(),
            policy.owner_max,
            policy.turn_max,
            self._after,
            [owner for owner, turns in serving.items() if turns >= policy.owner_max],
        )

    async def _serve(self, turn: WebhookTurn, claim: DeliveryClaim) -> None:
        service = _Service(self, claim, turn.webhook, list(reversed(turn.deliveries)))
        try:
            await asyncio.gather(*(service.run() for _ in range(self._policy.concurrency)))
            pause_until = None if service.pause is None else self._clock.now() + service.pause
            with contextlib.suppress(Unavailable):  # the claim ends by itself
                await self._queue.release(turn.webhook.webhook_id, claim.until, pause_until)
        finally:
            self._serving -= Counter([turn.webhook.owner])
            self.wake()

    def begins(self, claim: DeliveryClaim) -> bool:
        """Return whether a turn of this claim may begin another message."""
        return not self._is_stopped and self._clock.now() < claim.now + timedelta(seconds=self._policy.turn_s)

    async def send(self, delivery: Delivery, webhook: Webhook) -> Reply:
        """Send one message, signed now."""
        if webhook.secret.key_id != self._key.key_id:
            return Reply(error=_OTHER_KEY, was_sent=False)
        now, payload = self._clock.now(), delivery.payload.encode()
        versions = webhook.secret.versions(now)
        headers = self._key.headers(webhook.webhook_id, versions, delivery.delivery_id, now, payload)
        return await self._sender.send(webhook.url, headers, payload)

    def judge(self, delivery: Delivery, reply: Reply, webhook: Webhook) -> tuple[Delivery, Webhook]:
        """Return the delivery and the webhook after an attempt."""
        now = self._clock.now()
        done = judge(delivery, reply, now, self._jitter)
        self.counts = self.counts.with_one(done.state)
        if not reply.was_sent:
            return done, webhook
        if reply.is_success:
            return done, webhook.after_success()
        return done, webhook.after_failure(now, is_gone=reply.is_gone)

    async def record(self, done: Delivery, before: Webhook, after: Webhook) -> bool:
        """Store an attempt, and return whether the webhook is still as it was claimed.

        One that cannot be stored is made again after the claim, so a receiver gets each message at least once.
        """
        try:
            return await self._queue.record(done, before, after)
        except Unavailable:
            return False


@define(eq=False)
class _Service:
    """One turn of a webhook: its deliveries, the next one last, and the webhook after the attempts so far."""

    _dispatcher: DeliveryDispatcher
    _claim: DeliveryClaim
    _webhook: Webhook
    _waiting: list[Delivery]
    pause: timedelta | None = None
    _is_as_claimed: bool = True

    async def run(self) -> None:
        """Send deliveries until none waits, the webhook is disabled, changed or wants a pause, or the time is over."""
        while self._waiting and self._goes_on():
            delivery = self._waiting.pop()
            reply = await self._dispatcher.send(delivery, self._webhook)
            self.pause = reply.pause or self.pause
            before = self._webhook
            done, self._webhook = self._dispatcher.judge(delivery, reply, before)
            self._is_as_claimed &= await self._dispatcher.record(done, before, self._webhook)

    def _goes_on(self) -> bool:
        is_open = self._webhook.is_enabled and self.pause is None and self._is_as_claimed
        return is_open and self._dispatcher.begins(self._claim)
