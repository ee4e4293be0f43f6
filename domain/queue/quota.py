"""How full the queue is, by periodic counts."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from attrs import define, field, frozen

from domain.clock import MonotonicClock
from domain.concurrency.background_tasks import SharedTasks
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.limits.ports import Quotas, Unlimited
from domain.queue.ports import ExecutionQueue

_OWNERS_MAX = 10_000
_NS_PER_S = 1_000_000_000
_RECOUNT_S = 1.0
_RECOUNT_FAR_S = 10.0
"""While less than half of a limit is used."""
_RECOUNT_ENTRY_S = 10e-6
"""For each entry: a count takes a tenth of that, or less, so counts take at most a tenth of the time."""


@frozen
class QueueMaxima:
    """The most entries of one owner, and of all together. ANONYMOUS may have all of them, and is not counted apart."""

    owner_max: int = 10_000
    total_max: int = 1_000_000

    def of(self, owner: Owner) -> int:
        """Return the limit of an owner, or of all."""
        return self.total_max if owner == EVERY_OWNER else self.owner_max


@define(eq=False)
class _Count:
    """Entries at the last count, and those that were stored since."""

    counted: int
    counted_at_ns: int
    added: int = 0

    @property
    def total(self) -> int:
        """How many there may be now."""
        return self.counted + self.added


@define(eq=False)
class QueueQuota:
    """Refuses entries beyond the limits.

    One process alone does not exceed them; entries that have left count until the next count. Each further process may
    add what it may add between two counts: they are a second apart, or ten while it knows of less than half of a limit,
    or of a million entries.
    """

    _queue: ExecutionQueue
    _clock: MonotonicClock
    _bounds: QueueMaxima
    _stored: Quotas = field(factory=Unlimited)
    _counts: BoundedCache[Owner, _Count] = field(init=False, factory=lambda: BoundedCache(_OWNERS_MAX, lambda _: 1))
    _counting: SharedTasks[Owner, None] = field(init=False, factory=SharedTasks)
    _storing: Counter[Owner] = field(init=False, factory=Counter)
    """Entries that are being stored."""

    async def take(self, owner: Owner, size: int) -> None:
        """Count an entry of about `size` bytes that is about to be stored; `settle` says what became of it.

        Raises QuotaReached if the owner's queue is full, or so many bytes are over its quota; Overloaded if the queue
        of all is full; also StorageUnavailable. Bytes of calls at the same moment do not see each other.
        """
        await self._stored.require_capacity(owner, size, hidden=True)
        limited = _limited(owner)
        for each in limited:
            if self._is_late(each):
                await self._counting.result(each, partial(self._recount, each))
        if self._total(EVERY_OWNER) >= self._bounds.total_max:
            raise Overloaded(f"the queue of executions (MAX_QUEUED={self._bounds.total_max})")
        if owner in limited:
            held, limit = self._total(owner), self._bounds.of(owner)
            if held >= limit:
                raise QuotaReached("queued_executions", limit, held, retry_after_ms=1000)
        for each in limited:
            self._storing[each] += 1

    def settle(self, owner: Owner, size: int, *, stored: bool) -> None:
        """Say whether an entry that was taken is stored."""
        if stored:
            self._stored.added(owner, size)
        for each in _limited(owner):
            self._storing[each] -= 1
            if not self._storing[each]:
                del self._storing[each]
            if stored and (count := self._counts.get(each)) is not None:
                count.added += 1

    def _total(self, owner: Owner) -> int:
        count = self._counts.get(owner)
        return self._storing[owner] + (0 if count is None else count.total)

    def _is_late(self, owner: Owner) -> bool:
        """Return whether the last count is too old."""
        count = self._counts.get(owner)
        if count is None:
            return True
        total = self._storing[owner] + count.total
        pause_s = _RECOUNT_FAR_S if 2 * total < self._bounds.of(owner) else max(_RECOUNT_S, total * _RECOUNT_ENTRY_S)
        return self._clock() - count.counted_at_ns >= pause_s * _NS_PER_S

    async def _recount(self, owner: Owner) -> None:
        known, now_ns = self._counts.get(owner), self._clock()
        before = 0 if known is None else known.added
        counted = await self._queue.queued(owner, self._bounds.of(owner) + 1)
        since = 0 if known is None else known.added - before  # the count may or may not have them
        self._counts.put(owner, _Count(counted, now_ns, since))


def _limited(owner: Owner) -> Sequence[Owner]:
    """Return for whom entries of the owner are counted."""
    return (EVERY_OWNER,) if owner == ANONYMOUS else (EVERY_OWNER, owner)
