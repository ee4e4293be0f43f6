"""The growth of stored data, and when it reaches the budget or fills the disk."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from math import inf

from attrs import evolve, field, frozen

from domain.storage.storage import Amount, HistoryDay, Part, Stored

_DAY = timedelta(days=1)
_SPAN_MIN = timedelta(minutes=1)
"""A shorter span gives no rate per day."""
_ACTS_SPAN_MIN = _DAY
"""Administrative acts are few: in less time, the pages of the empty table would count as growth."""


@frozen
class Growth:
    """Rows and bytes added per day, measured over a span, and how many days they are kept; None keeps them."""

    seen_for: timedelta
    rows_per_day: float
    bytes_per_day: float
    kept_days: float | None = None

    @classmethod
    def of(cls, amount: Amount, seen_for: timedelta, kept_days: float | None) -> "Growth | None":
        """Return the growth that made an amount in this span; None if the span is too short."""
        if seen_for < _SPAN_MIN:
            return None
        days = seen_for / _DAY
        return cls(seen_for, amount.rows / days, amount.size_bytes / days, kept_days)

    def ends_after_days(self, size_bytes: int) -> float:
        """Return the days from now until as much is removed as added."""
        return inf if self.kept_days is None else max(0.0, self.kept_days - size_bytes / self.bytes_per_day)


@frozen
class StorageFacts:
    """The stored data at one instant, its oldest rows, and how long each part is kept in days."""

    stored: Stored
    measured_at: datetime
    oldest: Mapping[Part, datetime]
    session_days: float | None
    history_days: int
    key_days: float
    audit_days: float = 90

    @classmethod
    def together(cls, buckets: Sequence["StorageFacts"]) -> "StorageFacts":
        """Return the facts of several buckets as those of one storage; the first one was measured last."""
        first, *_ = buckets
        oldest: dict[Part, datetime] = {}
        for part, at in chain.from_iterable(each.oldest.items() for each in buckets):
            oldest[part] = min(at, oldest.get(part, at))
        known = [each.session_days for each in buckets if each.session_days is not None]
        return evolve(
            first,
            stored=Stored.together(each.stored for each in buckets),
            oldest=oldest,
            session_days=sum(known) / len(known) if known else None,
        )


@frozen
class StorageReport:
    """Facts and growth, with the budget and the free disk space, if known."""

    facts: StorageFacts
    budget_bytes: int | None = None
    disk_free_bytes: int | None = None
    growths: Mapping[Part, Growth] = field(init=False)

    @growths.default
    def _growths(self) -> Mapping[Part, Growth]:
        return growths(self.facts)

    @property
    def days_until_budget(self) -> float | None:
        """Days until the budget is exceeded at the present rates; None for never, or without a budget."""
        return None if self.budget_bytes is None else self._days_until(self.budget_bytes)

    @property
    def days_until_disk(self) -> float | None:
        """Days until the disk is full at the present rates; None for never, or if its space is unknown."""
        if self.disk_free_bytes is None:
            return None
        return self._days_until(self.facts.stored.size_bytes + self.disk_free_bytes)

    @property
    def size_in_the_end_bytes(self) -> float:
        """The size at which as much is removed as added, at the present rates; infinite if a part is never removed."""
        stored = self.facts.stored
        added = (
            growth.bytes_per_day * growth.ends_after_days(stored.parts[part].size_bytes)
            for part, growth in self.growths.items()
            if growth.bytes_per_day > 0
        )
        return stored.size_bytes + sum(added)

    def _days_until(self, size_max_bytes: int) -> float | None:
        return days_until(size_max_bytes, self.facts.stored, self.growths)


def growths(facts: StorageFacts) -> Mapping[Part, Growth]:
    """Return the growth of each part that has one."""
    found = {Part.HISTORY: _history_growth(facts)}
    kept_days = {Part.SESSIONS: facts.session_days, Part.IDEMPOTENCY_KEYS: facts.key_days, Part.AUDIT: facts.audit_days}
    for part, days in kept_days.items():
        seen_for = facts.measured_at - facts.oldest.get(part, facts.measured_at)
        if part is not Part.AUDIT or seen_for >= _ACTS_SPAN_MIN:
            found[part] = Growth.of(facts.stored.parts[part], seen_for, days)
    return {part: growth for part, growth in found.items() if growth is not None}


def days_until(size_max_bytes: int, stored: Stored, growing: Mapping[Part, Growth]) -> float | None:
    """Return the days until this size is reached at these rates; None for never.

    Each part grows until as much of it is removed as added.
    """
    left, day = float(size_max_bytes - stored.size_bytes), 0.0
    if left <= 0:
        return day
    growing = {part: growth for part, growth in growing.items() if growth.bytes_per_day > 0}
    ends = sorted((growth.ends_after_days(stored.parts[part].size_bytes), part) for part, growth in growing.items())
    for nth, (end, _) in enumerate(ends):
        rate = sum(growing[part].bytes_per_day for _, part in ends[nth:])
        added = rate * (end - day)
        if left < added:
            return day + left / rate
        left, day = left - added, end
    return None


def _history_growth(facts: StorageFacts) -> Growth | None:
    """Return the mean of the past days; without one, the rate of today so far."""
    if not facts.stored.history:
        return None
    today = facts.measured_at.date()
    past = [each for each in facts.stored.history if each.day < today]
    if past:
        return Growth.of(_sum(past), today - past[0].day, facts.history_days)
    midnight = datetime.combine(today, time(), UTC)
    since = max(midnight, facts.oldest.get(Part.SESSIONS, midnight))
    return Growth.of(_sum(facts.stored.history), facts.measured_at - since, facts.history_days)


def _sum(days: Iterable[HistoryDay]) -> Amount:
    return sum((each.amount for each in days), Amount())
