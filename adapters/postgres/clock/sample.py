"""One sample of the database's clock: its offset to the monotonic clock, and the error of the offset."""

from datetime import UTC, datetime, timedelta

from attrs import frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DRIFT_PPM = 200
"""How fast two clocks of ordinary machines drift apart at most, without extreme slewing."""


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
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def from_ns(since_epoch_ns: int) -> datetime:
    """Return the instant in UTC, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=since_epoch_ns // 1000)
