"""How much is stored in which part, and what a budget makes of it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from attrs import frozen

_MARGIN = timedelta(hours=1)
"""So long after its end a day may get the ends of executions that began in it; so long before it, its place is kept."""

_DAYS_MAX = timedelta(days=32)
"""After so many days a day's place belongs to another one."""


class Part(StrEnum):
    """What is stored, by what it is for."""

    SESSIONS = "sessions"
    OPEN_EXECUTIONS = "open_executions"
    HISTORY = "history"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    FUNCTIONS = "functions"
    OTHER = "other"


@frozen
class Amount:
    """Bytes on disk, with indexes and all, and rows as the database estimates them."""

    size_bytes: int = 0
    rows: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.size_bytes + other.size_bytes, self.rows + other.rows)


@frozen
class HistoryDay:
    """The executions that began on one day, in UTC."""

    day: date
    amount: Amount


@frozen
class Stored:
    """What is stored, as seen at one moment; days of the history come oldest first."""

    parts: Mapping[Part, Amount]
    history: Sequence[HistoryDay]

    @property
    def size_bytes(self) -> int:
        """All parts together."""
        return sum(amount.size_bytes for amount in self.parts.values())

    def history_days(self, now: datetime) -> int:
        """Return how many days the history goes back, today's included; 0 when it is empty."""
        return (now.date() - self.history[0].day).days + 1 if self.history else 0


@frozen
class ShortenedDay:
    """A day of the history that went before its retention was over, lest the budget be exceeded."""

    day: date
    shortened_at: datetime
    size_bytes: int


@frozen
class StorageBudget:
    """Bytes that may be stored, None for any number, and days that the history is kept where they allow it."""

    size_max_bytes: int | None
    history_days: int

    def exceeded(self, stored: Stored) -> bool:
        """Tell whether more is stored than the budget allows."""
        return self.size_max_bytes is not None and stored.size_bytes > self.size_max_bytes

    def next_to_go(self, stored: Stored, now: datetime) -> HistoryDay | None:
        """Return the oldest day of the history when the budget is exceeded; None when there is no reason, or no day.

        A day that may still be written stays: today's always, and yesterday's in the hour after midnight. So does one
        whose place is about to be written by another day: retention will have it.
        """
        if not self.exceeded(stored):
            return None
        first = (now + _MARGIN - _DAYS_MAX).date()
        last = (now - _MARGIN).date() - timedelta(days=1)
        return next((each for each in stored.history if first < each.day <= last), None)

    def owed(self, shortened: Sequence[ShortenedDay], now: datetime) -> Sequence[ShortenedDay]:
        """Return those days that would still be there if there were no budget."""
        kept_from = (now - timedelta(days=self.history_days)).date()
        return [each for each in shortened if each.day >= kept_from]
