"""Executions in memory."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.history import history_of
from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.clock import Clock
from domain.executions.execution import Execution, ExecutionLost, ExecutionNotFound, OpenExecution
from domain.executions.ports import (
    EVERY_EXECUTION,
    Admission,
    ExecutionFilter,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
)
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.paging import Page
from domain.scripts.report import Outcome


@define
class MemoryExecutionRepository(ExecutionRepository):
    """Keeps executions in a store that it shares with the sessions' repository.

    A page of one outcome looks at `examined_max` executions at most. The history keeps payloads if it is `full`.
    """

    _store: MemoryStore
    _clock: Clock
    _examined_max: int = 1000
    _full: bool = True

    @override
    async def begin(self, request: ExecutionRequest) -> Admission:
        session = self._store.session(request.ref).admit(request.started_at)
        self._store.put(session)
        allowed = timedelta(milliseconds=session.limits.timeout_ms) + request.allowance
        execution = OpenExecution(request.ref, request.execution_id, request.started_at + allowed)
        if request.execution_id not in self._store.history:
            self._store.open_executions.setdefault(request.execution_id, execution)
        return Admission(execution, session)

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
        del self._store.open_executions[execution.execution_id]
        return self._count(finished)

    @override
    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        self._store.require_available()
        known = (row for row in self._known() if row.ref == ref)
        rows = newest_first(((row.execution_id, row) for row in known if _is_since(row, wanted)), after)
        if wanted.outcome is None:
            return page_of(rows, size)
        examined = rows[: max(size, self._examined_max)]
        beyond = examined[-1][0] if len(rows) > len(examined) else None
        return page_of([row for row in examined if row[1].outcome is wanted.outcome], size, beyond)

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
        self._store.history[finished.execution.execution_id] = history_of(finished, count, full=self._full)
        return count

    def _known(self) -> Iterator[Execution]:
        """Yield what has ended, and what is past its deadline."""
        now = self._clock.now()
        yield from self._store.history.values()
        for execution in self._store.open_executions.values():
            if execution.deadline_at <= now:
                yield Execution(execution.ref, execution.execution_id, Outcome.UNKNOWN)


def _is_since(row: Execution, wanted: ExecutionFilter) -> bool:
    return wanted.since is None or row.started_at >= wanted.since
