"""The partitions of the history: a ring of days."""

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from domain.identity import uuid7_at, uuid7_ms

PARTITIONS = 32
"""Days in the ring; the table has a partition for each."""

_MS_PER_DAY = 86_400_000


def day_of(identifier: UUID) -> int:
    """Return the day of the time in an id, in UTC, counted from 1970-01-01."""
    return uuid7_ms(identifier) // _MS_PER_DAY


def day_at(now: datetime) -> int:
    """Return the day of an instant, in UTC, counted from 1970-01-01."""
    return day_of(uuid7_at(now, 0))


def partition_of(identifier: UUID) -> int:
    """Return the number of the partition to which an execution's row belongs."""
    return day_of(identifier) % PARTITIONS


def first_id_of(day: int) -> UUID:
    """Return the least UUIDv7 of a day."""
    return UUID(int=day * _MS_PER_DAY << 80 | 0x7 << 76 | 0b10 << 62)


def partitions_between(first_day: int, last_day: int) -> Iterator[int]:
    """Yield the partitions of these days, the latest first; if there are more days than partitions, the latest ones."""
    for day in range(last_day, max(first_day, last_day - PARTITIONS + 1) - 1, -1):
        yield day % PARTITIONS
