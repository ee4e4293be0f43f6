"""Ids with random bits of the operating system."""

import secrets
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from domain.clock import IdGenerator
from domain.identity import BUCKET_BITS, Owner, uuid7_at

_RANDOM_BITS = 54


class RandomIds(IdGenerator):
    """Makes UUIDv7 with the microsecond, 54 random bits and bucket 0."""

    @override
    def new(self, now: datetime, like: UUID | None = None) -> UUID:
        return uuid7_at(now, secrets.randbits(_RANDOM_BITS) << BUCKET_BITS)

    @override
    def new_placed(self, now: datetime, owner: Owner, found_by: str | None = None) -> UUID:
        return uuid7_at(now, secrets.randbits(_RANDOM_BITS) << BUCKET_BITS)
