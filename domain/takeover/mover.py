"""Moves sessions between the origin and this service, so that each has one owner at every instant."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, field, frozen

from domain.clock import Clock
from domain.takeover.fence import Fence
from domain.takeover.mover_ports import Held, LateCount, OriginSession, OriginSessions, ReturnStore
from domain.takeover.moving import Progress, TakenSession
from domain.takeover.ownership import Direction, Step, View, next_step
from domain.takeover.ports import Holding, TakeoverStore
from domain.takeover.source import SourceRefused, SourceUnavailable

ADOPT = "adopt"
"""The name under which copies are counted that a move makes."""

_ROUNDS_MAX = 8
"""A session comes to its end in at most six steps; another process may repeat some of them."""


@define
class Moved:
    """What became of sessions.

    `owned` came here, `returned` went there, and `dropped` were copies of sessions that have ended. `left` needed no
    step. `fenced_again` are served here, and the origin served them too: it was restored to an earlier state. `foreign`
    are hidden by another takeover. `refused` cannot be stored by the origin, or it has another session of
    their id. `waiting` still execute here.
    """

    owned: set[UUID] = field(factory=set)
    returned: set[UUID] = field(factory=set)
    dropped: set[UUID] = field(factory=set)
    left: set[UUID] = field(factory=set)
    fenced_again: set[UUID] = field(factory=set)
    foreign: set[UUID] = field(factory=set)
    refused: set[UUID] = field(factory=set)
    waiting: set[UUID] = field(factory=set)


@frozen
class _Look:
    """What both sides showed of some sessions: first the origin, then this side."""

    seen: Mapping[UUID, OriginSession]
    held: Mapping[UUID, Held]
    views: Mapping[UUID, View]


@frozen
class SessionMover:
    """Takes sessions here (`take`), and brings any session to its owner in a direction (`settle`).

    Any number of processes may move the same sessions at once in one direction, and each may be killed between two
    steps. The row of the session here decides: it is owned here only if it was FENCING in the transaction that stores
    it, and it is written to the origin only while it is RETURNING. Every method may raise StorageUnavailable,
    Overloaded, SourceUnavailable or SourceRefused; a repetition continues.
    """

    _origin: OriginSessions
    _store: TakeoverStore
    _returns: ReturnStore
    _clock: Clock
    _fence: Fence

    async def take(self, ids: Sequence[UUID]) -> Moved:
        """Move copies here with the fewest steps; settle what stands in the way.

        If the origin refuses the fence, or cannot be reached, the sessions stay its own.
        """
        moved = Moved()
        taken = await self._store.take(ids, self._clock.now())
        try:
            further = await self._fence_and_own(taken, moved)
        except (SourceUnavailable, SourceRefused) as error:
            if isinstance(error, SourceRefused) or not error.sent:
                await self._store.untake(taken)
            raise
        return await self.settle({*ids}.difference(taken).union(further), Direction.HERE, moved)

    async def settle(self, ids: Collection[UUID], direction: Direction, moved: Moved | None = None) -> Moved:
        """Bring sessions to their owner in this direction, whatever step they stand at.

        A session that still executes here is `waiting`; a later call continues with it.
        """
        moved = Moved() if moved is None else moved
        for _ in range(_ROUNDS_MAX):
            if not ids:
                break
            ids = await self._advance(sorted(ids), direction, moved)
        moved.waiting |= set(ids)
        return moved

    async def views(self, ids: Sequence[UUID]) -> Mapping[UUID, View]:
        """Return what the origin shows of sessions that are not served here."""
        look = await self._look(ids)
        return {each: look.views[each] for each in ids if look.held[each].holding is not Holding.SERVED}

    async def add_late(self, owned_before: datetime, after: UUID | None, size: int) -> tuple[UUID | None, int]:
        """Add what the origin counted after the fence to sessions owned since before an instant, at most `size`.

        Returns the last id, None at the end, and how many executions were added.
        """
        page = await self._returns.unsettled(owned_before, after, size)
        if not page:
            return None, 0
        seen = {each.session_id: each for each in await self._origin.look([each.session_id for each in page])}
        served = [each.session_id for each in seen.values() if each.is_live]  # by a late write, or after a restore
        fenced = await self._origin.fence(served) if served else ()
        seen |= {each.session_id: each for each in fenced}
        late = [_late(each, seen.get(each.session_id)) for each in page]
        return page[-1].session_id, await self._returns.add_late(late)

    async def _advance(self, ids: Sequence[UUID], direction: Direction, moved: Moved) -> Collection[UUID]:
        """Do the next step of each session; return those that have further steps."""
        look = await self._look(ids)
        moved.foreign |= {each for each in ids if look.views[each] is View.FOREIGN}
        steps: dict[Step, list[UUID]] = {}
        for each in ids:
            step = next_step(direction, look.held[each].holding, look.views[each])
            steps.setdefault(step, []).append(each)
        further: set[UUID] = set()
        for step, members in steps.items():
            further |= {*await self._perform(step, members, look, moved)}
        return further

    async def _look(self, ids: Sequence[UUID]) -> _Look:
        # In this order: a session that the origin shows as hidden is FENCING here since before that, or further.
        seen = {each.session_id: each for each in await self._origin.look(ids)}
        held = await self._returns.held(ids)
        return _Look(seen, held, {each: self._view(seen.get(each), held[each]) for each in ids})

    def _view(self, seen: OriginSession | None, held: Held) -> View:
        if seen is not None and held.is_made_here:
            return View.OTHER
        if seen is None or not (seen.is_live or seen.would_live):
            return View.GONE
        if seen.is_live:
            return View.LIVE
        is_own = self._fence.is_own(seen.stored_at, seen.created_at, held.known_at)
        return View.FENCED if is_own else View.FOREIGN

    async def _perform(self, step: Step, ids: Sequence[UUID], look: _Look, moved: Moved) -> Collection[UUID]:  # noqa: C901, PLR0911  # one line for each step
        match step:
            case Step.COPY:
                return await self._copy(ids, look, moved)
            case Step.TAKE:
                return await self._fence_and_own(await self._store.take(ids, self._clock.now()), moved)
            case Step.FENCE:
                return await self._fence_and_own(ids, moved)
            case Step.OWN:
                return await self._own([look.seen[each] for each in ids], moved)
            case Step.CLOSE:
                return await self._close(ids, look, moved)
            case Step.RETURN:
                return await self._return(ids, look, moved)
            case Step.FENCE_AGAIN:
                moved.fenced_again.update(ids)
                await self._origin.fence(ids)
                return ids
            case Step.DIVERT:
                await self._returns.divert(ids, self._clock.now())
                return ids
            case Step.REOPEN:
                await self._returns.reopen(ids)
                return ids
            case Step.GIVE_UP:
                return await self._give_up(ids, moved)
            case Step.REFUSE:
                moved.refused.update(ids)
                return ()
            case _:  # Step.LEAVE
                moved.left.update(ids)
                return ()

    async def _copy(self, ids: Sequence[UUID], look: _Look, moved: Moved) -> Collection[UUID]:
        """Store copies; take the fence away from what cannot be kept here, and stays the origin's."""
        kept = {each: inbound for each in ids if (inbound := look.seen[each].inbound) is not None}
        if kept:
            await self._store.receive(list(kept.values()), ADOPT, Progress())
        unkept = [each for each in ids if each not in kept]
        await self._unfence(unkept, look)
        moved.left.update(unkept)
        return kept

    async def _fence_and_own(self, ids: Sequence[UUID], moved: Moved) -> Collection[UUID]:
        """Hide FENCING sessions and store them here; return those that were in another state, on either side."""
        fenced = await self._origin.fence(ids) if ids else []
        not_live = {*ids} - {each.session_id for each in fenced}
        return not_live.union(await self._own(fenced, moved))

    async def _own(self, fenced: Sequence[OriginSession], moved: Moved) -> Collection[UUID]:
        """Store hidden sessions here; return those that are not FENCING any more, or cannot be kept here after all."""
        kept = [each.inbound for each in fenced if each.inbound is not None]
        unkept = [each.session_id for each in fenced if each.inbound is None]
        now = self._clock.now()
        owned = {*await self._store.own(kept, now, now)} if kept else set()
        if unkept:
            await self._store.give_up(unkept)
        moved.owned |= owned
        return {each.session_id for each in fenced} - owned

    async def _give_up(self, ids: Sequence[UUID], moved: Moved) -> Collection[UUID]:
        await self._store.give_up(ids)
        await self._store.discard(ids)
        moved.dropped.update(ids)
        return ()

    async def _close(self, ids: Sequence[UUID], look: _Look, moved: Moved) -> Collection[UUID]:
        """Close sessions and give them to the origin."""
        closed = await self._returns.close(ids, self._clock.now())
        moved.left |= {*ids}.difference(closed)
        return await self._return(closed, look, moved)

    async def _return(self, ids: Sequence[UUID], look: _Look, moved: Moved) -> Collection[UUID]:
        """Give RETURNING sessions to the origin, but those that still execute: their counts are not final."""
        outgoing = await self._returns.outgoing(ids) if ids else ()
        ready = [each.content for each in outgoing if each.content is not None and not each.is_executing]
        never_here = [each.session_id for each in outgoing if not each.is_stored]
        ended = [each.session_id for each in outgoing if each.is_stored and each.content is None]
        await self._unfence(never_here, look)
        restored = {*await self._origin.restore(ready)} if ready else set()
        refused = {each.session.ref.session_id for each in ready} - restored
        if done := [*never_here, *ended, *restored]:
            await self._returns.release(done, self._clock.now())
        if refused:
            await self._returns.reopen(sorted(refused))
        moved.returned |= restored.union(never_here)
        moved.refused |= refused
        moved.waiting |= {each.session_id for each in outgoing if each.content is not None and each.is_executing}
        return ()

    async def _unfence(self, ids: Sequence[UUID], look: _Look) -> None:
        hidden = [look.seen[each] for each in ids if look.views[each] is View.FENCED]
        if hidden:
            await self._origin.unfence(hidden)


def _late(taken: TakenSession, seen: OriginSession | None) -> LateCount:
    """Return what the origin has counted since the fence; nothing if the row is gone."""
    if seen is None:
        return LateCount(taken.session_id, 0, None)
    count = max(0, seen.execution_count - (taken.count_at_fence or 0))
    return LateCount(taken.session_id, count, seen.last_executed_at if count else None)
