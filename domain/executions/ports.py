"""Ports to the stored executions."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.executions.execution import Executed, Execution, FinishedExecution, OpenExecution
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.report import ExecutionStatus


@frozen
class ExecutionFilter:
    """The executions that a page shows; None shows all. `since` is the earliest instant of admission."""

    status: ExecutionStatus | None = None
    since: datetime | None = None


EVERY_EXECUTION = ExecutionFilter()


class ExecutionRepository(Protocol):
    """Stores open executions and the history.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution:
        """Admit an execution at the instant in its id: judge that the session is live, renew it if due, store a record.

        The record's deadline is that instant, the session's time limit and the allowance together. Beginning the same
        execution again changes nothing more; if it has finished since, the history still shows its end. `is_current` is
        as all acknowledged registrations of functions left it, and false of a session that is not hidden. Raises
        SessionNotFound, SessionExpired or SessionClosed.
        """
        ...

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        """Remove the open record, uncounted and without history; an absent record is no error."""
        ...

    async def finish(self, finished: FinishedExecution) -> int:
        """Count the execution, store its history row, remove the open record; return the session's new count.

        An execution counts once: finishing it again returns the first count. Executions that finish together get
        distinct counts. An execution also counts if its session has expired or was closed meanwhile. A `state` is saved
        in the same transaction: it is saved if and only if the execution counts. So are `uses`, which the history has.
        Raises ExecutionLost if there is neither an open record nor a history row, and StateLost if another execution
        has taken the slot since.
        """
        ...

    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        """Return at most `size` executions of the session, newest first, older than `after`.

        They include open records past their deadline, with outcome `unknown`. An unknown session has none.
        """
        ...

    async def page_of(
        self,
        owner: Owner,
        session_ids: Sequence[UUID],
        after: UUID | None,
        size: int,
        wanted: ExecutionFilter = EVERY_EXECUTION,
    ) -> Page[Execution]:
        """Return a page as `page` does, of several sessions of one owner together."""
        ...

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return an execution of the owner; an open record past its deadline has outcome `unknown`.

        EVERY_OWNER finds an execution of any owner, and stands in the returned `ref` too. Raises ExecutionNotFound,
        also while the execution is open.
        """
        ...


class KeyedExecutionRepository(Protocol):
    """Stores executions under idempotency keys. A key belongs to an owner and a session, and is kept for KEPT_FOR.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository. Of concurrent calls with one key
    one wins, in whatever process it is.
    """

    async def begin(
        self, execution_id: UUID, ref: SessionRef, allowance: timedelta, idempotency_key: IdempotencyKey
    ) -> OpenExecution | Executed:
        """Admit an execution under a key, as ExecutionRepository does; or return the response of the first call.

        The key is judged first, whatever state the session is in. A refused call takes no key. Beginning the same
        execution again changes nothing more, also after it has finished. Raises IdempotencyConflict, KeyInFlight,
        KeyInterrupted, and what ExecutionRepository.begin raises.
        """
        ...

    async def withdraw(self, execution_id: UUID, ref: SessionRef, idempotency_key: IdempotencyKey) -> None:
        """Remove the open record, and free the key if the execution holds it; an absent record is no error."""
        ...

    async def finish(self, finished: FinishedExecution, idempotency_key: IdempotencyKey) -> int:
        """Record the end as ExecutionRepository does, and store the response under the key in the same write.

        Raises ExecutionLost.
        """
        ...


class EndRecorder(Protocol):
    """The writes of one execution after its begin, as ExecutionRepository promises them."""

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        """Remove the open record."""
        ...

    async def finish(self, finished: FinishedExecution) -> int:
        """Record the end; return the session's new count."""
        ...


class ExecutionRecorder(EndRecorder, Protocol):
    """The writes of one execution; `begin` may return a stored response."""

    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution | Executed:
        """Admit the execution, or return the response of the first call with its idempotency key."""
        ...


@frozen
class KeyedExecutionRecorder(ExecutionRecorder):
    """Writes under one idempotency key."""

    _executions: KeyedExecutionRepository
    _idempotency_key: IdempotencyKey

    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution | Executed:
        return await self._executions.begin(execution_id, ref, allowance, self._idempotency_key)

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        await self._executions.withdraw(execution_id, ref, self._idempotency_key)

    async def finish(self, finished: FinishedExecution) -> int:
        return await self._executions.finish(finished, self._idempotency_key)
