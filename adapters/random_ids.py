"""Ids with random bits of the operating system."""

import secrets
from datetime import datetime
from uuid import UUID

from typing_extensions import override

from domain.clock import IdGenerator
from domain.identity import uuid7_at

_RANDOM_BITS = 62


class RandomIds(IdGenerator):
    """Makes UUIDv7 with the microsecond and 62 random bits."""

    @override
    def new(self, now: datetime) -> UUID:
        return uuid7_at(now, secrets.randbits(_RANDOM_BITS))
