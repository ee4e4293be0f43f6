"""Ids in buckets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from attrs import frozen
from typing_extensions import override

from adapters.buckets.directory import Directory
from domain.buckets.bucket_map import HOME, in_bucket
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

    New sessions get no bucket that is away. If all of their owner's are, they get HOME, where lists look too. Every
    method may raise StorageUnavailable.
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
        directory = self._directory
        number = self._of_owner(now, owner) if found_by is None else directory.hashing().hashed(found_by, owner, now)
        return in_bucket(self._ids.new(now), number)

    def _of_owner(self, now: datetime, owner: Owner) -> int:
        directory = self._directory
        serving = [each for each in directory.buckets.spread(owner, now) if not directory.at(each).is_away()]
        return self._choose(serving or [HOME])
