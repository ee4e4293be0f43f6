"""Holds owners to quotas of sessions, bytes and concurrent calls, by periodic counts."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from attrs import define, field, frozen
from attrs.validators import ge, gt

from domain.clock import Clock, MonotonicClock
from domain.concurrency.background_tasks import DemandLoop, SharedTasks
from domain.errors import QuotaReached, Unavailable
from domain.identity import Owner
from domain.limits.ports import OwnerUsage, Quotas, UsageReader

_NS_PER_S = 1_000_000_000


@frozen
class UsagePolicy:
    """Quotas of each owner: live sessions, and stored bytes; None is unlimited."""

    live_sessions_max: int | None = None
    stored_bytes_max: int | None = None

    @property
    def counts_stored(self) -> bool:
        """Whether there is a quota of sessions or bytes."""
        return self.live_sessions_max is not None or self.stored_bytes_max is not None


@frozen
class UsageLimiterOptions:
    """Pauses in seconds; owners in memory, and in one statement.

    An owner's sessions are counted again after `recount_pause_s`, their executions after `pause_s`, both only while
    the owner makes new ones. An owner that made none for `idle_s` is forgotten. After a failed count the next statement
    covers half as many owners.
    """

    pause_s: float = field(default=0.25, validator=gt(0))
    recount_pause_s: float = field(default=2.0, validator=gt(0))
    idle_s: float = field(default=60.0, validator=gt(0))
    owners_max: int = field(default=10_000, validator=ge(1))
    batch_max: int = field(default=100, validator=ge(1))


_NOTHING = OwnerUsage(0, 0)


@define(eq=False)
class _Usage:
    """An owner's usage: the last count, what this process has added since, and what it is adding now.

    What was added during the last count may be in it, and be added as well; the usage is not `exact` then.
    """

    counted: OwnerUsage = _NOTHING
    counted_at_s: float = float("-inf")
    exact: bool = True
    called_at_s: float = 0.0
    sessions_since: int = 0
    bytes_since: int = 0
    sessions_in_progress: int = 0
    bytes_in_progress: int = 0
    calls_elsewhere: int = 0
    calls_counted_at_s: float = float("-inf")

    @property
    def live_sessions(self) -> int:
        return max(0, self.counted.live_sessions + self.sessions_since) + self.sessions_in_progress

    @property
    def stored_bytes(self) -> int:
        return self.counted.stored_bytes + self.bytes_since + self.bytes_in_progress

    @property
    def is_adding(self) -> bool:
        """Whether this process adds something now."""
        return bool(self.sessions_in_progress or self.bytes_in_progress)


@define(eq=False)
class UsageLimiter(Quotas):
    """Counts an owner before their first session and periodically after it, and adds what this process makes.

    One controller alone is exact, except that expired sessions count until the next count. Several controllers together
    may exceed a quota by what the others make between two counts. If counting fails, the last count stays in use.
    A count that is not exact is repeated before it refuses anybody. `calls_here` returns the owner's executions
    that are in flight in this process.
    """

    _policy: UsagePolicy
    _reader: UsageReader
    _clock: Clock
    _monotonic_ns: MonotonicClock
    _calls_here: Callable[[Owner], int]
    _options: UsageLimiterOptions = field(factory=UsageLimiterOptions)
    _usages: dict[Owner, _Usage] = field(factory=dict, init=False)
    _sessions_due: dict[Owner, None] = field(factory=dict, init=False)
    """Owners whose sessions are to be counted again."""
    _calls_due: dict[Owner, None] = field(factory=dict, init=False)
    """Owners whose executions are to be counted again."""
    _counts: SharedTasks[Owner, None] = field(factory=SharedTasks, init=False)
    _loop: DemandLoop = field(factory=DemandLoop, init=False)
    _batch: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._batch = self._options.batch_max

    def __len__(self) -> int:
        """Return how many owners are in memory."""
        return len(self._usages)

    def debug_snapshot(self) -> dict[str, list[Owner]]:
        """Return the owners whose sessions, and those whose executions, are to be counted again."""
        return {"sessions_due": list(self._sessions_due), "calls_due": list(self._calls_due)}

    async def require_capacity(self, owner: Owner, size: int, *, hidden: bool = False) -> None:
        if not self._policy.counts_stored or (hidden and self._policy.stored_bytes_max is None):
            return
        usage = self._usage(owner)
        self._request(self._sessions_due, owner)
        if usage.counted_at_s < 0:
            await self._count_now(owner)
        refusal = self._refusal(usage, size, hidden=hidden)
        if refusal is not None and not usage.exact:
            await self._count_now(owner)
            refusal = self._refusal(usage, size, hidden=hidden)
        if refusal is not None:
            raise refusal

    async def _count_now(self, owner: Owner) -> None:
        # The second of two counts would also count what follows the first.
        with contextlib.suppress(Unavailable):
            await self._counts.result(owner, partial(self._count_sessions, [owner]))

    def _refusal(self, usage: _Usage, size: int, *, hidden: bool) -> QuotaReached | None:
        sessions_max, bytes_max = self._policy.live_sessions_max, self._policy.stored_bytes_max
        if sessions_max is not None and usage.live_sessions >= sessions_max and not hidden:
            return QuotaReached("live_sessions", sessions_max, usage.live_sessions)
        if bytes_max is not None and usage.stored_bytes + size > bytes_max:
            return QuotaReached("stored_bytes", bytes_max, usage.stored_bytes)
        return None

    @contextlib.contextmanager
    def adding(self, owner: Owner, size: int, *, hidden: bool = False) -> Iterator[None]:
        usage, sessions = self._usage(owner), 0 if hidden else 1
        usage.sessions_in_progress += sessions
        usage.bytes_in_progress += size
        try:
            yield
            usage.sessions_since += sessions
            usage.bytes_since += size
        finally:
            usage.sessions_in_progress -= sessions
            usage.bytes_in_progress -= size

    def added(self, owner: Owner, size: int) -> None:
        self._usage(owner).bytes_since += size

    def closed(self, owner: Owner) -> None:
        if owner in self._usages:
            self._usages[owner].sessions_since -= 1

    def calls_elsewhere(self, owner: Owner) -> int:
        """Return how many executions of the owner are open in other controllers, by a recent count; else 0."""
        usage = self._usage(owner)
        self._request(self._calls_due, owner)
        is_fresh = usage.calls_counted_at_s >= self._now_s() - self._options.recount_pause_s
        return usage.calls_elsewhere if is_fresh else 0

    async def run(self) -> None:
        """Count for ever the owners that make something, each after its pause."""
        await self._loop.run(self._count)

    async def count(self) -> None:
        """Count the owners that are due; raises StorageUnavailable or Overloaded."""
        self._forget_idle()
        try:
            await self._count_calls()
            await self._count_sessions(self._due())
        finally:
            if not (self._sessions_due or self._calls_due):
                self._loop.clear()

    async def _count(self) -> float:
        """Count, and return the pause until the next time in seconds."""
        try:
            await self.count()
        except Unavailable:
            return self._options.recount_pause_s
        return self._options.pause_s

    def _due(self) -> list[Owner]:
        before_s = self._now_s() - self._options.recount_pause_s
        due = (owner for owner in self._sessions_due if self._usage(owner).counted_at_s <= before_s)
        return list(islice(due, self._batch))

    async def _count_sessions(self, owners: Sequence[Owner]) -> None:
        if not owners:
            return
        usages = [self._usage(owner) for owner in owners]
        before = [(usage.sessions_since, usage.bytes_since) for usage in usages]
        was_adding = [usage.is_adding for usage in usages]
        for owner in owners:
            self._sessions_due.pop(owner, None)
        try:
            counts = await self._reader.usage(owners, self._clock.now())
        except BaseException:
            # The statement may have covered too many owners.
            self._batch = max(1, self._batch // 2)
            for owner in owners:
                self._request(self._sessions_due, owner)
            raise
        self._batch = min(self._options.batch_max, self._batch * 2)
        for usage, counted, (sessions, size), adding in zip(usages, counts, before, was_adding, strict=True):
            has_added = (usage.sessions_since, usage.bytes_since) != (sessions, size)
            usage.counted, usage.counted_at_s = counted, self._now_s()
            usage.exact = not (adding or has_added or usage.is_adding)
            usage.sessions_since -= sessions
            usage.bytes_since -= size

    async def _count_calls(self) -> None:
        owners = list(islice(self._calls_due, self._options.batch_max))
        if not owners:
            return
        here = [self._calls_here(owner) for owner in owners]
        for owner in owners:
            del self._calls_due[owner]
        counts = await self._reader.open_executions(owners, self._clock.now())
        for owner, own, everywhere in zip(owners, here, counts, strict=True):
            usage = self._usage(owner)
            usage.calls_elsewhere, usage.calls_counted_at_s = max(0, everywhere - own), self._now_s()

    def _usage(self, owner: Owner) -> _Usage:
        usage = self._usages.get(owner)
        if usage is None:
            if len(self._usages) >= self._options.owners_max:
                del self._usages[next(iter(self._usages))]
            usage = self._usages[owner] = _Usage()
        usage.called_at_s = self._now_s()
        return usage

    def _request(self, due: dict[Owner, None], owner: Owner) -> None:
        due[owner] = None
        self._loop.request()

    def _forget_idle(self) -> None:
        """Examine a bounded number of owners, and move those that stay to the end."""
        before_s = self._now_s() - self._options.idle_s
        for owner in list(islice(self._usages, self._options.batch_max)):
            usage = self._usages.pop(owner)
            if usage.called_at_s >= before_s or usage.is_adding:
                self._usages[owner] = usage

    def _now_s(self) -> float:
        return self._monotonic_ns() / _NS_PER_S
