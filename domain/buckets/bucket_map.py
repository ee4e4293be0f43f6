"""Which bucket has the rows of a session: by its id, by a hash, or chosen for a new one."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, frozen

from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, BUCKET_BITS, Owner, bucket_bits, is_own_id, uuid7_time

HOME = 0
"""The bucket that every database has: of older and of foreign ids, and of what belongs to no session."""

NUMBER_MAX = (1 << BUCKET_BITS) - 1

SPREAD_MAX = 4
"""Buckets for the new sessions of one owner: a list reads each of them."""

ANNOUNCED = timedelta(seconds=60)
"""How long before its `from_at` a bucket is stored."""

FRESH = timedelta(seconds=45)
"""How long a map that was read knows every bucket that may have ids; less than ANNOUNCED, by the time of a write."""

SETTLING = timedelta(seconds=5)
"""More than the clocks of two controllers may differ.

New sessions get a bucket only so long after its `from_at`. So each execution of theirs has an instant behind `from_at`
in its id, whatever controller makes it.
"""


@frozen
class Bucket:
    """A bucket beside HOME. Own ids from `from_at` on that end with its number belong to it."""

    number: int
    from_at: datetime

    @property
    def filled_from(self) -> datetime:
        """The instant from which new sessions get this bucket."""
        return self.from_at + SETTLING


@define(eq=False)
class BucketsChange(StorageUnavailable):
    """Calls that are found by a hash pause while the number of buckets is raised."""

    @property
    def message(self) -> str:
        return (
            "The database is being divided into more buckets, and calls under new idempotency keys pause for some "
            "seconds. Nothing was done. Repeat the call after a moment."
        )


@frozen
class BucketMap:
    """All buckets beside HOME; none in a database that is not distributed.

    An *epoch* is the time between two instants at which new sessions get further buckets. What is found by the hash of
    a text may lie in another bucket in each epoch. Rendezvous hashing moves only what the new buckets get.
    """

    buckets: Sequence[Bucket] = ()

    def of(self, identifier: UUID) -> int:
        """Return the bucket of an id, of whatever kind and version; no id is refused."""
        number = bucket_bits(identifier)
        if not number or not is_own_id(identifier):
            return HOME
        made_at = uuid7_time(identifier)
        return number if any(b.number == number and b.from_at <= made_at for b in self.buckets) else HOME

    def numbers(self, now: datetime) -> Sequence[int]:
        """Return the buckets that new sessions get; HOME gets them only before all others."""
        return tuple(b.number for b in self.buckets if b.filled_from <= now) or (HOME,)

    @property
    def all_numbers(self) -> Sequence[int]:
        """Every bucket that may have rows, HOME first."""
        return HOME, *(b.number for b in self.buckets)

    def spread(self, owner: Owner, now: datetime) -> Sequence[int]:
        """Return the buckets that new sessions of an owner get; those of ANONYMOUS get all."""
        numbers = self.numbers(now)
        return numbers if owner == ANONYMOUS else _ranked(owner, numbers)[:SPREAD_MAX]

    def hashed(self, text: str, now: datetime) -> int:
        """Return the bucket in which what is found by the text is made now."""
        return _ranked(text, self.numbers(now))[0]

    def candidates(self, text: str, now: datetime, kept: timedelta | None = None) -> Sequence[int]:
        """Return the buckets that may have what is found by the text, that of the present epoch first.

        With `kept`, what was made longer ago is not wanted: epochs that ended before that are left out.
        """
        ends = sorted({b.filled_from for b in self.buckets if b.filled_from <= now}, reverse=True)
        wanted = [end for end in ends if kept is None or now - end < kept + SETTLING]
        earlier = (self.hashed(text, end - timedelta(microseconds=1)) for end in wanted)
        return tuple(dict.fromkeys((self.hashed(text, now), *earlier)))

    def require_settled(self, text: str, now: datetime, pause: timedelta) -> None:
        """Raise BucketsChange if the text has got another bucket within the `pause` before `now`.

        A call of the epoch before may still store something under the text in the old bucket: it has the time of a
        request for that, and its controller another clock.
        """
        since = now - pause - SETTLING
        changed = [b.filled_from for b in self.buckets if since < b.filled_from <= now]
        if changed and self.hashed(text, since) != self.hashed(text, now):
            left = max(changed) + pause + SETTLING - now
            raise BucketsChange(stored="no", executed="no", retry_after_ms=-(-left // timedelta(milliseconds=1)))


def in_bucket(identifier: UUID, number: int) -> UUID:
    """Return a new id with the number of a bucket in its last bits."""
    return UUID(int=identifier.int & ~NUMBER_MAX | number)


def _ranked(text: str, numbers: Sequence[int]) -> Sequence[int]:
    """Return the buckets in the order that rendezvous hashing gives them for a text."""
    return tuple(sorted(numbers, key=lambda number: hashlib.sha256(f"{number} {text}".encode()).digest()))
