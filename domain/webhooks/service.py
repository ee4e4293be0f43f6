"""The use cases of webhooks: register, read, list, change, rotate, remove and test them, and send messages again."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import InvalidRequest, Problem, StorageUnavailable, commit_unknown
from domain.idempotency import IdempotencyKey, KeyErased, Repeatable
from domain.identity import Owner
from domain.paging import Page
from domain.webhooks.address import AddressPolicy
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.ports import DeliveryQueue, WebhookRepository
from domain.webhooks.signature import SigningKey
from domain.webhooks.webhook import (
    ENDS,
    Event,
    SecretVersion,
    Webhook,
    WebhookChanges,
    WebhookConflict,
    WebhookDisabled,
    WebhooksUnavailable,
)

Result = TypeVar("Result")


@frozen
class WebhookPolicy:
    """The time for a call in seconds, the webhooks that an owner may have, and the URLs that they may have."""

    request_timeout_s: float
    owner_max: int = 20
    addresses: AddressPolicy = field(factory=AddressPolicy)


@frozen
class WebhookRequest:
    """A webhook to register."""

    url: str
    events: frozenset[Event] = ENDS
    description: str = ""
    enabled: bool = True


@frozen
class Issued:
    """A webhook and its secret, which is shown now, and again only to calls that are repeated with their key."""

    webhook: Webhook
    secret: str = field(repr=False)
    replayed: bool = False


@define(eq=False)
class WebhookService:
    """The use cases of webhooks. In place of an owner EVERY_OWNER reaches all owners' webhooks, but cannot register.

    `wake` makes this process send what is due at once. Every method may raise StorageUnavailable or Overloaded; those
    that need the key of the installation raise WebhooksUnavailable without one.
    """

    _clock: Clock
    _ids: IdGenerator
    _webhooks: WebhookRepository
    _deliveries: DeliveryQueue
    _key: SigningKey | None
    _policy: WebhookPolicy
    _wake: Callable[[], None]

    def is_signable(self, webhook: Webhook) -> bool:
        """Return whether the installation still has the key from which the webhook's secret follows."""
        return self._key is not None and self._key.key_id == webhook.secret.key_id

    async def register(
        self, owner: Owner, request: WebhookRequest, actor: Actor, idempotency_key: IdempotencyKey | None = None
    ) -> Issued:
        """Store a new webhook.

        Under the idempotency key of an earlier call nothing is stored, and its webhook is returned with the present
        secret. Raises InvalidRequest, QuotaReached, IdempotencyConflict, KeyErased if that secret follows from another
        key of the installation, or WebhookConflict if the earlier webhook is removed at this moment.
        """
        key, now = self._required_key(), self._clock.now()
        earlier = await self._registered(owner, idempotency_key, key)
        if earlier is not None:
            return earlier
        self._require_url(request.url)
        webhook_id, secret = self._ids.new(now), SecretVersion(key.key_id)
        webhook = Webhook(webhook_id, owner, request.url, request.events, secret, request.description)
        webhook = webhook.switch(now, enabled=request.enabled)
        act = new_act(self._clock, self._ids, actor, ActName.WEBHOOKS_CREATE)
        with Repeatable(idempotency_key):
            is_stored = await self._write(self._webhooks.add(webhook, self._policy.owner_max, act, idempotency_key))
        if is_stored:
            return Issued(webhook, key.secret(webhook_id, 1))
        earlier = await self._registered(owner, idempotency_key, key)  # by a call at the same time
        if earlier is None:
            raise WebhookConflict
        return earlier

    async def get(self, owner: Owner, webhook_id: UUID) -> Webhook:
        """Return a webhook; raises WebhookNotFound."""
        return await self._read(self._webhooks.find(owner, webhook_id))

    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        """Return a page of webhooks, newest first."""
        return await self._read(self._webhooks.page(owner, after, size))

    async def change(self, owner: Owner, webhook_id: UUID, changes: WebhookChanges, actor: Actor) -> Webhook:
        """Change a webhook; raises InvalidRequest, WebhookNotFound or WebhookConflict."""
        if changes.url is not None:
            self._require_url(changes.url)
        now, act = self._clock.now(), new_act(self._clock, self._ids, actor, ActName.WEBHOOKS_UPDATE)
        return await self._write(
            self._webhooks.update(owner, webhook_id, lambda stored: changes.apply(stored, now), act)
        )

    async def rotate(self, owner: Owner, webhook_id: UUID, actor: Actor) -> Issued:
        """Give a webhook its next secret; for a day the one before signs along.

        Raises WebhookNotFound or WebhookConflict.
        """
        key, now = self._required_key(), self._clock.now()
        act = new_act(self._clock, self._ids, actor, ActName.WEBHOOKS_ROTATE)
        rotating = self._webhooks.update(owner, webhook_id, lambda stored: stored.rotate(key.key_id, now), act)
        webhook = await self._write(rotating)
        return Issued(webhook, key.secret(webhook_id, webhook.secret.version))

    async def remove(self, owner: Owner, webhook_id: UUID, actor: Actor) -> None:
        """Remove a webhook with its deliveries; raises WebhookNotFound."""
        act = new_act(self._clock, self._ids, actor, ActName.WEBHOOKS_DELETE)
        await self._write(self._webhooks.remove(owner, webhook_id, act))

    async def test(self, owner: Owner, webhook_id: UUID) -> Delivery:
        """Send a test message soon, and return its delivery; raises WebhookNotFound or WebhookDisabled."""
        self._required_key()
        webhook = _enabled(await self.get(owner, webhook_id))
        delivery = trial_delivery(webhook, self._ids, self._clock.now())
        await self._write(self._deliveries.add(delivery))
        self._wake()
        return delivery

    async def delivery(self, owner: Owner, delivery_id: UUID) -> Delivery:
        """Return a delivery; raises DeliveryNotFound."""
        return await self._read(self._deliveries.find(owner, delivery_id))

    async def deliveries(
        self, owner: Owner, webhook_id: UUID, after: UUID | None, size: int, state: DeliveryState | None
    ) -> Page[Delivery]:
        """Return a page of the deliveries of a webhook, newest first; raises WebhookNotFound."""
        await self.get(owner, webhook_id)
        return await self._read(self._deliveries.page(owner, webhook_id, after, size, state))

    async def redeliver(self, owner: Owner, delivery_id: UUID) -> Delivery:
        """Send a message again soon, whatever became of it; raises DeliveryNotFound or WebhookDisabled."""
        self._required_key()
        _enabled(await self.get(owner, (await self.delivery(owner, delivery_id)).webhook_id))
        again = await self._write(self._deliveries.send_again(owner, delivery_id, self._clock.now()))
        self._wake()
        return again

    async def _registered(self, owner: Owner, idempotency_key: IdempotencyKey | None, key: SigningKey) -> Issued | None:
        if idempotency_key is None:
            return None
        webhook = await self._read(self._webhooks.registered(owner, idempotency_key))
        if webhook is None:
            return None
        if not self.is_signable(webhook):
            raise KeyErased(idempotency_key.value, None)
        return Issued(webhook, key.secret(webhook.webhook_id, webhook.secret.version), replayed=True)

    def _required_key(self) -> SigningKey:
        if self._key is None:
            raise WebhooksUnavailable
        return self._key

    def _require_url(self, url: str) -> None:
        problem = self._policy.addresses.problem_of_url(url)
        if problem is not None:
            raise InvalidRequest((Problem("/url", problem),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter

    async def _read(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, StorageUnavailable)

    async def _write(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, commit_unknown)


def leave_to_others() -> None:
    """Do nothing: a process without a dispatcher leaves due messages to the others, which look every second."""


def trial_delivery(webhook: Webhook, ids: IdGenerator, now: datetime) -> Delivery:
    """Return the delivery of a test message, due at once."""
    at = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    payload = f'{{"type":"{Event.TEST}","timestamp":"{at}","data":{{"webhook_id":"{webhook.webhook_id}"}}}}'
    return Delivery(ids.new(now), webhook.webhook_id, webhook.owner, Event.TEST, payload, now)


def _enabled(webhook: Webhook) -> Webhook:
    if webhook.disabled_reason is not None:
        raise WebhookDisabled(webhook.disabled_reason)
    return webhook
