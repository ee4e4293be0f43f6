"""The sessions that are measured on: a number names each, so that everything can address any of them."""

import random
import time
from uuid import UUID

from attrs import field, frozen

from domain.identity import ANONYMOUS, Owner, SessionRef

SCRIPT = "return event.params.a + event.params.b;"
CONTEXT = '{"env": "test", "tenant": "acme", "limits": {"rows": 1000, "depth": 3}}'
LIFETIME_S = 86_400
_SAMPLE_MAX = 100_000
_NODE_MASK = (1 << 48) - 1


@frozen
class SessionSet:
    """`count` sessions whose ids differ in their last twelve hexadecimal digits, which are the number."""

    count: int
    first: UUID = field(factory=lambda: _id_at(time.time()))
    owner: Owner = ANONYMOUS

    @property
    def prefix(self) -> str:
        """What all ids begin with."""
        return str(self.first)[:-12]

    def key(self, number: int) -> SessionRef:
        """Return the key of one session."""
        return SessionRef(self.owner, UUID(int=self.first.int | number))

    def sample(self, size_max: int = _SAMPLE_MAX) -> list[int]:
        """Return numbers of sessions in random order, each at most once; the same ones in every run."""
        return random.Random(7).sample(range(self.count), min(size_max, self.count))


def _id_at(now_s: float) -> UUID:
    """Return a UUIDv7 of this time whose last 48 bits are zero."""
    return UUID(int=int(now_s * 1000) << 80 | 0x7 << 76 | 0b10 << 62 & ~_NODE_MASK)
