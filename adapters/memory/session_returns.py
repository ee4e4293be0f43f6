"""Sessions that return to the origin, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.identity import ANONYMOUS
from domain.json_text import EMPTY_OBJECT
from domain.schedules.plan import SessionTarget
from domain.scripts.convention import Convention
from domain.sessions.session import Renewal, Session, Status
from domain.takeover.mover_ports import (
    Held,
    LateCount,
    OutgoingSession,
    ReturnCensus,
    ReturnStore,
    TakeoverClaim,
    TakeoverClaims,
)
from domain.takeover.moving import InboundSession, Original, TakenSession, TakenState
from domain.takeover.ports import Holding
from domain.takeover.spelling import spelling

_NIL = UUID(int=0)
_USER_SIZE_MAX = 128
_COUNT_MAX = 2**31 - 1
_LEFT = {TakenState.RETURNING, TakenState.RETURNED}


@define(eq=False)
class MemoryReturnStore(ReturnStore, TakeoverClaims):
    """Works on the rows of the fake repositories; there is a takeover to claim."""

    _store: MemoryStore
    _claim: TakeoverClaim | None = field(default=None, init=False)

    @override
    async def hold(self, holder: str, now: datetime, until: datetime) -> TakeoverClaim | None:
        self._store.require_available()
        if self._claim is None or self._claim.holder == holder or self._claim.until <= now:
            self._claim = TakeoverClaim(holder, until)
        return self._claim

    @override
    async def leave(self, holder: str) -> None:
        self._store.require_available()
        if self._claim is not None and self._claim.holder == holder:
            self._claim = None

    @override
    async def held(self, ids: Sequence[UUID]) -> Mapping[UUID, Held]:
        self._store.require_available()
        return {session_id: Held(self._holding(session_id), self._known_at(session_id)) for session_id in ids}

    @override
    async def returnable(self, now: datetime, after: UUID | None, size: int) -> Sequence[UUID]:
        self._store.require_available()
        later = [each for each in self._store.sessions.values() if each.ref.session_id > (after or _NIL)]
        return sorted(each.ref.session_id for each in later if self._is_returnable(each, now))[:size]

    @override
    async def user_ids(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        self._store.require_available()
        users = {each: self._user_id(self._store.sessions[each]) for each in ids if each in self._store.sessions}
        return {session_id: user_id for session_id, user_id in users.items() if user_id is not None}

    @override
    async def census(self, now: datetime) -> ReturnCensus:
        self._store.require_available()
        found = [each for each in self._store.sessions.values() if self._is_returnable(each, now)]
        made_here = [each for each in found if each.ref.session_id not in self._store.taken]
        executing = {each.session.ref.session_id for each in self._store.open_executions.values()}
        unkeyed = {each.key for each in self._store.accepted.values() if each.entry.idempotency_key is None}
        keyed = {session_id for _, session_id, _ in self._store.keys.keys() - unkeyed}
        waiting = {self._store.accepted[each].entry.ref.session_id for each in self._store.queued}
        targets = {each.plan.target for each in self._store.schedules.values()}
        return ReturnCensus(
            sessions=len(found),
            made_here=len(made_here),
            sliding=sum(each.renewal is Renewal.SLIDING for each in found),
            pinned=sum(each.pinned is not None for each in found),
            unlike=sum(each.convention is not Convention.ORIGIN and each.pinned is None for each in found),
            nameless=sum(len(each.ref.owner) > _USER_SIZE_MAX for each in made_here),
            capped=sum(each.execution_count > _COUNT_MAX for each in found),
            keyed=sum(each.ref.session_id in keyed for each in found),
            executing=sum(each.ref.session_id in executing for each in found),
            waiting=sum(each.ref.session_id in waiting for each in found),
            scheduled=sum(SessionTarget(each.ref.session_id) in targets for each in found),
            granted=sum(each.grants is not None and self._is_live(each, now) for each in self._store.sessions.values()),
        )

    @override
    async def close(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        self._store.require_available()
        found = [self._store.sessions[each] for each in ids if each in self._store.sessions]
        for session in found:
            if self._is_returnable(session, now):
                self._store.put(evolve(session, closed_at=now, version=session.version + 1))
                self._mark(session, now)
        return [each for each in ids if self._holding(each) is Holding.RETURNING]

    @override
    async def divert(self, ids: Sequence[UUID], now: datetime) -> None:
        self._store.require_available()
        for session_id in ids:
            copy = self._store.inbound.pop(session_id, None)
            taken = self._store.taken.get(session_id)
            if taken is None and copy is not None:
                taken = _taken(copy, TakenState.FENCING)
            if taken is not None and taken.state in {TakenState.FENCING, TakenState.RETURNED}:
                self._store.taken[session_id] = evolve(taken, state=TakenState.RETURNING, returned_at=now)

    @override
    async def outgoing(self, ids: Sequence[UUID]) -> Sequence[OutgoingSession]:
        self._store.require_available()
        return [self._outgoing(each) for each in ids if self._holding(each) is Holding.RETURNING]

    @override
    async def release(self, ids: Sequence[UUID], now: datetime) -> None:
        self._store.require_available()
        for session_id in ids:
            if self._holding(session_id) is Holding.RETURNING:
                taken = self._store.taken[session_id]
                self._store.taken[session_id] = evolve(taken, state=TakenState.RETURNED, returned_at=now)

    @override
    async def reopen(self, ids: Sequence[UUID]) -> None:
        self._store.require_available()
        for taken in [self._store.taken[each] for each in ids if each in self._store.taken]:
            if taken.state in _LEFT:
                self._reopen(taken)

    @override
    async def unsettled(self, owned_before: datetime, after: UUID | None, size: int) -> Sequence[TakenSession]:
        self._store.require_available()
        found = [
            each
            for each in self._store.taken.values()
            if each.session_id > (after or _NIL)
            and each.state is TakenState.OWNED
            and each.late_count is None
            and each.owned_at is not None
            and each.owned_at <= owned_before
        ]
        return sorted(found, key=lambda each: each.session_id)[:size]

    @override
    async def add_late(self, counts: Sequence[LateCount]) -> int:
        self._store.require_available()
        return sum(self._add_late(each) for each in counts)

    def _add_late(self, late: LateCount) -> int:
        taken = self._store.taken.get(late.session_id)
        if taken is None or taken.state is not TakenState.OWNED or taken.late_count is not None:
            return 0
        self._store.taken[late.session_id] = evolve(taken, late_count=late.count)
        session = self._store.sessions.get(late.session_id)
        if session is not None and late.count:
            lasts = [each for each in (session.last_executed_at, late.last_executed_at) if each is not None]
            count = session.execution_count + late.count
            self._store.put(evolve(session, execution_count=count, last_executed_at=max(lasts, default=None)))
        return late.count

    def _holding(self, session_id: UUID) -> Holding:
        taken = self._store.taken.get(session_id)
        if taken is not None:
            return Holding.SERVED if taken.state is TakenState.OWNED else Holding(taken.state.value)
        if session_id in self._store.sessions:
            return Holding.SERVED
        return Holding.INBOUND if session_id in self._store.inbound else Holding.UNKNOWN

    def _known_at(self, session_id: UUID) -> datetime | None:
        copy, taken = self._store.inbound.get(session_id), self._store.taken.get(session_id)
        if taken is None and session_id in self._store.sessions:
            return None
        return copy.session.expires_at if copy is not None else None if taken is None else taken.expires_at

    def _is_returnable(self, session: Session, now: datetime) -> bool:
        taken = self._store.taken.get(session.ref.session_id)
        is_settled = taken is None or (taken.state is TakenState.OWNED and taken.late_count is not None)
        return is_settled and session.grants is None and self._is_live(session, now)

    def _is_live(self, session: Session, now: datetime) -> bool:
        is_full = session.script_hash is not None and not session.hidden
        return is_full and session.status(now) is Status.ACTIVE

    def _user_id(self, session: Session) -> str | None:
        taken, owner = self._store.taken.get(session.ref.session_id), session.ref.owner
        if taken is not None:
            return taken.original.user_id
        return owner if owner != ANONYMOUS and len(owner) <= _USER_SIZE_MAX else None

    def _mark(self, session: Session, now: datetime) -> None:
        original = Original(spelling(session.language_title), self._user_id(session), EMPTY_OBJECT)
        copy = InboundSession(session, None, original)
        taken = self._store.taken.get(session.ref.session_id) or evolve(_taken(copy, TakenState.OWNED), late_count=0)
        self._store.taken[session.ref.session_id] = evolve(
            taken, state=TakenState.RETURNING, expires_at=session.expires_at, returned_at=now
        )

    def _outgoing(self, session_id: UUID) -> OutgoingSession:
        session, script = self._store.sessions.get(session_id), self._store.scripts.get(session_id)
        is_executing = any(each.session.ref.session_id == session_id for each in self._store.open_executions.values())
        if session is None or session.script_hash is None:
            return OutgoingSession(session_id, is_executing, session is not None, None)
        content = InboundSession(session, script, self._store.taken[session_id].original)
        return OutgoingSession(session_id, is_executing, is_stored=True, content=content)

    def _reopen(self, taken: TakenSession) -> None:
        session = self._store.sessions.get(taken.session_id)
        if session is None or session.script_hash is None:
            del self._store.taken[taken.session_id]
            return
        self._store.put(evolve(session, closed_at=None, version=session.version + 1))
        late_count = taken.late_count or 0
        self._store.taken[taken.session_id] = evolve(
            taken, state=TakenState.OWNED, late_count=late_count, returned_at=None
        )


def _taken(copy: InboundSession, state: TakenState) -> TakenSession:
    session = copy.session
    return TakenSession(session.ref.session_id, session.ref.owner, state, copy.original, session.expires_at)
