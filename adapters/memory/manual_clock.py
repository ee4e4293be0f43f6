"""Time that a test sets."""

from datetime import UTC, datetime, timedelta

from attrs import define
from typing_extensions import override

from domain.clock import Clock


@define
class ManualClock(Clock):
    """Stands still until it is advanced, and so does its monotonic time."""

    _now: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    _monotonic_ns: int = 1_000_000_000_000

    @override
    def now(self) -> datetime:
        return self._now

    def monotonic_ns(self) -> int:
        """Return the monotonic time, as a MonotonicClock."""
        return self._monotonic_ns

    def advance(self, span: timedelta) -> None:
        """Move both times forward."""
        self._now += span
        self._monotonic_ns += span // timedelta(microseconds=1) * 1000


def no_jitter(_shortest_s: float, longest_s: float, /) -> float:
    """Return the longest pause, as a Jitter without randomness."""
    return longest_s
