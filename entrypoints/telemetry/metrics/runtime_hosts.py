"""Metrics of runtime hosts that register themselves. They have no names of hosts, so their number is bounded."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.hosts.host import STALE, HostState
from domain.hosts.service import HostWatch
from entrypoints.telemetry.metrics.instruments import gauge

_HOSTS = gauge(
    "pglambda_runtime_hosts",
    "Runtime hosts that have registered and not ended, by state, as this process has read them last.",
    "state",
)


@define(eq=False)
class RuntimeHostMetrics(Collector):
    """Counts the hosts that the watch knows; there are no samples without a watch."""

    _watch: HostWatch | None

    @override
    def collect(self) -> Iterable[Metric]:
        standings = [] if self._watch is None else self._watch.state.standings
        states = () if self._watch is None else (HostState.READY, HostState.DRAINING, STALE)
        yield _HOSTS.metric(((state,), standings.count(state)) for state in states)
