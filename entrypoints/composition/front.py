"""The front: what ORIGIN_URL adds to the listener of the origin's clients."""

import time
from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from adapters.origin.http import HttpOrigin, OriginClientOptions
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.scripts.language import LanguageMapping
from domain.takeover.front import Front, FrontPolicy, KnownStage
from domain.takeover.ports import Ownership
from domain.takeover.recorder import Recorder
from entrypoints.composition.checked_options import request_timeout_s
from entrypoints.http.endpoints.health import Probe
from entrypoints.http.route import Route
from entrypoints.origin.application import served_here
from entrypoints.origin.front import OriginFront
from entrypoints.origin.health import OriginHealth
from entrypoints.origin.passing import PassedCalls
from entrypoints.origin.recording import RecordingOrigin
from entrypoints.server.lifespan import Step
from entrypoints.settings.settings import ORIGIN_CALLS_MAX, ORIGIN_IDLE_MAX, Settings
from entrypoints.telemetry.metrics.front import FrontMetrics


@frozen
class Fronting:
    """The parts of the front; without ORIGIN_URL it has none, and every call is served here."""

    metrics: FrontMetrics
    hook: Callable[[Route], Route] = served_here
    startup: Sequence[Step] = ()
    background: Sequence[Step] = ()
    close: Sequence[Step] = ()
    probes: Mapping[str, Probe] = field(factory=dict)

    @classmethod
    def of(cls, settings: Settings, ownership: Ownership, mapping: LanguageMapping, recorder: Recorder) -> "Fronting":
        """Return the front that the settings ask for."""
        if settings.origin_url is None:
            return cls(FrontMetrics())
        stage = KnownStage(ownership, time.monotonic_ns)
        metrics = FrontMetrics(lambda: stage.known, in_flight=0, recorder=recorder)
        options = OriginClientOptions(settings.origin_url, settings.authenticated, idle_max=ORIGIN_IDLE_MAX)
        origin = HttpOrigin(options)
        limiter = CapacityLimiter("a call to the origin", ORIGIN_CALLS_MAX)
        recording = RecordingOrigin(origin, recorder)
        calls = PassedCalls(recording, limiter, settings.origin_timeout_seconds, metrics)
        front = Front(ownership, stage, FrontPolicy(request_timeout_s(settings)))
        return cls(
            metrics,
            OriginFront(front, calls, mapping, metrics),
            startup=[stage.read],
            background=[stage.run, recorder.run],
            close=[origin.close],
            probes={"origin": OriginHealth(settings.origin_url, origin, metrics).probe},
        )
