"""Messages about the ends of executions, in memory."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define, evolve, field

from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import AcceptedEntry
from adapters.memory.webhooks import MemoryWebhookStore
from domain.clock import IdGenerator
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ExecutionStatus
from domain.webhooks.delivery import RESULT_SIZE_MAX, Delivery
from domain.webhooks.webhook import Event


@define
class MemoryAnnouncer:
    """Stores the messages about the ends of executions, as the statements do that end them."""

    store: MemoryWebhookStore = field(factory=MemoryWebhookStore)
    _ids: IdGenerator = field(factory=SequentialIds)

    def announce(self, accepted: AcceptedEntry, title: LanguageTitle, end: ExecutionStatus, at: datetime) -> None:
        """Store a message for each webhook that hears of the end of an execution."""
        event, payload = Event(f"execution.{end}"), _payload(accepted, title, end, at)
        ref, execution_id = accepted.entry.ref, accepted.entry.execution_id
        for webhook in [each for each in self.store.webhooks.values() if each.owner == accepted.key[0]]:
            if event in webhook.events or webhook.webhook_id == accepted.entry.options.webhook_id:
                delivery = Delivery(
                    self._ids.new(at),
                    webhook.webhook_id,
                    webhook.owner,
                    event,
                    payload,
                    at,
                    ref.session_id,
                    execution_id,
                )
                self.store.deliveries[delivery.delivery_id] = delivery
                self.store.put(webhook)

    def forget(self, execution_id: UUID) -> None:
        """Remove result and error from the messages about an execution, and what receivers may have echoed of them."""
        for delivery in [each for each in self.store.deliveries.values() if each.execution_id == execution_id]:
            message = json.loads(delivery.payload)
            message["data"] = {name: each for name, each in message["data"].items() if name not in {"result", "error"}}
            self.store.deliveries[delivery.delivery_id] = evolve(delivery, payload=json.dumps(message), answer=None)


def _payload(accepted: AcceptedEntry, title: LanguageTitle, end: ExecutionStatus, at: datetime) -> str:
    entry, report = accepted.entry, accepted.report
    data = {
        "execution_id": str(entry.execution_id),
        "request_id": str(entry.ref.session_id),
        "status": end,
        "language_title": str(title),
        "attempt": entry.attempt,
    }
    if report is not None and report.failure is not None:
        data["error"] = {"code": report.failure.code, "message": report.failure.message}
    if report is not None and report.result is not None:
        data |= _result(report.result, entry.execution_id)
    return json.dumps({"type": f"execution.{end}", "timestamp": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", "data": data})


def _result(result: JsonText, execution_id: UUID) -> dict[str, Any]:
    if len(result.encode()) > RESULT_SIZE_MAX:
        return {"result_url": f"/api/v1/executions/{execution_id}"}
    return {"result": json.loads(result)}
