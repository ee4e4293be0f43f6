"""Ids in buckets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from attrs import frozen
from typing_extensions import override

from adapters.buckets.directory import Directory
from domain.buckets.bucket_map import in_bucket
from domain.clock import IdGenerator
from domain.identity import Owner


@frozen
class InBucket(IdGenerator):
    """Puts the number of one bucket into all ids of another generator, for what a bucket itself makes."""

    _ids: IdGenerator
    _number: int

    @override
    def new(self, now: datetime, like: UUID | None = None) -> UUID:
        return in_bucket(self._ids.new(now), self._number)

    @override
    def new_placed(self, now: datetime, owner: Owner, found_by: str | None = None) -> UUID:
        return self.new(now)


@frozen
class BucketIds(IdGenerator):
    """Puts numbers of buckets into the ids of another generator; `choose` takes one of several buckets.

    New sessions get no bucket that is away, if there is another one. Every method may raise StorageUnavailable.
    """

    _ids: IdGenerator
    _directory: Directory
    _choose: Callable[[Sequence[int]], int]

    @override
    def new(self, now: datetime, like: UUID | None = None) -> UUID:
        identifier = self._ids.new(now)
        return identifier if like is None else in_bucket(identifier, self._directory.number_of(like))

    @override
    def new_placed(self, now: datetime, owner: Owner, found_by: str | None = None) -> UUID:
        number = self._of_owner(now, owner) if found_by is None else self._directory.hashing().hashed(found_by, now)
        return in_bucket(self._ids.new(now), number)

    def _of_owner(self, now: datetime, owner: Owner) -> int:
        buckets, directory = self._directory.buckets, self._directory
        for candidates in (buckets.spread(owner, now), buckets.numbers(now)):
            serving = [number for number in candidates if not directory.at(number).is_away()]
            if serving:
                return self._choose(serving)
        return self._choose(buckets.spread(owner, now))
