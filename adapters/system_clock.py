"""The host's wall clock, for commands that do not judge sessions."""

from datetime import UTC, datetime

from typing_extensions import override

from domain.clock import Clock


class SystemClock(Clock):
    """Returns the host's time, which may be wrong and may step."""

    @override
    def now(self) -> datetime:
        return datetime.now(UTC)
