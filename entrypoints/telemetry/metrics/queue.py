"""Metrics of the queue of executions."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field
from prometheus_client.core import Metric
from typing_extensions import override

from domain.audit import Act
from domain.cleanup import QueueBacklog
from domain.executions.execution import FinishedExecution
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.queue.entry import Claimed, Entry
from domain.queue.ports import EVERY_STATE, ClaimRequest, Claims, ExecutionQueue, QueueFacts, StateFilter
from domain.queue.state import Accepted, CancelResult, ExecutionState
from domain.scripts.language import Language
from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, gauge, histogram

_WAIT_BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 1, 5, 30, 120, 600, 3600)

_WAITING = gauge(
    "pglambda_queue_entries",
    "Executions of all owners that wait in the queue, counted up to 100,000 in a bucket.",
    "language",
)
_OLDEST_DUE = gauge(
    "pglambda_queue_oldest_due_timestamp_seconds",
    "Since when the queued execution that waits longest could have begun, as Unix time. Absent if none can begin.",
    "language",
)


def backlogs(found: Mapping[Language, QueueBacklog]) -> Iterable[Metric]:
    """Yield what waits in the queue of all owners; each process exposes the same."""
    yield _WAITING.metric(((language,), each.waiting) for language, each in found.items())
    yield _OLDEST_DUE.metric(
        ((language,), each.oldest_due_at.timestamp())
        for language, each in found.items()
        if each.oldest_due_at is not None
    )


class QueueMetrics(Collectors):
    """Counts what enters and leaves the queue in this process, and measures how long it waits."""

    def __init__(self) -> None:
        self.accepted = Counts(counter("pglambda_queue_accepted_total", "Executions that were accepted to run later."))
        self.claimed = Counts(
            counter("pglambda_queue_claimed_total", "Executions that left the queue to run here.", "language")
        )
        self.put_back = Counts(
            counter("pglambda_queue_put_back_total", "Executions that returned to the queue unstarted.")
        )
        self.retried = Counts(counter("pglambda_queue_retried_total", "Next attempts of executions that failed."))
        self.cancelled = Counts(counter("pglambda_queue_cancels_total", "Cancels, by what they found.", "found"))
        self.waited_s = Histograms(
            histogram(
                "pglambda_queue_wait_seconds",
                "Time from the earliest start of an execution to its claim.",
                "language",
                bounds=_WAIT_BOUNDS_S,
            )
        )
        super().__init__(self.accepted, self.claimed, self.put_back, self.retried, self.cancelled, self.waited_s)
        for each in (self.accepted, self.put_back, self.retried):
            each.start()
        for language in Language:
            self.claimed.start(language)


@define(eq=False)
class CountedQueue(ExecutionQueue):
    """A queue whose calls are counted."""

    _inner: ExecutionQueue
    metrics: QueueMetrics = field(factory=QueueMetrics)

    @override
    async def accept(self, entry: Entry, allowance: timedelta, retention: timedelta) -> Accepted:
        accepted = await self._inner.accept(entry, allowance, retention)
        if isinstance(accepted, Entry):
            self.metrics.accepted.add()
        return accepted

    @override
    async def replayed(self, entry: Entry) -> Accepted | None:
        return await self._inner.replayed(entry)

    @override
    async def claim(self, claim: ClaimRequest) -> Claims:
        found = await self._inner.claim(claim)
        for each in found.entries:
            language = each.execution.session.language_title.language
            self.metrics.claimed.add(language)
            waited = claim.now - each.entry.window.not_before
            self.metrics.waited_s.add(max(0.0, waited.total_seconds()), language)
        return found

    @override
    async def put_back(self, claimed: Claimed, not_before: datetime) -> None:
        await self._inner.put_back(claimed, not_before)
        self.metrics.put_back.add()

    @override
    async def unclaim(self, claim_id: UUID, not_before: datetime) -> int:
        returned = await self._inner.unclaim(claim_id, not_before)
        self.metrics.put_back.add(amount=returned)
        return returned

    @override
    async def finish(self, finished: FinishedExecution, entry: Entry, following: Entry | None = None) -> int:
        count = await self._inner.finish(finished, entry, following)
        if following is not None:
            self.metrics.retried.add()
        return count

    @override
    async def cancel(self, owner: Owner, execution_id: UUID, now: datetime) -> tuple[CancelResult, ExecutionState]:
        found = await self._inner.cancel(owner, execution_id, now)
        self.metrics.cancelled.add(found[0])
        return found

    @override
    async def cancel_running(self, ref: SessionRef, now: datetime) -> Collection[UUID]:
        running = await self._inner.cancel_running(ref, now)
        self.metrics.cancelled.add(CancelResult.CANCELLING, amount=len(running))
        return running

    @override
    async def to_stop(self, running: Sequence[tuple[UUID, UUID]]) -> Collection[UUID]:
        return await self._inner.to_stop(running)

    @override
    async def state(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        return await self._inner.state(owner, execution_id, now)

    @override
    async def erase(self, owner: Owner, execution_id: UUID, session_id: UUID, act: Act) -> None:
        await self._inner.erase(owner, execution_id, session_id, act)

    @override
    async def entry(self, owner: Owner, execution_id: UUID, now: datetime) -> Entry:
        return await self._inner.entry(owner, execution_id, now)

    @override
    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        return await self._inner.page(owner, after, size, now, wanted)

    @override
    async def end_entries(self, now: datetime, ref: SessionRef | None = None) -> int:
        return await self._inner.end_entries(now, ref)

    @override
    async def facts(self, owner: Owner, now: datetime, counted_max: int) -> Sequence[QueueFacts]:
        return await self._inner.facts(owner, now, counted_max)

    @override
    async def queued(self, owner: Owner, counted_max: int) -> int:
        return await self._inner.queued(owner, counted_max)
