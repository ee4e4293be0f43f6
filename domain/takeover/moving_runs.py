"""The runs of `takeover adopt` and `takeover back`: batch after batch, until every session is where it belongs."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from attrs import Factory, define, field, fields, frozen, validators

from domain.clock import Clock, MonotonicClock
from domain.takeover.claim import Claim
from domain.takeover.mover import Moved, SessionMover
from domain.takeover.mover_ports import OriginSessions, ReturnStore
from domain.takeover.moving import TakenState
from domain.takeover.ownership import Direction, View
from domain.takeover.ports import Holding, TakeoverStore

SETTLE_S = 150.0
"""The longest that an execution of the origin takes: an attempt at OpenFaaS and four at a container, of 30 s each."""

_NAMED_MAX = 100
_FIRST_ROWS = 64
_PASSES_MAX = 20
_PAUSE_S = 0.2
_NS = 1_000_000_000

Page = Callable[[UUID | None, int], Awaitable[Sequence[UUID]]]
Work = Callable[[Sequence[UUID]], Awaitable[Moved]]
Tell = Callable[[str, int, int | None], None]
"""Is told of progress: what is done, with how many sessions so far, and of how many; None if that has no end."""


@frozen
class MoveLimits:
    """Rows of a batch, the seconds that a batch may take, the settle time, and how long an execution is waited for.

    A session is ownerless for as long as its batch takes. So batches become smaller while they take too long, down to a
    size at which most of the time is that of the round trips.
    """

    rows_max: int = field(default=1000, validator=[validators.ge(1), validators.le(1000)])
    rows_min: int = 16
    batch_s: float = 0.025
    settle_s: float = field(default=SETTLE_S, validator=validators.ge(0))
    wait_s: float = 60.0


@define
class BatchSize:
    """The rows of the next batch: half as many after a long one, twice as many after a short one."""

    limits: MoveLimits
    rows: int = field(default=Factory(lambda self: min(_FIRST_ROWS, self.limits.rows_max), takes_self=True))

    def took(self, duration_s: float) -> None:
        """Note how long a batch of this size took."""
        if duration_s > self.limits.batch_s:
            self.rows = max(min(self.limits.rows_min, self.limits.rows_max), self.rows // 2)
        elif duration_s < self.limits.batch_s / 2:
            self.rows = min(self.limits.rows_max, self.rows * 2)


@define
class Tally:
    """The numbers of a run by what became of sessions, as `Moved` has them, and the first ids of each."""

    numbers: Counter[str] = field(factory=Counter)
    named: dict[str, list[UUID]] = field(factory=dict)
    late: int = 0
    added_rows: int = 0
    left_there: int = 0
    waiting: int = 0

    def add(self, moved: Moved) -> None:
        """Count what a batch has done."""
        for outcome in fields(Moved):
            ids: Collection[UUID] = getattr(moved, outcome.name)
            self.numbers[outcome.name] += len(ids)
            known = self.named.setdefault(outcome.name, [])
            known += sorted(ids)[: _NAMED_MAX - len(known)]

    def forget(self, outcome: str) -> None:
        """Count an outcome from the start."""
        self.numbers[outcome] = 0
        self.named[outcome] = []


@frozen
class AdoptPreview:
    """What a run would do: live sessions that would move here, those of them that are copied, those that would stay.

    `lost` are hidden at the origin and not served here; `foreign` are hidden by another takeover. `restored` are
    served by both sides, because the origin was restored to an earlier state.
    """

    movable: int = 0
    copied: int = 0
    left: int = 0
    lost: int = 0
    foreign: int = 0
    restored: int = 0


@define(eq=False)
class MoveRun:
    """One run of a command. Every method may raise what SessionMover does, and TakeoverRefused without the claim."""

    _mover: SessionMover
    _origin: OriginSessions
    _store: TakeoverStore
    _returns: ReturnStore
    _claim: Claim
    _clock: Clock
    _monotonic: MonotonicClock
    _sleep: Callable[[float], Awaitable[None]]
    _tell: Tell
    _limits: MoveLimits = field(factory=MoveLimits)
    tally: Tally = field(factory=Tally, init=False)
    _waits_left: int = field(
        default=Factory(lambda self: max(1, round(self._limits.wait_s / _PAUSE_S)), takes_self=True), init=False
    )

    async def adopt(self) -> Tally:
        """Bring every session here that can be kept here, then add what the origin counts late."""
        self.tally.added_rows = await self._origin.prepare()
        await self._batches("adopted", self._copies, self._mover.take)
        for _ in range(_PASSES_MAX):
            before = self.tally.numbers["owned"]
            await self._batches("examined at the origin", self._origin.live, self._settled(Direction.HERE))
            if self.tally.numbers["owned"] == before:
                break
        await self._batches("fences examined", self._origin.fenced, self._lost_settled(Direction.HERE))
        await self._settle_pending(Direction.HERE)
        await self._batches("copies examined", self._copies, self._settled(Direction.HERE))
        await self.add_late()
        await self._count_left()
        return self.tally

    async def preview(self) -> AdoptPreview:
        """Return what `adopt` would do now; it writes nothing."""
        movable = copied = left = lost = foreign = restored = 0
        async for ids in self._read_pages(self._origin.live):
            held, seen = await self._returns.held(ids), await self._origin.look(ids)
            live = [each.session_id for each in seen if each.is_live and each.inbound is not None]
            kept = [each for each in live if not held[each].is_made_here]
            served = sum(held[each].holding is Holding.SERVED for each in kept)
            restored += served
            movable += len(kept) - served
            copied += sum(held[each].holding is Holding.INBOUND for each in kept)
            left += len(seen) - len(kept)
        async for ids in self._read_pages(self._origin.fenced):
            views = await self._mover.views(ids)
            lost += sum(view is View.FENCED for view in views.values())
            foreign += sum(view is View.FOREIGN for view in views.values())
        return AdoptPreview(movable, copied, left, lost, foreign, restored)

    async def _count_left(self) -> None:
        """Count the sessions that the origin still serves, and name the first ones."""
        named = self.tally.named["left"] = []
        async for ids in self._read_pages(self._origin.live):
            await self._claim.keep()
            self.tally.left_there += len(ids)
            named += ids[: _NAMED_MAX - len(named)]

    async def _read_pages(self, page: Page) -> AsyncIterator[Sequence[UUID]]:
        after: UUID | None = None
        while ids := await page(after, self._limits.rows_max):
            yield ids
            after = ids[-1]

    async def back(self) -> Tally:
        """Bring every session to the origin: those that came from there, and those that were made here."""
        await self._origin.require_writable()
        await self._settle_pending(Direction.THERE)
        await self.add_late()
        for _ in range(_PASSES_MAX):
            before = self.tally.numbers["returned"]
            self.tally.forget("refused")  # each pass tries them again
            await self._batches("returned", self._returnable, self._settled(Direction.THERE))
            await self._wait_for_executions()
            if self.tally.numbers["returned"] == before:
                break
        await self._batches("fences examined", self._origin.fenced, self._lost_settled(Direction.THERE))
        self.tally.waiting = len(await self._pending(TakenState.RETURNING, None, self._limits.rows_max))
        self.tally.numbers["waiting"] = self.tally.waiting
        return self.tally

    async def add_late(self) -> None:
        """Add late counts of all sessions, each when its settle time is over."""
        while unsettled := await self._returns.unsettled(self._clock.now(), None, 1):
            owned_at = unsettled[0].owned_at or self._clock.now()
            due_s = (owned_at - self._clock.now()).total_seconds() + self._limits.settle_s
            if not await self._sweep() and due_s > 0:
                self._tell("seconds until the origin's last executions have ended", round(due_s), None)
            await self._claim.keep()
            await self._sleep(min(max(due_s, _PAUSE_S), 1.0))

    async def _sweep(self) -> bool:
        """Add late counts that are due; return whether there were sessions to look at."""
        owned_before = self._clock.now() - timedelta(seconds=self._limits.settle_s)
        before = after = None
        while True:
            await self._claim.keep()
            after, added = await self._mover.add_late(owned_before, before, self._limits.rows_max)
            self.tally.late += added
            if after is None:
                return before is not None
            before = after

    async def _batches(self, name: str, page: Page, work: Work) -> None:
        """Work through all pages, in batches of a size that keeps each batch short."""
        size, done, total = BatchSize(self._limits), 0, 0
        async for ids in self._read_pages(page):
            await self._claim.keep()
            total += len(ids)
        async for ids in self._pages(page, size):
            started_ns = self._monotonic()
            self.tally.add(await work(ids))
            size.took((self._monotonic() - started_ns) / _NS)
            done += len(ids)
            self._tell(name, done, max(done, total))  # some may have come meanwhile

    async def _pages(self, page: Page, size: BatchSize) -> AsyncIterator[Sequence[UUID]]:
        """Yield batches of the present size; a page of ids serves many of them."""
        async for ids in self._read_pages(page):
            start = 0
            while batch := ids[start : start + size.rows]:
                await self._claim.keep()
                yield batch
                start += len(batch)

    async def _settle_pending(self, direction: Direction) -> None:
        """Complete what a killed run has left."""
        for state in (TakenState.FENCING, TakenState.RETURNING):
            await self._batches("completed", partial(self._pending, state), self._settled(direction))

    async def _wait_for_executions(self) -> None:
        """Return the sessions that still execute, as soon as they have ended."""
        while self._waits_left > 0:
            self._waits_left -= 1
            pending = await self._pending(TakenState.RETURNING, None, self._limits.rows_max)
            if not pending:
                return
            await self._claim.keep()
            self.tally.add(await self._mover.settle(pending, Direction.THERE))
            self._tell("waiting for executions", len(pending), None)
            await self._sleep(_PAUSE_S)

    async def _pending(self, state: TakenState, after: UUID | None, size: int) -> Sequence[UUID]:
        return [each.session_id for each in await self._store.taken_page(state, after, size)]

    async def _copies(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._store.inbound_live(self._clock.now(), after, size)

    async def _returnable(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._returns.returnable(self._clock.now(), after, size)

    def _settled(self, direction: Direction) -> Work:
        return partial(self._mover.settle, direction=direction)

    def _lost_settled(self, direction: Direction) -> Work:
        """Return the work on sessions that are hidden at the origin, which a kill or a restore may have left so."""

        async def settle(ids: Sequence[UUID]) -> Moved:
            held = await self._returns.held(ids)
            lost = [each for each in ids if held[each].holding is not Holding.SERVED]
            return await self._mover.settle(lost, direction)

        return settle
