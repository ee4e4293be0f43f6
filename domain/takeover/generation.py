"""Which generation of the origin runs: where it keeps its sessions, and so what a takeover has to fence."""

from collections.abc import Iterator
from enum import StrEnum

from attrs import frozen


class Generation(StrEnum):
    """Where the origin keeps sessions.

    G1: in Redis before PostgreSQL. G2: in the memory of each process before PostgreSQL. G3: in PostgreSQL alone.
    """

    G1 = "g1"
    G2 = "g2"
    G3 = "g3"


_ALL = frozenset(Generation)
_BY_VERSION = {"0.1.0": frozenset({Generation.G1, Generation.G2}), "0.2.0": frozenset({Generation.G2, Generation.G3})}


@frozen
class GenerationEvidence:
    """What was seen of a running origin; None where nobody looked.

    `version` is that of `/health`. `written_by_older` says whether a live session shows that an execution read it from
    Redis or from memory. `redis_keys` is the number of keys of sessions that have a time to live.
    """

    version: str | None = None
    written_by_older: bool | None = None
    redis_keys: int | None = None

    @property
    def possible(self) -> frozenset[Generation]:
        """The generations that fit all evidence; all of them if it contradicts itself."""
        fitting = _BY_VERSION.get(self.version or "", _ALL)
        if self.redis_keys is not None:
            fitting &= {Generation.G1} if self.redis_keys else {Generation.G2, Generation.G3}
        if self.written_by_older:
            fitting &= {Generation.G1, Generation.G2}
        elif self.written_by_older is not None and fitting == {Generation.G2, Generation.G3}:
            # Sessions live for an hour as a rule, and any execution under G2 leaves the mark.
            fitting = frozenset({Generation.G3})
        return fitting or _ALL

    def sentences(self) -> Iterator[str]:
        """Yield each piece of evidence as a sentence."""
        if self.version is not None:
            yield f"/health of the origin says version {self.version}."
        if self.written_by_older is not None:
            sign = "Some live session has" if self.written_by_older else "No live session has"
            yield f"{sign} compile_status 'pending' after an execution, as generations 1 and 2 leave it."
        if self.redis_keys is not None:
            yield f"Redis has {self.redis_keys:,} keys session:* with a time to live; only generation 1 makes them."
