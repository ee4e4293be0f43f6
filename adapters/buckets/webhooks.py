"""Webhooks, which HOME has, their copies in the other buckets, and deliveries in the buckets of their executions."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.buckets.claims import REST_MAX, BucketTurns
from adapters.buckets.directory import Directory, Storage, of_each
from domain.audit import COMMAND, Act, ActName, Actor, new_act
from domain.buckets.bucket_map import HOME
from domain.buckets.pages import merged
from domain.clock import IdGenerator
from domain.errors import Unavailable
from domain.idempotency import IdempotencyKey
from domain.identity import EVERY_OWNER, Owner
from domain.paging import Page
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.ports import ClaimedTurns, DeliveryClaim, DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import Webhook, WebhookNotFound

_PAGE_SIZE = 200
_REPAIRER = Actor("pglambda", COMMAND)
_REPAIRED_EVERY = timedelta(hours=1)
_REPEATED_AFTER = timedelta(seconds=30)
_DUE_INTERVAL_S = 5.0


@frozen
class BucketWebhooks(WebhookRepository):
    """What HOME has stored is true. A copy that could not be written is written by `repair`."""

    _directory: Directory

    @override
    async def add(self, webhook: Webhook, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        is_stored = await self._home.add(webhook, owner_max, act, key)
        if is_stored:
            await self.copy(webhook)
        return is_stored

    @override
    async def registered(self, owner: Owner, key: IdempotencyKey) -> Webhook | None:
        return await self._home.registered(owner, key)

    @override
    async def find(self, owner: Owner, webhook_id: UUID) -> Webhook:
        return await self._home.find(owner, webhook_id)

    @override
    async def update(self, owner: Owner, webhook_id: UUID, change: Callable[[Webhook], Webhook], act: Act) -> Webhook:
        changed = await self._home.update(owner, webhook_id, change, act)
        await self.copy(changed)
        return changed

    @override
    async def copy(self, webhook: Webhook) -> None:
        async def write(storage: Storage) -> None:
            with contextlib.suppress(Unavailable):
                await storage.webhooks.copy(webhook)

        await of_each(self._others, write)

    @override
    async def remove(self, owner: Owner, webhook_id: UUID, act: Act) -> None:
        await self._home.remove(owner, webhook_id, act)

        async def remove_copy(storage: Storage) -> None:
            with contextlib.suppress(WebhookNotFound, Unavailable):
                await storage.webhooks.remove(EVERY_OWNER, webhook_id, act)

        await of_each(self._others, remove_copy)

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        return await self._home.page(owner, after, size)

    async def repair(self, act: Act) -> int:
        """Write all copies anew, and remove those of webhooks that HOME no longer has; return how many these are.

        A copy that is as new as the webhook stays as it is. Raises StorageUnavailable or Overloaded.
        """
        known = {each.webhook_id: each for each in await _all(self._home)}
        for webhook in known.values():
            await self.copy(webhook)
        removed = 0
        for storage in self._others:
            for orphan in await _all(storage.webhooks):
                # One that was added since has not been in `known`.
                if orphan.webhook_id not in known and await self._is_gone(orphan.webhook_id):
                    await storage.webhooks.remove(EVERY_OWNER, orphan.webhook_id, act)
                    removed += 1
        return removed

    async def _is_gone(self, webhook_id: UUID) -> bool:
        try:
            await self._home.find(EVERY_OWNER, webhook_id)
        except WebhookNotFound:
            return True
        return False

    @property
    def _home(self) -> WebhookRepository:
        return self._directory.home.webhooks

    @property
    def _others(self) -> Sequence[Storage]:
        return self._directory.all[1:]


@define(eq=False)
class WebhookRepairs:
    """Repairs copies of webhooks each hour, soon after a failure, and as soon as there is another bucket.

    A bucket is known some 50 s before it gets sessions. So their ends are announced from the first one on. Other
    processes may repair at the same time.
    """

    _directory: Directory
    _ids: IdGenerator
    compared_at: datetime | None = field(default=None, init=False)
    """When all copies were last as at HOME; before the first success, when this process began to repair."""

    _repaired: Sequence[int] = field(default=(), init=False)
    _due_at: datetime | None = field(default=None, init=False)

    async def run(self) -> None:
        """Repair for ever; a bucket that is away is tried again."""
        while True:
            with contextlib.suppress(Unavailable):
                await self.run_if_due()
            await asyncio.sleep(_DUE_INTERVAL_S)

    async def run_if_due(self) -> None:
        """Repair if it is time; raises StorageUnavailable or Overloaded."""
        clock, numbers = self._directory.clock, self._directory.buckets.all_numbers
        now = clock.now()
        if numbers == self._repaired and self._due_at is not None and now < self._due_at:
            return
        self._repaired, self._due_at = numbers, now + _REPEATED_AFTER
        self.compared_at = self.compared_at or now
        await BucketWebhooks(self._directory).repair(new_act(clock, self._ids, _REPAIRER, ActName.WEBHOOKS_DELETE))
        self._due_at, self.compared_at = now + _REPAIRED_EVERY, now


async def _all(webhooks: WebhookRepository) -> Sequence[Webhook]:
    found: list[Webhook] = []
    page = await webhooks.page(EVERY_OWNER, None, _PAGE_SIZE)
    found += page.items
    while page.next_after is not None:
        page = await webhooks.page(EVERY_OWNER, page.next_after, _PAGE_SIZE)
        found += page.items
    return found


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
