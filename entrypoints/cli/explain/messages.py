"""Which facts explain the id of a message to a webhook."""

from collections.abc import Iterator

from domain.webhooks.delivery import ATTEMPTS_MAX, KEPT_FOR, Delivery, DeliveryState
from entrypoints.cli.explain.sentences import Evidence, Explanation, counted, fact, summary

_SUMMARIES = {
    DeliveryState.PENDING: "delivery_pending",
    DeliveryState.DELIVERED: "delivery_delivered",
    DeliveryState.FAILED: "delivery_failed",
}


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
