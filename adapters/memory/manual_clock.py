"""A clock that a test sets."""

from datetime import UTC, datetime, timedelta

from attrs import define
from typing_extensions import override

from domain.clock import Clock


@define
class ManualClock(Clock):
    """Stands still until it is advanced."""

    _now: datetime = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    @override
    def now(self) -> datetime:
        return self._now

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        self._now += span
