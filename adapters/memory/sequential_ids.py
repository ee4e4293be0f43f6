"""Predictable ids."""

from datetime import datetime
from uuid import UUID

from attrs import define
from typing_extensions import override

from domain.clock import IdGenerator
from domain.identity import BUCKET_BITS, Owner, uuid7_at


@define
class SequentialIds(IdGenerator):
    """Makes UUIDv7 with the instant, a counter and bucket 0, so that ids of one instant are in order."""

    _made: int = 0

    @override
    def new(self, now: datetime, like: UUID | None = None) -> UUID:
        self._made += 1
        return uuid7_at(now, self._made << BUCKET_BITS)

    @override
    def new_placed(self, now: datetime, owner: Owner, found_by: str | None = None) -> UUID:
        return self.new(now)
