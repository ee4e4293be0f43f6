"""What callers do with a session's script: execute it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from attrs import define, field, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, Overloaded, StorageUnavailable
from domain.executions.executed import Executed
from domain.executions.execution import ExecutionLost, ExecutionNotStored
from domain.executions.params_check import ParamsCheck
from domain.executions.ports import (
    Admission,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
    KeyedExecutionRepository,
)
from domain.executions.recorder import ExecutionRecorder, KeyedExecutionRecorder
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script
from domain.sessions.ports import SessionRepository
from domain.sessions.session import SessionNotFound

_WITHDRAWALS_MAX = 1024


@frozen
class ExecutionPolicy:
    """Times of an execute in seconds; `run_overhead_s` is what a runtime may add to the script's own limit."""

    request_timeout_s: float
    run_overhead_s: float
    grace_s: float = 60.0
    finish_retry_s: float = 1.0

    @property
    def allowance(self) -> timedelta:
        """What an open record may live beyond the script's own time limit."""
        return timedelta(seconds=self.request_timeout_s + self.run_overhead_s + self.grace_s)


@define(eq=False)
class _Call:
    """One execute under way; once `started`, user code may run and nothing takes it back."""

    ref: SessionRef
    params: JsonText = field(repr=False)
    execution_id: UUID
    admitted_at: datetime
    ledger: ExecutionRecorder
    budget: Budget
    started: bool = False


@define
class ExecutionService:
    """Executes scripts: begin, run, finish. User code runs at most once per call."""

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _executions: ExecutionRepository
    _keyed: KeyedExecutionRepository
    _runners: Mapping[Language, ScriptRunner]
    _policy: ExecutionPolicy
    _inside: CapacityLimiter
    _unrecorded: CapacityLimiter
    _tasks: BackgroundTasks
    _params: ParamsCheck
    _withdrawals: CapacityLimiter = field(
        factory=lambda: CapacityLimiter("the withdrawal of an execution", _WITHDRAWALS_MAX)
    )

    async def execute(
        self, ref: SessionRef, params: JsonText, idempotency_key: IdempotencyKey | None = None
    ) -> Executed:
        """Run the session's script once with `params` and count it.

        With an idempotency key, a repeated call is told what the first one was, and nothing runs; then also raises
        IdempotencyConflict, KeyInFlight or KeyInterrupted. Cancelling the call withdraws it while it is queued; once
        the script has started it goes on to its end and is recorded. Raises SessionNotFound, SessionExpired, SessionClosed, Overloaded, RuntimeUnavailable,
        StorageUnavailable (nothing ran), ExecutionFailed (it ran and failed), ExecutionNotStored (it ran; recording
        goes on in the background) or ExecutionUnknown.
        """
        now = self._clock.now()
        ledger = self._executions if idempotency_key is None else KeyedExecutionRecorder(self._keyed, idempotency_key)
        call = _Call(ref, params, self._ids.new(now), now, ledger, Budget(self._policy.request_timeout_s))
        task = self._tasks.spawn(self._in_place(call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.started:
                task.cancel()
            raise

    async def _in_place(self, call: _Call) -> Executed:
        with self._inside.hold(call.ref.owner):
            admission = await self._begin(call)
            if isinstance(admission, Executed):
                return admission.require_success()
            if admission.session.function_version is not None:
                await self._require_params(call, admission)
            worker = await self._acquire(call, admission)
            try:
                report = await self._run(call, admission, worker)
            finally:
                await worker.release()
            count = await self._finish(call, admission, report)
        title = admission.session.language_title
        return Executed(call.ref, call.execution_id, title, report, count).require_success()

    async def _begin(self, call: _Call) -> Admission | Executed:
        request = ExecutionRequest(call.ref, call.execution_id, call.admitted_at, self._policy.allowance)
        try:
            return await call.budget.spend(call.ledger.begin(request), StorageUnavailable)
        except asyncio.CancelledError:
            self._withdraw(call)
            raise
        except StorageUnavailable as error:
            # What may be stored is only the open record and the key, which are withdrawn: for the caller nothing has
            # happened.
            self._withdraw(call)
            raise StorageUnavailable(stored="no", executed="no") from error

    async def _require_params(self, call: _Call, admission: Admission) -> None:
        """Hold the params to the pinned schema; refused ones leave nothing behind."""
        try:
            await call.budget.spend(self._params.require(admission.session, call.params), StorageUnavailable)
        except StorageUnavailable as error:
            self._withdraw(call)
            raise StorageUnavailable(stored="no", executed="no") from error
        except (asyncio.CancelledError, DomainError):
            await self._give_back(call)
            raise

    async def _acquire(self, call: _Call, admission: Admission) -> Worker:
        session = admission.session
        runner = self._runners[session.language_title.language]
        try:
            return await runner.acquire(self._script_run(call, admission))
        except (asyncio.CancelledError, DomainError):
            await self._give_back(call)
            raise

    async def _run(self, call: _Call, admission: Admission, worker: Worker) -> ScriptReport:
        limit_s = admission.session.limits.timeout_ms / 1000 + self._policy.run_overhead_s
        late = partial(ExecutionUnknown, "the runtime did not answer in time")
        call.started = True
        try:
            return await Budget(limit_s).spend(worker.run(), late)
        except ExecutionUnknown as error:
            raise ExecutionUnknown(error.reason, call.execution_id) from error
        except DomainError:
            await self._give_back(call)
            raise

    async def _finish(self, call: _Call, admission: Admission, report: ScriptReport) -> int:
        finished = FinishedExecution(admission.execution, self._clock.now(), call.params, report)
        try:
            return await call.budget.spend(call.ledger.finish(finished), StorageUnavailable)
        except ExecutionLost as error:
            raise ExecutionNotStored(call.execution_id, report, stored="no") from error
        except (StorageUnavailable, Overloaded) as error:
            self._tasks.spawn(self._finish_later(call.ledger, finished))
            repeatable = isinstance(call.ledger, KeyedExecutionRecorder)
            raise ExecutionNotStored(call.execution_id, report, retry_after_ms=1000 if repeatable else None) from error

    async def _finish_later(self, ledger: ExecutionRecorder, finished: FinishedExecution) -> None:
        """Go on recording until the open record's deadline, when it reads as unknown."""
        await self._go_on(lambda: ledger.finish(finished), finished.execution.deadline_at, self._unrecorded)

    def _withdraw(self, call: _Call) -> asyncio.Task[None]:
        return self._tasks.spawn(self._forget(call))

    async def _give_back(self, call: _Call) -> None:
        """Withdraw what does not start; whoever sent a key is answered when it is free, if the database is there."""
        withdrawal = self._withdraw(call)
        if isinstance(call.ledger, KeyedExecutionRecorder):
            with contextlib.suppress(StorageUnavailable):
                await call.budget.spend(asyncio.shield(withdrawal), StorageUnavailable)

    async def _forget(self, call: _Call) -> None:
        """Withdraw, and go on trying: a record that is left would read as unknown, and its key would not be free."""
        try:
            await call.ledger.withdraw(call.execution_id, call.ref)
        except (StorageUnavailable, Overloaded):
            until = call.admitted_at + self._policy.allowance
            await self._go_on(lambda: call.ledger.withdraw(call.execution_id, call.ref), until, self._withdrawals)

    async def _go_on(self, write: Callable[[], Awaitable[object]], until: datetime, places: CapacityLimiter) -> None:
        """Write as soon as the database takes it, until that instant."""
        with contextlib.suppress(Overloaded), places.hold():
            while self._clock.now() < until:
                await asyncio.sleep(self._policy.finish_retry_s)
                with contextlib.suppress(StorageUnavailable, Overloaded):
                    await write()
                    return

    def _script_run(self, call: _Call, admission: Admission) -> ScriptRun:
        async def source() -> Script:
            return await call.budget.spend(self._source(call.ref), StorageUnavailable)

        session = admission.session
        return ScriptRun(
            ref=call.ref,
            execution_id=call.execution_id,
            language=session.language_title.language,
            limits=session.limits,
            session_left=session.expires_at - call.admitted_at,
            script_hash=session.script_hash or "",
            context=session.context,
            params=call.params,
            source=source,
        )

    async def _source(self, ref: SessionRef) -> Script:
        """Read the script; a session that was emptied since its admission answers as what it is now."""
        script = await self._sessions.script(ref)
        if script is not None:
            return script
        session = await self._sessions.get(ref)
        session.require_live(self._clock.now())
        raise SessionNotFound
