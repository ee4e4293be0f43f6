"""Where executions are kept."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.executions.executed import Executed
from domain.executions.execution import Execution, OpenExecution
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.paging import Page
from domain.scripts.report import Outcome, ScriptReport
from domain.sessions.session import Session


@frozen
class ExecutionFilter:
    """Which executions a history shows; None shows all. `since` is the earliest instant of admission."""

    outcome: Outcome | None = None
    since: datetime | None = None


EVERY_EXECUTION = ExecutionFilter()


@frozen
class Admission:
    """An execution that was begun, and the session as it was admitted with."""

    execution: OpenExecution
    session: Session


@frozen
class ExecutionRequest:
    """An execution to begin: admitted at `started_at`, and to end within the session's limit and `allowance`."""

    ref: SessionRef
    execution_id: UUID
    started_at: datetime
    allowance: timedelta


@frozen
class FinishedExecution:
    """An execution to record: what it was given, and what came out."""

    execution: OpenExecution
    finished_at: datetime
    params: JsonText = field(repr=False)
    report: ScriptReport


class ExecutionRepository(Protocol):
    """Keeps executions: those that are open, and the history.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def begin(self, request: ExecutionRequest) -> Admission:
        """Admit an execution: judge the session live at `started_at`, renew it if due, keep an open record.

        The open record's deadline is `started_at`, the session's time limit and the allowance together. Beginning the
        same execution again changes nothing more; when it has ended since, the history shows its end all the same.
        Raises SessionNotFound, SessionExpired or SessionClosed.
        """
        ...

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        """Forget an execution that no worker took: no count, no history. Absent is fine."""
        ...

    async def finish(self, finished: FinishedExecution) -> int:
        """Count the execution, write its history row, remove the open record; return the session's new count.

        Each execution counts once: finishing again returns the first answer. Executions that finish together get
        distinct counts. A session that expired or was closed meanwhile counts all the same. Raises ExecutionLost
        when there is neither an open record nor a history row.
        """
        ...

    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        """Return at most `size` executions of the session, newest first, older than `after`.

        Open records past their deadline are among them, with outcome `unknown`. An unknown session has none.
        """
        ...

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return an execution of the owner; an open record past its deadline has outcome `unknown`.

        EVERY_OWNER stands for whoever it belongs to, in the answer's key too.
        Raises ExecutionNotFound, also while the execution is under way.
        """
        ...


class KeyedExecutionRepository(Protocol):
    """Records executions under idempotency keys, which are kept for KEPT_FOR and belong to an owner and a session.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository. Of concurrent calls with one key
    one wins, whichever process it is in.
    """

    async def begin(self, request: ExecutionRequest, idempotency_key: IdempotencyKey) -> Admission | Executed:
        """Admit an execution under a key, as ExecutionRepository does; or return what the first one's caller was told.

        The key is judged first, whatever has become of the session since. What is refused takes no key. Beginning the
        same execution again changes nothing more, also when it has ended since. Raises IdempotencyConflict,
        KeyInFlight, KeyInterrupted, and what ExecutionRepository.begin raises.
        """
        ...

    async def withdraw(self, execution_id: UUID, ref: SessionRef, name: str) -> None:
        """Forget an execution that no worker took, and free the key `name` if the execution has it. Absent is fine."""
        ...

    async def finish(self, finished: FinishedExecution, name: str) -> int:
        """Record the end as ExecutionRepository does, and keep in the same write what the caller is told.

        Raises ExecutionLost.
        """
        ...
