"""Metrics of this process: its release, its resources, its log, the delay of its event loop."""

import asyncio
import platform
from collections.abc import Iterable

from attrs import define, field
from prometheus_client import ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.histogram import Histogram
from entrypoints.telemetry.logs import dropped_lines
from entrypoints.telemetry.metrics.instruments import counter, gauge, histogram
from entrypoints.version import VERSION

_BUILD = gauge(
    "pglambda_build_info", "Always 1. The labels have the release and the Python version.", "version", "python"
)
_DROPPED = counter(
    "pglambda_log_lines_dropped_total", "Log lines that were dropped because the reader was too slow or gone."
)
_LAG = histogram(
    "pglambda_event_loop_lag_seconds",
    "Delay of a timer of the event loop: what a request waits while others use the CPU.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)


class ProcessMetrics(Collector):
    """Reads the system's numbers of this process, under the names of all client libraries; without /proc none."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=None)

    @override
    def collect(self) -> Iterable[Metric]:
        yield _BUILD.metric([((VERSION, platform.python_version()), 1)])
        yield _DROPPED.single(dropped_lines())
        yield from self._collector.collect()


@define(eq=False)
class LoopLag(Collector):
    """Measures the delay of the event loop every `interval_s` seconds, from `start` to `stop`."""

    interval_s: float = 0.25
    lags: Histogram = field(factory=lambda: Histogram(_LAG.bounds), init=False)
    """The delays in seconds."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    @property
    def is_running(self) -> bool:
        """Whether it measures."""
        return self._timer is not None

    def start(self) -> None:
        """Begin to measure, on the running event loop."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self.interval_s
        self._timer = loop.call_at(due_s, self._measure, loop, due_s)

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @override
    def collect(self) -> Iterable[Metric]:
        yield _LAG.buckets([((), self.lags)])

    def _measure(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self.lags.add(max(0.0, loop.time() - due_s))
        self.start()
