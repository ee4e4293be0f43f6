"""The host's own clocks, and one sample of the difference to the database's."""

import time
from datetime import UTC, datetime, timedelta

from attrs import frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DRIFT_PPM = 200
"""How fast two clocks of ordinary machines drift apart at most, without extreme slewing."""

_FADING_PPM = 500
"""How fast a correction fades, as `select_clock` says."""


@frozen
class ClockSample:
    """The monotonic clock plus `offset_ns` is the database's time, within `error_ns` when the sample was taken."""

    offset_ns: int
    error_ns: int
    taken_ns: int
    drift_ppm: int = _DRIFT_PPM

    @classmethod
    def of(cls, sent_ns: int, server_at: datetime, received_ns: int, *, fades: bool = False) -> "ClockSample":
        """Return a sample that assumes the server's instant in the middle of the round trip.

        `fades` says that the difference changes by itself, because a correction fades.
        """
        error_ns = (received_ns - sent_ns + 1) // 2
        drift_ppm = _DRIFT_PPM + (_FADING_PPM if fades else 0)
        return cls(to_ns(server_at) - sent_ns - error_ns, error_ns, received_ns, drift_ppm)

    def bound_ns(self, monotonic_ns: int) -> int:
        """Return the error bound at a later instant of the monotonic clock."""
        return self.error_ns + max(0, monotonic_ns - self.taken_ns) * self.drift_ppm // 1_000_000

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


def boottime_ns() -> int:
    """Return nanoseconds of a monotonic clock that includes suspend, if the system has one."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def host_time() -> datetime:
    """Return the host's wall clock, in UTC."""
    return datetime.now(UTC)
