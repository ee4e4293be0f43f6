"""What has become of executions, as memory has it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.queue_rows import MemoryQueueRows
from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.executions.execution import ExecutionNotFound
from domain.identity import EVERY_OWNER, Owner, SessionRef, uuid7_time
from domain.paging import Page
from domain.queue.entry import Entry
from domain.queue.ports import EVERY_STATE, ExecutionQueue, QueueFacts, StateFilter
from domain.queue.state import ExecutionState
from domain.scripts.language import Language


@define
class MemoryQueueReader(ExecutionQueue):
    """The calls of the queue that read, and end nothing."""

    _store: MemoryStore
    _rows: MemoryQueueRows = field(init=False)

    @_rows.default
    def _rows_of_store(self) -> MemoryQueueRows:
        return MemoryQueueRows(self._store)

    @override
    async def entry(self, owner: Owner, execution_id: UUID, now: datetime) -> Entry:
        self._store.require_available()
        accepted = self._rows.kept(execution_id, now)
        if accepted is None or accepted.erased_status or owner not in (accepted.key[0], EVERY_OWNER):
            raise ExecutionNotFound
        return evolve(accepted.entry, ref=SessionRef(accepted.key[0], accepted.entry.ref.session_id))

    @override
    async def to_stop(self, running: Sequence[tuple[UUID, UUID]]) -> Collection[UUID]:
        self._store.require_available()
        return {
            execution_id
            for _, execution_id in running
            if execution_id not in self._store.open_executions or execution_id in self._store.cancels
        }

    @override
    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        self._store.require_available()
        accepted = self._store.accepted.items()
        kept = [each for execution_id, each in accepted if self._rows.kept(execution_id, now) is not None]
        states = (self._rows.asynchronous(owner, each) for each in kept if each.key[0] == owner)
        shown = (evolve(each, report=None, position=None) for each in states if _is_wanted(each, wanted))
        return page_of(newest_first(((each.execution_id, each) for each in shown), after), size)

    @override
    async def facts(self, owner: Owner, now: datetime, counted_max: int) -> Sequence[QueueFacts]:
        self._store.require_available()
        return [self._rows.facts(owner, language, now, counted_max) for language in Language]

    @override
    async def queued(self, owner: Owner, counted_max: int) -> int:
        self._store.require_available()
        return min(counted_max, sum(1 for each in self._store.queued if self._rows.is_of(owner, each)))


def _is_wanted(state: ExecutionState, wanted: StateFilter) -> bool:
    by_session = wanted.session_id in (None, state.ref.session_id)
    by_start = wanted.since is None or uuid7_time(state.execution_id) >= wanted.since
    return by_session and by_start and wanted.status in (None, state.status)
