"""What callers do with a session's script: execute it."""

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.budget import Budget
from domain.errors import DomainError, Overloaded, StorageUnavailable
from domain.executed import Executed
from domain.execution import (
    ExecutionLost,
    ExecutionNotStored,
    ExecutionUnknown,
    ScriptReport,
)
from domain.identity import SessionKey
from domain.json_text import JsonText
from domain.language import Language
from domain.ports import (
    Admission,
    Clock,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
    IdGenerator,
    ScriptRun,
    ScriptRunner,
    SessionRepository,
    Worker,
)
from domain.script import Script
from domain.session import SessionNotFound
from domain.tasks import Places, Tasks


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

    key: SessionKey
    params: JsonText = field(repr=False)
    execution_id: UUID
    admitted_at: datetime
    budget: Budget
    started: bool = False


@define
class ExecutionService:
    """Executes scripts: begin, run, finish. User code runs at most once per call."""

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _executions: ExecutionRepository
    _runners: Mapping[Language, ScriptRunner]
    _policy: ExecutionPolicy
    _inside: Places
    _unrecorded: Places
    _tasks: Tasks

    async def execute(self, key: SessionKey, params: JsonText) -> Executed:
        """Run the session's script once with `params` and count it.

        Cancelling the call withdraws it while it is queued; once the script has started it goes on to its end and is
        recorded. Raises SessionNotFound, SessionExpired, SessionClosed, Overloaded, RuntimeUnavailable,
        StorageUnavailable (nothing ran), ExecutionFailed (it ran and failed), ExecutionNotStored (it ran; recording
        goes on in the background) or ExecutionUnknown.
        """
        now = self._clock.now()
        call = _Call(key, params, self._ids.new(now), now, Budget(self._policy.request_timeout_s))
        task = self._tasks.spawn(self._in_place(call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.started:
                task.cancel()
            raise

    async def _in_place(self, call: _Call) -> Executed:
        with self._inside.hold():
            admission = await self._begin(call)
            worker = await self._acquire(call, admission)
            try:
                report = await self._run(call, admission, worker)
            finally:
                await worker.release()
            count = await self._finish(call, admission, report)
        title = admission.session.language_title
        return Executed(call.key, call.execution_id, title, report, count).require_success()

    async def _begin(self, call: _Call) -> Admission:
        request = ExecutionRequest(call.key, call.execution_id, call.admitted_at, self._policy.allowance)
        try:
            return await call.budget.spend(self._executions.begin(request), StorageUnavailable)
        except asyncio.CancelledError:
            self._withdraw(call)
            raise
        except StorageUnavailable as error:
            # What may be stored is only the open record, which is withdrawn: for the caller nothing has happened.
            self._withdraw(call)
            raise StorageUnavailable(stored="no", executed="no") from error

    async def _acquire(self, call: _Call, admission: Admission) -> Worker:
        session = admission.session
        runner = self._runners[session.language_title.language]
        try:
            return await runner.acquire(self._script_run(call, admission))
        except (asyncio.CancelledError, DomainError):
            self._withdraw(call)
            raise

    async def _run(self, call: _Call, admission: Admission, worker: Worker) -> ScriptReport:
        limit_s = admission.session.limits.timeout_ms / 1000 + self._policy.run_overhead_s
        call.started = True
        try:
            async with asyncio.timeout(limit_s):
                return await worker.run()
        except TimeoutError:
            raise ExecutionUnknown("the runtime did not answer in time", call.execution_id) from None
        except ExecutionUnknown as error:
            raise ExecutionUnknown(error.reason, call.execution_id) from error
        except DomainError:
            self._withdraw(call)
            raise

    async def _finish(self, call: _Call, admission: Admission, report: ScriptReport) -> int:
        finished = FinishedExecution(admission.execution, self._clock.now(), call.params, report)
        try:
            return await call.budget.spend(self._executions.finish(finished), StorageUnavailable)
        except ExecutionLost as error:
            raise ExecutionNotStored(call.execution_id, report, stored="no") from error
        except (StorageUnavailable, Overloaded) as error:
            self._tasks.spawn(self._finish_later(finished))
            raise ExecutionNotStored(call.execution_id, report) from error

    async def _finish_later(self, finished: FinishedExecution) -> None:
        """Go on recording until the open record's deadline, when it reads as unknown."""
        with contextlib.suppress(Overloaded), self._unrecorded.hold():
            while self._clock.now() < finished.execution.deadline_at:
                await asyncio.sleep(self._policy.finish_retry_s)
                with contextlib.suppress(StorageUnavailable, Overloaded):
                    await self._executions.finish(finished)
                    return

    def _withdraw(self, call: _Call) -> None:
        self._tasks.spawn(self._executions.withdraw(call.execution_id, call.key))

    def _script_run(self, call: _Call, admission: Admission) -> ScriptRun:
        async def source() -> Script:
            return await call.budget.spend(self._source(call.key), StorageUnavailable)

        session = admission.session
        return ScriptRun(
            execution=admission.execution,
            language=session.language_title.language,
            limits=session.limits,
            expires_at=session.expires_at,
            script_hash=session.script_hash or "",
            context=session.context,
            params=call.params,
            source=source,
        )

    async def _source(self, key: SessionKey) -> Script:
        """Read the script; a session that was emptied since its admission answers as what it is now."""
        script = await self._sessions.script(key)
        if script is not None:
            return script
        session = await self._sessions.get(key)
        session.require_live(self._clock.now())
        raise SessionNotFound
