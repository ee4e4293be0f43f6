"""Holds owners to quotas of what is stored, by counts that are taken now and then."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from attrs import define, field, frozen
from attrs.validators import ge, gt

from domain.clock import Clock
from domain.errors import Unavailable
from domain.identity import Owner
from domain.limits.ports import OwnerUsage, UsageReader
from domain.limits.quota import QuotaReached, Quotas


@frozen
class UsagePolicy:
    """What each owner may have: live sessions, and bytes that their sessions take; None does not limit it."""

    live_sessions_max: int | None = None
    stored_bytes_max: int | None = None

    @property
    def counts_stored(self) -> bool:
        """Whether what is stored is limited."""
        return self.live_sessions_max is not None or self.stored_bytes_max is not None


@frozen
class UsageLimiterOptions:
    """Bounds: pauses in seconds, owners in memory and in one statement, which are fewer after one that failed.

    An owner's sessions are counted again after `recount_pause_s`, their executions after `pause_s`, both only while
    they make any; who has made none for `idle_s` is forgotten.
    """

    pause_s: float = field(default=0.25, validator=gt(0))
    recount_pause_s: float = field(default=2.0, validator=gt(0))
    idle_s: float = field(default=60.0, validator=gt(0))
    owners_max: int = field(default=10_000, validator=ge(1))
    batch_max: int = field(default=100, validator=ge(1))


_NOTHING = OwnerUsage(0, 0)


@define(eq=False)
class _Usage:
    """What an owner has: as it was counted, what this process has added since, and what it is adding."""

    counted: OwnerUsage = _NOTHING
    counted_at_s: float = float("-inf")
    asked_at_s: float = 0.0
    sessions_since: int = 0
    bytes_since: int = 0
    sessions_under_way: int = 0
    bytes_under_way: int = 0
    calls_elsewhere: int = 0
    calls_counted_at_s: float = float("-inf")

    @property
    def live_sessions(self) -> int:
        return max(0, self.counted.live_sessions + self.sessions_since) + self.sessions_under_way

    @property
    def stored_bytes(self) -> int:
        return self.counted.stored_bytes + self.bytes_since + self.bytes_under_way


@define(eq=False)
class UsageLimiter(Quotas):
    """Counts an owner before their first session, then now and then, and adds what this process makes in between.

    One controller alone is exact, save that what has expired may count until the next count. Several may together
    exceed a quota by what the others make between two counts. When counting fails the last count stands.
    """

    _policy: UsagePolicy
    _reader: UsageReader
    _clock: Clock
    _calls_here: Callable[[Owner], int]
    _options: UsageLimiterOptions = field(factory=UsageLimiterOptions)
    _monotonic_s: Callable[[], float] = time.monotonic
    _figures: dict[Owner, _Usage] = field(factory=dict, init=False)
    _makers: dict[Owner, None] = field(factory=dict, init=False)
    """Whose sessions are to be counted again."""
    _callers: dict[Owner, None] = field(factory=dict, init=False)
    """Whose executions are to be counted again."""
    _asked: asyncio.Event = field(factory=asyncio.Event, init=False)
    _batch: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._batch = self._options.batch_max

    def __len__(self) -> int:
        """Return how many owners are in memory."""
        return len(self._figures)

    async def require_room(self, owner: Owner, size: int) -> None:
        if not self._policy.counts_stored:
            return
        figures = self._of(owner)
        self._want(self._makers, owner)
        if figures.counted_at_s < 0:
            with contextlib.suppress(Unavailable):
                await self._count_sessions([owner])
        sessions_max, bytes_max = self._policy.live_sessions_max, self._policy.stored_bytes_max
        if sessions_max is not None and figures.live_sessions >= sessions_max:
            raise QuotaReached("live_sessions", sessions_max, figures.live_sessions)
        if bytes_max is not None and figures.stored_bytes + size > bytes_max:
            raise QuotaReached("stored_bytes", bytes_max, figures.stored_bytes)

    @contextlib.contextmanager
    def adding(self, owner: Owner, size: int) -> Iterator[None]:
        figures = self._of(owner)
        figures.sessions_under_way += 1
        figures.bytes_under_way += size
        try:
            yield
            figures.sessions_since += 1
            figures.bytes_since += size
        finally:
            figures.sessions_under_way -= 1
            figures.bytes_under_way -= size

    def closed(self, owner: Owner) -> None:
        if owner in self._figures:
            self._figures[owner].sessions_since -= 1

    def calls_elsewhere(self, owner: Owner) -> int:
        """Return how many executions of the owner other controllers had open a moment ago; 0 when nobody knows."""
        figures = self._of(owner)
        self._want(self._callers, owner)
        is_fresh = figures.calls_counted_at_s >= self._monotonic_s() - self._options.recount_pause_s
        return figures.calls_elsewhere if is_fresh else 0

    async def run(self) -> None:
        """Count for ever those who make something, each after its pause."""
        while True:
            await self._asked.wait()
            pause_s = self._options.pause_s
            try:
                await self.count()
            except Unavailable:
                pause_s = self._options.recount_pause_s
            await asyncio.sleep(pause_s)

    async def count(self) -> None:
        """Count whom it is time to count; raises StorageUnavailable or Overloaded."""
        self._forget_idle()
        try:
            await self._count_calls()
            await self._count_sessions(self._due())
        finally:
            if not (self._makers or self._callers):
                self._asked.clear()

    def _due(self) -> list[Owner]:
        before_s = self._monotonic_s() - self._options.recount_pause_s
        due = (owner for owner in self._makers if self._of(owner).counted_at_s <= before_s)
        return list(islice(due, self._batch))

    async def _count_sessions(self, owners: Sequence[Owner]) -> None:
        if not owners:
            return
        counting = [self._of(owner) for owner in owners]
        before = [(figures.sessions_since, figures.bytes_since) for figures in counting]
        for owner in owners:
            self._makers.pop(owner, None)
        try:
            found = await self._reader.usage(owners, self._clock.now())
        except BaseException:
            # So many may be too much for one statement.
            self._batch = max(1, self._batch // 2)
            for owner in owners:
                self._want(self._makers, owner)
            raise
        self._batch = min(self._options.batch_max, self._batch * 2)
        for figures, usage, (sessions, size) in zip(counting, found, before, strict=True):
            figures.counted, figures.counted_at_s = usage, self._monotonic_s()
            figures.sessions_since -= sessions
            figures.bytes_since -= size

    async def _count_calls(self) -> None:
        owners = list(islice(self._callers, self._options.batch_max))
        if not owners:
            return
        here = [self._calls_here(owner) for owner in owners]
        for owner in owners:
            del self._callers[owner]
        found = await self._reader.open_executions(owners, self._clock.now())
        for owner, inside, everywhere in zip(owners, here, found, strict=True):
            figures = self._of(owner)
            figures.calls_elsewhere, figures.calls_counted_at_s = max(0, everywhere - inside), self._monotonic_s()

    def _of(self, owner: Owner) -> _Usage:
        figures = self._figures.get(owner)
        if figures is None:
            if len(self._figures) >= self._options.owners_max:
                del self._figures[next(iter(self._figures))]
            figures = self._figures[owner] = _Usage()
        figures.asked_at_s = self._monotonic_s()
        return figures

    def _want(self, wanted: dict[Owner, None], owner: Owner) -> None:
        wanted[owner] = None
        self._asked.set()

    def _forget_idle(self) -> None:
        """Look at a bounded number of owners, and put those who stay behind the others."""
        before_s = self._monotonic_s() - self._options.idle_s
        for owner in list(islice(self._figures, self._options.batch_max)):
            figures = self._figures.pop(owner)
            if figures.asked_at_s >= before_s or figures.sessions_under_way:
                self._figures[owner] = figures
