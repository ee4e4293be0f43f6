"""Where calls with an idempotency key are kept."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.executions.executed import Executed
from domain.executions.ports import Admission, ExecutionRequest, FinishedExecution
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.scripts.script import Script
from domain.sessions.initialized import Initialized
from domain.sessions.session import Session


class KeyedCallRepository(Protocol):
    """Keeps calls under the keys that callers gave them, for KEPT_FOR; a key is an owner's and a session's own.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository. Of concurrent calls with one key
    one wins, whichever process it is in.
    """

    async def begin(self, request: ExecutionRequest, key: IdempotencyKey) -> Admission | Executed:
        """Admit an execution under a key, as ExecutionRepository does; or return what the first one's caller was told.

        The key is judged first, whatever has become of the session since. What is refused takes no key. Beginning the
        same execution again changes nothing more, also when it has ended since. Raises IdempotencyConflict,
        KeyInFlight, KeyInterrupted, and what ExecutionRepository.begin raises.
        """
        ...

    async def withdraw(self, execution_id: UUID, key: SessionRef, name: str) -> None:
        """Forget an execution that no worker took, and free the key `name` if the execution has it. Absent is fine."""
        ...

    async def finish(self, finished: FinishedExecution, name: str) -> int:
        """Record the end as ExecutionRepository does, and keep in the same write what the caller is told.

        Raises ExecutionLost.
        """
        ...

    async def initialize(self, made: Initialized, session: Session, script: Script, key: IdempotencyKey) -> Initialized:
        """Store a new session, and in the same write what its caller is told; or return what the first one was told.

        Raises IdempotencyConflict.
        """
        ...

    async def initialized(self, owner: Owner, key: IdempotencyKey, now: datetime) -> Initialized | None:
        """Return what the first caller with this key was told; None when there was none.

        Raises IdempotencyConflict.
        """
        ...
