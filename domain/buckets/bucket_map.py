"""Which bucket has the rows of a session: by its id, by a hash, or chosen for a new one."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, BUCKET_BITS, EVERY_OWNER, Owner, bucket_bits, is_own_id, uuid7_time

HOME = 0
"""The bucket that every database has: of older and of foreign ids, and of what belongs to no session."""

NUMBER_MAX = (1 << BUCKET_BITS) - 1

SPREAD_MAX = 4
"""Buckets for the new sessions of one owner: a list reads each of them."""

ANNOUNCED = timedelta(seconds=60)
"""How long before its `from_at` a bucket is stored, and before its first row a move of an owner."""

FRESH = timedelta(seconds=45)
"""How long a map that was read knows every bucket that may have rows; less than ANNOUNCED, by the time of a write."""

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


@frozen
class OwnerMove:
    """What `source` had belongs to `target`, and stays in the buckets of `source`; last moved at `last_at`."""

    source: Owner
    target: Owner
    last_at: datetime


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

    An *epoch* is the time between two instants at which new sessions get further buckets. The buckets of an owner, and
    the one of them that the hash of a text gives, may be others in each epoch. Rendezvous hashing moves only what the
    new buckets get.
    """

    buckets: Sequence[Bucket] = ()
    moves: Sequence[OwnerMove] = ()
    _former: Mapping[Owner, Sequence[Owner]] = field(init=False, eq=False, repr=False)
    """From whom an owner got sessions."""

    @_former.default
    def _by_target(self) -> Mapping[Owner, Sequence[Owner]]:
        former: dict[Owner, list[Owner]] = defaultdict(list)
        for move in self.moves:
            former[move.target].append(move.source)
        return former

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

    def all_of(self, owner: Owner) -> Sequence[int]:
        """Return every bucket that may have rows of an owner, HOME first; for EVERY_OWNER all.

        Those of an epoch that has only been announced are among them: the clock of a controller may be ahead.
        """
        if owner == EVERY_OWNER:
            return self.all_numbers
        found = {HOME}.union(*(spread for name in self._names(owner) for spread in self._spreads(name)))
        return tuple(number for number in self.all_numbers if number in found)

    def are_alike(self, one: Owner, other: Owner) -> bool:
        """Return whether all that `one` has lies where the same things of `other` would lie."""
        return all(self._spreads(name) == self._spreads(other) for name in self._names(one))

    def heirs(self, owner: Owner) -> Collection[Owner]:
        """Return the owners that may have what an owner had, itself among them."""
        return {owner, *(move.target for move in self.moves if owner in self._names(move.target))}

    def hashed(self, text: str, owner: Owner, now: datetime) -> int:
        """Return the bucket of an owner in which what is found by the text is made now."""
        return _ranked(text, self.spread(owner, now))[0]

    def candidates(self, text: str, owner: Owner, now: datetime, kept: timedelta | None = None) -> Sequence[int]:
        """Return the buckets that may have what an owner finds by the text, that of the present epoch first.

        With `kept`, what was made longer ago is not wanted: epochs that ended before that are left out.
        """
        ends = [end for end in self._epoch_ends() if end <= now and (kept is None or now - end < kept + SETTLING)]
        instants = (now, *(end - timedelta(microseconds=1) for end in ends))
        return tuple(dict.fromkeys(self.hashed(text, name, at) for name in self._names(owner) for at in instants))

    def require_settled(self, text: str, owner: Owner, now: datetime, pause: timedelta) -> None:
        """Raise BucketsChange if the text has got another bucket within the `pause` before `now`.

        A call of the epoch before may still store something under the text in the old bucket: it has the time of a
        request for that, and its controller another clock.
        """
        since = now - pause - SETTLING
        changed = [b.filled_from for b in self.buckets if since < b.filled_from <= now]
        if changed and self.hashed(text, owner, since) != self.hashed(text, owner, now):
            left = max(changed) + pause + SETTLING - now
            raise BucketsChange(stored="no", executed="no", retry_after_ms=-(-left // timedelta(milliseconds=1)))

    def _names(self, owner: Owner) -> Sequence[Owner]:
        """Return an owner, and all whose sessions it got, directly or through others."""
        names = [owner]
        for name in names:  # which grows meanwhile
            names += [each for each in self._former.get(name, ()) if each not in names]
        return names

    def _spreads(self, owner: Owner) -> Sequence[Collection[int]]:
        """Return the buckets of new sessions of an owner in each epoch behind the first one."""
        return [set(self.spread(owner, end)) for end in self._epoch_ends()]

    def _epoch_ends(self) -> Sequence[datetime]:
        """Return the instants at which an epoch ends and the next one begins, the last first."""
        return sorted({b.filled_from for b in self.buckets}, reverse=True)


def in_bucket(identifier: UUID, number: int) -> UUID:
    """Return a new id with the number of a bucket in its last bits."""
    return UUID(int=identifier.int & ~NUMBER_MAX | number)


def _ranked(text: str, numbers: Sequence[int]) -> Sequence[int]:
    """Return the buckets in the order that rendezvous hashing gives them for a text."""
    return tuple(sorted(numbers, key=lambda number: hashlib.sha256(f"{number} {text}".encode()).digest()))
