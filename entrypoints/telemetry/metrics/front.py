"""Metrics of the front: who serves the calls at the origin's old address, and how the origin replies."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.histogram import Histogram
from domain.takeover.front import Side
from domain.takeover.recorder import Recorder
from domain.takeover.stages import Stage
from entrypoints.telemetry.metrics.instruments import counter, gauge, histogram


class PassedOutcome(StrEnum):
    """How a call ended that was passed on.

    REPLIED: with a whole reply, whatever its status. REFUSED: the origin could not be reached. BROKEN: it broke off.
    LATE: it did not reply in time. DISCONNECTED: the client left, or could not be served for another reason.
    """

    REPLIED = "replied"
    REFUSED = "refused"
    BROKEN = "broken"
    LATE = "late"
    DISCONNECTED = "disconnected"


_CALLS = counter(
    "pglambda_origin_calls_total",
    "Calls that were passed on to the origin, by outcome: replied, refused, broken, late or disconnected.",
    "outcome",
)
_IN_FLIGHT = gauge("pglambda_origin_calls_in_flight", "Calls that were passed on and have not ended.")
_DURATION = histogram(
    "pglambda_origin_call_duration_seconds",
    "Time from the sending of a call to the origin to the end of its reply.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 160.0),
)
_DECISION = histogram(
    "pglambda_front_decision_seconds",
    "Time until it is known who serves a call about a session, a wait for one that moves included.",
    "side",
    bounds=(0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5),
)
_RECORDING = gauge(
    "pglambda_recording",
    "1 while the process records calls that it passes on for a rehearsal, else 0; no sample without ORIGIN_URL.",
)
_RECORDED = counter(
    "pglambda_recorded_calls_total",
    "Calls that a recording has sampled, by outcome: stored, unwanted, too_large, unreadable or lost.",
    "outcome",
)
_STAGE = gauge("pglambda_takeover_stage", "1 for the stage of the takeover; no sample without ORIGIN_URL.", "stage")


def _no_stage() -> Stage | None:
    return None


class FrontMetrics(Collector):
    """Counts of the front; those of a process without one have no samples. `stage` returns the stage if it is known."""

    def __init__(
        self,
        stage: Callable[[], Stage | None] = _no_stage,
        in_flight: int | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.stage = stage
        self._recorder = recorder
        self.in_flight = in_flight
        self.outcomes: dict[PassedOutcome, int] = {}
        self._duration = Histogram(_DURATION.bounds)
        self._decisions = {side: Histogram(_DECISION.bounds) for side in Side}

    def ended(self, outcome: PassedOutcome, duration_s: float) -> None:
        """Count a call that was passed on and has ended."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self._duration.add(duration_s)

    def decided(self, side: Side, duration_s: float) -> None:
        """Count a call about a session whose side is known."""
        self._decisions[side].add(duration_s)

    @override
    def collect(self) -> Iterable[Metric]:
        outcomes: Mapping[PassedOutcome, int] = {} if self.in_flight is None else dict.fromkeys(PassedOutcome, 0)
        counts = {**outcomes, **self.outcomes}
        yield _CALLS.metric(((outcome,), count) for outcome, count in counts.items())
        yield _IN_FLIGHT.single(self.in_flight)
        yield _DURATION.buckets([((), self._duration)] if any(self._duration.counts) else [])
        yield _DECISION.buckets(((side,), each) for side, each in self._decisions.items() if any(each.counts))
        recorder = self._recorder
        yield _RECORDING.single(None if recorder is None else recorder.is_recording)
        yield _RECORDED.metric(() if recorder is None else (((each,), n) for each, n in recorder.outcomes.items()))
        stage = self.stage()
        yield _STAGE.metric([] if stage is None else [((stage,), 1)])
