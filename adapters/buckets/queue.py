"""The queue of executions in several buckets."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.buckets.claims import REST_MAX, BucketTurns
from adapters.buckets.counts import LastAnswers
from adapters.buckets.directory import Directory, Storage, of_each, of_those_that_serve
from adapters.buckets.executions import by_bucket
from domain.audit import Act
from domain.buckets.pages import merged
from domain.executions.execution import FinishedExecution
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.queue.entry import Claimed, Entry, Turn
from domain.queue.ports import EVERY_STATE, ClaimRequest, Claims, ExecutionQueue, QueueFacts, StateFilter
from domain.queue.state import Accepted, CancelResult, ExecutionState
from domain.scripts.language import Language


@define(eq=False)
class BucketQueue(ExecutionQueue):
    """An entry is in the bucket of its session. A claim takes entries of one bucket, the next one of the next.

    Turns between owners, and the order of a queue, hold within a bucket.
    """

    _directory: Directory
    _rest_max: timedelta = REST_MAX
    _turns: BucketTurns = field(init=False)
    _after: dict[int, Turn | None] = field(factory=dict, init=False)
    """The turn behind which the next claim of a bucket begins."""
    _queued: LastAnswers[int] = field(factory=LastAnswers, init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = BucketTurns(self._directory, self._rest_max)

    @override
    async def accept(self, entry: Entry, allowance: timedelta, retention: timedelta) -> Accepted:
        storage = self._directory.of(entry.ref.session_id)
        accepted = await storage.queue.accept(entry, allowance, retention)
        self._turns.wake(storage.number)
        return accepted

    @override
    async def replayed(self, entry: Entry) -> Accepted | None:
        return await self._directory.of(entry.ref.session_id).queue.replayed(entry)

    @override
    async def claim(self, claim: ClaimRequest) -> Claims:
        async def ask(storage: Storage) -> Claims:
            after = self._after.get(storage.number, claim.after)
            found = await storage.queue.claim(evolve(claim, after=after))
            if claim.after is not None or found.last is not None:
                self._after[storage.number] = found.last
            return found

        found = await self._turns.claim(claim.now, ask, lambda claims: bool(claims.entries))
        return Claims([]) if found is None else found

    @override
    async def put_back(self, claimed: Claimed, not_before: datetime) -> None:
        storage = self._directory.of(claimed.entry.ref.session_id)
        await storage.queue.put_back(claimed, not_before)
        self._turns.wake(storage.number)

    @override
    async def unclaim(self, claim_id: UUID, not_before: datetime) -> int:
        return sum(await of_each(self._directory.all, lambda each: each.queue.unclaim(claim_id, not_before)))

    @override
    async def finish(self, finished: FinishedExecution, entry: Entry, following: Entry | None = None) -> int:
        storage = self._directory.of(entry.ref.session_id)
        count = await storage.queue.finish(finished, entry, following)
        self._turns.wake(storage.number)
        return count

    @override
    async def cancel(self, owner: Owner, execution_id: UUID, now: datetime) -> tuple[CancelResult, ExecutionState]:
        return await self._directory.of(execution_id).queue.cancel(owner, execution_id, now)

    @override
    async def cancel_running(self, ref: SessionRef, now: datetime) -> Collection[UUID]:
        return await self._directory.of(ref.session_id).queue.cancel_running(ref, now)

    @override
    async def to_stop(self, running: Sequence[tuple[UUID, UUID]]) -> Collection[UUID]:
        groups = by_bucket(self._directory, ((each[0], each) for each in running))
        storages = [self._directory.at(number) for number in groups]
        found = await of_those_that_serve(storages, lambda storage: storage.queue.to_stop(groups[storage.number]))
        return {execution_id for each in found for execution_id in each}

    @override
    async def state(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        return await self._directory.of(execution_id).queue.state(owner, execution_id, now)

    @override
    async def erase(self, owner: Owner, execution_id: UUID, session_id: UUID, act: Act) -> None:
        await self._directory.of(session_id).queue.erase(owner, execution_id, session_id, act)

    @override
    async def entry(self, owner: Owner, execution_id: UUID, now: datetime) -> Entry:
        return await self._directory.of(execution_id).queue.entry(owner, execution_id, now)

    @override
    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        if wanted.session_id is not None:
            return await self._directory.of(wanted.session_id).queue.page(owner, after, size, now, wanted)
        storages = self._directory.listing(owner)
        pages = await of_each(storages, lambda each: each.queue.page(owner, after, size, now, wanted))
        return merged(pages, size, lambda state: state.execution_id)

    @override
    async def end_entries(self, now: datetime, ref: SessionRef | None = None) -> int:
        if ref is not None:
            return await self._directory.of(ref.session_id).queue.end_entries(now, ref)
        return sum(await of_those_that_serve(self._directory.all, lambda each: each.queue.end_entries(now)))

    @override
    async def facts(self, owner: Owner, now: datetime, counted_max: int) -> Sequence[QueueFacts]:
        found = await of_each(self._directory.of_owner(owner), lambda each: each.queue.facts(owner, now, counted_max))
        facts = [each for of_bucket in found for each in of_bucket]
        return [_added(language, [each for each in facts if each.language is language]) for language in Language]

    @override
    async def queued(self, owner: Owner, counted_max: int) -> int:
        async def counted(storage: Storage, _: Sequence[Owner]) -> Sequence[int]:
            return [await storage.queue.queued(owner, counted_max)]

        (counts,) = await self._queued.of_owners(self._directory, [owner], 0, counted)
        return min(counted_max, sum(counts.values()))


def _added(language: Language, facts: Sequence[QueueFacts]) -> QueueFacts:
    due = (each.due_at for each in facts if each.due_at is not None)
    return QueueFacts(
        language, sum(each.queued for each in facts), min(due, default=None), sum(each.running for each in facts)
    )
