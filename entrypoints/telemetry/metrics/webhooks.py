"""Metrics of the messages that this process sends to webhooks."""

from collections.abc import Callable, Iterable

from attrs import asdict, define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.webhooks.dispatcher import DeliveryCounts
from entrypoints.telemetry.metrics.instruments import counter

_ATTEMPTS = counter(
    "pglambda_webhook_attempts_total",
    "Messages that were sent to webhooks: delivered, retried (another attempt follows) or failed (none follows).",
    "result",
)


@define(eq=False)
class WebhookMetrics(Collector):
    """Exposes the attempts of this process."""

    _counts: Callable[[], DeliveryCounts]

    @override
    def collect(self) -> Iterable[Metric]:
        yield _ATTEMPTS.metric(((result,), count) for result, count in asdict(self._counts()).items())
