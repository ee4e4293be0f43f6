"""Metrics of schedules."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.schedules.dispatcher import ScheduleStats
from domain.schedules.firing import FiringState
from entrypoints.telemetry.metrics.instruments import counter, gauge

_DUE_TIMES = counter(
    "pglambda_schedule_due_times_total", "Due times of schedules that this process has settled, by state.", "state"
)
_LATENESS = gauge(
    "pglambda_schedule_lateness_seconds",
    "How long the schedule that was due first had been due when this process last looked.",
)


@define(eq=False)
class ScheduleMetrics(Collector):
    """Reads what the dispatcher of schedules has counted."""

    _stats: ScheduleStats

    @override
    def collect(self) -> Iterable[Metric]:
        yield _DUE_TIMES.metric(((state,), self._stats.settled[state]) for state in FiringState)
        yield _LATENESS.single(self._stats.lateness_s)
