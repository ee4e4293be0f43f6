"""Executions, and what they write while they run, in several buckets."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from attrs import evolve, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, of_each
from domain.buckets.bucket_map import HOME
from domain.buckets.pages import merged
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from domain.executions.execution import Executed, Execution, FinishedExecution, OpenExecution
from domain.executions.ports import (
    EVERY_EXECUTION,
    ExecutionFilter,
    ExecutionRepository,
    KeyedExecutionRepository,
)
from domain.functions.function import FunctionNotFound
from domain.functions.ports import FunctionLookup
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.live.events import LiveState, OutputPart
from domain.live.ports import LiveOutputStore
from domain.live.position import Position
from domain.paging import Page
from domain.states.ports import StateRepository
from domain.states.state import SessionState, SlotClaim

Named = TypeVar("Named")


def by_bucket(directory: Directory, named: Iterable[tuple[UUID, Named]]) -> Mapping[int, list[Named]]:
    """Return things by the buckets of their ids."""
    groups: dict[int, list[Named]] = defaultdict(list)
    for identifier, each in named:
        groups[directory.number_of(identifier)].append(each)
    return groups


@frozen
class BucketExecutions(ExecutionRepository):
    """An execution is in the bucket of its session, which is in its id too."""

    _directory: Directory

    @override
    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution:
        storage = self._directory.of(ref.session_id)
        begun = await storage.executions.begin(execution_id, ref, allowance)
        if storage.number == HOME or not begun.session.hidden:
            return begun
        return evolve(begun, is_current=await self._is_current(begun))

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        await self._directory.of(ref.session_id).executions.withdraw(execution_id, ref)

    @override
    async def finish(self, finished: FinishedExecution) -> int:
        return await self._directory.of(finished.execution.ref.session_id).executions.finish(finished)

    @override
    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        return await self._directory.of(ref.session_id).executions.page(ref, after, size, wanted)

    @override
    async def page_of(
        self,
        owner: Owner,
        session_ids: Sequence[UUID],
        after: UUID | None,
        size: int,
        wanted: ExecutionFilter = EVERY_EXECUTION,
    ) -> Page[Execution]:
        groups = by_bucket(self._directory, ((each, each) for each in session_ids))
        pages = await of_each(
            [self._directory.at(number) for number in groups],
            lambda storage: storage.executions.page_of(owner, groups[storage.number], after, size, wanted),
        )
        return merged(pages, size, lambda row: row.execution_id)

    @override
    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        return await self._directory.of(execution_id).executions.get(owner, execution_id)

    async def _is_current(self, begun: OpenExecution) -> bool:
        """Ask HOME, which alone has functions, whether calls by name run the version of a hidden session."""
        lookup = FunctionLookup.usable(begun.ref.owner, begun.session.language_title)
        try:
            return await self._directory.home.functions.callable(lookup) == begun.session.pinned
        except FunctionNotFound:
            return False
        except (Overloaded, ShuttingDown) as refusal:  # they say that nothing is stored, and the record is
            raise StorageUnavailable(stored="unknown") from refusal


@frozen
class BucketKeyedExecutions(KeyedExecutionRepository):
    """A key of an execution is in the bucket of the session."""

    _directory: Directory

    @override
    async def begin(
        self, execution_id: UUID, ref: SessionRef, allowance: timedelta, idempotency_key: IdempotencyKey
    ) -> OpenExecution | Executed:
        keyed = self._directory.of(ref.session_id).keyed_executions
        return await keyed.begin(execution_id, ref, allowance, idempotency_key)

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef, idempotency_key: IdempotencyKey) -> None:
        await self._directory.of(ref.session_id).keyed_executions.withdraw(execution_id, ref, idempotency_key)

    @override
    async def finish(self, finished: FinishedExecution, idempotency_key: IdempotencyKey) -> int:
        keyed = self._directory.of(finished.execution.ref.session_id).keyed_executions
        return await keyed.finish(finished, idempotency_key)


@frozen
class BucketLiveOutput(LiveOutputStore):
    """What an execution writes is in the bucket of its session."""

    _directory: Directory

    @override
    async def append(self, part: OutputPart) -> bool:
        return await self._directory.of(part.session_id).live_output.append(part)

    @override
    async def read(self, session_id: UUID, execution_id: UUID, position: Position) -> LiveState[Any]:
        return await self._directory.of(session_id).live_output.read(session_id, execution_id, position)

    @override
    async def drop(self, executions: Collection[tuple[UUID, UUID]]) -> None:
        groups = by_bucket(self._directory, ((each[0], each) for each in executions))
        storages = [self._directory.at(number) for number in groups]
        await of_each(storages, lambda storage: storage.live_output.drop(groups[storage.number]))


@frozen
class BucketStates(StateRepository):
    """The state of a session is in the bucket of the session."""

    _directory: Directory

    @override
    async def take(self, claim: SlotClaim, now: datetime) -> SessionState:
        return await self._directory.of(claim.ref.session_id).states.take(claim, now)

    @override
    async def read(self, ref: SessionRef, now: datetime) -> SessionState:
        return await self._directory.of(ref.session_id).states.read(ref, now)

    @override
    async def write(self, ref: SessionRef, read: SessionState, text: JsonText, now: datetime) -> int | None:
        return await self._directory.of(ref.session_id).states.write(ref, read, text, now)
