"""How late the event loop is."""

import asyncio
from collections.abc import Iterator

from attrs import define, field

from entrypoints.telemetry.metrics.instruments import Distribution
from entrypoints.telemetry.metrics.samples import Reading, histogram

LAG = histogram(
    "pglambda_event_loop_lag_seconds",
    "Delay of a timer of the event loop: what a request waits while others use the CPU.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)


@define(eq=False)
class LoopLag:
    """Looks every `interval_s` seconds, from `start` to `stop`."""

    interval_s: float = 0.25
    _lags: Distribution = field(factory=lambda: Distribution(LAG.bounds), init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self.interval_s
        self._timer = loop.call_at(due_s, self._look, loop, due_s)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        yield Reading(LAG, [self._lags.sample()])

    def _look(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        self._lags.add(max(0.0, loop.time() - due_s))
        self.start()
