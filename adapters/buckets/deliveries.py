"""Deliveries to webhooks, in the buckets of their executions."""

import contextlib
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.buckets.claims import REST_MAX, BucketTurns
from adapters.buckets.directory import Directory, Storage, of_each
from adapters.buckets.webhooks import BucketWebhooks
from domain.buckets.bucket_map import HOME
from domain.buckets.pages import merged
from domain.errors import Unavailable
from domain.identity import EVERY_OWNER, Owner
from domain.paging import Page
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.ports import ClaimedTurns, DeliveryClaim, DeliveryQueue
from domain.webhooks.webhook import Webhook, WebhookNotFound


@define(eq=False)
class BucketDeliveries(DeliveryQueue):
    """A delivery is in the bucket of its execution, a test in HOME. A claim is for a webhook in one bucket."""

    _directory: Directory
    _rest_max: timedelta = REST_MAX
    _turns: BucketTurns = field(init=False)
    _after: dict[int, UUID] = field(factory=dict, init=False)
    _claimed: dict[tuple[UUID, datetime], set[int]] = field(factory=dict, init=False)
    """The buckets of the claims that this process holds, by webhook and end of the claim."""

    def __attrs_post_init__(self) -> None:
        self._turns = BucketTurns(self._directory, self._rest_max)

    @override
    async def add(self, delivery: Delivery) -> None:
        storage = self._directory.of(delivery.delivery_id)
        await storage.deliveries.add(delivery)
        self._turns.wake(storage.number)

    @override
    async def find(self, owner: Owner, delivery_id: UUID) -> Delivery:
        return await self._directory.of(delivery_id).deliveries.find(owner, delivery_id)

    @override
    async def page(
        self, owner: Owner, webhook_id: UUID, after: UUID | None, size: int, state: DeliveryState | None
    ) -> Page[Delivery]:
        storages = self._directory.listing(owner)
        pages = await of_each(storages, lambda each: each.deliveries.page(owner, webhook_id, after, size, state))
        return merged(pages, size, lambda delivery: delivery.delivery_id)

    @override
    async def send_again(self, owner: Owner, delivery_id: UUID, now: datetime) -> Delivery:
        storage = self._directory.of(delivery_id)
        delivery = await storage.deliveries.send_again(owner, delivery_id, now)
        self._turns.wake(storage.number)
        return delivery

    @override
    async def claim(self, claim: DeliveryClaim) -> ClaimedTurns:
        self._claimed = {key: numbers for key, numbers in self._claimed.items() if claim.now < key[1]}

        async def ask(storage: Storage) -> ClaimedTurns:
            after = self._after.get(storage.number, claim.after)
            found = await storage.deliveries.claim(evolve(claim, after=after))
            self._after[storage.number] = found.reached
            for turn in found.turns:
                self._claimed.setdefault((turn.webhook.webhook_id, claim.until), set()).add(storage.number)
            return found

        found = await self._turns.claim(claim.now, ask, lambda claimed: bool(claimed.turns))
        return ClaimedTurns([], claim.after) if found is None else found

    @override
    async def record(self, delivery: Delivery, before: Webhook, after: Webhook) -> bool:
        storage = self._directory.of(delivery.delivery_id)
        is_as_read = await storage.deliveries.record(delivery, before, after)
        if is_as_read and after != before:
            with contextlib.suppress(Unavailable, WebhookNotFound):
                await self._tell_others(storage, delivery, before, after)
        return is_as_read

    @override
    async def release(self, webhook_id: UUID, claimed_until: datetime, pause_until: datetime | None) -> None:
        numbers = self._claimed.pop((webhook_id, claimed_until), {HOME})
        await of_each(
            [self._directory.at(number) for number in numbers],
            lambda storage: storage.deliveries.release(webhook_id, claimed_until, pause_until),
        )

    async def _tell_others(self, storage: Storage, delivery: Delivery, before: Webhook, after: Webhook) -> None:
        """Show the health of a webhook in HOME, and disable it everywhere; what its owner has changed since counts."""
        home = self._directory.home
        if storage.number != HOME and not await home.deliveries.record(delivery, before, after):
            return
        if after.revision != before.revision:
            disabled = await home.webhooks.find(EVERY_OWNER, after.webhook_id)
            await BucketWebhooks(self._directory).copy(disabled)
