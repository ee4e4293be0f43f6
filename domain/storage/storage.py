"""The sizes of stored parts, and the storage budget."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from attrs import frozen

_MARGIN = timedelta(hours=1)
"""A day may get rows for this long after its end; its partition is reserved for this long before it."""

_DAYS_MAX = timedelta(days=32)
"""After these days the partition of a day belongs to another day."""


class Part(StrEnum):
    """A kind of stored data."""

    SESSIONS = "sessions"
    OPEN_EXECUTIONS = "open_executions"
    QUEUE = "queue"
    WEBHOOKS = "webhooks"
    SCHEDULES = "schedules"
    HISTORY = "history"
    FILES = "files"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    FUNCTIONS = "functions"
    ENVIRONMENTS = "environments"
    TAKEOVER = "takeover"
    AUDIT = "audit"
    OTHER = "other"


@frozen
class Amount:
    """Bytes on disk with indexes, and rows as the database estimates them."""

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
    """The stored data at one instant; the oldest day of the history first."""

    parts: Mapping[Part, Amount]
    history: Sequence[HistoryDay]

    @property
    def size_bytes(self) -> int:
        """All parts together."""
        return sum(amount.size_bytes for amount in self.parts.values())

    @classmethod
    def together(cls, buckets: Iterable["Stored"]) -> "Stored":
        """Return what several buckets have stored, part by part and day by day."""
        parts: dict[Part, Amount] = {}
        days: dict[date, Amount] = {}
        for each in buckets:
            for part, amount in each.parts.items():
                parts[part] = parts.get(part, Amount()) + amount
            for of_day in each.history:
                days[of_day.day] = days.get(of_day.day, Amount()) + of_day.amount
        return cls(parts, [HistoryDay(day, days[day]) for day in sorted(days)])

    def history_days(self, now: datetime) -> int:
        """Return how many days the history goes back, including today; 0 if it is empty."""
        return (now.date() - self.history[0].day).days + 1 if self.history else 0


@frozen
class ShortenedDay:
    """A day of the history that was removed before the end of its retention, to keep the budget."""

    day: date
    shortened_at: datetime
    size_bytes: int


@frozen
class StorageBudget:
    """The maximum of stored bytes, None for no maximum, and the days for which the history is kept within it."""

    size_max_bytes: int | None
    history_days: int

    def exceeded(self, stored: Stored) -> bool:
        """Return whether more is stored than the budget allows."""
        return self.size_max_bytes is not None and stored.size_bytes > self.size_max_bytes

    def day_to_shorten(self, stored: Stored, now: datetime, elsewhere: Sequence[Stored] = ()) -> HistoryDay | None:
        """Return the oldest removable day of the history if the budget is exceeded; else, or without a day, None.

        A day that may still get rows stays: today, and yesterday in the hour after midnight. So does a day whose
        partition another day will use next: its retention ends then. What other buckets have stored (`elsewhere`)
        counts too, and a day stays while one of them has an older one.
        """
        if not self.exceeded(Stored.together([stored, *elsewhere])):
            return None
        day = _removable(stored, now)
        older = (found for each in elsewhere if (found := _removable(each, now)) is not None)
        return None if day is None or any(each.day < day.day for each in older) else day

    def missing_days(self, shortened: Sequence[ShortenedDay], now: datetime) -> Sequence[ShortenedDay]:
        """Return the days that would still be stored without the budget."""
        kept_from = (now - timedelta(days=self.history_days)).date()
        return [each for each in shortened if each.day >= kept_from]


def _removable(stored: Stored, now: datetime) -> HistoryDay | None:
    first = (now + _MARGIN - _DAYS_MAX).date()
    last = (now - _MARGIN).date() - timedelta(days=1)
    return next((each for each in stored.history if first < each.day <= last), None)
