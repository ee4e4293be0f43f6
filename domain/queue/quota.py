"""How full the queue is, by periodic counts."""

from attrs import define, field, frozen

from domain.clock import MonotonicClock
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.queue.ports import ExecutionQueue

_OWNERS_MAX = 10_000
_NS_PER_S = 1_000_000_000
_RECOUNT_S = 1.0
_RECOUNT_FAR_S = 10.0
"""While less than half of a limit is used."""


@frozen
class QueueMaxima:
    """The most entries of one owner, and of all together. ANONYMOUS may have all of them."""

    owner_max: int = 10_000
    total_max: int = 1_000_000

    def of(self, owner: Owner) -> int:
        """Return the limit of an owner, or of all."""
        return self.total_max if owner in (EVERY_OWNER, ANONYMOUS) else self.owner_max


@define(eq=False)
class _Count:
    counted: int
    counted_at_ns: int
    added: int = 0

    @property
    def total(self) -> int:
        return self.counted + self.added


@define(eq=False)
class QueueQuota:
    """Refuses entries beyond the limits.

    One process alone is exact, except that entries that have left count until the next count. Several processes may
    exceed a limit by what the others add between two counts, which are at most a second apart near the limit.
    """

    _queue: ExecutionQueue
    _clock: MonotonicClock
    _bounds: QueueMaxima
    _counts: BoundedCache[Owner, _Count] = field(init=False, factory=lambda: BoundedCache(_OWNERS_MAX, lambda _: 1))

    async def require(self, owner: Owner) -> None:
        """Raise QuotaReached if the owner's queue is full, Overloaded if that of all is; also StorageUnavailable."""
        if await self._count(EVERY_OWNER) >= self._bounds.total_max:
            raise Overloaded(f"the queue of executions (MAX_QUEUED={self._bounds.total_max})")
        limit = self._bounds.of(owner)
        if (held := await self._count(owner)) >= limit:
            raise QuotaReached("queued_executions", limit, held, retry_after_ms=1000)

    def added(self, owner: Owner) -> None:
        """Count an entry that was stored."""
        for each in (owner, EVERY_OWNER):
            if (count := self._counts.get(each)) is not None:
                count.added += 1

    async def _count(self, owner: Owner) -> int:
        limit, count = self._bounds.of(owner), self._counts.get(owner)
        now_ns = self._clock()
        if count is not None:
            pause_s = _RECOUNT_FAR_S if 2 * count.total < limit else _RECOUNT_S
            if now_ns - count.counted_at_ns < pause_s * _NS_PER_S:
                return count.total
        found = _Count(await self._queue.queued(owner, limit + 1), now_ns)
        self._counts.put(owner, found)
        return found.total
