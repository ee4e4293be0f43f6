"""Which facts explain the id of a webhook, or of a message to one."""

from collections.abc import Iterator

from domain.webhooks.delivery import ATTEMPTS_MAX, KEPT_FOR, Delivery, DeliveryState
from domain.webhooks.webhook import DisabledReason, Webhook
from entrypoints.cli.explain.sentences import Evidence, Explanation, counted, fact, summary

_SUMMARIES = {
    DeliveryState.PENDING: "delivery_pending",
    DeliveryState.DELIVERED: "delivery_delivered",
    DeliveryState.FAILED: "delivery_failed",
}

_DISABLED = {
    DisabledReason.OWNER: "its owner has disabled it",
    DisabledReason.GONE: "its receiver responded with status 410",
    DisabledReason.FAILING: "its receiver has failed for too long",
}


def explain_webhook(webhook: Webhook) -> Explanation:
    """Return the explanation of a webhook."""
    reason = webhook.disabled_reason
    state = summary("webhook_enabled") if reason is None else summary("webhook_disabled", why=_DISABLED[reason])
    return Explanation(*state, list(_of_webhook(webhook)))


def _of_webhook(webhook: Webhook) -> Iterator[Evidence]:
    yield fact("webhook_made", webhook.created_at, owner=webhook.owner, host=webhook.host)
    events = ", ".join(sorted(webhook.events))
    yield fact("webhook_events" if events else "webhook_named", events=events)
    if webhook.disabled_at is not None:
        yield fact("webhook_disabled", webhook.disabled_at)
    if webhook.health.failures:
        yield fact("webhook_failures", webhook.health.first_failed_at, failures=webhook.health.failures)
    if webhook.dropped:
        yield fact("webhook_dropped", dropped=webhook.dropped)


def explain_delivery(delivery: Delivery) -> Explanation:
    """Return the explanation of a message."""
    attempts = counted(delivery.attempts, "attempt")
    state = summary(_SUMMARIES[delivery.state], attempts=attempts, at=delivery.next_at)
    return Explanation(*state, list(_statements(delivery, attempts)))


def _statements(delivery: Delivery, attempts: str) -> Iterator[Evidence]:
    yield fact("delivery_made", delivery.created_at, event=delivery.event)
    yield fact("delivery_to", webhook=delivery.webhook_id, owner=delivery.owner)
    if delivery.execution_id is not None:
        yield fact("delivery_execution", execution=delivery.execution_id)
    if delivery.attempted_at is not None:
        left = ATTEMPTS_MAX - delivery.attempts if delivery.state is DeliveryState.PENDING else 0
        yield fact("delivery_attempts", delivery.attempted_at, attempts=attempts, left=left)
    if delivery.status is not None:
        yield fact("delivery_status", status=delivery.status)
    if delivery.error is not None:
        yield fact("delivery_error", error=delivery.error)
    yield fact("delivery_kept", delivery.created_at + KEPT_FOR)
