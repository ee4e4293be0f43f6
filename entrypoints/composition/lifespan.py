"""Opening and closing what a controller is made of."""

import asyncio
import contextlib

from attrs import define, field

from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.keyed_executions import PostgresKeyedExecutionRepository
from adapters.postgres.repositories.keyed_sessions import PostgresKeyedSessionRepository
from adapters.postgres.repositories.sessions import PostgresSessionRepository
from adapters.postgres.retention.cleanup import Cleanup
from domain.concurrency.background_tasks import BackgroundTasks
from entrypoints.composition.background import keep_going
from entrypoints.composition.limits import OwnerLimits
from entrypoints.composition.runners import Runners
from entrypoints.composition.security import Security
from entrypoints.telemetry.tracing.trace import Tracing

_RECORDING_TIMEOUT_S = 5.0
"""What recording the ends of executions may take once no request is inside any more."""


@define(eq=False)
class Lifespan:
    """Starts and ends the parts in their order; nothing that is away stops a start."""

    _gateway: Gateway
    _clock: DisciplinedClock
    _cleanup: Cleanup
    _runners: Runners
    _tasks: BackgroundTasks
    _sessions: PostgresSessionRepository
    _executions: PostgresExecutionRepository
    _keyed_sessions: PostgresKeyedSessionRepository
    _keyed_executions: PostgresKeyedExecutionRepository
    _security: Security
    _limits: OwnerLimits
    _tracing: Tracing
    _beside: list[asyncio.Task[None]] = field(factory=list, init=False)

    async def start(self) -> None:
        """Begin to connect, read the database's clock if it answers, start workers and what runs beside requests."""
        await self._gateway.open()
        await asyncio.gather(self._clock.measure(), self._runners.open())
        works = (self._clock.run, self._cleanup.run, *self._security.works(), *self._limits.works())
        self._beside = [asyncio.create_task(keep_going(work)) for work in works]

    async def end(self) -> None:
        """Let what was run be recorded, then end every worker and connection."""
        await self._tasks.drain(_RECORDING_TIMEOUT_S)
        await self._runners.close()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._security.close()
        for coalescer in (
            *self._security.coalescers,
            *self._sessions.coalescers,
            *self._executions.coalescers,
            *self._keyed_sessions.coalescers,
            *self._keyed_executions.coalescers,
        ):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(coalescer.close(), _RECORDING_TIMEOUT_S)
        await self._gateway.close()
        await asyncio.to_thread(self._tracing.close)
