"""Writes of an execute that are repeated in the background."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from attrs import define, field

from domain.clock import Clock
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import Overloaded, StorageUnavailable
from domain.executions.call import Call, ExecutionPolicy
from domain.executions.execution import FinishedExecution
from domain.executions.ports import EndRecorder

_WITHDRAWALS_MAX = 1024


@define(eq=False)
class LateWrites:
    """Withdraws calls, and repeats writes that failed, until the open record would end anyway.

    `ends` limits the ends that are still to be recorded.
    """

    _clock: Clock
    _policy: ExecutionPolicy
    _tasks: BackgroundTasks
    _ends: CapacityLimiter
    _withdrawals: CapacityLimiter = field(
        factory=lambda: CapacityLimiter("the withdrawal of an execution", _WITHDRAWALS_MAX)
    )

    def withdraw(self, call: Call) -> asyncio.Task[None]:
        """Begin to withdraw the call."""
        return self._tasks.spawn(self._withdraw_in_the_end(call))

    async def withdrawn(self, call: Call) -> None:
        """Withdraw the call; a caller with a key waits until the key is free, within the budget."""
        withdrawal = self.withdraw(call)
        if call.is_keyed:
            with contextlib.suppress(StorageUnavailable):
                await call.budget.spend(asyncio.shield(withdrawal), StorageUnavailable)

    def finish(self, recorder: EndRecorder, finished: FinishedExecution) -> None:
        """Repeat the record of an end; past its deadline the open record reads as unknown."""
        until = finished.execution.deadline_at
        self._tasks.spawn(self._retry(partial(recorder.finish, finished), until, self._ends))

    async def _withdraw_in_the_end(self, call: Call) -> None:
        """Withdraw, and retry: a record that stays would read as unknown, and its key would not be free."""
        withdraw = partial(call.recorder.withdraw, call.execution_id, call.ref)
        try:
            await withdraw()
        except (StorageUnavailable, Overloaded):
            await self._retry(withdraw, call.admitted_at + self._policy.allowance, self._withdrawals)

    async def _retry(self, write: Callable[[], Awaitable[object]], until: datetime, limiter: CapacityLimiter) -> None:
        """Repeat the write until it succeeds, or until that instant."""
        with contextlib.suppress(Overloaded), limiter.hold():
            while self._clock.now() < until:
                await asyncio.sleep(self._policy.finish_retry_s)
                with contextlib.suppress(StorageUnavailable, Overloaded):
                    await write()
                    return
