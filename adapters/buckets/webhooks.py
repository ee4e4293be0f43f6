"""Webhooks, which HOME has, and their copies in the other buckets."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.audit import COMMAND, Act, ActName, Actor, new_act
from domain.clock import IdGenerator
from domain.errors import Unavailable
from domain.idempotency import IdempotencyKey
from domain.identity import EVERY_OWNER, Owner
from domain.paging import Page
from domain.webhooks.ports import WebhookRepository
from domain.webhooks.webhook import Health, Webhook, WebhookNotFound

_PAGE_SIZE = 200
_REPAIRER = Actor("pglambda", COMMAND)
_REPAIRED_EVERY = timedelta(minutes=5)
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
            await self._follow(webhook, act)
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
        await self._follow(changed, act)
        return changed

    async def _follow(self, webhook: Webhook, act: Act) -> None:
        """Write the copies of what HOME has just stored, as it is there afterwards.

        A purge or a move of the owner may have come between: it changes HOME first, and then the copies that it finds.
        """
        await self.copy(webhook)
        with contextlib.suppress(Unavailable):
            try:
                present = await self._home.find(EVERY_OWNER, webhook.webhook_id)
            except WebhookNotFound:
                await self._remove_copies(webhook.webhook_id, act)
            else:
                if _as_copy(present) != _as_copy(webhook):
                    await self.copy(present)

    @override
    async def copy(self, webhook: Webhook) -> None:
        async def write(storage: Storage) -> None:
            with contextlib.suppress(Unavailable):
                await storage.webhooks.copy(webhook)

        await of_each(self._others, write)

    @override
    async def remove(self, owner: Owner, webhook_id: UUID, act: Act) -> None:
        await self._home.remove(owner, webhook_id, act)
        await self._remove_copies(webhook_id, act)

    async def _remove_copies(self, webhook_id: UUID, act: Act) -> None:
        async def remove_copy(storage: Storage) -> None:
            with contextlib.suppress(WebhookNotFound, Unavailable):
                await storage.webhooks.remove(EVERY_OWNER, webhook_id, act)

        await of_each(self._others, remove_copy)

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        return await self._home.page(owner, after, size)

    async def repair(self, act: Act) -> int:
        """Write copies that differ, and remove those of webhooks that HOME no longer has; return how many these are.

        Raises StorageUnavailable or Overloaded.
        """
        known = {each.webhook_id: each for each in await _all(self._home)}
        return sum([await self._repair(storage.webhooks, known, act) for storage in self._others])

    async def _repair(self, copies: WebhookRepository, known: Mapping[UUID, Webhook], act: Act) -> int:
        stored = {each.webhook_id: _as_copy(each) for each in await _all(copies)}
        for webhook in known.values():
            if stored.get(webhook.webhook_id) != _as_copy(webhook):
                await copies.copy(webhook)
        # One that was added since has not been in `known`.
        orphans = [each for each in stored if each not in known and await self._is_gone(each)]
        for webhook_id in orphans:
            await copies.remove(EVERY_OWNER, webhook_id, act)
        return len(orphans)

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
    """Repairs copies of webhooks every 5 minutes, soon after a failure, and as soon as there is another bucket.

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


def _as_copy(webhook: Webhook) -> Webhook:
    """Return what a webhook and its copies have in common."""
    return evolve(webhook, health=Health(), dropped=0)


async def _all(webhooks: WebhookRepository) -> Sequence[Webhook]:
    found: list[Webhook] = []
    page = await webhooks.page(EVERY_OWNER, None, _PAGE_SIZE)
    found += page.items
    while page.next_after is not None:
        page = await webhooks.page(EVERY_OWNER, page.next_after, _PAGE_SIZE)
        found += page.items
    return found
