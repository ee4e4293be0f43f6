"""The use case of executions: begin, run, finish."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, Overloaded, StorageUnavailable
from domain.executions.execution import (
    Executed,
    ExecutionLost,
    ExecutionNotStored,
    FinishedExecution,
    OpenExecution,
    StateLost,
    lost,
)
from domain.executions.ports import (
    EndRecorder,
    ExecutionRecorder,
    ExecutionRepository,
    KeyedExecutionRecorder,
    KeyedExecutionRepository,
)
from domain.executions.running import RunningExecutions
from domain.executions.uses import uses_of
from domain.functions.params import ParamsCheck
from domain.grants.ceilings import EgressCeilings
from domain.grants.grants import Grants, GrantsUnknown
from domain.grants.network import NetworkGrant
from domain.grants.state import SaveOn, StateMode
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.output import OutputListener
from domain.scripts.ports import RunState, ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script
from domain.sessions.ports import SessionRepository
from domain.sessions.session import SessionNotFound, VersionReplaced
from domain.states.slots import StateSlots
from domain.states.state import SessionState, SlotClaim, StateTaken

_WITHDRAWALS_MAX = 1024
_POSTPONED_AFTER_S = 0.25
"""How long an execution that can be postponed waits for the slot of its session."""


@frozen
class ExecutionPolicy:
    """Times of an execute in seconds; `run_overhead_s` is what a runtime may add to the script's own limit."""

    request_timeout_s: float
    run_overhead_s: float
    grace_s: float = 60.0
    finish_retry_s: float = 1.0

    @property
    def allowance(self) -> timedelta:
        """How long an open record may live beyond the script's own time limit."""
        return timedelta(seconds=self.request_timeout_s + self.run_overhead_s + self.grace_s)


@define(eq=False)
class _Call:
    """One execute in progress; once `started`, user code may run, and the call can no longer be withdrawn."""

    ref: SessionRef
    params: JsonText = field(repr=False)
    execution_id: UUID
    admitted_at: datetime
    recorder: EndRecorder
    budget: Budget
    current_only: bool = False
    listener: OutputListener | None = None
    postponing: EndRecorder | None = None
    started: bool = False

    @property
    def is_keyed(self) -> bool:
        """Whether the call has an idempotency key."""
        return isinstance(self.recorder, KeyedExecutionRecorder)


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
    _egress: EgressCeilings
    _states: StateSlots
    _running: RunningExecutions = field(factory=RunningExecutions)
    _withdrawals: CapacityLimiter = field(
        factory=lambda: CapacityLimiter("the withdrawal of an execution", _WITHDRAWALS_MAX)
    )

    async def execute(
        self,
        ref: SessionRef,
        params: JsonText,
        idempotency_key: IdempotencyKey | None = None,
        budget: Budget | None = None,
        *,
        current_only: bool = False,
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
            GrantsUnknown: the session has grants of a later release; nothing ran.
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
        call = _Call(ref, params, self._ids.new(now, ref.session_id), now, recorder, budget, current_only)
        task = self._tasks.spawn(self._execute(call, recorder))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not call.started:
                task.cancel()
            raise

    async def _execute(self, call: _Call, recorder: ExecutionRecorder) -> Executed:
        with self._in_flight.hold(call.ref.owner):
            execution = await self._begin(call, recorder)
            if isinstance(execution, Executed):
                return execution.require_success()
            if call.current_only and not execution.is_current:
                await self._withdrawn(call)
                raise VersionReplaced
            await self._require_params(call, execution)
            executed = await self._complete(call, execution)
            return executed.require_success()

    async def complete(
        self,
        execution: OpenExecution,
        params: JsonText,
        recorder: EndRecorder,
        listener: OutputListener,
        postponing: EndRecorder | None = None,
    ) -> Executed:
        """Run an execution that was begun elsewhere, and record its end with `recorder`, also that of a failed script.

        Raises what `execute` raises after the begin, but ExecutionFailed only after a purge. If nothing ran, the
        execution is withdrawn: by `postponing`, if it is given and another execution writes the state of the session.
        With it, the wait for that is short. What this returns is recorded.
        """
        budget, now = Budget(self._policy.request_timeout_s), self._clock.now()
        ref, execution_id = execution.ref, execution.execution_id
        call = _Call(ref, params, execution_id, now, recorder, budget, listener=listener, postponing=postponing)
        try:
            self._in_flight.acquire(call.ref.owner)
        except DomainError:
            await self._withdrawn(call)
            raise
        try:
            return await self._complete(call, execution)
        finally:
            self._in_flight.release(call.ref.owner)

    def _complete(self, call: _Call, execution: OpenExecution) -> Awaitable[Executed]:
        grants = execution.session.grants
        if grants is None:
            return self._ran(call, execution)  # no coroutine of its own, which each of its steps would pass through
        return self._granted(call, execution, grants)

    async def _granted(self, call: _Call, execution: OpenExecution, grants: Grants) -> Executed:
        if grants.unknown:
            await self._withdrawn(call)
            raise GrantsUnknown(grants.unknown)
        if grants.network is not None:
            await self._require_network(call, grants.network)
        if grants.state is None:
            return await self._ran(call, execution)
        if grants.state.mode is StateMode.SHARED:
            state = await self._prepared(call, self._states.read(call.ref))
            executed = await self._ran(call, execution, RunState(state.text, state.version, is_shared=True))
            return evolve(executed, state_version=state.version)
        async with contextlib.AsyncExitStack() as stack:
            wait_s = None if call.postponing is None else _POSTPONED_AFTER_S
            claim = SlotClaim(execution.ref, execution.execution_id, execution.deadline_at)
            holding = stack.enter_async_context(self._states.hold(claim, wait_s))
            state = await self._prepared(call, holding)
            saves_failures = grants.state.save_on is SaveOn.ALWAYS
            given = RunState(state.text, state.version, saves_failures=saves_failures)
            executed = await self._ran(call, execution, given)
            saved = executed.report.state
            if saved is not None:
                self._states.stats.sizes.add(len(saved))
            return evolve(executed, state_version=state.version + (saved is not None))

    async def _require_network(self, call: _Call, network: NetworkGrant) -> None:
        """Judge the rules of a session for its present owner; a call that does not have them is withdrawn."""
        try:
            await self._egress.require(call.ref.owner, network.allow)
        except DomainError:
            await self._withdrawn(call)
            raise

    async def _prepared(self, call: _Call, preparing: Awaitable[SessionState]) -> SessionState:
        """Return the state for a run; a call that does not get it is withdrawn."""
        try:
            return await call.budget.spend(preparing, StorageUnavailable)
        except StorageUnavailable as error:
            await self._withdrawn(call)
            raise error.restated(stored="no", executed="no") from error
        except (asyncio.CancelledError, DomainError) as error:
            if isinstance(error, StateTaken) and call.postponing is not None:
                call.recorder = call.postponing
            await self._withdrawn(call)
            raise

    async def _ran(self, call: _Call, execution: OpenExecution, state: RunState | None = None) -> Executed:
        worker = await self._acquire(call, execution, state)
        try:
            report = await self._run(call, execution, worker)
        finally:
            await worker.release()
        uses = None if execution.session.grants is None else uses_of(report, state)
        count = await self._finish(call, execution, report, uses)
        title = execution.session.language_title
        return Executed(call.ref, call.execution_id, title, report, count)

    async def _begin(self, call: _Call, recorder: ExecutionRecorder) -> OpenExecution | Executed:
        beginning = recorder.begin(call.execution_id, call.ref, self._policy.allowance)
        try:
            return await call.budget.spend(beginning, StorageUnavailable)
        except asyncio.CancelledError:
            self._withdraw(call)
            raise
        except StorageUnavailable as error:
            # Only the open record and the key may be stored, and they are withdrawn: for the caller nothing happened.
            self._withdraw(call)
            raise error.restated(stored="no", executed="no") from error

    async def _require_params(self, call: _Call, execution: OpenExecution) -> None:
        """Check the params against the schema that the session is pinned to, if any; a refused call is withdrawn."""
        pinned = execution.session.pinned
        if pinned is None:
            return
        try:
            await call.budget.spend(self._params.require(pinned, call.params), StorageUnavailable)
        except StorageUnavailable as error:
            self._withdraw(call)
            raise error.restated(stored="no", executed="no") from error
        except (asyncio.CancelledError, DomainError):
            await self._withdrawn(call)
            raise

    async def _acquire(self, call: _Call, execution: OpenExecution, state: RunState | None) -> Worker:
        runner = self._runners[execution.session.language_title.language]
        try:
            return await runner.acquire(self._script_run(call, execution, state))
        except (asyncio.CancelledError, DomainError):
            await self._withdrawn(call)
            raise

    async def _run(self, call: _Call, execution: OpenExecution, worker: Worker) -> ScriptReport:
        limit_s = execution.session.limits.timeout_ms / 1000 + self._policy.run_overhead_s
        late = partial(ExecutionUnknown, "the runtime did not respond in time")
        call.started = True
        self._running.began(call.ref, call.execution_id, worker)
        try:
            return await Budget(limit_s).spend(worker.run(), late)
        except ExecutionUnknown as error:
            raise ExecutionUnknown(error.reason, call.execution_id) from error
        except DomainError:
            await self._withdrawn(call)
            raise
        finally:
            self._running.ended(call.execution_id)

    async def _finish(self, call: _Call, execution: OpenExecution, report: ScriptReport, uses: JsonText | None) -> int:
        finished = FinishedExecution(execution, self._clock.now(), call.params, report, report.state, uses)
        try:
            return await call.budget.spend(call.recorder.finish(finished), StorageUnavailable)
        except ExecutionLost as error:
            self._states.stats.lost += isinstance(error, StateLost)
            raise lost(execution, report) from error
        except (StorageUnavailable, Overloaded) as error:
            # Past its deadline the open record reads as unknown.
            finish = partial(call.recorder.finish, finished)
            self._tasks.spawn(self._retry(finish, execution.deadline_at, self._unrecorded))
            raise ExecutionNotStored(
                call.execution_id, report, retry_after_ms=1000 if call.is_keyed else None
            ) from error

    def _withdraw(self, call: _Call) -> asyncio.Task[None]:
        return self._tasks.spawn(self._withdraw_in_the_end(call))

    async def _withdrawn(self, call: _Call) -> None:
        """Withdraw the call; a caller with a key waits until the key is free, within the budget."""
        withdrawal = self._withdraw(call)
        if call.is_keyed:
            with contextlib.suppress(StorageUnavailable):
                await call.budget.spend(asyncio.shield(withdrawal), StorageUnavailable)

    async def _withdraw_in_the_end(self, call: _Call) -> None:
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

    def _script_run(self, call: _Call, execution: OpenExecution, state: RunState | None) -> ScriptRun:
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
            listener=call.listener,
            state=state,
            network=() if session.grants is None or session.grants.network is None else session.grants.network.allow,
        )

    async def _source(self, ref: SessionRef) -> Script:
        """Read the script; of a session that was emptied after its admission, raise the error of its present state."""
        script = await self._sessions.script(ref)
        if script is not None:
            return script
        session = await self._sessions.get(ref)
        session.require_live(self._clock.now())
        raise SessionNotFound
