"""The disciplined clock: the database's time, kept on this host's monotonic clock."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from attrs import field, frozen, validators
from typing_extensions import override

from adapters.postgres.clock.probe import ServerClock, ServerTime
from adapters.postgres.clock.samples import ClockSample, boottime_ns, from_ns, host_time, to_ns
from domain.clock import Clock
from domain.errors import DomainError, StorageUnavailable
from domain.storage.faults import StorageFault

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_SLOWING_PERCENT = 10
"""Until a correction backward is complete, the clock runs this much slower."""
_FIRST_SAMPLES = 4

_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)

_log = structlog.get_logger(__name__)
_positive = validators.gt(0.0)


@frozen
class ClockOptions:
    """Seconds between probes, the jump that is doubted, and the error bound up to which the clock is ready.

    A doubted offset is accepted after `agreeing_probes` in a row agree on it, within `agreement_ms`. The clock is not
    ready meanwhile, so they follow each other within `doubt_interval_s`. A controller that starts after a failover
    leaves it to older ones for `settle_after_s`, two intervals, to say how the time goes on.

    A new server is probed up to `new_server_probes` times at once, and the quickest probe counts. They end after one
    that is exact to `exact_ms`, and no further one begins after `new_server_s`.
    """

    interval_s: float = field(default=5.0, validator=_positive)
    urgent_interval_s: float = field(default=1.0, validator=_positive)
    doubt_interval_s: float = field(default=0.2, validator=_positive)
    probe_timeout_s: float = field(default=1.0, validator=_positive)
    jump_ms: int = 500
    agreement_ms: int = 50
    error_bound_ms_max: int = 500
    agreeing_probes: int = field(default=5, validator=validators.ge(1))
    settle_after_s: float = field(default=10.0, validator=_positive)
    new_server_probes: int = field(default=5, validator=validators.ge(1))
    new_server_s: float = field(default=2.0, validator=_positive)
    exact_ms: int = 10


class DisciplinedClock(Clock):
    """Keeps the database's time: `run` measures the offset, and `now` reads the monotonic clock.

    All controllers of one database agree within their error bounds, whatever their hosts' clocks do. A correction
    forward applies at once; one backward slows the clock, which never goes back. Before the first contact `now` raises
    StorageUnavailable, because the host's own clock may be wrong by any amount.

    After a failover the time goes on: the first controller that knows it stores by how much it differs from the clock
    of the new server, and all follow that.
    """

    def __init__(
        self,
        server: ServerClock,
        options: ClockOptions | None = None,
        *,
        monotonic_ns: Callable[[], int] = boottime_ns,
        wall: Callable[[], datetime] = host_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._server = server
        self._options = options or ClockOptions()
        self._monotonic_ns = monotonic_ns
        self._wall = wall
        self._sleep = sleep
        self._best: ClockSample | None = None
        self._doubted: list[ClockSample] = []
        self._samples = 0
        self._unreachable = True
        self._correction_ms = 0.0
        self._timeline = 0
        self._unsettled_since_ns: int | None = None
        self._ahead_ns = 0
        self._ahead_at_ns = 0
        self._latest_ns = 0
        self._failure: type[Exception] | None = None
        self._fault: StorageFault | None = None

    @override
    def now(self) -> datetime:
        if self._best is None:
            raise StorageUnavailable.of(self._fault, stored="no", executed="no")
        monotonic_ns = self._monotonic_ns()
        current_ns = monotonic_ns + self._best.offset_ns + self._still_ahead_ns(monotonic_ns)
        self._latest_ns = max(self._latest_ns, current_ns)
        return from_ns(self._latest_ns)

    @property
    def ready(self) -> bool:
        """Whether `now` may be used to judge sessions."""
        return self.reason is None

    @property
    def reason(self) -> str | None:
        """Why the clock is not ready; None if it is ready."""
        if self._best is None and self._unsettled_since_ns is not None:
            return (
                "the database's server is new, and no controller has said yet how its clock differs from the last one's"
            )
        if self._best is None:
            return "the database's clock has not been read yet"
        if self._doubted:
            return f"the database's clock has jumped by {self._jump_ms(self._best):.0f} ms, which is being checked"
        # A clock that stands still after a jump back is ready: this may last as long as the jump.
        bound_ms = self._best.bound_ns(self._monotonic_ns()) / _NS_PER_MS
        if bound_ms > self._options.error_bound_ms_max:
            return (
                f"the time is known to {bound_ms:.0f} ms only, because the database's clock has not been read recently"
            )
        return None

    @property
    def offset_ms(self) -> float | None:
        """How far the database's clock is ahead of the host's; None before the first contact."""
        if self._best is None:
            return None
        return (self._monotonic_ns() + self._best.offset_ns - to_ns(self._wall())) / _NS_PER_MS

    @property
    def correction_ms(self) -> float:
        """What was added to the clock of the server when it was last read; 0 unless a failover led to another clock."""
        return self._correction_ms

    @property
    def error_bound_ms(self) -> float | None:
        """How far `now` may be from the database's clock; None before the first contact."""
        if self._best is None:
            return None
        monotonic_ns = self._monotonic_ns()
        ahead_ns = max(0, self._latest_ns - monotonic_ns - self._best.offset_ns, self._still_ahead_ns(monotonic_ns))
        return (self._best.bound_ns(monotonic_ns) + ahead_ns) / _NS_PER_MS

    async def run(self) -> None:
        """Measure for ever; a failure is retried after the urgent interval."""
        while True:
            await self.measure()
            await self._sleep(self._interval_s * random.uniform(0.9, 1.0))  # noqa: S311  # keeps controllers apart

    async def settle_anew(self) -> None:
        """Let the clock of the server count as it is, as after a restore; raises StorageUnavailable or Overloaded."""
        await self._server.settle(await self._server.read(), timedelta())

    async def measure(self, *, settles: bool = True) -> None:
        """Probe once, and adjust the clock; after a failover, settle first how the time goes on.

        What lives for a moment does not settle, and takes the clock of a new server as it is.
        """
        try:
            sample, time = await self._exact_sample()
            if settles and not time.is_settled and await self._settle(sample, time):
                sample, time = await self._exact_sample()
        except DomainError as error:
            self._unreachable = True
            self._fault = error.fault if isinstance(error, StorageUnavailable) else None
        except Exception as error:  # noqa: BLE001  # without its clock the service would stop, so it continues
            self._unreachable = True
            self._log_failure(error)
        else:
            self._unreachable, self._failure = False, None
            self._take_in(sample, time, settles=settles)

    async def _exact_sample(self) -> tuple[ClockSample, ServerTime]:
        """Take a sample, of a new server the most exact of several: what is settled is off by up to its error.

        The first one is often slow, because it waits for a connection. The clock keeps the former time meanwhile.
        """
        sample, time = await self._sample()
        ends_ns = sample.taken_ns + self._options.new_server_s * _NS_PER_S
        is_new = self._best is not None and time.timeline != self._timeline
        with suppress(DomainError):
            for _ in range(self._options.new_server_probes - 1 if is_new else 0):
                if sample.error_ns <= self._options.exact_ms * _NS_PER_MS or self._monotonic_ns() >= ends_ns:
                    break
                sample, time = min((sample, time), await self._sample(), key=lambda taken: taken[0].error_ns)
        return sample, time

    async def _sample(self) -> tuple[ClockSample, ServerTime]:
        sent_ns = self._monotonic_ns()
        time = await self._server.read()
        sample = ClockSample.of(sent_ns, time.at, self._monotonic_ns(), fades=bool(time.correction_ms))
        return sample, time

    def _take_in(self, sample: ClockSample, time: ServerTime, *, settles: bool) -> None:
        """Adjust the clock, unless it is open how the time of a new server follows that of the last one."""
        if time.is_settled or time.settled_timeline is None or not settles:
            self._unsettled_since_ns, self._correction_ms = None, time.correction_ms
            # What was settled is known to the error of one probe only, so a sample of before is not one of this time.
            is_new, self._timeline = time.timeline != self._timeline, time.timeline
            self._learn(sample, is_new=is_new)

    async def _settle(self, sample: ClockSample, time: ServerTime) -> bool:
        """Store what is added to the clock of a new server, if it is for this controller to do so; return whether."""
        if self._unsettled_since_ns is None:
            self._unsettled_since_ns = sample.taken_ns
        waited_ns = sample.taken_ns - self._unsettled_since_ns
        is_new = time.settled_timeline is None
        if self._best is None and not is_new and waited_ns < self._options.settle_after_s * _NS_PER_S:
            return False
        correction = timedelta() if is_new else self._continuing(sample)
        try:
            await self._server.settle(time, correction)
        except DomainError as error:
            _log.warning("clock_not_settled", timeline=time.timeline, reason=error.message)
            return False
        _log.info("clock_settled", timeline=time.timeline, correction_ms=round(correction / _MILLISECOND))
        return True

    def _continuing(self, sample: ClockSample) -> timedelta:
        """Return what to add to the new server's clock; a difference that is no jump is corrected as any other."""
        if self._best is None or self._best.differs_ns(sample) <= self._options.jump_ms * _NS_PER_MS:
            return timedelta()
        ahead_ns = self._best.offset_ns + self._still_ahead_ns(sample.taken_ns) - sample.offset_ns
        return ahead_ns // 1000 * _MICROSECOND

    @property
    def _interval_s(self) -> float:
        if self._doubted and not self._unreachable:
            return self._options.doubt_interval_s
        is_urgent = self._unreachable or self._unsettled_since_ns is not None or self._samples < _FIRST_SAMPLES
        return self._options.urgent_interval_s if is_urgent else self._options.interval_s

    def _log_failure(self, error: Exception) -> None:
        if self._failure is not type(error):
            self._failure = type(error)
            _log.error("clock_probe_failed", exc_info=error)

    def _learn(self, sample: ClockSample, *, is_new: bool) -> None:
        self._samples += 1
        best = self._best
        if best is None:
            self._best = sample
        elif self._doubted or best.differs_ns(sample) > self._options.jump_ms * _NS_PER_MS:
            self._doubt(sample, best)
        elif is_new or sample.error_ns <= best.bound_ns(sample.taken_ns) or best.differs_ns(sample) > 0:
            self._correct(sample, best)

    def _correct(self, sample: ClockSample, best: ClockSample) -> None:
        ahead_ns = self._still_ahead_ns(sample.taken_ns) + best.offset_ns - sample.offset_ns
        self._best = sample
        self._ahead_ns, self._ahead_at_ns = max(0, ahead_ns), sample.taken_ns

    def _doubt(self, sample: ClockSample, best: ClockSample) -> None:
        if self._doubted and self._doubted[0].differs_ns(sample) > self._options.agreement_ms * _NS_PER_MS:
            self._doubted.clear()
        if not self._doubted:
            _log.warning("clock_jumped", jump_ms=round((sample.offset_ns - best.offset_ns) / _NS_PER_MS))
        self._doubted.append(sample)
        if len(self._doubted) >= self._options.agreeing_probes:
            self._take(sample, best)

    def _take(self, sample: ClockSample, best: ClockSample) -> None:
        """Accept the doubted offset; after a jump back, `now` stands still until the time is reached again."""
        self._doubted.clear()
        if best.differs_ns(sample) > self._options.jump_ms * _NS_PER_MS:
            self._best, self._ahead_ns = sample, 0
        else:
            self._correct(sample, best)
        _log.warning("clock_jump_accepted", jump_ms=round((sample.offset_ns - best.offset_ns) / _NS_PER_MS))

    def _still_ahead_ns(self, monotonic_ns: int) -> int:
        """Return the rest of a correction backward."""
        if not self._ahead_ns:
            return 0
        return max(0, self._ahead_ns - (monotonic_ns - self._ahead_at_ns) * _SLOWING_PERCENT // 100)

    def _jump_ms(self, best: ClockSample) -> float:
        return (self._doubted[-1].offset_ns - best.offset_ns) / _NS_PER_MS
