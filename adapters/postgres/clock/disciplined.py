"""The disciplined clock: the database's time, kept on this host's monotonic clock."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from attrs import field, frozen, validators
from typing_extensions import override

from adapters.postgres.clock.probe import Probe
from domain.clock import Clock
from domain.errors import DomainError, StorageUnavailable
from domain.storage.faults import StorageFault

_NS_PER_MS = 1_000_000
_SLOWING_PERCENT = 10
"""Until a correction backward is complete, the clock runs this much slower."""
_FIRST_SAMPLES = 4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DRIFT_PPM = 200
"""How fast two clocks of ordinary machines drift apart at most, without extreme slewing."""

_log = structlog.get_logger(__name__)
_positive = validators.gt(0.0)


@frozen
class ClockSample:
    """The monotonic clock plus `offset_ns` is the database's time, within `error_ns` when the sample was taken."""

    offset_ns: int
    error_ns: int
    taken_ns: int

    @classmethod
    def of(cls, sent_ns: int, server_at: datetime, received_ns: int) -> "ClockSample":
        """Return a sample that assumes the server's instant in the middle of the round trip."""
        error_ns = (received_ns - sent_ns + 1) // 2
        return cls(to_ns(server_at) - sent_ns - error_ns, error_ns, received_ns)

    def bound_ns(self, monotonic_ns: int) -> int:
        """Return the error bound at a later instant of the monotonic clock."""
        return self.error_ns + max(0, monotonic_ns - self.taken_ns) * _DRIFT_PPM // 1_000_000

    def differs_ns(self, other: "ClockSample") -> int:
        """Return by how much the two disagree at least, beyond their errors."""
        known_ns = self.bound_ns(other.taken_ns) + other.bound_ns(self.taken_ns)
        return max(0, abs(self.offset_ns - other.offset_ns) - known_ns)


def to_ns(instant: datetime) -> int:
    """Return nanoseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // _MICROSECOND * 1000


def from_ns(since_epoch_ns: int) -> datetime:
    """Return the instant in UTC, cut to the microsecond."""
    return _EPOCH + since_epoch_ns // 1000 * _MICROSECOND


@frozen
class ClockOptions:
    """Seconds between probes, the jump that is doubted, and the error bound up to which the clock is ready.

    A doubted offset is accepted after `agreeing_probes` in a row agree on it, within `agreement_ms`.
    """

    interval_s: float = field(default=5.0, validator=_positive)
    urgent_interval_s: float = field(default=1.0, validator=_positive)
    probe_timeout_s: float = field(default=1.0, validator=_positive)
    jump_ms: int = 500
    agreement_ms: int = 50
    error_bound_ms_max: int = 500
    agreeing_probes: int = field(default=5, validator=validators.ge(1))


def boottime_ns() -> int:
    """Return nanoseconds of a monotonic clock that includes suspend, if the system has one."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def host_time() -> datetime:
    """Return the host's wall clock, in UTC."""
    return datetime.now(UTC)


class DisciplinedClock(Clock):
    """Keeps the database's time: `run` measures the offset, and `now` reads the monotonic clock.

    All controllers of one database agree within their error bounds, whatever their hosts' clocks do. A correction
    forward applies at once; one backward slows the clock, which never goes back. Before the first contact `now` raises
    StorageUnavailable, because the host's own clock may be wrong by any amount.
    """

    def __init__(
        self,
        probe: Probe,
        options: ClockOptions | None = None,
        *,
        monotonic_ns: Callable[[], int] = boottime_ns,
        wall: Callable[[], datetime] = host_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._options = options or ClockOptions()
        self._monotonic_ns = monotonic_ns
        self._wall = wall
        self._sleep = sleep
        self._best: ClockSample | None = None
        self._doubted: list[ClockSample] = []
        self._samples = 0
        self._unreachable = True
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
            interval_s = self._options.interval_s if self._calm else self._options.urgent_interval_s
            await self._sleep(interval_s * random.uniform(0.9, 1.0))  # noqa: S311  # keeps controllers apart

    async def measure(self) -> None:
        """Probe once, and adjust the clock."""
        sent_ns = self._monotonic_ns()
        try:
            server_at = await self._probe()
        except DomainError as error:
            self._unreachable = True
            self._fault = error.fault if isinstance(error, StorageUnavailable) else None
        except Exception as error:  # noqa: BLE001  # without its clock the service would stop, so it continues
            self._unreachable = True
            self._log_failure(error)
        else:
            self._unreachable, self._failure = False, None
            self._learn(ClockSample.of(sent_ns, server_at, self._monotonic_ns()))

    @property
    def _calm(self) -> bool:
        return not self._unreachable and not self._doubted and self._samples >= _FIRST_SAMPLES

    def _log_failure(self, error: Exception) -> None:
        if self._failure is not type(error):
            self._failure = type(error)
            _log.error("clock_probe_failed", exc_info=error)

    def _learn(self, sample: ClockSample) -> None:
        self._samples += 1
        best = self._best
        if best is None:
            self._best = sample
        elif self._doubted or best.differs_ns(sample) > self._options.jump_ms * _NS_PER_MS:
            self._doubt(sample, best)
        elif sample.error_ns <= best.bound_ns(sample.taken_ns) or best.differs_ns(sample) > 0:
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
