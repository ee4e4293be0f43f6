"""The ring of days that the history is kept in."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from domain.identity import uuid7_at, uuid7_ms

SLOTS = 32
"""Days in the ring; the table has a partition for each."""

_MS_PER_DAY = 86_400_000


def day_of(identifier: UUID) -> int:
    """Return the day, in UTC since 1970-01-01, of the time in an id."""
    return uuid7_ms(identifier) // _MS_PER_DAY


def day_at(now: datetime) -> int:
    """Return the day, in UTC since 1970-01-01, of an instant."""
    return day_of(uuid7_at(now, 0))


def slot_of(identifier: UUID) -> int:
    """Return the slot that an execution's row belongs to."""
    return day_of(identifier) % SLOTS


def first_of(day: int) -> UUID:
    """Return the least UUIDv7 of a day."""
    return UUID(int=day * _MS_PER_DAY << 80 | 0x7 << 76 | 0b10 << 62)


def slots_between(first_day: int, last_day: int) -> Iterator[int]:
    """Yield the slots of these days, the latest first; of more days than the ring has, the latest ones."""
    for day in range(last_day, max(first_day, last_day - SLOTS + 1) - 1, -1):
        yield day % SLOTS
