"""Executions in memory."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.clock import Clock
from domain.executions.execution import Execution, ExecutionLost, ExecutionNotFound, FinishedExecution, OpenExecution
from domain.executions.history import history_row
from domain.executions.ports import EVERY_EXECUTION, ExecutionFilter, ExecutionRepository
from domain.identity import EVERY_OWNER, Owner, SessionRef, uuid7_time
from domain.paging import Page
from domain.scripts.report import ExecutionStatus


@define
class MemoryExecutionRepository(ExecutionRepository):
    """Stores executions in the store of the sessions' repository.

    A page of one outcome examines at most `examined_max` executions. A `full` history stores payloads.
    """

    _store: MemoryStore
    _clock: Clock
    _examined_max: int = 1000
    _full: bool = True

    @override
    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution:
        started_at = uuid7_time(execution_id)
        session = self._store.session(ref).admit(started_at)
        self._store.put(session)
        deadline_at = started_at + timedelta(milliseconds=session.limits.timeout_ms) + allowance
        execution = OpenExecution(execution_id, session, deadline_at, self._store.is_current(session))
        if execution_id not in self._store.history:
            self._store.open_executions.setdefault(execution_id, execution)
        return execution

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        self._store.require_available()
        if self._is_open(execution_id, ref):
            del self._store.open_executions[execution_id]

    @override
    async def finish(self, finished: FinishedExecution) -> int:
        self._store.require_available()
        execution = finished.execution
        if not self._is_open(execution.execution_id, execution.ref):
            return self._stored_count(execution)
        self._store.save_state(finished)
        del self._store.open_executions[execution.execution_id]
        return self._count(finished)

    @override
    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        return await self.page_of(ref.owner, [ref.session_id], after, size, wanted)

    @override
    async def page_of(
        self,
        owner: Owner,
        session_ids: Sequence[UUID],
        after: UUID | None,
        size: int,
        wanted: ExecutionFilter = EVERY_EXECUTION,
    ) -> Page[Execution]:
        self._store.require_available()
        refs = {SessionRef(owner, each) for each in session_ids}
        known = (row for row in self._known() if row.ref in refs)
        rows = newest_first(((row.execution_id, row) for row in known if _is_since(row, wanted)), after)
        if wanted.status is None:
            return page_of(rows, size)
        examined = rows[: max(size, self._examined_max)]
        beyond = examined[-1][0] if len(rows) > len(examined) else None
        return page_of([row for row in examined if row[1].status is wanted.status], size, beyond)

    @override
    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        self._store.require_available()
        for row in self._known():
            if row.execution_id == execution_id and owner in (row.ref.owner, EVERY_OWNER):
                return evolve(row, ref=SessionRef(owner, row.ref.session_id))
        raise ExecutionNotFound

    def _is_open(self, execution_id: UUID, ref: SessionRef) -> bool:
        execution = self._store.open_executions.get(execution_id)
        return execution is not None and execution.ref == ref

    def _stored_count(self, execution: OpenExecution) -> int:
        row = self._store.history.get(execution.execution_id)
        if row is None or row.ref != execution.ref or row.execution_count is None:
            raise ExecutionLost
        return row.execution_count

    def _count(self, finished: FinishedExecution) -> int:
        session = self._store.session(finished.execution.ref)
        count = session.execution_count + 1
        ended_at = max(session.last_executed_at or finished.finished_at, finished.finished_at)
        self._store.put(evolve(session, execution_count=count, last_executed_at=ended_at))
        self._store.history[finished.execution.execution_id] = history_row(finished, count, full=self._full)
        if finished.report.traffic is not None:
            self._store.traffic[finished.execution.execution_id] = finished.report.traffic
        return count

    def _known(self) -> Iterator[Execution]:
        """Yield the finished executions, and the open ones past their deadline."""
        now = self._clock.now()
        yield from self._store.history.values()
        for execution in self._store.open_executions.values():
            if execution.deadline_at <= now:
                yield Execution(execution.ref, execution.execution_id, ExecutionStatus.UNKNOWN)


def _is_since(row: Execution, wanted: ExecutionFilter) -> bool:
    return wanted.since is None or row.started_at >= wanted.since
