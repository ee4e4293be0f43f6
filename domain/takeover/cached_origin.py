"""The sessions of the origin's first generation, which serves them from Redis first."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from attrs import define, evolve, frozen

from domain.takeover.cache_ports import OriginCache, OriginRepairs
from domain.takeover.cached import ExecutionCount, cached_value, lives_s, merged, read_cached
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.mover_ports import OriginSession, OriginSessions
from domain.takeover.moving import InboundSession
from domain.takeover.outgoing import outgoing_row
from domain.takeover.source import REDIS, SourceUnavailable
from domain.takeover.source_session import SourceSession

Accepts: TypeAlias = Callable[[SourceSession, datetime], bool]
"""Returns whether a session can be kept here, at an instant of the origin's clock."""

_ROUNDS_MAX = 8
_SETTLED = timedelta(minutes=1)
"""The origin writes the key first, and the row a moment later."""

_BUSY = (
    "{:,} sessions come back whenever their keys are removed. A client calls the origin beside the front: let all "
    "clients use the front."
)


@define(eq=False)
class CachedOriginSessions(OriginSessions):
    """Hides sessions in the table, and then removes their keys.

    Before a key is removed, what only Redis knows is written to the row. So nothing is lost, whatever is killed. A
    hidden session may have a key, if its fence was killed, or if an execution has ended after it. The origin serves it
    then, so it counts as live, and the next fence removes the key in the same way. `_fence` is that of this takeover.
    """

    _rows: OriginSessions
    _repairs: OriginRepairs
    _cache: OriginCache
    _missing: "MissingRows"
    _fence: Fence

    async def require_writable(self) -> None:
        await self._rows.require_writable()
        await self._cache.require_writable()

    async def prepare(self) -> int:
        await self.require_writable()
        return await self._rows.prepare() + await self._missing.add()

    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._rows.live(after, size)

    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._rows.fenced(after, size)

    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        return await self._with_keys(await self._rows.look(ids))

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        return await self._rows.counts(ids)

    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        """Hide sessions as the port says, also those whose rows were hidden before."""
        await self._require_cache()
        fenced = await self._rows.fence(ids)
        others = {*ids}.difference(each.session_id for each in fenced)
        seen = await self._with_keys(await self._rows.look(sorted(others))) if others else ()
        kept = [each.session_id for each in seen if each.is_live and each.stored_at < HIDDEN_BEFORE]
        hidden = [*(each.session_id for each in fenced), *kept]
        is_changed = await self._absorb(hidden)
        return await self._rows.look(hidden) if is_changed or kept else fenced

    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:
        """Restore as the port says. The key is written too, since a late execution may have left an older value."""
        restored = await self._rows.restore(sessions)
        by_id = {each.session.ref.session_id: each for each in sessions}
        await self._publish(by_id, await self._rows.look(restored) if restored else ())
        return restored

    async def missing_users(self, user_ids: Collection[str]) -> Collection[str]:
        return await self._rows.missing_users(user_ids)

    async def unfence(self, sessions: Sequence[OriginSession]) -> None:
        await self._rows.unfence(sessions)

    async def _with_keys(self, seen: Sequence[OriginSession]) -> Sequence[OriginSession]:
        """Return sessions as the origin shows them: it serves one that has a key, although its row is hidden."""
        hidden = [str(each.session_id) for each in seen if each.stored_at < HIDDEN_BEFORE]
        values = await self._cache.get(hidden) if hidden else {}
        if not values:
            return seen
        now = await self._repairs.now()
        return [evolve(each, is_live=each.is_live or self._is_served(each, values, now)) for each in seen]

    def _is_served(self, seen: OriginSession, values: Mapping[str, str], now: datetime) -> bool:
        cached = read_cached(values.get(str(seen.session_id), ""))
        if cached is None or cached.expires_at is None or cached.expires_at <= now:
            return False
        return self._fence.is_own(seen.stored_at, seen.created_at, cached.expires_at)

    async def _require_cache(self) -> None:
        """Raise SourceUnavailable or SourceRefused before anything is hidden, if Redis does not serve."""
        try:
            await self._cache.require_writable()
        except SourceUnavailable as error:
            raise SourceUnavailable(error.reason, store=error.store, sent=False) from error

    async def _publish(self, sessions: Mapping[UUID, InboundSession], stored: Iterable[OriginSession]) -> None:
        now = await self._repairs.now()
        values, lives = {}, {}
        for each in stored:
            session, request_id = sessions[each.session_id].session, str(each.session_id)
            row = outgoing_row(sessions[each.session_id])
            row = evolve(row, execution_count=each.execution_count, last_executed_at=each.last_executed_at)
            if life_s := lives_s(session.expires_at, now):
                values[request_id], lives[request_id] = cached_value(row, session.script_hash), life_s
        await self._cache.put(values, lives)

    async def _absorb(self, ids: Sequence[UUID]) -> bool:
        """Write what keys of hidden sessions know better to the rows, and remove them; return whether rows changed."""
        left, is_changed = [str(each) for each in ids], False
        for _ in range(_ROUNDS_MAX):
            values = await self._cache.get(left) if left else {}
            if not values:
                return is_changed
            is_changed |= await self._correct(values)
            left = list(await self._cache.remove(values))
        raise SourceUnavailable(_BUSY.format(len(left)), store=REDIS)

    async def _correct(self, values: Mapping[str, str]) -> bool:
        rows, runs_ahead = await self._repairs.executions(list(values)), await self._repairs.runs_ahead()
        wanted: dict[str, ExecutionCount] = {}
        for request_id, row in rows.items():
            cached = read_cached(values[request_id])
            if cached is None or cached.request_id != request_id:
                continue
            executed = ExecutionCount(cached.execution_count or 0, cached.last_executed_at)
            wanted[request_id] = merged(row, executed, runs_ahead=runs_ahead)
        corrected = {each: executed for each, executed in wanted.items() if executed != rows[each]}
        if corrected:
            await self._repairs.correct(corrected)
        return bool(corrected)


async def without_row(cache: OriginCache, repairs: OriginRepairs) -> AsyncIterator[Mapping[str, str]]:
    """Yield the values of keys whose sessions have no row; one may come twice."""
    async for ids in cache.ids():
        rows = await repairs.executions(ids)
        missing = [each for each in dict.fromkeys(ids) if each not in rows]
        if missing:
            yield await cache.get(missing)


@frozen
class MissingRows:
    """Writes rows for sessions that have a key alone, so that there is a row to hide, which carries its own undo.

    The database was made anew while Redis lived, or an insert has failed. The first generation serves such a session;
    later ones do not.
    """

    _repairs: OriginRepairs
    _cache: OriginCache
    _accepts: Accepts

    async def add(self) -> int:
        """Write the rows of live sessions that can be kept here; return how many there were."""
        now, added = await self._repairs.now(), 0
        async for values in without_row(self._cache, self._repairs):
            rows = [row for each, value in values.items() if (row := self._lost(each, value, now)) is not None]
            added += len(await self._repairs.add(rows)) if rows else 0
        return added

    def _lost(self, request_id: str, value: str, now: datetime) -> SourceSession | None:
        """Return the session of a key whose row will not come any more; None for any other."""
        row = read_cached(value)
        if row is None or row.request_id != request_id or row.created_at is None or row.expires_at is None:
            return None
        is_lost = row.expires_at > now and now - row.created_at > _SETTLED
        return row if is_lost and self._accepts(row, now) else None
