"""Holds owners to quotas of sessions, bytes and concurrent calls, by periodic counts and reserved parts."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import islice

from attrs import define, field, frozen
from attrs.validators import ge, gt

from domain.clock import Clock, MonotonicClock
from domain.concurrency.background_tasks import DemandLoop, SharedTasks
from domain.errors import StorageUnavailable, Unavailable
from domain.identity import Owner
from domain.limits.owner_quotas import OwnerQuotas, late_refusal, refusal, waiting
from domain.limits.ports import Quotas, UsageReader
from domain.limits.quota_exchange import QuotaExchange
from domain.limits.reservation import Reservation

_NS_PER_S = 1_000_000_000
_TRIES_MAX = 4
"""Exchanges in a row for one call, if other processes change what is reserved at the same time."""


@frozen
class UsagePolicy:
    """Quotas of each owner: live sessions, and stored bytes; None is unlimited."""

    live_sessions_max: int | None = None
    stored_bytes_max: int | None = None

    @property
    def counts_stored(self) -> bool:
        """Whether there is a quota of sessions or bytes."""
        return self.live_sessions_max is not None or self.stored_bytes_max is not None

    def quotas(self) -> OwnerQuotas:
        """Return the quotas of an owner of whom nothing is known."""
        sessions_max, bytes_max = self.live_sessions_max, self.stored_bytes_max
        return OwnerQuotas(
            sessions=None if sessions_max is None else Reservation(sessions_max),
            stored=None if bytes_max is None else Reservation(bytes_max),
        )


@frozen
class UsageLimiterOptions:
    """Pauses in seconds; owners in memory, and in one statement.

    An owner's sessions are counted again after `recount_pause_s`, their executions after `pause_s`, both only while
    the owner makes new ones. A count of executions is used for `calls_kept_s`. A call waits up to `wait_s` for what
    other processes have reserved, and looks for it after each `wait_pause_s`. For `failing_s` after a failure it does
    not wait: `run` counts again. An owner that made nothing for `idle_s` is forgotten. After a failed count the next
    statement covers half as many owners.
    """

    pause_s: float = field(default=0.25, validator=gt(0))
    recount_pause_s: float = field(default=1.0, validator=gt(0))
    calls_kept_s: float = field(default=2.0, validator=gt(0))
    wait_s: float = field(default=1.5, validator=ge(0))
    wait_pause_s: float = field(default=0.1, validator=gt(0))
    failing_s: float = field(default=9.0, validator=ge(0))
    idle_s: float = field(default=60.0, validator=gt(0))
    owners_max: int = field(default=10_000, validator=ge(1))
    batch_max: int = field(default=100, validator=ge(1))


@define(eq=False)
class _Usage:
    """An owner's quotas, and how many of its executions other controllers had at the last count of them."""

    quotas: OwnerQuotas
    called_at_s: float = 0.0
    calls_elsewhere: int = 0
    calls_counted_at_s: float = float("-inf")


@define(eq=False)
class UsageLimiter(Quotas):
    """Reserves a part of what an owner has left, for the sessions that this process makes.

    The owner is counted before its first session here, and periodically after it. Each count reserves half of what is
    free. So a session needs no statement while the owner is far from its quota; near it, calls wait for the next count.
    Several controllers together exceed no quota, because each makes only what it has reserved. What they reserved and
    do not use is free again after their next count, and calls wait for it up to `wait_s`. If the store is unavailable,
    the last count decides. `calls_here` returns the owner's executions that are in flight in this process.
    """

    _policy: UsagePolicy
    _exchange_of: QuotaExchange
    _reader: UsageReader
    _clock: Clock
    _monotonic_ns: MonotonicClock
    _calls_here: Callable[[Owner], int]
    _sleep: Callable[[float], Awaitable[None]]
    _options: UsageLimiterOptions = field(factory=UsageLimiterOptions)
    _usages: dict[Owner, _Usage] = field(factory=dict, init=False)
    _sessions_due: dict[Owner, None] = field(factory=dict, init=False)
    """Owners whose sessions are to be counted again."""
    _calls_due: dict[Owner, None] = field(factory=dict, init=False)
    """Owners whose executions are to be counted again."""
    _exchanges: SharedTasks[Owner, Collection[Owner]] = field(factory=SharedTasks, init=False)
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

    def left(self, owner: Owner) -> dict[str, int]:
        """Return what may be stored for the owner without a statement, by the names of quotas."""
        return {name: each.left for name, each in self._known(owner).quotas.reservations.items()}

    async def require_capacity(self, owner: Owner, size: int, *, hidden: bool = False) -> None:
        if not self._policy.counts_stored or (hidden and self._policy.stored_bytes_max is None):
            return
        usage = self._usage(owner)
        self._request(self._sessions_due, owner)
        if not usage.quotas.allows(size, usage.called_at_s, hidden=hidden):
            await self._reserve(owner, usage.quotas, size, hidden=hidden)

    async def _reserve(self, owner: Owner, quotas: OwnerQuotas, size: int, *, hidden: bool) -> None:
        """Return when enough is reserved; raises QuotaReached if the owner has it, or others keep it for too long."""
        needs = quotas.needs(size, hidden=hidden)
        reached = refusal(needs)
        is_recent = quotas.counted_at_s > self._now_s() - self._options.recount_pause_s
        if reached is not None and is_recent and all(each.exact for _, each, _ in needs):
            raise reached
        until_s = self._now_s() + self._options.wait_s
        with waiting(needs):
            while await self._exchange_now(owner):
                if quotas.allows(size, self._now_s(), hidden=hidden):
                    return
                if (reached := refusal(needs)) is not None:
                    break
                if self._now_s() >= until_s:
                    raise late_refusal(needs)
                await self._sleep(self._options.wait_pause_s)
        if (reached := refusal(needs)) is not None:
            raise reached

    async def _exchange_now(self, owner: Owner) -> bool:
        """Count the owner and reserve a part; return whether the store was available."""
        if self._exchange_of.failed_after(self._known(owner).quotas, self._now_s() - self._options.failing_s):
            return False
        try:
            for _ in range(_TRIES_MAX):
                if owner not in await self._exchanges.result(owner, partial(self._exchange, [owner])):
                    break
        except Unavailable:
            return False
        return True

    @contextlib.contextmanager
    def adding(self, owner: Owner, size: int, *, hidden: bool = False) -> Iterator[None]:
        quotas, stored = self._usage(owner).quotas, False
        quotas.begin(size, hidden=hidden)
        try:
            yield
            stored = True
        except StorageUnavailable as error:
            stored = error.stored == "unknown"
            raise
        finally:
            quotas.end(size, hidden=hidden, stored=stored)

    def added(self, owner: Owner, size: int) -> None:
        stored = self._usage(owner).quotas.stored
        if stored is not None:
            stored.add(size)

    def closed(self, owner: Owner) -> None:
        usage = self._usages.get(owner)
        if usage is not None and usage.quotas.sessions is not None:
            usage.quotas.sessions.remove(1)

    def calls_elsewhere(self, owner: Owner) -> int:
        """Return how many executions of the owner are open in other controllers, by a recent count; else 0."""
        usage = self._usage(owner)
        self._request(self._calls_due, owner)
        is_fresh = usage.calls_counted_at_s >= self._now_s() - self._options.calls_kept_s
        return usage.calls_elsewhere if is_fresh else 0

    async def run(self) -> None:
        """Count for ever the owners that make something, each after its pause."""
        await self._loop.run(self._count)

    async def release(self) -> None:
        """Return what this process has reserved and not used, before it ends; what cannot be returned expires."""
        held = [
            (owner, usage.quotas)
            for owner, usage in self._usages.items()
            if usage.quotas.is_held and not self._exchanges.is_running(owner)
        ]
        for _, each in held:
            each.retire()
        with contextlib.suppress(Unavailable):
            for first in range(0, len(held), self._options.batch_max):
                batch = dict(held[first : first + self._options.batch_max])
                rejected = await self._exchange_of(batch)
                if rejected:  # another process came in between
                    await self._exchange_of({owner: batch[owner] for owner in rejected})

    async def count(self) -> None:
        """Count the owners that are due; raises StorageUnavailable or Overloaded."""
        self._forget_idle()
        try:
            await self._count_calls()
            owners = self._due()
            if owners:
                await self._exchanges.result_of_all(owners, partial(self._exchange, owners))
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
        """Return owners to count again, but not those that are being counted; at most a batch."""
        before_s = self._now_s() - self._options.recount_pause_s
        due = (
            owner
            for owner in self._sessions_due
            if not self._exchanges.is_running(owner) and self._known(owner).quotas.counted_at_s <= before_s
        )
        return list(islice(due, self._batch))

    async def _exchange(self, owners: Sequence[Owner]) -> Collection[Owner]:
        """Count the owners, and reserve a part for each; return those for whom another process came in between."""
        quotas = {owner: self._known(owner).quotas for owner in owners}
        for owner in owners:
            self._sessions_due.pop(owner, None)
        again: Collection[Owner] = owners
        batch = self._batch // 2  # a statement that fails may have covered too many owners
        try:
            again = await self._exchange_of(quotas)
            batch = self._batch * 2
        finally:
            self._batch = min(self._options.batch_max, max(1, batch))
            for owner, each in quotas.items():
                if each.is_held or owner in again:
                    self._request(self._sessions_due, owner)
        return again

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
        """Return the usage of an owner who calls."""
        usage = self._known(owner)
        usage.called_at_s = self._now_s()
        return usage

    def _known(self, owner: Owner) -> _Usage:
        usage = self._usages.get(owner)
        if usage is None:
            if len(self._usages) >= self._options.owners_max:
                del self._usages[next(iter(self._usages))]
            usage = self._usages[owner] = _Usage(self._policy.quotas())
        return usage

    def _request(self, due: dict[Owner, None], owner: Owner) -> None:
        due[owner] = None
        self._loop.request()

    def _forget_idle(self) -> None:
        """Examine a bounded number of owners, and move those that stay to the end."""
        before_s = self._now_s() - self._options.idle_s
        for owner in list(islice(self._usages, self._options.batch_max)):
            usage = self._usages.pop(owner)
            if usage.called_at_s >= before_s or usage.quotas.is_held:
                self._usages[owner] = usage

    def _now_s(self) -> float:
        return self._monotonic_ns() / _NS_PER_S
