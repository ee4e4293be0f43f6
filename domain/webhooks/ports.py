"""Ports to webhooks: what is stored of them, and how messages are sent."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.audit import Act
from domain.idempotency import IdempotencyKey
from domain.identity import Owner
from domain.paging import Page
from domain.webhooks.delivery import Delivery, DeliveryState, Reply, WebhookTurn
from domain.webhooks.webhook import Webhook


class WebhookRepository(Protocol):
    """Stores webhooks. Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.

    In place of an owner EVERY_OWNER stands for all owners in `find`, `update`, `remove` and `page`.
    """

    async def add(self, webhook: Webhook, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        """Store a new webhook durably, with its key and the record of the act, and return whether it is stored.

        It is not if another webhook of the owner has the key. Adding it again changes and records nothing. Raises
        QuotaReached if the owner has `owner_max` of them; calls at
        the same moment may exceed it.
        """
        ...

    async def find(self, owner: Owner, webhook_id: UUID) -> Webhook:
        """Return a webhook as all acknowledged writes left it; raises WebhookNotFound."""
        ...

    async def registered(self, owner: Owner, key: IdempotencyKey) -> Webhook | None:
        """Return the webhook that has the key, as it is now; None if none has it.

        A webhook has its key until it is removed. Raises IdempotencyConflict if it was registered by another payload.
        """
        ...

    async def update(self, owner: Owner, webhook_id: UUID, change: Callable[[Webhook], Webhook], act: Act) -> Webhook:
        """Replace a webhook by what `change` makes of it, record the act, and return the new one.

        What waits for a webhook that is disabled fails. One that is enabled, or gets another URL, pauses no longer.
        `change` may be called several times. A change that changes nothing is not recorded. Raises WebhookNotFound,
        WebhookConflict, or what `change` raises.
        """
        ...

    async def copy(self, webhook: Webhook) -> None:
        """Store a webhook that another bucket has, or replace the copy, unless that is newer by its revision.

        A copy has no key, and is not recorded. What waits for one that is disabled fails; one that is enabled, or gets
        another URL, pauses no longer. Its failures and its claim are its own, until it is enabled again.
        """
        ...

    async def remove(self, owner: Owner, webhook_id: UUID, act: Act) -> None:
        """Remove a webhook with its deliveries, and record the act; raises WebhookNotFound."""
        ...

    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        """Return at most `size` webhooks, newest first, older than `after`."""
        ...


class DeliveryQueue(Protocol):
    """Stores deliveries until they are made, and afterwards for a while.

    The statements that end executions insert deliveries; `add` inserts tests. Every method may raise StorageUnavailable
    or Overloaded.
    """

    async def add(self, delivery: Delivery) -> None:
        """Store a delivery durably; adding it again changes nothing. Raises WebhookNotFound."""
        ...

    async def find(self, owner: Owner, delivery_id: UUID) -> Delivery:
        """Return a delivery; raises DeliveryNotFound. EVERY_OWNER stands for all owners."""
        ...

    async def page(
        self, owner: Owner, webhook_id: UUID, after: UUID | None, size: int, state: DeliveryState | None
    ) -> Page[Delivery]:
        """Return at most `size` deliveries of a webhook, newest first, older than `after`."""
        ...

    async def send_again(self, owner: Owner, delivery_id: UUID, now: datetime) -> Delivery:
        """Make a delivery due now, with all its attempts, and return it; raises DeliveryNotFound."""
        ...

    async def claim(self, claim: "DeliveryClaim") -> "ClaimedTurns":
        """Claim webhooks with due deliveries, and return these.

        A webhook is claimed by one caller at a time, until `until` or its release. Disabled webhooks, those that pause,
        and those of `blocked` owners are not claimed. The webhooks behind `after` come first.
        """
        ...

    async def record(self, delivery: Delivery, before: Webhook, after: Webhook) -> bool:
        """Store an attempt durably: the delivery after it, and the webhook, if that has changed.

        A webhook that its owner has changed meanwhile stays as it is, and so does a delivery that has ended or was sent
        anew. The other pending deliveries of a webhook that is disabled by this fail. Returns whether the webhook still
        had the revision of `before`: otherwise its owner has changed or removed it.
        """
        ...

    async def release(self, webhook_id: UUID, claimed_until: datetime, pause_until: datetime | None) -> None:
        """End a claim, if it is still that one; with `pause_until` the webhook is claimed again from then on.

        Without it the webhook can be claimed at any instant, also at an earlier one, if the clock was set back.
        """
        ...


@frozen
class DeliveryClaim:
    """At most `webhooks_max` webhooks, and of each at most `deliveries_max` deliveries that are due at `now`.

    At most `owner_max` of the webhooks belong to one owner, and none to one of `blocked`.
    """

    now: datetime
    until: datetime
    webhooks_max: int
    owner_max: int
    deliveries_max: int
    after: UUID
    blocked: Collection[Owner] = ()


@frozen
class ClaimedTurns:
    """The claimed webhooks, and the webhook up to which this claim has examined them, from which the next continues."""

    turns: Sequence[WebhookTurn]
    reached: UUID


class Sender(Protocol):
    """Sends one message."""

    async def send(self, url: str, headers: Mapping[str, str], payload: bytes) -> Reply:
        """POST the payload, and return what came of it within the sender's time limit; never raises."""
        ...
