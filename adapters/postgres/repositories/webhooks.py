"""Webhooks and their deliveries in PostgreSQL."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.webhook_rows import (
    WEBHOOK_COLUMNS,
    definition_columns,
    delivery_of,
    facts_of,
    turn_of,
    webhook_of,
)
from adapters.postgres.statements.queue import WebhookStatements
from domain.audit import Act
from domain.errors import QuotaReached
from domain.idempotency import IdempotencyKey
from domain.identity import NO_ID, Owner
from domain.paging import Page
from domain.webhooks.delivery import Delivery, DeliveryNotFound, DeliveryState
from domain.webhooks.ports import ClaimedTurns, DeliveryClaim, DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import (
    Webhook,
    WebhookConflict,
    WebhookNotFound,
)

_UPDATES_MAX = 5
_EXAMINED_MAX = 2000
_TURNS_MAX = 256
_ENDED_MAX = 5000
"""Deliveries that one call ends with their webhook, about 0.1 s; cleanup ends the others."""


@define(eq=False)
class PostgresWebhookRepository(WebhookRepository):
    """Stores webhooks in `meta.webhooks`."""

    _gateway: Gateway
    _statements: WebhookStatements

    @override
    async def add(self, webhook: Webhook, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        parameters = {
            "webhook_id": webhook.webhook_id,
            "owner": webhook.owner,
            "url": webhook.url,
            "events": codec.texts(sorted(webhook.events)),
            "description": webhook.description,
            "key_id": webhook.secret.key_id,
            "disabled_reason": webhook.disabled_reason,
            "disabled_at": webhook.disabled_at,
            "key": key and key.value,
            "payload_hash": key and key.payload_hash,
            "owner_max": owner_max,
            "details": json.dumps({"host": webhook.host, "events": sorted(webhook.events)}),
            **codec.act_columns(act),
        }
        ((is_stored, is_keyed, held),) = await self._gateway.fetch(self._statements.insert_webhook, parameters)
        if not (is_stored or is_keyed) and held >= owner_max:
            raise QuotaReached("webhooks", owner_max, held)
        return bool(is_stored)

    @override
    async def registered(self, owner: Owner, key: IdempotencyKey) -> Webhook | None:
        rows = await self._gateway.fetch(self._statements.select_keyed_webhook, {"owner": owner, "key": key.value})
        for payload_hash, *row in rows:
            key.require_payload(payload_hash, None)
            return webhook_of(row)
        return None

    @override
    async def find(self, owner: Owner, webhook_id: UUID) -> Webhook:
        rows = await self._gateway.fetch(self._statements.select_webhook, {"owner": owner, "webhook_id": webhook_id})
        if not rows:
            raise WebhookNotFound
        return webhook_of(rows[0])

    @override
    async def update(self, owner: Owner, webhook_id: UUID, change: Callable[[Webhook], Webhook], act: Act) -> Webhook:
        for _ in range(_UPDATES_MAX):
            stored = await self.find(owner, webhook_id)
            changed = change(stored)
            if changed == stored:
                return stored
            if await self._replace(stored, changed, act):
                return await self.find(owner, webhook_id)
        raise WebhookConflict

    async def _replace(self, stored: Webhook, changed: Webhook, act: Act) -> bool:
        parameters = {
            "webhook_id": stored.webhook_id,
            "owner": stored.owner,
            "revision_read": stored.revision,
            **definition_columns(changed),
            "resets_health": changed.health != stored.health,
            "ends_pause": changed.is_enabled and (not stored.is_enabled or changed.url != stored.url),
            "ended_max": _ENDED_MAX,
            "details": json.dumps(facts_of(changed)),
            **codec.act_columns(act),
        }
        return bool(await self._gateway.fetch(self._statements.update_webhook, parameters))

    @override
    async def copy(self, webhook: Webhook) -> None:
        parameters = {
            "webhook_id": webhook.webhook_id,
            "owner": webhook.owner,
            **definition_columns(webhook),
            "revision": webhook.revision,
            "ended_max": _ENDED_MAX,
        }
        await self._gateway.fetch(self._statements.copy_webhook, parameters)

    @override
    async def remove(self, owner: Owner, webhook_id: UUID, act: Act) -> None:
        parameters = {
            "owner": owner,
            "webhook_id": webhook_id,
            "ended_max": _ENDED_MAX,
            **codec.act_columns(act),
        }
        # Repeated after a lost response, it finds nothing, and the webhook is gone: so it is not repeated.
        if not await self._gateway.fetch(self._statements.delete_webhook, parameters, repeatable=False):
            raise WebhookNotFound

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Webhook]:
        found = await self._gateway.fetch(
            self._statements.select_webhook_page, {"owner": owner, "after": after, "rows_max": size + 1}
        )
        webhooks = [webhook_of(row) for row in found[:size]]
        return Page(webhooks, webhooks[-1].webhook_id if len(found) > size else None)


@define(eq=False)
class PostgresDeliveryQueue(DeliveryQueue):
    """Stores deliveries in `meta.deliveries`."""

    _gateway: Gateway
    _statements: WebhookStatements

    @override
    async def add(self, delivery: Delivery) -> None:
        parameters = {
            "delivery_id": delivery.delivery_id,
            "request_id": delivery.request_id or NO_ID,
            "webhook_id": delivery.webhook_id,
            "owner": delivery.owner,
            "execution_id": delivery.execution_id,
            "event": delivery.event,
            "payload": delivery.payload,
            "next_at": delivery.next_at,
        }
        if not await self._gateway.fetch(self._statements.insert_delivery, parameters):
            raise WebhookNotFound

    @override
    async def find(self, owner: Owner, delivery_id: UUID) -> Delivery:
        parameters = {"owner": owner, "delivery_id": delivery_id}
        return _only(await self._gateway.fetch(self._statements.select_delivery, parameters))

    @override
    async def page(
        self, owner: Owner, webhook_id: UUID, after: UUID | None, size: int, state: DeliveryState | None
    ) -> Page[Delivery]:
        parameters = {
            "owner": owner,
            "webhook_id": webhook_id,
            "after": after,
            "state": state,
            "examined_max": max(size, _EXAMINED_MAX),
            "size": size,
        }
        found = await self._gateway.fetch(self._statements.select_delivery_page, parameters)
        return Page([delivery_of(row[1:]) for row in found if row[1] is not None], found[0][0])

    @override
    async def send_again(self, owner: Owner, delivery_id: UUID, now: datetime) -> Delivery:
        parameters = {"owner": owner, "delivery_id": delivery_id, "now": now}
        return _only(await self._gateway.fetch(self._statements.update_delivery, parameters))

    @override
    async def claim(self, claim: DeliveryClaim) -> ClaimedTurns:
        parameters = {
            "after": claim.after,
            "now": claim.now,
            "until": claim.until,
            "webhooks_max": claim.webhooks_max,
            "owner_max": claim.owner_max,
            "blocked": codec.texts(claim.blocked),
            "deliveries_max": claim.deliveries_max,
            "turns_max": _TURNS_MAX,
        }
        # A claim whose response was lost ends by itself; a repeated one would find other webhooks.
        rows = await self._gateway.fetch(self._statements.claim_webhooks, parameters, repeatable=False)
        by_webhook = groupby((row[1:] for row in rows if row[1] is not None), lambda row: row[:WEBHOOK_COLUMNS])
        return ClaimedTurns([turn_of(webhook, list(group)) for webhook, group in by_webhook], rows[0][0])

    @override
    async def record(self, delivery: Delivery, before: Webhook, after: Webhook) -> bool:
        ((is_as_read,),) = await self._gateway.fetch(
            self._statements.record_attempt,
            {
                "delivery_id": delivery.delivery_id,
                "request_id": delivery.request_id or NO_ID,
                "attempts_read": delivery.attempts - 1,
                "state": delivery.state,
                "next_at": delivery.next_at,
                "attempted_at": delivery.attempted_at,
                "status": delivery.status,
                "error": delivery.error,
                "answer": delivery.answer,
                "webhook_id": after.webhook_id,
                "has_changed": after != before,
                "revision_read": before.revision,
                "revision": after.revision,
                "failures": after.health.failures,
                "first_failed_at": after.health.first_failed_at,
                "failing_since": after.health.failing_since,
                "disabled_reason": after.disabled_reason,
                "disabled_at": after.disabled_at,
                "ended_max": _ENDED_MAX,
            },
        )
        return bool(is_as_read)

    @override
    async def release(self, webhook_id: UUID, claimed_until: datetime, pause_until: datetime | None) -> None:
        parameters = {"webhook_id": webhook_id, "claimed_until": claimed_until, "pause_until": pause_until}
        await self._gateway.fetch(self._statements.release_webhook, parameters)


def _only(rows: Sequence[codec.Row]) -> Delivery:
    if not rows:
        raise DeliveryNotFound
    return delivery_of(rows[0])
