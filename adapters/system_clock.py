"""The host's wall clock, for commands that keep no sessions."""

from datetime import UTC, datetime

from typing_extensions import override

from domain.clock import Clock


class SystemClock(Clock):
    """Tells the host's time; it may be off, and it may step."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)
