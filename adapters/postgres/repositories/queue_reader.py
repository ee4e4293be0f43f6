"""What has become of executions, as PostgreSQL has it."""

import asyncio
import contextlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from attrs import evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.reports import report_of
from adapters.postgres.repositories.executions import ROW_BYTES, PostgresExecutionRepository
from adapters.postgres.repositories.queue_rows import ReadState, asynchronous_state, entry_of
from adapters.postgres.retention.entry_ender import EntryEnder, QueueLimits
from adapters.postgres.statements.catalogue import Statements
from domain.clock import IdGenerator
from domain.errors import StorageUnavailable, Unavailable
from domain.executions.execution import ExecutionNotFound
from domain.identity import EVERY_OWNER, Owner, SessionRef, uuid7_at
from domain.paging import Page
from domain.queue.entry import Entry
from domain.queue.ports import EVERY_STATE, ExecutionQueue, QueueFacts, StateFilter
from domain.queue.state import POSITION_MAX, ExecutionState
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus

_LANGUAGES = codec.texts(Language)
_ENDING_PAUSES_S = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Before each attempt to end an execution that another transaction ends or claims now, which takes milliseconds."""


StateCall = tuple[Owner, UUID, datetime]
"""Whose execution, which one, and the instant at which it is judged."""


class SelectStates(BatchStatement[StateCall, ReadState | None]):
    """Reads the states of asynchronous executions; None for another one."""

    name: ClassVar[str] = "state"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: StateCall) -> Hashable:
        return call[:2]

    @override
    def size(self, call: StateCall) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[StateCall]) -> Mapping[str, object]:
        return {**state_columns(calls), "position_max": POSITION_MAX}

    @override
    def decode(self, call: StateCall, row: Row) -> ReadState:
        *asynchronous, status, is_ended, position, cancel_requested, count, answer, result, kept_until = row
        state = evolve(
            asynchronous_state(call[0], asynchronous, status, kept_until),
            position=position,
            cancel_requested=cancel_requested,
            report=answer and report_of(answer, result),
            execution_count=count,
        )
        return ReadState(state, is_ended)

    @override
    def absent(self, call: StateCall) -> None:
        return None


class QueueReader(ExecutionQueue):
    """The calls of the queue that read.

    Reading what is about to end ends it. `state` waits for another transaction that does so, and raises
    StorageUnavailable if that takes longer than about 0.6 s; `page` waits for none.
    """

    def __init__(
        self,
        gateway: Gateway,
        statements: Statements,
        executions: PostgresExecutionRepository,
        limits: QueueLimits,
        ids: IdGenerator,
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._limits = limits
        self._ender = EntryEnder(gateway, statements.queue_sweeps, limits, ids)
        self._history = executions.history
        states = SelectStates(statements.queue_states.select_states)
        self._states: Coalescer[StateCall, ReadState | None]
        self._states = Coalescer(gateway, states, executions.options.batches, share=True)

    @override
    async def entry(self, owner: Owner, execution_id: UUID, now: datetime) -> Entry:
        asked = {"owner": owner, "execution_id": execution_id, "now": now}
        rows = await self._rows(self._statements.queue_states.select_entry, asked)
        if not rows:
            raise ExecutionNotFound
        session_owner, session_id, *accepted = rows[0]
        return entry_of(SessionRef(session_owner, session_id), accepted)

    @override
    async def to_stop(self, running: Sequence[tuple[UUID, UUID]]) -> Collection[UUID]:
        named = {
            "request_ids": codec.uuids(session_id for session_id, _ in running),
            "execution_ids": codec.uuids(execution_id for _, execution_id in running),
        }
        return {
            execution_id for (execution_id,) in await self._rows(self._statements.queue_states.select_to_stop, named)
        }

    @override
    async def state(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        call: StateCall = owner, execution_id, now
        found: ReadState | None = await self._states.submit(call)
        for pause_s in _ENDING_PAUSES_S:
            if found is None or not found.is_ended:
                break
            await asyncio.sleep(pause_s)
            await self._end(found.state, now)
            found = await self._states.submit(call)
        if found is None:
            return await self._synchronous(*call)
        if found.is_ended:
            raise StorageUnavailable  # the state that is stored is no longer true
        return found.state

    @override
    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        asked = {
            "owner": owner,
            "languages": _LANGUAGES,
            "after": after,
            "since": None if wanted.since is None else uuid7_at(wanted.since, 0),
            "request_id": wanted.session_id,
            "status": wanted.status,
            "now": now,
            "entries_max": self._limits.page_entries_max,
            "rows_max": max(size, self._limits.page_rows_max),
            "size": size,
        }
        rows = await self._rows(self._statements.queue_states.select_state_page, asked)
        if ending := [(row[1], row[3]) for row in rows if row[-1]]:
            with contextlib.suppress(Unavailable):  # the list is as it was stored
                await self._ender.end(ending, now)
                rows = await self._rows(self._statements.queue_states.select_state_page, asked)
        return Page([_listed(owner, row[1:-1]) for row in rows if row[1] is not None], rows[0][0])

    @override
    async def facts(self, owner: Owner, now: datetime, counted_max: int) -> Sequence[QueueFacts]:
        asked = {"languages": _LANGUAGES, "now": now, "counted_max": counted_max}
        if owner == EVERY_OWNER:
            rows = await self._rows(self._statements.queue_states.select_all_queue_facts, asked)
        else:
            rows = await self._rows(self._statements.queue_states.select_queue_facts, asked | {"owner": owner})
        return [QueueFacts(Language(language), *facts) for language, *facts in rows]

    @override
    async def queued(self, owner: Owner, counted_max: int) -> int:
        asked: dict[str, object] = {"counted_max": counted_max}
        if owner == EVERY_OWNER:
            rows = await self._rows(self._statements.queue_states.select_all_queued_count, asked)
        else:
            of_owner = asked | {"owner": owner, "languages": _LANGUAGES}
            rows = await self._rows(self._statements.queue_states.select_queued_count, of_owner)
        return int(rows[0][0])

    async def _synchronous(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        """Return the state of an execution that was never in the queue, or whose result is no longer kept."""
        try:
            ended = await self._ended(owner, execution_id)
        except ExecutionNotFound:
            asked = {"owner": owner, "execution_id": execution_id}
            found = await self._rows(self._statements.queue_states.select_open_execution, asked)
            # In this order, an execution that ends meanwhile is found in one of the two tables.
            return _running(owner, execution_id, found[0]) if found else await self._ended(owner, execution_id)
        if ended.status is not ExecutionStatus.UNKNOWN:
            return ended
        await self._ender.end_overdue(now, 1, execution_id)  # until its open record is gone, it may get another end
        return await self._ended(owner, execution_id)

    async def _end(self, state: ExecutionState, now: datetime) -> None:
        if state.status is ExecutionStatus.RUNNING:
            await self._ender.end_overdue(now, 1, state.execution_id)
        else:
            await self._ender.end([(state.ref.session_id, state.execution_id)], now)

    async def _ended(self, owner: Owner, execution_id: UUID) -> ExecutionState:
        ended = await self._history.get(owner, execution_id)
        return ExecutionState(ended.ref, execution_id, ended.status, execution_count=ended.execution_count)

    async def _rows(self, statement: Statement, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return await self._gateway.fetch(statement, parameters)


def _running(owner: Owner, execution_id: UUID, row: tuple[Any, ...]) -> ExecutionState:
    session_id, cancel_requested = row
    ref = SessionRef(owner, session_id)
    return ExecutionState(ref, execution_id, ExecutionStatus.RUNNING, cancel_requested=cancel_requested)


def _listed(owner: Owner, row: tuple[Any, ...]) -> ExecutionState:
    *asynchronous, status, cancel_requested, count, kept_until = row
    return evolve(
        asynchronous_state(owner, asynchronous, status, kept_until),
        cancel_requested=cancel_requested,
        execution_count=count,
    )


def state_columns(calls: Sequence[StateCall]) -> dict[str, object]:
    """Return states to read as parameters."""
    return {
        "owners": codec.texts(owner for owner, _, _ in calls),
        "execution_ids": codec.uuids(execution_id for _, execution_id, _ in calls),
        "nows": codec.instants(now for _, _, now in calls),
    }
