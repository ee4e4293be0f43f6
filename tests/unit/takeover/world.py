"""The origin, this service and the processes between them, in one thread: the test decides who does the next step.

Each call of a port is one transaction. A process pauses before and after it, so another process may come between, and a
kill may hit before the transaction or between it and what follows.
"""

from collections.abc import Coroutine, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, evolve, field

from adapters.memory.manual_clock import ManualClock
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import EMPTY_OBJECT
from domain.scripts.script import Script
from domain.sessions.session import Session
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.mover import SessionMover
from domain.takeover.mover_ports import Held, LateCount, OriginSession, OriginSessions, OutgoingSession, ReturnStore
from domain.takeover.moving import InboundSession, Original, Progress, Received, TakenSession, TakenState
from domain.takeover.ownership import Direction
from domain.takeover.ports import Holding
from tests.unit.domain.builders import session_at

TAKEOVER_ID = UUID("019ac000-0000-7000-8000-0000deadbe00")
FENCE = Fence.of(TAKEOVER_ID)
SCRIPT = Script.of("return 1", 1000)
SETTLE = timedelta(seconds=150)
HOLDINGS = {
    TakenState.FENCING: Holding.FENCING,
    TakenState.OWNED: Holding.SERVED,
    TakenState.RETURNING: Holding.RETURNING,
    TakenState.RETURNED: Holding.RETURNED,
}


class Pause:
    """Gives the turn to the test."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@define
class OriginRow:
    """A row of the origin's `meta.sessions`; `is_odd` cannot be kept here."""

    created_at: datetime
    expires_at: datetime
    count: int = 0
    last_executed_at: datetime | None = None
    is_odd: bool = False


@define
class SimulatedOrigin(OriginSessions):
    """The rows of the origin, under the rules of its PostgreSQL."""

    clock: ManualClock
    fence_of: Fence = FENCE
    rows: dict[UUID, OriginRow] = field(factory=dict)
    refused: set[UUID] = field(factory=set)

    def serves(self, session_id: UUID) -> bool:
        row = self.rows.get(session_id)
        return row is not None and row.expires_at > self.clock.now()

    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        await Pause()
        return self._page([each for each in self.rows if self.serves(each)], after, size)

    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        await Pause()
        return self._page([each for each, row in self.rows.items() if self._would_live(row)], after, size)

    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        await Pause()
        found = [self._session(each) for each in ids if each in self.rows]
        await Pause()
        return found

    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        await Pause()
        live = [each for each in ids if self.serves(each)]
        for each in live:
            self.rows[each].expires_at = self.fence_of.hidden(self.rows[each].expires_at)
        found = [self._session(each) for each in live]
        await Pause()
        return found

    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:
        await Pause()
        accepted = [each for each in sessions if each.session.ref.session_id not in self.refused]
        for each in accepted:
            session = each.session
            row = self.rows.get(session.ref.session_id)
            if row is None:
                row = self.rows[session.ref.session_id] = OriginRow(session.created_at, session.expires_at)
            row.expires_at = session.expires_at
            row.count = max(row.count, session.execution_count)
        await Pause()
        return [each.session.ref.session_id for each in accepted]

    async def unfence(self, sessions: Sequence[OriginSession]) -> None:
        await Pause()
        for each in sessions:
            row = self.rows.get(each.session_id)
            if row is not None and row.expires_at == each.stored_at:
                row.expires_at = self.fence_of.shown(row.expires_at)
        await Pause()

    def _would_live(self, row: OriginRow) -> bool:
        return row.expires_at < HIDDEN_BEFORE and self.fence_of.shown(row.expires_at) > self.clock.now()

    def _session(self, session_id: UUID) -> OriginSession:
        row = self.rows[session_id]
        inbound = None if row.is_odd else inbound_of(session_id, row, self.fence_of)
        is_live = self.serves(session_id)
        return OriginSession(session_id, row.created_at, row.expires_at, is_live, self._would_live(row), inbound)

    def _page(self, ids: Sequence[UUID], after: UUID | None, size: int) -> Sequence[UUID]:
        return sorted(each for each in ids if after is None or each > after)[:size]


def inbound_of(session_id: UUID, row: OriginRow, fence: Fence = FENCE) -> InboundSession:
    session = session_at(
        row.created_at,
        ref=SessionRef(ANONYMOUS, session_id),
        script_hash=SCRIPT.hash,
        expires_at=fence.shown(row.expires_at),
        expires_max_at=fence.shown(row.expires_at),
        execution_count=row.count,
        last_executed_at=row.last_executed_at,
        **{} if session_id.version == 7 else {"foreign_created_at": row.created_at},
    )
    return InboundSession(session, SCRIPT, Original(str(session.language_title), None, EMPTY_OBJECT))


@define
class SimulatedStore(ReturnStore):
    """What is stored here; every method is one transaction."""

    clock: ManualClock
    sessions: dict[UUID, Session] = field(factory=dict)
    copies: dict[UUID, InboundSession] = field(factory=dict)
    states: dict[UUID, TakenSession] = field(factory=dict)
    open_executions: dict[UUID, int] = field(factory=dict)

    def serves(self, session_id: UUID) -> bool:
        session = self.sessions.get(session_id)
        return session is not None and session.closed_at is None and session.expires_at > self.clock.now()

    def holding(self, session_id: UUID) -> Holding:
        state = self.states.get(session_id)
        if state is not None:
            return HOLDINGS[state.state]
        if session_id in self.copies:
            return Holding.INBOUND
        return Holding.SERVED if session_id in self.sessions else Holding.UNKNOWN

    async def held(self, ids: Sequence[UUID]) -> Mapping[UUID, Held]:
        await Pause()
        found = {each: Held(self.holding(each), self._known_at(each)) for each in ids}
        await Pause()
        return found

    async def receive(self, sessions: Sequence[InboundSession], command: str, progress: Progress) -> Received:
        await Pause()
        for each in sessions:
            session_id = each.session.ref.session_id
            if self.holding(session_id) is Holding.RETURNED:
                del self.states[session_id]
                self.sessions.pop(session_id, None)
            if self.holding(session_id) in {Holding.UNKNOWN, Holding.INBOUND}:
                self.copies[session_id] = each
        await Pause()
        return Received(len(sessions))

    async def discard(self, ids: Sequence[UUID]) -> int:
        await Pause()
        found = [each for each in ids if self.holding(each) is Holding.INBOUND]
        for each in found:
            del self.copies[each]
        await Pause()
        return len(found)

    async def take(self, ids: Sequence[UUID]) -> Sequence[UUID]:
        await Pause()
        for each in ids:
            if self.holding(each) is Holding.INBOUND:
                self.states[each] = self._taken(self.copies[each], TakenState.FENCING)
        found = [each for each in ids if self.holding(each) is Holding.FENCING]
        await Pause()
        return found

    async def own(self, sessions: Sequence[InboundSession], fenced_at: datetime, now: datetime) -> Sequence[UUID]:
        await Pause()
        owned = [each for each in sessions if self.holding(each.session.ref.session_id) is Holding.FENCING]
        for each in owned:
            session_id = each.session.ref.session_id
            self.sessions[session_id] = each.session
            del self.copies[session_id]
            self.states[session_id] = evolve(
                self._taken(each, TakenState.OWNED),
                count_at_fence=each.session.execution_count,
                fenced_at=fenced_at,
                owned_at=now,
            )
        await Pause()
        return [each.session.ref.session_id for each in owned]

    async def give_up(self, ids: Sequence[UUID]) -> int:
        await Pause()
        found = [each for each in ids if self.holding(each) is Holding.FENCING]
        for each in found:
            del self.states[each]
            del self.copies[each]
        await Pause()
        return len(found)

    async def returnable(self, now: datetime, after: UUID | None, size: int) -> Sequence[UUID]:
        await Pause()
        found = sorted(each for each in self.sessions if self._is_returnable(each))
        return [each for each in found if after is None or each > after][:size]

    async def close(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        await Pause()
        for each in ids:
            if self._is_returnable(each):
                session = self.sessions[each]
                self.sessions[each] = evolve(session, closed_at=now, version=session.version + 1)
                known = self.states.get(each)
                content = InboundSession(session, SCRIPT, Original(str(session.language_title), None, EMPTY_OBJECT))
                self.states[each] = evolve(known or self._taken(content, TakenState.OWNED), state=TakenState.RETURNING)
        found = [each for each in ids if self.holding(each) is Holding.RETURNING]
        await Pause()
        return found

    async def divert(self, ids: Sequence[UUID], now: datetime) -> None:
        await Pause()
        for each in ids:
            holding = self.holding(each)
            if holding in {Holding.INBOUND, Holding.FENCING}:
                self.states[each] = self._taken(self.copies.pop(each), TakenState.RETURNING)
            elif holding is Holding.RETURNED:
                self.states[each] = evolve(self.states[each], state=TakenState.RETURNING)
        await Pause()

    async def outgoing(self, ids: Sequence[UUID]) -> Sequence[OutgoingSession]:
        await Pause()
        found = [self._outgoing(each) for each in ids if self.holding(each) is Holding.RETURNING]
        await Pause()
        return found

    async def release(self, ids: Sequence[UUID], now: datetime) -> None:
        await Pause()
        for each in ids:
            if self.holding(each) is Holding.RETURNING:
                self.states[each] = evolve(self.states[each], state=TakenState.RETURNED, returned_at=now)
        await Pause()

    async def reopen(self, ids: Sequence[UUID]) -> None:
        await Pause()
        for each in ids:
            if self.holding(each) not in {Holding.RETURNING, Holding.RETURNED}:
                continue
            if each in self.sessions:
                self.sessions[each] = evolve(self.sessions[each], closed_at=None)
                self.states[each] = evolve(self.states[each], state=TakenState.OWNED, late_count=0)
            else:
                del self.states[each]
        await Pause()

    async def unsettled(self, owned_before: datetime, after: UUID | None, size: int) -> Sequence[TakenSession]:
        await Pause()
        found = [
            each
            for _, each in sorted(self.states.items())
            if each.state is TakenState.OWNED
            and each.late_count is None
            and (each.owned_at is None or each.owned_at <= owned_before)
            and (after is None or each.session_id > after)
        ]
        return found[:size]

    async def add_late(self, counts: Sequence[LateCount]) -> int:
        await Pause()
        added = 0
        for each in counts:
            state = self.states.get(each.session_id)
            if state is not None and state.state is TakenState.OWNED and state.late_count is None:
                session = self.sessions[each.session_id]
                self.states[each.session_id] = evolve(state, late_count=each.count)
                self.sessions[each.session_id] = evolve(session, execution_count=session.execution_count + each.count)
                added += each.count
        await Pause()
        return added

    async def begin_execution(self, session_id: UUID) -> bool:
        await Pause()
        if not self.serves(session_id):
            return False
        self.open_executions[session_id] = self.open_executions.get(session_id, 0) + 1
        return True

    def finish_execution(self, session_id: UUID) -> None:
        self.open_executions[session_id] -= 1
        session = self.sessions[session_id]
        self.sessions[session_id] = evolve(session, execution_count=session.execution_count + 1)

    def _known_at(self, session_id: UUID) -> datetime | None:
        if session_id in self.copies:
            return self.copies[session_id].session.expires_at
        state = self.states.get(session_id)
        return None if state is None else state.expires_at

    def _is_returnable(self, session_id: UUID) -> bool:
        state = self.states.get(session_id)
        is_settled = state is None or (state.state is TakenState.OWNED and state.late_count is not None)
        return is_settled and self.serves(session_id)

    def _outgoing(self, session_id: UUID) -> OutgoingSession:
        session = self.sessions.get(session_id)
        original = self.states[session_id].original
        content = None if session is None else InboundSession(session, SCRIPT, original)
        return OutgoingSession(session_id, bool(self.open_executions.get(session_id)), content)

    def _taken(self, copy: InboundSession, state: TakenState) -> TakenSession:
        session = copy.session
        return TakenSession(session.ref.session_id, session.ref.owner, state, copy.original, session.expires_at)


@define
class Process:
    """A coroutine that the test drives, one turn at a time."""

    name: str
    work: Coroutine[Any, Any, Any]
    is_running: bool = True
    result: Any = None

    def turn(self) -> None:
        try:
            self.work.send(None)
        except StopIteration as ended:
            self.is_running = False
            self.result = ended.value

    def finish(self, turns_max: int = 10_000) -> None:
        for _ in range(turns_max):
            if not self.is_running:
                return
            self.turn()
        raise AssertionError(f"{self.name} does not end")

    def kill(self) -> None:
        self.work.close()
        self.is_running = False


@define
class World:
    """Both sides, and what callers were told."""

    clock: ManualClock = field(factory=ManualClock)
    direction: Direction = Direction.HERE
    acknowledged: dict[UUID, int] = field(factory=dict)
    executing_there: dict[UUID, tuple[int, datetime]] = field(factory=dict)
    executing_here: list[UUID] = field(factory=list)
    origin: SimulatedOrigin = field(init=False)
    store: SimulatedStore = field(init=False)
    mover: SessionMover = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.origin = SimulatedOrigin(self.clock)
        self.store = SimulatedStore(self.clock)
        self.mover = SessionMover(self.origin, self.store, self.store, self.clock, FENCE)

    def owners(self, session_id: UUID) -> list[str]:
        sides = {"here": self.store.serves(session_id), "there": self.origin.serves(session_id)}
        return [side for side, serves in sides.items() if serves]

    async def adopt(self, size: int) -> None:
        """Bring all sessions here, as the command does."""
        await self._each(self.origin.live, size, self._take)
        await self._each(self.origin.fenced, size, self._settle_here)
        await self._settle_pending(Direction.HERE)

    async def back(self, size: int) -> None:
        """Bring all sessions to the origin, as the command does."""
        await self._settle_pending(Direction.THERE)
        await self._each(
            lambda after, size: self.store.returnable(self.clock.now(), after, size), size, self._settle_there
        )
        await self._each(self.origin.fenced, size, self._settle_there)

    async def sweep(self, size: int) -> None:
        after: UUID | None = None
        while True:
            after, _ = await self.mover.add_late(self.clock.now() - SETTLE, after, size)
            if after is None:
                return

    async def call(self, session_id: UUID) -> str:
        """Execute a session as the front does; returns what the caller is told."""
        for _ in range(20):
            holding = (await self.store.held([session_id]))[session_id].holding
            if holding is Holding.INBOUND and self.direction is Direction.HERE:
                await self.mover.take([session_id])
            elif holding in {Holding.FENCING, Holding.RETURNING}:
                await self.mover.settle([session_id], self.direction)
            elif holding is Holding.SERVED:
                if await self._execute_here(session_id):
                    return "done"
                if await self._is_still(session_id, Holding.SERVED):
                    return "404"
            elif await self._execute_there(session_id):
                return "done"
            elif await self._is_still(session_id, holding):
                return "404"
        return "503"

    async def _is_still(self, session_id: UUID, holding: Holding) -> bool:
        return (await self.store.held([session_id]))[session_id].holding is holding

    async def _execute_here(self, session_id: UUID) -> bool:
        if not await self.store.begin_execution(session_id):
            return False
        self.executing_here.append(session_id)
        return True

    async def _execute_there(self, session_id: UUID) -> bool:
        """The origin writes the count that it has read plus one, so it runs one execution of a session at a time here."""
        await Pause()
        if session_id in self.executing_there:
            return True
        if not self.origin.serves(session_id):
            return False
        self.executing_there[session_id] = (self.origin.rows[session_id].count, self.clock.now())
        await Pause()
        return True

    def finish_here(self, session_id: UUID) -> None:
        """An execution ends; no transaction of another process can be inside of this one."""
        self.executing_here.remove(session_id)
        self.store.finish_execution(session_id)
        self.acknowledged[session_id] = self.acknowledged.get(session_id, 0) + 1

    def finish_there(self, session_id: UUID) -> None:
        """The origin ends an execution, whether or not the front still waits for it."""
        count, _ = self.executing_there.pop(session_id)
        self.origin.rows[session_id].count = count + 1
        self.origin.rows[session_id].last_executed_at = self.clock.now()
        self.acknowledged[session_id] = self.acknowledged.get(session_id, 0) + 1

    async def _each(self, page: Any, size: int, work: Any) -> None:
        after: UUID | None = None
        while ids := await page(after, size):
            await work(ids)
            after = ids[-1]

    async def _take(self, ids: Sequence[UUID]) -> None:
        held = await self.store.held(ids)
        inbound = [each for each in ids if held[each].holding is Holding.INBOUND]
        await self.mover.take(inbound)
        await self.mover.settle(set(ids) - set(inbound), Direction.HERE)

    async def _settle_here(self, ids: Sequence[UUID]) -> None:
        await self.mover.settle(ids, Direction.HERE)

    async def _settle_there(self, ids: Sequence[UUID]) -> None:
        await self.mover.settle(ids, Direction.THERE)

    async def _settle_pending(self, direction: Direction) -> None:
        await Pause()
        pending = [
            each for each in self.store.states if self.store.holding(each) in {Holding.FENCING, Holding.RETURNING}
        ]
        await self.mover.settle(pending, direction)
