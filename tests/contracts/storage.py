"""Sessions and executions for the contracts of repositories, with every field defaulted."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from attrs import define, field

from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.clock import IdGenerator
from domain.executions.execution import FinishedExecution, OpenExecution
from domain.executions.ports import ExecutionRepository, KeyedExecutionRepository
from domain.functions.ports import FunctionRepository
from domain.identity import ANONYMOUS, Owner, SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.queue.ports import ExecutionQueue
from domain.schedules.ports import ScheduleRepository
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script
from domain.sessions.ports import HiddenSessionRepository, KeyedSessionRepository, SessionFilter, SessionRepository
from domain.sessions.session import Session, Status
from tests.unit.domain.builders import session_at

SCRIPT = Script.of('return "ä\\n{,}" + event.params.a;', 1000)
ALICE = Owner("alice")
BOB = Owner('bob, "the\\builder"')
ALLOWANCE = timedelta(seconds=5, microseconds=7)


class BeginRequest(NamedTuple):
    """The arguments of a begin."""

    execution_id: UUID
    ref: SessionRef
    allowance: timedelta = ALLOWANCE

    @property
    def started_at(self) -> datetime:
        return uuid7_time(self.execution_id)


@define
class Storage:
    """The repositories under test, with the clock and the ids of the test."""

    sessions: SessionRepository
    executions: ExecutionRepository
    clock: ManualClock = field(factory=ManualClock)
    ids: IdGenerator = field(factory=SequentialIds)
    hidden: HiddenSessionRepository | None = None
    functions: FunctionRepository | None = None
    keyed_sessions: KeyedSessionRepository | None = None
    keyed_executions: KeyedExecutionRepository | None = None
    queue: ExecutionQueue | None = None
    schedules: ScheduleRepository | None = None
    states: Any = None
    files: Any = None

    def new_session(self, owner: Owner = ANONYMOUS, found_by: str | None = None, **fields: Any) -> Session:
        now = self.clock.now()
        ref = SessionRef(owner, self.ids.new_placed(now, owner, found_by))
        return session_at(now, **{"ref": ref, "script_hash": SCRIPT.hash} | fields)

    async def add(self, owner: Owner = ANONYMOUS, **fields: Any) -> Session:
        session = self.new_session(owner, **fields)
        await self.sessions.add(session, SCRIPT)
        return session

    async def add_foreign(self, session_id: UUID, owner: Owner = ANONYMOUS, **fields: Any) -> Session:
        """Store a session that was taken over from another service, where it was made an hour ago."""
        made = {"ref": SessionRef(owner, session_id), "foreign_created_at": self.clock.now() - timedelta(hours=1)}
        return await self.add(owner, **made | fields)

    async def close(self, session: Session) -> Session:
        now = self.clock.now()
        return await self.sessions.update(session.ref, lambda stored: stored.close(now))

    def request(self, ref: SessionRef) -> BeginRequest:
        return BeginRequest(self.ids.new(self.clock.now(), ref.session_id), ref)

    async def begin(self, ref: SessionRef) -> OpenExecution:
        return await self.executions.begin(*self.request(ref))

    def finished(self, execution: OpenExecution, report: ScriptReport | None = None) -> FinishedExecution:
        return FinishedExecution(execution, self.clock.now(), JsonText('{"a": 5}'), report or report_of())

    async def execute(self, ref: SessionRef) -> int:
        return await self.executions.finish(self.finished(await self.begin(ref)))

    async def listed(
        self, owner: Owner = ANONYMOUS, size: int = 3, status: Status | None = None, **wanted: Any
    ) -> list[Session]:
        """Return all sessions on all pages."""
        found: list[Session] = []
        after: UUID | None = None
        shown = SessionFilter(wanted.pop("judged_at", self.clock.now()), status, **wanted)
        for _ in range(100):
            page = await self.sessions.page(owner, shown, after, size)
            assert len(page.items) <= size
            found += page.items
            after = page.next_after
            if after is None:
                return found
        raise AssertionError("the pages never end")


def report_of(**facts: Any) -> ScriptReport:
    return ScriptReport(**{"result": JsonText("8"), "failure": None, "execution_time_ms": 1.25} | facts)
