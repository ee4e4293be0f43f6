"""Executions in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import LockingWrites
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, MeasuredStatement, Row, RowLocked
from adapters.postgres.codec import partition_of
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.history import HistoryOptions, HistoryReader
from adapters.postgres.repositories.saving_ends import SavingEnds, SavingEndStatement
from adapters.postgres.statements.calls import ExecutionStatements
from domain.clock import Clock
from domain.errors import Gone
from domain.executions.execution import Execution, FinishedExecution, OpenExecution
from domain.executions.history import PAYLOAD_LENGTH_MAX, history_row
from domain.executions.ports import EVERY_EXECUTION, ExecutionFilter, ExecutionRepository
from domain.identity import Owner, SessionRef, uuid7_time
from domain.paging import Page
from domain.sessions.session import SessionNotFound

BeginCall = tuple[UUID, SessionRef, timedelta]
"""An execution to begin, its session, and the allowance beyond the script's time limit."""

ROW_BYTES = 512
"""What an execution or a session takes beside its texts, roughly."""

_KEY_BYTES = 96
_OVERLAP_S = 0.005
"""Few commits take longer; meanwhile there are scripts to run."""


@frozen
class ExecutionRepositoryOptions:
    """Bounds of batches, and options of the history."""

    batches: CoalescerOptions = field(factory=partial(CoalescerOptions, overlap_s=_OVERLAP_S))
    history: HistoryOptions = field(factory=HistoryOptions)


class BeginExecutions(MeasuredStatement[BeginCall, OpenExecution], LockingStatement[BeginCall, OpenExecution]):
    """Admits executions; locks a session only to renew it."""

    name: ClassVar[str] = "begin"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = ROW_BYTES

    @override
    def batch_key(self, call: BeginCall) -> int:
        return call[1].session_id.int

    @override
    def columns(self, calls: Sequence[BeginCall]) -> Mapping[str, object]:
        return begin_columns(calls)

    @override
    def decode(self, call: BeginCall, row: Row) -> OpenExecution | Exception:
        deadline_at, is_current, *session = row
        return RowLocked() if deadline_at is None else begun(call, deadline_at, session, is_current=bool(is_current))

    @override
    def absent(self, call: BeginCall) -> Exception:
        return SessionNotFound()

    @override
    def response_size(self, response: OpenExecution | Exception) -> int:
        return begun_size(response)


class WithdrawExecutions(BatchStatement[tuple[SessionRef, UUID], None]):
    """Removes open records."""

    name: ClassVar[str] = "withdraw"

    @override
    def batch_key(self, call: tuple[SessionRef, UUID]) -> int:
        return call[0].session_id.int

    @override
    def size(self, call: object) -> int:
        return _KEY_BYTES

    @override
    def columns(self, calls: Sequence[tuple[SessionRef, UUID]]) -> Mapping[str, object]:
        return execution_columns(calls)

    @override
    def absent(self, call: object) -> None:
        return None


class FinishExecutions(LockingStatement[FinishedExecution, int | None]):
    """Records ends; the response to a call without an open record is None."""

    name: ClassVar[str] = "finish"

    def __init__(self, sql: Statement, *, full: bool) -> None:
        super().__init__(sql)
        self._full = full

    @override
    def batch_key(self, call: FinishedExecution) -> int:
        return call.execution.ref.session_id.int

    @override
    def size(self, call: FinishedExecution) -> int:
        report = call.report
        payloads = (call.params, report.result or "", report.stdout, report.stderr)
        return ROW_BYTES + sum(min(len(payload), PAYLOAD_LENGTH_MAX) for payload in payloads)

    @override
    def columns(self, calls: Sequence[FinishedExecution]) -> Mapping[str, object]:
        return finish_columns(calls, full=self._full)

    @override
    def decode(self, call: FinishedExecution, row: Row) -> int | Exception:
        return RowLocked() if row[0] is None else int(row[0])

    @override
    def absent(self, call: FinishedExecution) -> None:
        return None


class PostgresExecutionRepository(ExecutionRepository):
    """Stores executions; all writers of sessions in this process share `writing`.

    Begins have batch keys of their own: few of them lock a session, and a call that finds it locked is repeated.
    """

    def __init__(
        self,
        gateway: Gateway,
        statements: ExecutionStatements,
        clock: Clock,
        writing: BatchKeys,
        options: ExecutionRepositoryOptions | None = None,
    ) -> None:
        self.options = options or ExecutionRepositoryOptions()
        self.history = HistoryReader(gateway, statements, clock, self.options.history)
        batches, opening = self.options.batches, BatchKeys()
        self._begins = LockingWrites(gateway, BeginExecutions(statements.begin_executions), batches, exclusive=opening)
        # The begin of a withdrawn execution may still be in progress, so both share their batch keys.
        withdraw = WithdrawExecutions(statements.delete_open_executions)
        self._withdrawals = Coalescer(gateway, withdraw, batches, exclusive=opening)
        finish = FinishExecutions(statements.finish_executions, full=self.options.history.full)
        self._finishes = LockingWrites(gateway, finish, batches, exclusive=writing)
        self.statements, self.clock = statements, clock
        saving = SavingEndStatement(finish, statements, _itself, clock)
        self._saving = SavingEnds(gateway, saving, batches, exclusive=writing)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        ends: list[Coalescer[Any, Any]] = [*self._finishes.coalescers, *self._saving.coalescers]
        return [*self._begins.coalescers, self._withdrawals, *ends, self.history.counts]

    @override
    async def begin(self, execution_id: UUID, ref: SessionRef, allowance: timedelta) -> OpenExecution:
        return await self._begins.submit((execution_id, ref, allowance))

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        await self._withdrawals.submit((ref, execution_id))

    @override
    async def finish(self, finished: FinishedExecution) -> int:
        ends = self._saving if finished.saves_more else self._finishes
        count = await ends.submit(finished)
        return await self.history.stored_count(finished.execution) if count is None else count

    @override
    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        return await self.history.page(ref.owner, [ref.session_id], after, size, wanted)

    @override
    async def page_of(
        self,
        owner: Owner,
        session_ids: Sequence[UUID],
        after: UUID | None,
        size: int,
        wanted: ExecutionFilter = EVERY_EXECUTION,
    ) -> Page[Execution]:
        return await self.history.page(owner, session_ids, after, size, wanted)

    @override
    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        return await self.history.get(owner, execution_id)


def _itself(finished: FinishedExecution) -> FinishedExecution:
    return finished


def execution_columns(calls: Sequence[tuple[SessionRef, UUID]]) -> dict[str, object]:
    """Return the parameters that name executions."""
    return {
        **codec.ref_columns([ref for ref, _ in calls]),
        "execution_ids": codec.uuids(execution_id for _, execution_id in calls),
    }


def begin_columns(calls: Sequence[BeginCall]) -> dict[str, object]:
    """Return the parameters that begin executions."""
    return {
        **execution_columns([(ref, execution_id) for execution_id, ref, _ in calls]),
        "partitions": codec.numbers(partition_of(execution_id) for execution_id, _, _ in calls),
        "started_ats": codec.instants(uuid7_time(execution_id) for execution_id, _, _ in calls),
        "allowances": codec.intervals(allowance for _, _, allowance in calls),
    }


def begun(call: BeginCall, deadline_at: Any, row: Row, *, is_current: bool = False) -> OpenExecution | Exception:
    """Return the open execution with its session in the row, or the error of a session that is not live."""
    session = codec.session_of(row)
    try:
        session.require_live(uuid7_time(call[0]))
    except Gone as error:
        return error
    return OpenExecution(call[0], session, deadline_at, is_current)


def begun_size(response: object) -> int:
    """Return the bytes of a response to a begin."""
    if not isinstance(response, OpenExecution):
        return ROW_BYTES
    return ROW_BYTES + len(response.session.context) + len(response.session.metadata)


def finish_columns(calls: Sequence[FinishedExecution], *, full: bool) -> dict[str, object]:
    """Return the parameters that record ends; a `full` history stores payloads."""
    return {
        **execution_columns([(call.execution.ref, call.execution.execution_id) for call in calls]),
        "partitions": codec.numbers(partition_of(call.execution.execution_id) for call in calls),
        "finished_ats": codec.instants(call.finished_at for call in calls),
        **codec.history_columns([history_row(call, full=full) for call in calls]),
    }
