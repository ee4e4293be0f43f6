"""The sessions of the origin's first generation, which serves them from Redis first."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from attrs import define, evolve, field

from domain.clock import Clock
from domain.takeover.cache_ports import OriginCache
from domain.takeover.cached import ExecutionCount, merged, read_cached
from domain.takeover.fence import Fence
from domain.takeover.mover_ports import OriginSession, OriginSessions
from domain.takeover.moving import InboundSession
from domain.takeover.source_session import SourceSession

Convert: TypeAlias = Callable[[SourceSession], InboundSession | None]
"""Returns what is stored here for a session; None if it is left."""

_BATCH = 100
"""Keys that are read at once: a value may have megabytes."""

_SETTLED = timedelta(minutes=1)
"""The origin writes the key first, and the row a moment later."""


@define(eq=False)
class CachedOriginSessions(OriginSessions):
    """Hides sessions in the table, and then takes their keys away.

    A key may be there without a row, if the database was made anew while Redis lived. `prepare` stores its session in
    the table, so that there is a row to hide, which carries its own undo. A hidden session may have a key, if its fence
    was interrupted, or if an execution has ended after it. The origin serves it then, so it counts as live, and the
    next fence takes the key. `runs_ahead` tells whether a trigger makes counts in the table run ahead; it is asked
    until it has told so once.
    """

    _rows: OriginSessions
    _cache: OriginCache
    _clock: Clock
    _convert: Convert
    _fence: Fence
    _runs_ahead: Callable[[], Awaitable[bool]]
    _known_ahead: bool | None = field(default=None, init=False)

    async def prepare(self) -> None:
        await self._rows.prepare()
        async for page in self._cache.ids():
            for start in range(0, len(page), _BATCH):
                await self._store_missing(page[start : start + _BATCH])

    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._rows.live(after, size)

    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._rows.fenced(after, size)

    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        seen = await self._rows.look(ids)
        return await self._all_merged(seen, await self._cache.get([str(each.session_id) for each in seen]))

    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        """Hide rows and take keys as the port says, also those of rows that were hidden before."""
        fenced = await self._rows.fence(ids)
        hidden = await self._hidden_with_keys({*ids} - {each.session_id for each in fenced})
        cached = await self._cache.take([str(each.session_id) for each in (*fenced, *hidden)])
        merged_ones = await self._all_merged([*fenced, *hidden], cached)
        return [evolve(each, is_live=False) for each in merged_ones]

    async def _hidden_with_keys(self, ids: Collection[UUID]) -> Sequence[OriginSession]:
        """Return the sessions that this takeover has hidden in the table, and that have a key all the same."""
        seen = await self._rows.look(sorted(ids)) if ids else ()
        cached = await self._cache.get([str(each.session_id) for each in seen])
        return [each for each in seen if self._is_served(each, read_cached(cached.get(str(each.session_id), "")))]

    def _is_served(self, seen: OriginSession, cached: SourceSession | None) -> bool:
        """Return whether the origin serves a session, whose row this takeover has hidden, by its key."""
        if cached is None or cached.expires_at is None or cached.expires_at <= self._clock.now():
            return False
        return self._fence.is_own(seen.stored_at, seen.created_at, cached.expires_at)

    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:
        """Restore as the port says. The origin reads a session without a key from the table, so a stale key goes."""
        restored = await self._rows.restore(sessions)
        await self._cache.take([str(each) for each in restored])
        return restored

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Return the counts of the table, into which the origin writes each count after its key."""
        return await self._rows.counts(ids)

    async def unfence(self, sessions: Sequence[OriginSession]) -> None:
        await self._rows.unfence(sessions)

    async def _store_missing(self, ids: Sequence[str]) -> None:
        """Store the live sessions of these keys that have no row."""
        cached = await self._cache.get(ids)
        wanted = {each.request_id: each for text in cached.values() if (each := read_cached(text)) is not None}
        live = [each for each in wanted.values() if self._is_live(each)]
        found = [inbound for each in live if (inbound := self._convert(each)) is not None]
        known = await self._rows.look([each.session.ref.session_id for each in found]) if found else ()
        there = {each.session_id for each in known}
        missing = [each for each in found if each.session.ref.session_id not in there]
        if missing:
            await self._rows.restore(missing)

    def _is_live(self, row: SourceSession) -> bool:
        now = self._clock.now()
        assert row.created_at is not None
        assert row.expires_at is not None
        return row.expires_at > now and now - row.created_at > _SETTLED

    async def _all_merged(self, seen: Sequence[OriginSession], cached: Mapping[str, str]) -> Sequence[OriginSession]:
        if cached and self._known_ahead is None:
            self._known_ahead = await self._runs_ahead()
        return [self._merged(each, read_cached(cached.get(str(each.session_id), ""))) for each in seen]

    def _merged(self, seen: OriginSession, row: SourceSession | None) -> OriginSession:
        """Return a session with what is true of its row and its key."""
        if row is None:
            return seen
        is_live = seen.is_live or self._is_served(seen, row)
        executed = merged(
            ExecutionCount(seen.execution_count, seen.last_executed_at),
            ExecutionCount(row.execution_count or 0, row.last_executed_at),
            runs_ahead=bool(self._known_ahead),
        )
        seen = evolve(seen, is_live=is_live, execution_count=executed.count, last_executed_at=executed.last_at)
        if seen.inbound is None:
            return seen
        session = evolve(
            seen.inbound.session, execution_count=max(executed.count, 0), last_executed_at=executed.last_at
        )
        return evolve(seen, inbound=evolve(seen.inbound, session=session))
