"""The use cases of queued executions: accept, wait, cancel, retry."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.audit import ActName, Actor, new_act
from domain.clock import Clock, IdGenerator, Jitter
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.budget import Budget
from domain.errors import DomainError, StorageUnavailable, Unavailable, commit_unknown
from domain.executions.execution import ExecutionNotFound
from domain.executions.running import RunningExecutions
from domain.files.run import FilesOfRuns
from domain.functions.function import PinnedVersion
from domain.functions.params import ParamsCheck
from domain.idempotency import IdempotencyKey, Repeatable
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.queue.ends import Ends
from domain.queue.entry import Entry, ResponsesNotKept
from domain.queue.ports import ExecutionQueue, QueueFacts, StateFilter
from domain.queue.quota import QueueQuota
from domain.queue.served import ServedLanguages
from domain.queue.state import Accepted, CancelResult, ExecutionNotEnded, ExecutionNotKept, ExecutionState
from domain.queue.submission import Submission, require_callback
from domain.scripts.language import Language
from domain.sessions.ports import SessionRepository
from domain.webhooks.ports import WebhookRepository

_POLL_MIN_S = 0.05
_POLL_MAX_S = 1.0
_POLL_GROWTH = 1.5
_REMEMBERED_MAX = 10_000
Result = TypeVar("Result")


@frozen
class QueuePolicy:
    """Limits of the queue. `allowance` is what an open record lives beyond the script's own time limit.

    Without `keeps_responses` nothing is accepted.
    """

    request_timeout_s: float
    allowance: timedelta
    retention: timedelta = timedelta(days=1)
    counted_max: int = 10_000
    keeps_responses: bool = True


@frozen
class LanguageQueue:
    """The queue in one language, the age of its oldest due entry, and why nothing serves the language, if so."""

    facts: QueueFacts
    oldest_age: timedelta | None
    unserved: str | None


@frozen
class _Runs:
    """What a session runs, from its first call to its last."""

    language: Language
    pinned: PinnedVersion | None
    files_mb: int | None


@define(eq=False)
class QueueService:
    """Accepts executions to run later, and answers what has become of them.

    `wake` starts a claim in this process at once. Every method may raise StorageUnavailable or Overloaded.
    """

    _clock: Clock
    _ids: IdGenerator
    _sessions: SessionRepository
    _webhooks: WebhookRepository
    _queue: ExecutionQueue
    _served: ServedLanguages
    _params: ParamsCheck
    _policy: QueuePolicy
    _quota: QueueQuota
    _ends: Ends
    _running: RunningExecutions
    _tasks: BackgroundTasks
    _jitter: Jitter
    _wake: Callable[[], None]
    _files: FilesOfRuns
    _runs: BoundedCache[SessionRef, _Runs] = field(
        factory=lambda: BoundedCache(_REMEMBERED_MAX, lambda _: 1), init=False
    )

    async def accept(self, ref: SessionRef, submission: Submission, budget: Budget | None = None) -> Accepted:
        """Store an execution to be run later; it is stored durably when this returns.

        Under a key of an earlier call nothing is stored: the state of that call is returned, or its response if it has
        ended. What would fail later is refused now. Raises ResponsesNotKept, SessionNotFound, SessionExpired,
        SessionClosed, ScheduleRefused, CallbackNotFound, RuntimeUnavailable, ParamsRefused, PinnedVersionNotFound,
        SchemaUnusable, InvalidRequest, FileNotFound, FileExpired, QuotaReached, or what ExecutionQueue.accept raises of
        keys.
        """
        if not self._policy.keeps_responses:
            raise ResponsesNotKept
        budget = budget or Budget(self._policy.request_timeout_s)
        entry = submission.entry(ref, self._ids.new(self._clock.now(), ref.session_id))
        try:
            await budget.spend(self._require_runnable(entry, submission), StorageUnavailable)
        except DomainError as refusal:
            return await budget.spend(self._replayed(submission, entry, refusal), StorageUnavailable)
        with Repeatable(submission.idempotency_key):
            return await self._stored(entry, budget)

    async def _stored(self, entry: Entry, budget: Budget) -> Accepted:
        """Store an entry for which there was room, and let a claim follow."""
        stored = False
        try:
            accepting = self._queue.accept(entry, self._policy.allowance, self._policy.retention)
            accepted = await budget.spend(accepting, commit_unknown)
            stored = isinstance(accepted, Entry)
        finally:
            self._quota.settle(entry.ref.owner, entry.size, stored=stored)
        if stored:
            self._wake()
        return accepted

    async def _replayed(self, submission: Submission, entry: Entry, refusal: DomainError) -> Accepted:
        """Return what an earlier call with the key got, whatever would refuse a first call now; else raise that.

        So a first call reads its key only once, when it takes it.
        """
        earlier = None if submission.idempotency_key is None else await self._queue.replayed(entry)
        if earlier is None:
            raise refusal
        return earlier

    async def _require_runnable(self, entry: Entry, submission: Submission) -> None:
        """Refuse what could not run, and take room in the queue for what could.

        Whether the session is live is judged when the entry is stored.
        """
        ref, options = entry.ref, entry.options
        runs = self._runs.get(ref) or await self._remembered(ref)
        await self._served.require(runs.language)
        if runs.pinned is not None:
            await self._params.require(runs.pinned, submission.params)
        if submission.retry_of is None:  # the options of a retry are those of the execution that it repeats
            await require_callback(self._webhooks, ref.owner, options)
        if options.files is not None:
            await self._files.require(ref.owner, runs.files_mb, options.files, entry.window.not_before)
        await self._quota.take(ref.owner, entry.size)

    async def _remembered(self, ref: SessionRef) -> _Runs:
        session = await self._sessions.get(ref)
        files = None if session.grants is None else session.grants.files
        runs = _Runs(session.language_title.language, session.pinned, None if files is None else files.size_mb)
        self._runs.put(ref, runs)
        return runs

    async def wait(self, owner: Owner, execution_id: UUID, timeout_s: float) -> ExecutionState:
        """Return the state of an execution once it has ended, or after `timeout_s`; raises ExecutionNotFound.

        An end in this process is seen at once, one in another process by polling. When the process stops, the state is
        returned at once: any other controller answers what has become of it.
        """
        loop = asyncio.get_running_loop()
        until_s, pause_s = loop.time() + timeout_s, _POLL_MIN_S
        while True:
            with self._ends.waiting(execution_id) as ended:
                state = await self._state(owner, execution_id)
                left_s = until_s - loop.time()
                if state.status.is_final or left_s <= 0 or self._ends.is_stopped:
                    return state
                await asyncio.wait([ended], timeout=min(left_s, self._jitter(pause_s / 2, pause_s)))
            pause_s = min(_POLL_MAX_S, pause_s * _POLL_GROWTH)

    async def cancel(self, owner: Owner, execution_id: UUID) -> tuple[CancelResult, ExecutionState]:
        """Cancel an execution that has not ended; raises ExecutionNotFound."""
        found = await self._spend(self._queue.cancel(owner, execution_id, self._clock.now()))
        if found[0] is CancelResult.CANCELLED:
            self._ends.notify(execution_id)
        elif found[0] is CancelResult.CANCELLING:
            await self._running.stop(execution_id)
        return found

    def cancel_soon(self, owner: Owner, execution_id: UUID) -> None:
        """Cancel an execution that nobody waits for any more, in the background."""
        self._tasks.spawn(self.cancel(owner, execution_id))

    async def cancel_running(self, ref: SessionRef) -> int:
        """Cancel the executions of a session that run; return how many."""
        running = await self._spend(self._queue.cancel_running(ref, self._clock.now()))
        await asyncio.gather(*map(self._running.stop, running))
        return len(running)

    async def end_session(self, ref: SessionRef) -> None:
        """End the entries of a session that was closed; a later cleanup ends what the database does not take now."""
        with contextlib.suppress(Unavailable):
            while await self._spend(self._queue.end_entries(self._clock.now(), ref)):
                pass

    async def ended(self, owner: Owner, execution_id: UUID) -> ExecutionState:
        """Return the state of an execution that has ended; raises ExecutionNotFound or ExecutionNotEnded."""
        state = await self._state(owner, execution_id)
        if not state.status.is_final:
            raise ExecutionNotEnded(execution_id, state.status)
        return state

    async def erase(self, owner: Owner, execution_id: UUID, actor: Actor) -> None:
        """Erase what an execution that has ended had and gave; its state stays, and the act is recorded.

        Raises ExecutionNotFound or ExecutionNotEnded.
        """
        ended = await self.ended(owner, execution_id)
        act = new_act(self._clock, self._ids, actor, ActName.EXECUTIONS_ERASE)
        await self._spend(self._queue.erase(owner, execution_id, ended.ref.session_id, act))

    async def retry(self, ended: ExecutionState, idempotency_key: IdempotencyKey | None = None) -> Accepted:
        """Accept an execution that has ended once more, as an execution of its own.

        A repeated call with its key accepts nothing more. Raises ExecutionNotKept, or what `accept` raises.
        """
        owner, execution_id = ended.ref.owner, ended.execution_id
        try:
            entry = await self._spend(self._queue.entry(owner, execution_id, self._clock.now()))
        except ExecutionNotFound:
            raise ExecutionNotKept(execution_id) from None
        key = idempotency_key
        again = Submission(entry.params, options=entry.options, idempotency_key=key, retry_of=execution_id)
        return await self.accept(entry.ref, again)

    async def page(self, owner: Owner, after: UUID | None, size: int, wanted: StateFilter) -> Page[ExecutionState]:
        """Return a page of the owner's asynchronous executions, newest first."""
        return await self._spend(self._queue.page(owner, after, size, self._clock.now(), wanted))

    async def languages(self, owner: Owner) -> Sequence[LanguageQueue]:
        """Return the owner's queue by language; that of all owners for EVERY_OWNER."""
        now = self._clock.now()
        found = await self._spend(self._queue.facts(owner, now, self._policy.counted_max))
        return [LanguageQueue(each, each.age(now), await self._served.reason_against(each.language)) for each in found]

    async def _state(self, owner: Owner, execution_id: UUID) -> ExecutionState:
        return await self._spend(self._queue.state(owner, execution_id, self._clock.now()))

    async def _spend(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, StorageUnavailable)
