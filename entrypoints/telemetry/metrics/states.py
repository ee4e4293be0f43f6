"""Metrics of the states of sessions."""

from collections.abc import Iterable

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.states.slots import SIZES, WAITS_S, StateStats
from entrypoints.telemetry.metrics.instruments import counter, histogram

_CONFLICTS = counter(
    "pglambda_state_conflicts_total",
    "Calls that waited in vain for another execution of their session, which writes the state.",
)
_LOST = counter(
    "pglambda_state_lost_total",
    "Executions that were not saved, because another one had taken the slot after their deadline.",
)
_WAITS = histogram("pglambda_state_wait_seconds", "Time from the begin of an execution to its slot.", bounds=WAITS_S)
_SIZES = histogram("pglambda_state_saved_bytes", "Sizes of the states that executions have saved.", bounds=SIZES)


@define(eq=False)
class StateMetrics(Collector):
    """Reads what the slots of sessions have counted."""

    _stats: StateStats

    @override
    def collect(self) -> Iterable[Metric]:
        yield _CONFLICTS.single(self._stats.conflicts)
        yield _LOST.single(self._stats.lost)
        yield _WAITS.buckets([((), self._stats.waits_s)])
        yield _SIZES.buckets([((), self._stats.sizes)])
