"""One look at the database's clock: how far it is from the monotonic clock, and how sure that is."""

from datetime import UTC, datetime, timedelta

from attrs import frozen

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DRIFT_PPM = 200
"""How far two clocks of ordinary machines run apart at most, with the worst slewing left aside."""


@frozen
class ClockSample:
    """`offset_ns` added to the monotonic clock gives the database's time, within `error_ns` at the time it was taken."""

    offset_ns: int
    error_ns: int
    taken_ns: int

    @classmethod
    def of(cls, sent_ns: int, server_at: datetime, received_ns: int) -> "ClockSample":
        """Take the server's instant for the middle of the round trip; it may be anywhere in it."""
        error_ns = (received_ns - sent_ns + 1) // 2
        return cls(to_ns(server_at) - sent_ns - error_ns, error_ns, received_ns)

    def bound_ns(self, monotonic_ns: int) -> int:
        """Return the error bound at a later instant of the monotonic clock."""
        return self.error_ns + max(0, monotonic_ns - self.taken_ns) * _DRIFT_PPM // 1_000_000

    def differs_ns(self, other: "ClockSample") -> int:
        """Return by how much the two disagree at least, beyond what their errors explain."""
        known_ns = self.bound_ns(other.taken_ns) + other.bound_ns(self.taken_ns)
        return max(0, abs(self.offset_ns - other.offset_ns) - known_ns)


def to_ns(instant: datetime) -> int:
    """Return nanoseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def from_ns(since_epoch_ns: int) -> datetime:
    """Return the instant in UTC, cut to the microsecond."""
    return _EPOCH + timedelta(microseconds=since_epoch_ns // 1000)
