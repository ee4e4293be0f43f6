"""What callers read of executions that have ended."""

from uuid import UUID

from attrs import frozen

from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.executions.execution import Execution, ExecutionNotFound
from domain.executions.ports import EVERY_EXECUTION, ExecutionFilter, ExecutionRepository
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.sessions.ports import SessionRepository
from domain.sessions.session import Session, SessionClosed, SessionNotFound


@frozen
class HistoryService:
    """The use cases of the history. Every method may raise StorageUnavailable or Overloaded."""

    _sessions: SessionRepository
    _executions: ExecutionRepository
    _request_timeout_s: float

    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        """Return a page of a session's history, also of an expired one.

        Raises SessionNotFound or SessionClosed.
        """
        budget = Budget(self._request_timeout_s)
        session = await budget.spend(self._require_open(ref), StorageUnavailable)
        return await budget.spend(self._executions.page(session.ref, after, size, wanted), StorageUnavailable)

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return one execution, also of an expired session.

        Raises ExecutionNotFound, also when its session has been removed, or SessionClosed.
        """
        budget = Budget(self._request_timeout_s)
        execution = await budget.spend(self._executions.get(owner, execution_id), StorageUnavailable)
        try:
            await budget.spend(self._require_open(execution.ref), StorageUnavailable)
        except SessionNotFound:
            raise ExecutionNotFound from None
        return execution

    async def _require_open(self, ref: SessionRef) -> Session:
        session = await self._sessions.get(ref)
        if session.closed_at is not None:
            raise SessionClosed(session.closed_at)
        return session
