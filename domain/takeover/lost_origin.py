"""An origin that is lost for good: what was copied of it stands for it."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from attrs import define

from domain.clock import Clock
from domain.takeover.fence import Fence
from domain.takeover.mover_ports import OriginSession, OriginSessions
from domain.takeover.moving import InboundSession, TakenSession, TakenState
from domain.takeover.ports import TakeoverStore
from domain.takeover.source import SourceRefused


@define(eq=False)
class LostOrigin(OriginSessions):
    """Shows copies that live as the origin's, and returned sessions as hidden by this takeover.

    So every session whose content is stored here moves here by the steps of any takeover. Nothing is written: a move
    changes the copies and the returned sessions themselves. If the origin comes back after all, its sessions are live
    on both sides, as after a restore, and `adopt` hides them there.
    """

    _store: TakeoverStore
    _clock: Clock
    _fence: Fence

    async def require_writable(self) -> None:
        raise _never_returns()

    async def prepare(self) -> int:
        return 0

    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._store.inbound_live(self._clock.now(), after, size)

    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return [each.session_id for each in await self._store.taken_page(TakenState.RETURNED, after, size)]

    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        returned = [each for each in await self._store.taken(ids) if each.state is TakenState.RETURNED]
        copies = [self._copy(each, is_live=True) for each in await self._store.inbound(ids)]
        return [*(each for each in copies if each.would_live), *map(self._returned, returned)]

    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        hidden = [self._copy(each, is_live=False) for each in await self._store.inbound(ids)]
        return [each for each in hidden if each.would_live]

    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:  # noqa: ARG002  # none is written
        raise _never_returns()

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:  # noqa: ARG002  # none is known
        return {}

    async def missing_users(self, user_ids: Collection[str]) -> Collection[str]:
        return user_ids

    async def unfence(self, sessions: Sequence[OriginSession]) -> None:  # noqa: ARG002  # none has a fence
        return

    def _copy(self, inbound: InboundSession, *, is_live: bool) -> OriginSession:
        session = inbound.session
        would_live = session.closed_at is None and session.expires_at > self._clock.now()
        stored_at = session.expires_at if is_live else self._fence.hidden(session.expires_at)
        counted = (session.execution_count, session.last_executed_at)
        ref = session.ref.session_id
        return OriginSession(ref, session.created_at, stored_at, is_live and would_live, would_live, *counted, inbound)

    def _returned(self, taken: TakenSession) -> OriginSession:
        stored_at, would_live = self._fence.hidden(taken.expires_at), taken.expires_at > self._clock.now()
        made_at = taken.fenced_at or taken.expires_at
        return OriginSession(taken.session_id, made_at, stored_at, False, would_live, 0, None, None)


def _never_returns() -> SourceRefused:
    return SourceRefused(
        "The origin is lost, so no session can return to it.",
        remedy="Run `takeover open --origin-lost`, `takeover adopt --origin-lost` and `takeover finish --origin-lost`.",
    )
