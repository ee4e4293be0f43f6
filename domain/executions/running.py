"""The executions that this process runs."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from attrs import define, field, frozen

from domain.identity import SessionRef
from domain.scripts.ports import Worker


@frozen
class _Running:
    session_id: UUID
    worker: Worker
    began_at_s: float


@define(eq=False)
class RunningExecutions:
    """Finds the worker of an execution that runs in this process, to stop it. Belongs to one event loop."""

    _running: dict[UUID, _Running] = field(factory=dict, init=False)

    def began(self, ref: SessionRef, execution_id: UUID, worker: Worker) -> None:
        """Add an execution whose worker runs from now on."""
        self._running[execution_id] = _Running(ref.session_id, worker, asyncio.get_running_loop().time())

    def ended(self, execution_id: UUID) -> None:
        """Remove an execution whose worker has reported."""
        del self._running[execution_id]

    def longer_than(self, time_s: float) -> Sequence[tuple[UUID, UUID]]:
        """Return session and execution of those that have run for longer than that."""
        before_s = asyncio.get_running_loop().time() - time_s
        return [(each.session_id, name) for name, each in self._running.items() if each.began_at_s < before_s]

    async def stop(self, execution_id: UUID) -> bool:
        """Stop the worker of an execution; False if it does not run here, or its runtime cannot stop it."""
        found = self._running.get(execution_id)
        return found is not None and await found.worker.stop()
