"""The origin, this service and the processes between them, in one thread: the test decides who does the next step.

Each call of a port is one transaction. A process pauses before and after it, so another process may come between, and a
kill may hit before the transaction or between it and what follows.
"""

from collections.abc import Callable, Collection, Coroutine, Generator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, field

from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.session_returns import MemoryReturnStore
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.executions.execution import FinishedExecution, OpenExecution
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, Status
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.mover import SessionMover
from domain.takeover.mover_ports import OriginSession, OriginSessions
from domain.takeover.moving import InboundSession, Original, TakenState
from domain.takeover.ownership import Direction
from domain.takeover.ports import Holding
from tests.unit.domain.builders import session_at

TAKEOVER_ID = UUID("019ac000-0000-7000-8000-0000deadbe00")
FENCE = Fence.of(TAKEOVER_ID)
SCRIPT = Script.of("return 1", 1000)
SETTLE = timedelta(seconds=150)


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
    locked: set[UUID] = field(factory=set)
    users: set[str] = field(factory=set)
    failure: Exception | None = None

    def serves(self, session_id: UUID) -> bool:
        row = self.rows.get(session_id)
        return row is not None and row.expires_at > self.clock.now()

    async def require_writable(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def prepare(self) -> int:
        await self.require_writable()
        return 0

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
        if self.failure is not None:
            raise self.failure
        live = [each for each in ids if self.serves(each) and each not in self.locked]
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

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        await Pause()
        return {each: self.rows[each].count for each in ids if each in self.rows}

    async def missing_users(self, user_ids: Collection[str]) -> Collection[str]:
        return [each for each in user_ids if each not in self.users]

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
        judged = (is_live, self._would_live(row))
        return OriginSession(
            session_id, row.created_at, row.expires_at, *judged, row.count, row.last_executed_at, inbound
        )

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


class Gated:
    """A port whose every method is one transaction between two pauses."""

    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._port, name)

        async def call(*given: Any) -> Any:
            await Pause()
            found = await method(*given)
            await Pause()
            return found

        return call


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

    def finish(self, check: Callable[[], None] = lambda: None, turns_max: int = 10_000) -> None:
        for _ in range(turns_max):
            if not self.is_running:
                return
            self.turn()
            check()
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
    executing_here: list[OpenExecution] = field(factory=list)
    memory: MemoryStore = field(factory=MemoryStore)
    ids: SequentialIds = field(factory=SequentialIds)
    origin: SimulatedOrigin = field(init=False)
    takeovers: MemoryTakeoverStore = field(init=False)
    store: Any = field(init=False)
    returns: Any = field(init=False)
    mover: SessionMover = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.origin = SimulatedOrigin(self.clock)
        self.takeovers = MemoryTakeoverStore(self.memory)
        self.store = Gated(self.takeovers)
        self.returns = Gated(MemoryReturnStore(self.memory))
        self.mover = SessionMover(self.origin, self.store, self.returns, self.clock, FENCE)

    def owners(self, session_id: UUID) -> list[str]:
        session = self.memory.sessions.get(session_id)
        here = session is not None and session.status(self.clock.now()) is Status.ACTIVE
        sides = {"here": here, "there": self.origin.serves(session_id)}
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
            lambda after, size: self.returns.returnable(self.clock.now(), after, size), size, self._settle_there
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
            holding = (await self.returns.held([session_id]))[session_id].holding
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
        return (await self.returns.held([session_id]))[session_id].holding is holding

    async def _execute_here(self, session_id: UUID) -> bool:
        await Pause()
        try:
            execution_id = self.ids.new(self.clock.now())
            ref = SessionRef(ANONYMOUS, session_id)
            execution = await self._executions.begin(execution_id, ref, timedelta(seconds=5))
        except (SessionNotFound, SessionClosed, SessionExpired):
            return False
        self.executing_here.append(execution)
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

    def finish_here(self, execution: OpenExecution) -> None:
        """An execution ends here, in one transaction."""
        self.executing_here.remove(execution)
        report = ScriptReport(JsonText("1"), None, 1.0)
        finished = FinishedExecution(execution, self.clock.now(), EMPTY_OBJECT, report)
        Process("finish", self._executions.finish(finished)).finish()
        session_id = execution.ref.session_id
        self.acknowledged[session_id] = self.acknowledged.get(session_id, 0) + 1

    def finish_here_now(self) -> None:
        """All executions here end."""
        for execution in list(self.executing_here):
            self.finish_here(execution)

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
        held = await self.returns.held(ids)
        inbound = [each for each in ids if held[each].holding is Holding.INBOUND]
        await self.mover.take(inbound)
        await self.mover.settle(set(ids) - set(inbound), Direction.HERE)

    async def _settle_here(self, ids: Sequence[UUID]) -> None:
        await self.mover.settle(ids, Direction.HERE)

    async def _settle_there(self, ids: Sequence[UUID]) -> None:
        await self.mover.settle(ids, Direction.THERE)

    async def _settle_pending(self, direction: Direction) -> None:
        for state in (TakenState.FENCING, TakenState.RETURNING):
            pending = await self.store.taken_page(state, None, 1000)
            await self.mover.settle([each.session_id for each in pending], direction)

    @property
    def _executions(self) -> MemoryExecutionRepository:
        return MemoryExecutionRepository(self.memory, self.clock)
