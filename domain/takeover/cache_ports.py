"""The ports to the Redis of the origin's first generation, and to what only Redis knows of its rows."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.takeover.cached import ExecutionCount
from domain.takeover.source_session import SourceSession


class OriginCache(Protocol):
    """Reads, removes and writes the keys of sessions.

    A value is the JSON of a session, see `domain.takeover.cached`. Every method may be repeated. It may raise
    SourceUnavailable, after which a write may be stored, or SourceRefused.
    """

    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the values of these ids; one without a key is left out."""
        ...

    async def require_writable(self) -> None:
        """Raise what a removal or a write would raise now, and change nothing."""
        ...

    async def remove(self, values: Mapping[str, str]) -> Sequence[str]:
        """Remove keys that still have the values given; return the ids of those that have another value now.

        No read that begins afterwards finds a key that was removed.
        """
        ...

    async def put(self, values: Mapping[str, str], lives_s: Mapping[str, int]) -> None:
        """Store values by id, in place of others, each for its number of seconds, 1 at least."""
        ...

    async def count(self, keys_max: int) -> int:
        """Return the number of keys that have a time to live, as those of sessions have; at most `keys_max`."""
        ...

    def ids(self) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of all keys that are there throughout, in pages; one may come twice."""
        ...


class OriginRepairs(Protocol):
    """Writes to the table of the origin what only its Redis has.

    Every method may raise SourceUnavailable, after which a write may be stored, or SourceRefused. It may be repeated.
    """

    async def now(self) -> datetime:
        """Return the instant by the clock of the origin's database."""
        ...

    async def runs_ahead(self) -> bool:
        """Return whether a trigger makes counts in the table run ahead."""
        ...

    async def executions(self, ids: Sequence[str]) -> Mapping[str, ExecutionCount]:
        """Return what the rows of these ids tell; one without a row is left out."""
        ...

    async def correct(self, executions: Mapping[str, ExecutionCount]) -> None:
        """Store the counts and instants in the rows of these ids exactly, whatever triggers do."""
        ...

    async def add(self, rows: Sequence[SourceSession]) -> Sequence[str]:
        """Store rows; return the ids that have a row now.

        A row that is there stays as it is. One that the table refuses is left out.
        """
        ...
