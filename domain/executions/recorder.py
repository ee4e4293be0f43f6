"""Where the steps of one execution are recorded: by themselves, or under the caller's idempotency key."""

from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.executions.executed import Executed
from domain.executions.ports import Admission, ExecutionRequest, FinishedExecution, KeyedExecutionRepository
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef


class ExecutionRecorder(Protocol):
    """What ExecutionRepository promises of these steps; `begin` may return what an earlier caller was told instead."""

    async def begin(self, request: ExecutionRequest) -> Admission | Executed:
        """Admit an execution."""
        ...

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        """Forget an execution that no worker took."""
        ...

    async def finish(self, finished: FinishedExecution) -> int:
        """Record the end; return the session's new count."""
        ...


@frozen
class KeyedExecutionRecorder(ExecutionRecorder):
    """Records under one key."""

    _calls: KeyedExecutionRepository
    _key: IdempotencyKey

    async def begin(self, request: ExecutionRequest) -> Admission | Executed:
        return await self._calls.begin(request, self._key)

    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        await self._calls.withdraw(execution_id, ref, self._key.value)

    async def finish(self, finished: FinishedExecution) -> int:
        return await self._calls.finish(finished, self._key.value)
