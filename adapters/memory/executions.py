"""Executions in memory."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.history import history_of
from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.execution import Execution, ExecutionLost, OpenExecution, Outcome
from domain.identity import SessionKey
from domain.ports import Admission, Clock, ExecutionRepository, ExecutionRequest, FinishedExecution, Page


@define
class MemoryExecutionRepository(ExecutionRepository):
    """Keeps executions in a store that it shares with the sessions' repository."""

    _store: MemoryStore
    _clock: Clock

    @override
    async def begin(self, request: ExecutionRequest) -> Admission:
        session = self._store.session(request.key).admit(request.started_at)
        self._store.put(session)
        allowed = timedelta(milliseconds=session.limits.timeout_ms) + request.allowance
        execution = OpenExecution(request.key, request.execution_id, request.started_at + allowed)
        self._store.open_executions.setdefault(request.execution_id, execution)
        return Admission(execution, session)

    @override
    async def withdraw(self, execution_id: UUID, key: SessionKey) -> None:
        self._store.require_available()
        if self._is_open(execution_id, key):
            del self._store.open_executions[execution_id]

    @override
    async def finish(self, finished: FinishedExecution) -> int:
        self._store.require_available()
        execution = finished.execution
        if not self._is_open(execution.execution_id, execution.key):
            return self._stored_count(execution)
        del self._store.open_executions[execution.execution_id]
        return self._count(finished)

    @override
    async def page(self, key: SessionKey, after: UUID | None, size: int) -> Page[Execution]:
        self._store.require_available()
        rows = [(row.execution_id, row) for row in (*self._ended(key), *self._overdue(key))]
        return page_of(newest_first(rows, after), size)

    def _is_open(self, execution_id: UUID, key: SessionKey) -> bool:
        execution = self._store.open_executions.get(execution_id)
        return execution is not None and execution.key == key

    def _stored_count(self, execution: OpenExecution) -> int:
        row = self._store.history.get(execution.execution_id)
        if row is None or row.key != execution.key or row.execution_count is None:
            raise ExecutionLost
        return row.execution_count

    def _count(self, finished: FinishedExecution) -> int:
        session = self._store.session(finished.execution.key)
        count = session.execution_count + 1
        ended_at = max(session.last_executed_at or finished.finished_at, finished.finished_at)
        self._store.put(evolve(session, execution_count=count, last_executed_at=ended_at))
        self._store.history[finished.execution.execution_id] = history_of(finished, count)
        return count

    def _ended(self, key: SessionKey) -> Iterator[Execution]:
        return (row for row in self._store.history.values() if row.key == key)

    def _overdue(self, key: SessionKey) -> Iterator[Execution]:
        now = self._clock.now()
        for execution in self._store.open_executions.values():
            if execution.key == key and execution.deadline_at <= now:
                yield Execution(key, execution.execution_id, Outcome.UNKNOWN)
