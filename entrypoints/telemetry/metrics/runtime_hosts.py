"""Metrics of runtime hosts that register themselves. They have no names of hosts, so their number is bounded."""

from collections.abc import Callable, Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.hosts.host import STALE, HostState
from domain.hosts.service import HostWatch
from domain.stats import PINGS_S, RuntimeStreamStats
from entrypoints.telemetry.metrics.instruments import counter, gauge, histogram

_HOSTS = gauge(
    "pglambda_runtime_hosts",
    "Runtime hosts that have registered and not ended, by state, as this process has read them last.",
    "state",
)


_STREAMS = gauge(
    "pglambda_runtime_streams",
    "Runtime hosts that this process knows, by the state of its stream to them; http is a host without streams.",
    "state",
)
_WAITING = gauge(
    "pglambda_runtime_waiting",
    "Executions and syntax checks that wait until a runtime host can be used, or has room.",
)
_CHOICES = counter(
    "pglambda_runtime_choices_total",
    "Choices of a runtime host: the warm one, the first or the less loaded of two, or one without room.",
    "reason",
)
_LEFT = counter(
    "pglambda_runtime_hosts_left_total", "How often a runtime host stopped getting executions, by reason.", "reason"
)
_UNKNOWN = counter(
    "pglambda_runtime_unknown_total",
    "Executions whose end a runtime host left unknown: it was lost or late, or its reply is not valid.",
    "reason",
)
_MESSAGES = counter(
    "pglambda_runtime_messages_total", "Messages on streams to runtime hosts, sent and received, by kind.", "kind"
)
_PINGS = histogram(
    "pglambda_runtime_ping_seconds",
    "Time from a ping on a quiet stream to a runtime host to its reply.",
    bounds=PINGS_S,
)


@define(eq=False)
class RuntimeStreamMetrics(Collector):
    """Counts the hosts of the client of runtime hosts; there are no samples without one."""

    _read: Callable[[], RuntimeStreamStats | None]

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        for family, counts in (
            (_STREAMS, stats and stats.states),
            (_CHOICES, stats and stats.choices),
            (_LEFT, stats and stats.left),
            (_UNKNOWN, stats and stats.unknown),
            (_MESSAGES, stats and stats.messages),
        ):
            yield family.metric(((str(name),), count) for name, count in (counts or {}).items())
        yield _WAITING.metric([] if stats is None else [((), stats.waiting)])
        yield _PINGS.buckets([] if stats is None else [((), stats.pings_s)])


@define(eq=False)
class RuntimeHostMetrics(Collector):
    """Counts the hosts that the watch knows; there are no samples without a watch."""

    _watch: HostWatch | None

    @override
    def collect(self) -> Iterable[Metric]:
        standings = [] if self._watch is None else self._watch.state.standings
        states = () if self._watch is None else (HostState.READY, HostState.DRAINING, STALE)
        yield _HOSTS.metric(((state,), standings.count(state)) for state in states)
