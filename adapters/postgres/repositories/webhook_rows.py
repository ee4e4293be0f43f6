"""Webhooks and their deliveries as parameters of statements and as rows."""

from collections.abc import Sequence
from typing import Any

from adapters.postgres import codec
from domain.identity import NO_ID, Owner
from domain.webhooks.delivery import Delivery, DeliveryState, WebhookTurn
from domain.webhooks.webhook import DisabledReason, Event, Health, SecretVersion, Webhook

WEBHOOK_COLUMNS = 15
"""Columns of a webhook in front of those of a delivery."""

_EVENTS = {str(event): event for event in Event}


def definition_columns(webhook: Webhook) -> dict[str, object]:
    """Return what an owner changes as parameters."""
    return {
        "url": webhook.url,
        "events": codec.texts(sorted(webhook.events)),
        "description": webhook.description,
        "key_id": webhook.secret.key_id,
        "secret_version": webhook.secret.version,
        "rotated_at": webhook.secret.rotated_at,
        "disabled_reason": webhook.disabled_reason,
        "disabled_at": webhook.disabled_at,
    }


def facts_of(webhook: Webhook) -> dict[str, object]:
    """Return what the audit record has of a change."""
    return {
        "host": webhook.host,
        "events": sorted(webhook.events),
        "secret_version": webhook.secret.version,
        "enabled": webhook.is_enabled,
    }


def turn_of(webhook: codec.Row, rows: Sequence[codec.Row]) -> WebhookTurn:
    """Return a webhook and the deliveries in rows; one row without a delivery stands for none."""
    owned = webhook_of(webhook)
    deliveries = [row[WEBHOOK_COLUMNS:] for row in rows if row[WEBHOOK_COLUMNS] is not None]
    return WebhookTurn(owned, [delivery_of((row[0], owned.webhook_id, owned.owner, *row[1:])) for row in deliveries])


def webhook_of(row: codec.Row) -> Webhook:
    """Return the webhook in a row, without events that this release does not know."""
    webhook_id, owner, url, events, key_id, version, rotated_at, description, reason, disabled_at, *others = row
    *health, revision, dropped = others
    return Webhook(
        webhook_id,
        Owner(owner),
        url,
        frozenset(_EVENTS[event] for event in events if event in _EVENTS),
        SecretVersion(key_id, version, rotated_at),
        description,
        reason and DisabledReason(reason),
        disabled_at,
        Health(*health),
        revision,
        dropped,
    )


def delivery_of(row: Sequence[Any]) -> Delivery:
    """Return the delivery in a row; an event that this release does not know stays a text, and is sent as any."""
    delivery_id, webhook_id, owner, event, payload, next_at, request_id, execution_id, state, *attempts = row
    return Delivery(
        delivery_id,
        webhook_id,
        Owner(owner),
        _EVENTS.get(event, event),
        payload,
        next_at,
        None if request_id == NO_ID else request_id,
        execution_id,
        DeliveryState(state),
        *attempts,
    )
