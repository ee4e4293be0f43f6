"""Deliveries: one message to one webhook, its attempts, and when the next one is due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Jitter
from domain.errors import NotFound
from domain.identity import Owner, uuid7_time
from domain.webhooks.webhook import Event, Webhook

PAYLOAD_SIZE_MAX = 20_000
"""Bytes."""

RESULT_SIZE_MAX = 8192
"""Bytes of JSON. A larger result is not in the message, which has its URL instead."""

ANSWER_SIZE_MAX = 200
"""Characters of a receiver's response that are kept."""

KEPT_FOR = timedelta(days=7)
"""From the event on; longer than all attempts take."""

KEPT_MAX = 10_000
"""Deliveries of one webhook that are kept: the newest ones, whatever their state."""

RETRY_PAUSES: Sequence[timedelta] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pause after each failed attempt, as the specification recommends it."""

ATTEMPTS_MAX = len(RETRY_PAUSES) + 1
AGE_MAX = timedelta(days=5)
"""No attempt follows so long after the event, whatever the receiver wishes."""

_JITTER = 0.2
_PAUSE_MAX = timedelta(hours=24)
_THROTTLED_PAUSE = timedelta(seconds=30)
_GONE = 410
_THROTTLING = frozenset({429, 502, 503, 504})


class DeliveryState(StrEnum):
    """How far a delivery is; only PENDING ones are sent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@define(eq=False)
class DeliveryNotFound(NotFound):
    """The delivery does not exist, is kept no longer, or belongs to another owner."""

    code: ClassVar[str] = "DELIVERY_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "You have no delivery with this id, or it is kept no longer: deliveries are kept for "
            f"{KEPT_FOR.days} days. "
            "GET /api/v1/webhooks/{webhook_id}/deliveries lists them."
        )


@frozen
class Delivery:
    """One message to one webhook, under an id that stays the same in all attempts.

    `attempts` counts those made. `status` is that of the last response, `error` says why the last attempt failed, and
    `answer` is the begin of the response. `request_id` and `execution_id` are None for a test.
    """

    delivery_id: UUID
    webhook_id: UUID
    owner: Owner
    event: Event
    payload: str = field(repr=False)
    next_at: datetime
    request_id: UUID | None = None
    execution_id: UUID | None = None
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    attempted_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    answer: str | None = None

    @property
    def created_at(self) -> datetime:
        """The instant of the event, from the id."""
        return uuid7_time(self.delivery_id)

    def again(self, now: datetime) -> "Delivery":
        """Return the delivery as it is sent anew, with all its attempts."""
        return evolve(self, state=DeliveryState.PENDING, attempts=0, next_at=now, error=None)


@frozen
class Reply:
    """What one attempt met: the status and the begin of a response, or an error without one.

    `retry_after` is what the receiver asked for. With `aborts` it wants no further attempt. `was_sent` is false if the
    installation could not sign the message, which is no failure of the receiver.
    """

    status: int | None = None
    error: str | None = None
    answer: str | None = None
    retry_after: timedelta | None = None
    aborts: bool = False
    was_sent: bool = True

    @property
    def is_success(self) -> bool:
        """Whether the receiver has the message: any 2xx. A redirect is a failure, because none is followed."""
        return self.status is not None and 200 <= self.status < 300  # the class of success

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing ever."""
        return self.status == _GONE

    @property
    def pause(self) -> timedelta | None:
        """How long the webhook as a whole pauses, None if it need not."""
        if self.status not in _THROTTLING:
            return None
        return min(self.retry_after or _THROTTLED_PAUSE, _PAUSE_MAX)

    @property
    def failure(self) -> str | None:
        """Why the attempt failed, None if it did not."""
        if self.is_success:
            return None
        return self.error or f"the receiver responded with status {self.status}"


def judge(delivery: Delivery, reply: Reply, now: datetime, jitter: Jitter) -> Delivery:
    """Return the delivery after an attempt: its state, and when the next attempt is due."""
    done = evolve(
        delivery,
        attempts=delivery.attempts + 1,
        attempted_at=now,
        status=reply.status,
        error=reply.failure,
        answer=reply.answer and reply.answer[:ANSWER_SIZE_MAX],
    )
    if reply.is_success:
        return evolve(done, state=DeliveryState.DELIVERED)
    due_at = None if reply.aborts or reply.is_gone else _next_at(done, reply, now, jitter)
    return evolve(done, state=DeliveryState.FAILED) if due_at is None else evolve(done, next_at=due_at)


def _next_at(delivery: Delivery, reply: Reply, now: datetime, jitter: Jitter) -> datetime | None:
    if delivery.attempts >= ATTEMPTS_MAX:
        return None
    pause_s = RETRY_PAUSES[delivery.attempts - 1].total_seconds()
    spread = timedelta(seconds=jitter(pause_s * (1 - _JITTER), pause_s * (1 + _JITTER)))
    due_at = now + max(spread, min(reply.retry_after or timedelta(0), _PAUSE_MAX))
    return due_at if due_at < delivery.created_at + AGE_MAX else None


@frozen
class WebhookTurn:
    """The deliveries of one webhook that are due; who has claimed it sends them, and nobody else meanwhile."""

    webhook: Webhook
    deliveries: Sequence[Delivery]
