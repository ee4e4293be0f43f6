"""The fence: how a takeover hides a session from the origin."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from attrs import frozen

FENCE = timedelta(seconds=31_536_000_000)
"""A thousand years of 365 days, in seconds, so that neither time zones nor leap days enter."""

HIDDEN_BEFORE = datetime(1500, 1, 1, tzinfo=UTC)
"""A session of the origin that expires earlier is behind a fence."""

_MARKS = 999_999
_BUCKET_BITS = 8
_SECOND = timedelta(seconds=1)


@frozen
class Fence:
    """The exact shift of `expires_at` by which one takeover hides sessions.

    The origin serves no expired session, and its late writes do not change `expires_at`. So the shift lasts, and
    carries its own undo. The microseconds of the shift differ from takeover to takeover, so that two takeovers of one
    origin do not take each other's fences for their own.
    """

    shift: timedelta

    @classmethod
    def of(cls, takeover_id: UUID) -> "Fence":
        """Return the fence of a takeover."""
        mark = 1 + (takeover_id.int >> _BUCKET_BITS) % _MARKS
        return cls(FENCE + timedelta(microseconds=mark))

    def hidden(self, expires_at: datetime) -> datetime:
        """Return the expiry that the origin stores for a hidden session."""
        return expires_at - self.shift

    def shown(self, stored_at: datetime) -> datetime:
        """Return a session's expiry from what the origin stores; a foreign fence makes it less than a second wrong."""
        return stored_at + self.shift if stored_at < HIDDEN_BEFORE else stored_at

    def is_own(self, stored_at: datetime, created_at: datetime, known_at: datetime | None) -> bool:
        """Return whether this takeover has hidden a session that the origin stores with the expiry `stored_at`.

        `known_at` is the expiry that this side knows. Without it the length tells: the origin makes sessions of whole
        seconds only.
        """
        if stored_at >= HIDDEN_BEFORE:
            return False
        if known_at is not None:
            return self.hidden(known_at) == stored_at
        return (self.shown(stored_at) - created_at) % _SECOND == timedelta()
