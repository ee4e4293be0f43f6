"""The port to the Redis of the origin's first generation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol


class OriginCache(Protocol):
    """Reads and removes the keys of sessions. Every method may raise SourceUnavailable.

    A value is the JSON of a session, see `domain.takeover.cached`.
    """

    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the values of these ids; one without a key is left out."""
        ...

    async def take(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Remove the keys of these ids, and return their last values. No read that begins afterwards finds them."""
        ...

    async def count(self, keys_max: int) -> int:
        """Return the number of keys that have a time to live, as those of sessions have; at most `keys_max`."""
        ...

    def ids(self) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of all keys that are there throughout, in pages; one may come twice."""
        ...
