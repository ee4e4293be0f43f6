"""Webhooks and their deliveries in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from adapters.memory.store import newest_first, page_of
from domain.audit import Act
from domain.errors import QuotaReached
from domain.idempotency import IdempotencyKey
from domain.identity import EVERY_OWNER, NO_ID, Owner
from domain.paging import Page
from domain.webhooks.delivery import Delivery, DeliveryNotFound, DeliveryState, WebhookTurn
from domain.webhooks.ports import ClaimedTurns, DeliveryClaim, DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import Health, Webhook, WebhookNotFound

_FREE = datetime.min.replace(tzinfo=UTC)
_WAS_DISABLED = "the webhook was disabled"


@define
class MemoryWebhookStore:
    """What is stored of webhooks; while `failure` is set, every call raises it."""

    webhooks: dict[UUID, Webhook] = field(factory=dict)
    deliveries: dict[UUID, Delivery] = field(factory=dict)
    claimed_until: dict[UUID, datetime] = field(factory=dict)
    failure: Exception | None = None

    def require_available(self) -> None:
        """Raise `failure` if it is set."""
        if self.failure is not None:
            raise self.failure

    def webhook(self, owner: Owner, webhook_id: UUID) -> Webhook:
        """Return a webhook; raises WebhookNotFound."""
        self.require_available()
        webhook = self.webhooks.get(webhook_id)
        if webhook is None or owner not in {webhook.owner, EVERY_OWNER}:
            raise WebhookNotFound
        return webhook

    def of(self, webhook_id: UUID) -> list[Delivery]:
        """Return the deliveries of a webhook."""
        return [each for each in self.deliveries.values() if each.webhook_id == webhook_id]

    def put(self, webhook: Webhook) -> None:
        """Replace a webhook; what waits for a disabled one fails."""
        self.webhooks[webhook.webhook_id] = webhook
        for delivery in self.of(webhook.webhook_id):
            if not webhook.is_enabled and delivery.state is DeliveryState.PENDING:
                failed = evolve(delivery, state=DeliveryState.FAILED, error=_WAS_DISABLED)
                self.deliveries[delivery.delivery_id] = failed


@define
class MemoryWebhookRepository(WebhookRepository):
    """Stores webhooks."""

    store: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    audit: MemoryAudit = field(factory=MemoryAudit)
    _keys: dict[UUID, IdempotencyKey] = field(factory=dict, init=False)

    @override
    async def add(self, webhook: Webhook, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        self.store.require_available()
        if webhook.webhook_id in self.store.webhooks:
            return True
        if key is not None and self._keyed(webhook.owner, key) is not None:
            return False
        held = sum(each.owner == webhook.owner for each in self.store.webhooks.values())
        if held >= owner_max:
            raise QuotaReached("webhooks", owner_max, held)
        self.store.webhooks[webhook.webhook_id] = webhook
        details = {"host": webhook.host, "events": sorted(webhook.events)}
        self.audit.record(act, webhook.owner, str(webhook.webhook_id), details)
        if key is not None:
            self._keys[webhook.webhook_id] = key
        return True

    @override
    async def registered(self, owner: Owner, key: IdempotencyKey) -> Webhook | None:
        self.store.require_available()
        webhook = self._keyed(owner, key)
        if webhook is not None:
            key.require_payload(self._keys[webhook.webhook_id].payload_hash, None)
        return webhook

    @override
    async def find(self, owner: Owner, webhook_id: UUID) -> Webhook:
        return self.store.webhook(owner, webhook_id)

    @override
    async def update(self, owner: Owner, webhook_id: UUID, change: Callable[[Webhook], Webhook], act: Act) -> Webhook:
        stored = self.store.webhook(owner, webhook_id)
        changed = change(stored)
        if changed == stored:
            return stored
        # A change of the health can only reset it.
        health = stored.health if changed.health == stored.health else Health()
        changed = evolve(changed, revision=stored.revision + 1, health=health)
        self.store.put(changed)
        if changed.is_enabled and (not stored.is_enabled or changed.url != stored.url):
            self.store.claimed_until.pop(webhook_id, None)
        details = {
            "host": changed.host,
            "events": sorted(changed.events),
            "secret_version": changed.secret.version,
            "enabled": changed.is_enabled,
        }
        self.audit.record(act, changed.owner, str(webhook_id), details)
        return changed

    @override
    async def copy(self, webhook: Webhook) -> None:
        self.store.require_available()
        known = self.store.webhooks.get(webhook.webhook_id)
        if known is None:
            self.store.put(evolve(webhook, health=Health(), dropped=0))
        elif known.revision <= webhook.revision:
            is_enabled_again = webhook.is_enabled and not known.is_enabled
            if is_enabled_again or (webhook.is_enabled and webhook.url != known.url):
                self.store.claimed_until.pop(webhook.webhook_id, None)
            health = Health() if is_enabled_again else known.health
            self.store.put(evolve(webhook, health=health, dropped=known.dropped))

    @override
    async def remove(self, owner: Owner, webhook_id: UUID, act: Act) -> None:
        webhook = self.store.webhook(owner, webhook_id)
        emptied = self.store.of(webhook_id)
        for delivery in emptied:
            del self.store.deliveries[delivery.delivery_id]
        del self.store.webhooks[webhook_id]
        self.audit.record(act, webhook.owner, str(webhook_id), {"deliveries": len(emptied)})

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        self.store.require_available()
        own = ((key, each) for key, each in self.store.webhooks.items() if owner in {each.owner, EVERY_OWNER})
        return page_of(newest_first(own, after), size)

    def _keyed(self, owner: Owner, key: IdempotencyKey) -> Webhook | None:
        named = (each for each, taken in self._keys.items() if taken.value == key.value)
        found = (self.store.webhooks.get(each) for each in named)
        return next((each for each in found if each is not None and each.owner == owner), None)


@define
class MemoryDeliveryQueue(DeliveryQueue):
    """Stores deliveries."""

    store: MemoryWebhookStore = field(factory=MemoryWebhookStore)

    @override
    async def add(self, delivery: Delivery) -> None:
        self.store.webhook(delivery.owner, delivery.webhook_id)
        self.store.deliveries.setdefault(delivery.delivery_id, delivery)

    @override
    async def find(self, owner: Owner, delivery_id: UUID) -> Delivery:
        self.store.require_available()
        delivery = self.store.deliveries.get(delivery_id)
        if delivery is None or owner not in {delivery.owner, EVERY_OWNER}:
            raise DeliveryNotFound
        return delivery

    @override
    async def page(
        self, owner: Owner, webhook_id: UUID, after: UUID | None, size: int, state: DeliveryState | None
    ) -> Page[Delivery]:
        self.store.require_available()
        rows = (
            (each.delivery_id, each)
            for each in self.store.of(webhook_id)
            if owner in {each.owner, EVERY_OWNER} and state in {None, each.state}
        )
        return page_of(newest_first(rows, after), size)

    @override
    async def send_again(self, owner: Owner, delivery_id: UUID, now: datetime) -> Delivery:
        delivery = (await self.find(owner, delivery_id)).again(now)
        self.store.deliveries[delivery_id] = delivery
        return delivery

    @override
    async def claim(self, claim: DeliveryClaim) -> ClaimedTurns:
        self.store.require_available()
        due: dict[UUID, list[Delivery]] = {}
        for delivery in sorted(self.store.deliveries.values(), key=lambda each: (each.next_at, each.delivery_id)):
            if delivery.state is DeliveryState.PENDING and delivery.next_at <= claim.now:
                due.setdefault(delivery.webhook_id, []).append(delivery)
        in_turn = sorted(due, key=lambda each: (each <= claim.after, each))
        free = (each for each in in_turn if self._is_free(each, claim.now))
        picked = list(islice(self._of_owners(free, claim), claim.webhooks_max))
        self.store.claimed_until |= dict.fromkeys(picked, claim.until)
        turns = [WebhookTurn(self.store.webhooks[each], due[each][: claim.deliveries_max]) for each in picked]
        return ClaimedTurns(turns, picked[-1] if picked else NO_ID)

    def _of_owners(self, free: Iterable[UUID], claim: DeliveryClaim) -> Iterator[UUID]:
        picked: Counter[Owner] = Counter()
        for webhook_id in free:
            owner = self.store.webhooks[webhook_id].owner
            if owner not in claim.blocked and picked[owner] < claim.owner_max:
                picked[owner] += 1
                yield webhook_id

    def _is_free(self, webhook_id: UUID, now: datetime) -> bool:
        return self.store.webhooks[webhook_id].is_enabled and self.store.claimed_until.get(webhook_id, _FREE) <= now

    @override
    async def record(self, delivery: Delivery, before: Webhook, after: Webhook) -> bool:
        self.store.require_available()
        stored = self.store.deliveries.get(delivery.delivery_id)
        is_same = stored is not None and (stored.state, stored.attempts + 1) == ("pending", delivery.attempts)
        if is_same:
            self.store.deliveries[delivery.delivery_id] = delivery
        webhook = self.store.webhooks.get(after.webhook_id)
        is_as_read = webhook is not None and webhook.revision == before.revision
        if webhook is not None and is_as_read and after != before:
            error = delivery.error
            changed = evolve(webhook, revision=after.revision, health=after.health)
            if after.disabled_reason is not None and after.disabled_at is not None:
                changed = changed.disable(after.disabled_reason, after.disabled_at)
            self.store.put(changed)
            if is_same and not after.is_enabled:
                ended = evolve(self.store.deliveries[delivery.delivery_id], error=error)
                self.store.deliveries[delivery.delivery_id] = ended
        return is_as_read

    @override
    async def release(self, webhook_id: UUID, claimed_until: datetime, pause_until: datetime | None) -> None:
        self.store.require_available()
        if self.store.claimed_until.get(webhook_id) == claimed_until:
            self.store.claimed_until[webhook_id] = pause_until or _FREE
