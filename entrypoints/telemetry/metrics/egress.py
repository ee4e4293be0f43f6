"""Metrics of the connections of scripts."""

from collections.abc import Callable, Iterable, Sequence

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.egress.stats import EgressStats
from domain.egress.traffic import RefusalReason
from entrypoints.telemetry.metrics.instruments import Family, counter

_SINGLE: Sequence[tuple[Family, Callable[[EgressStats], float]]] = (
    (
        counter("pglambda_egress_connections_total", "Connections of scripts to hosts of their rules."),
        lambda stats: stats.connections,
    ),
    (counter("pglambda_egress_sent_bytes_total", "Bytes that scripts have sent."), lambda stats: stats.sent_bytes),
    (
        counter("pglambda_egress_received_bytes_total", "Bytes that scripts have received."),
        lambda stats: stats.received_bytes,
    ),
    (
        counter("pglambda_egress_process_starts_total", "Starts of the process that connects scripts."),
        lambda stats: stats.starts,
    ),
    (
        counter("pglambda_egress_lost_total", "Executions during which the process that connects scripts ended."),
        lambda stats: stats.lost,
    ),
)
_REFUSALS = counter(
    "pglambda_egress_refusals_total",
    "Connections of scripts that were refused or ended by a limit, at most 32 of an execution, by reason.",
    "reason",
)


@define(eq=False)
class EgressMetrics(Collector):
    """Exposes the figures of this process; they stay 0 if no script may reach a host."""

    _read: Callable[[], EgressStats]

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        for family, value in _SINGLE:
            yield family.single(value(stats))
        yield _REFUSALS.metric(((reason.name.lower(),), stats.refusals.get(reason, 0)) for reason in RefusalReason)
