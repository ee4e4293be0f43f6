"""The use case of executions: begin, run, finish."""

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from functools import partial

from attrs import Factory, define, field

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, Overloaded, StorageUnavailable
from domain.executions.call import Call, ExecutionPolicy, Postponing
from domain.executions.execution import (
    Executed,
    ExecutionLost,
    ExecutionNotStored,
    FinishedExecution,
    OpenExecution,
    StateLost,
    lost,
)
from domain.executions.late_writes import LateWrites
from domain.executions.means import NO_MEANS, Means, RunMeans
from domain.executions.ports import (
    EndRecorder,
    ExecutionRecorder,
    ExecutionRepository,
    KeyedExecutionRecorder,
    KeyedExecutionRepository,
)
from domain.executions.running import RunningExecutions
from domain.executions.uses import uses_of
from domain.files.asked import AskedFiles
from domain.functions.params import ParamsCheck
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.output import OutputListener
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script
from domain.sessions.ports import SessionRepository
from domain.sessions.session import SessionNotFound, VersionReplaced

_POSTPONED_AFTER_S = 0.25
"""How long an execution that can be postponed waits for the slot of its session."""


@define
class ExecutionService:
    """Executes scripts; user code runs at most once per call.

    `in_flight` limits the executions of this process, `unrecorded` those whose end is still to be recorded.
    """

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _executions: ExecutionRepository
    _keyed: KeyedExecutionRepository
    _runners: Mapping[Language, ScriptRunner]
    _policy: ExecutionPolicy
    _in_flight: CapacityLimiter
    _unrecorded: CapacityLimiter
    _tasks: BackgroundTasks
    _params: ParamsCheck
    _means: Means
    _running: RunningExecutions = field(factory=RunningExecutions)
    _late: LateWrites = field(
        default=Factory(
            lambda self: LateWrites(self._clock, self._policy, self._tasks, self._unrecorded),
            takes_self=True,
        ),
        init=False,
    )

    async def execute(  # noqa: PLR0913  # what one request may say
        self,
        ref: SessionRef,
        params: JsonText,
        idempotency_key: IdempotencyKey | None = None,
        budget: Budget | None = None,
        *,
        current_only: bool = False,
        files: AskedFiles | None = None,
    ) -> Executed:
        """Run the session's script once with `params`, and count it.

        A repeated call with the same idempotency key returns the first response and runs nothing. Cancelling the call
        withdraws it until the script has started; then the script runs to its end and is recorded. `budget` is what an
        earlier step of the request has left. With `current_only`, a hidden session runs only if its version is current.

        Raises:
            SessionNotFound, SessionExpired, SessionClosed: nothing ran.
            StateTaken: another execution writes the state of the session; nothing ran.
            VersionReplaced: the version is not current; nothing ran.
            Overloaded, QuotaReached, RuntimeUnavailable, StorageUnavailable: nothing ran.
            GrantsUnknown, InvalidRequest: the session has grants of a later release, or not the files; nothing ran.
            EgressNotAllowed, SecretNotFound, SecretNotAllowed, SecretsUnavailable: nothing ran.
            EnvironmentNotFound, EnvironmentNotReady, FileNotFound, FileExpired: nothing ran.
            ParamsRefused, PinnedVersionNotFound, SchemaUnusable: nothing ran (see ParamsCheck).
            IdempotencyConflict, KeyInFlight, KeyInterrupted: nothing ran for this call.
            ExecutionFailed: the script ran and failed, or was stopped; after a purge without a count.
            ExecutionNotStored: the script ran; saving continues in the background, or there is no record of it.
            ExecutionUnknown: the script may have run.
        """
        now = self._clock.now()
        keyed = idempotency_key and KeyedExecutionRecorder(self._keyed, idempotency_key)
        recorder = keyed or self._executions
        budget = budget or Budget(self._policy.request_timeout_s)
        call = Call(ref, params, self._ids.new(now, ref.session_id), now, recorder, budget, current_only, files=files)
        task = self._tasks.spawn(self._execute(call, recorder))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.started:
                task.cancel()
            raise

    async def _execute(self, call: Call, recorder: ExecutionRecorder) -> Executed:
        with self._in_flight.hold(call.ref.owner):
            execution = await self._begin(call, recorder)
            if isinstance(execution, Executed):
                return execution.require_success()
            if call.current_only and not execution.is_current:
                await self._late.withdrawn(call)
                raise VersionReplaced
            await self._require_params(call, execution)
            executed = await self._complete(call, execution)
            return executed.require_success()

    async def complete(  # noqa: PLR0913  # what a claim knows of one execution
        self,
        execution: OpenExecution,
        params: JsonText,
        recorder: EndRecorder,
        listener: OutputListener,
        postponing: Postponing | None = None,
        *,
        files: AskedFiles | None = None,
    ) -> Executed:
        """Run an execution that was begun elsewhere, and record its end with `recorder`, also that of a failed script.

        Raises what `execute` raises after the begin, but ExecutionFailed only after a purge. If nothing ran, the
        execution is withdrawn: if it cannot have its means, by what `postponing` returns, and with that the wait for a
        state is short. What this returns is recorded.
        """
        budget, now = Budget(self._policy.request_timeout_s), self._clock.now()
        ref, execution_id = execution.ref, execution.execution_id
        call = Call(ref, params, execution_id, now, recorder, budget, False, listener, postponing, files)
        try:
            self._in_flight.acquire(call.ref.owner)
        except DomainError:
            await self._late.withdrawn(call)
            raise
        try:
            return await self._complete(call, execution)
        finally:
            self._in_flight.release(call.ref.owner)

    def _complete(self, call: Call, execution: OpenExecution) -> Awaitable[Executed]:
        if execution.session.grants is None and call.files is None:
            return self._ran(call, execution)  # no coroutine of its own, which each of its steps would pass through
        return self._granted(call, execution)

    async def _granted(self, call: Call, execution: OpenExecution) -> Executed:
        wait_s = None if call.postponing is None else _POSTPONED_AFTER_S
        async with contextlib.AsyncExitStack() as stack:
            giving = stack.enter_async_context(self._means.given(execution, wait_s, call.files))
            means = await self._prepared(call, giving)
            return self._means.used(await self._ran(call, execution, means), means)

    async def _prepared(self, call: Call, giving: Awaitable[RunMeans]) -> RunMeans:
        """Return what the run is given; a call that does not get it is withdrawn."""
        try:
            return await call.budget.spend(giving, StorageUnavailable)
        except StorageUnavailable as error:
            await self._late.withdrawn(call)
            raise error.restated(stored="no", executed="no") from error
        except (asyncio.CancelledError, DomainError) as error:
            if isinstance(error, DomainError) and call.postponing is not None:
                call.recorder = call.postponing(error)
            await self._late.withdrawn(call)
            raise

    async def _ran(self, call: Call, execution: OpenExecution, means: RunMeans = NO_MEANS) -> Executed:
        worker = await self._acquire(call, execution, means)
        try:
            report = await means.shown(await self._run(call, execution, worker, means))
        finally:
            await worker.release()
        count = await self._finish(call, execution, report, means)
        return Executed(call.ref, call.execution_id, execution.session.language_title, report, count)

    async def _begin(self, call: Call, recorder: ExecutionRecorder) -> OpenExecution | Executed:
        beginning = recorder.begin(call.execution_id, call.ref, self._policy.allowance)
        try:
            return await call.budget.spend(beginning, StorageUnavailable)
        except asyncio.CancelledError:
            self._late.withdraw(call)
            raise
        except StorageUnavailable as error:
            # Only the open record and the key may be stored, and they are withdrawn: for the caller nothing happened.
            self._late.withdraw(call)
            raise error.restated(stored="no", executed="no") from error

    async def _require_params(self, call: Call, execution: OpenExecution) -> None:
        """Check the params against the schema that the session is pinned to, if any; a refused call is withdrawn."""
        pinned = execution.session.pinned
        if pinned is None:
            return
        try:
            await call.budget.spend(self._params.require(pinned, call.params), StorageUnavailable)
        except StorageUnavailable as error:
            self._late.withdraw(call)
            raise error.restated(stored="no", executed="no") from error
        except (asyncio.CancelledError, DomainError):
            await self._late.withdrawn(call)
            raise

    async def _acquire(self, call: Call, execution: OpenExecution, means: RunMeans) -> Worker:
        runner = self._runners[execution.session.language_title.language]
        try:
            return await runner.acquire(self._script_run(call, execution, means))
        except (asyncio.CancelledError, DomainError):
            await self._late.withdrawn(call)
            raise

    async def _run(self, call: Call, execution: OpenExecution, worker: Worker, means: RunMeans) -> ScriptReport:
        overhead_s = self._policy.overhead_s(has_files=means.files is not None)
        limit_s = execution.session.limits.timeout_ms / 1000 + overhead_s
        late = partial(ExecutionUnknown, "the runtime did not respond in time")
        call.started = True
        self._running.began(call.ref, call.execution_id, worker)
        try:
            return await Budget(limit_s).spend(worker.run(), late)
        except ExecutionUnknown as error:
            raise ExecutionUnknown(error.reason, call.execution_id) from error
        except DomainError:
            await self._late.withdrawn(call)
            raise
        finally:
            self._running.ended(call.execution_id)

    async def _finish(self, call: Call, execution: OpenExecution, report: ScriptReport, means: RunMeans) -> int:
        now, uses = self._clock.now(), None if means is NO_MEANS else uses_of(report, means)
        finished = FinishedExecution(execution, now, call.params, report, report.state, uses, means.stored_files)
        try:
            return await call.budget.spend(call.recorder.finish(finished), StorageUnavailable)
        except ExecutionLost as error:
            if isinstance(error, StateLost):
                self._means.state_was_lost()
            raise lost(execution, report) from error
        except (StorageUnavailable, Overloaded) as error:
            self._late.finish(call.recorder, finished)
            raise ExecutionNotStored(
                call.execution_id, report, retry_after_ms=1000 if call.is_keyed else None
            ) from error

    def _script_run(self, call: Call, execution: OpenExecution, means: RunMeans) -> ScriptRun:
        async def source() -> Script:
            try:
                return await call.budget.spend(self._source(call.ref), StorageUnavailable)
            except StorageUnavailable as error:
                raise StorageUnavailable.of(error.fault, stored="no", executed="no") from error

        session = execution.session
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
            convention=session.convention,
            listener=means.listening(call.listener),
            state=means.state,
            network=means.network,
            guarded=means.guarded,
            secrets=means.secret_values,
            syntax=means.syntax,
            environment=means.environment,
            files=means.files,
        )

    async def _source(self, ref: SessionRef) -> Script:
        """Read the script; of a session that was emptied after its admission, raise the error of its present state."""
        script = await self._sessions.script(ref)
        if script is not None:
            return script
        session = await self._sessions.get(ref)
        session.require_live(self._clock.now())
        raise SessionNotFound
