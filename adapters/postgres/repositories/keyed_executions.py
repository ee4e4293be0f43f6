"""Executions under idempotency keys, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.batching.locking_writes import LockingWrites
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, MeasuredStatement, Row, RowLocked
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.reports import report_of, report_text
from adapters.postgres.repositories.executions import (
    ROW_BYTES,
    BeginCall,
    PostgresExecutionRepository,
    begin_columns,
    begun,
    begun_size,
    execution_columns,
    finish_columns,
)
from adapters.postgres.repositories.idempotency_keys import ERASED, key_columns, replayed, until_settled
from adapters.postgres.repositories.saving_ends import SavingEnds, SavingEndStatement
from adapters.postgres.statements.calls import KeyedCallStatements
from domain.executions.execution import Executed, FinishedExecution, OpenExecution
from domain.executions.ports import KeyedExecutionRepository
from domain.idempotency import KEPT_FOR, IdempotencyKey, KeptCall
from domain.identity import SessionRef, uuid7_time
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ScriptReport
from domain.sessions.session import SessionNotFound

_Begun = OpenExecution | Executed
_KeyedBeginCall = tuple[BeginCall, IdempotencyKey]
_KeyedWithdrawal = tuple[SessionRef, UUID, IdempotencyKey]
_KeyedEnd = tuple[FinishedExecution, IdempotencyKey]

_KEPT_COLUMNS = 8


class BeginKeyedExecutions(
    MeasuredStatement[_KeyedBeginCall, _Begun | None], LockingStatement[_KeyedBeginCall, _Begun | None]
):
    """Admits executions under keys; the response to a call that neither took its key nor saw its holder is None."""

    name: ClassVar[str] = "begin_keyed"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = ROW_BYTES

    @override
    def batch_key(self, call: _KeyedBeginCall) -> int:
        return call[0][1].session_id.int

    @override
    def columns(self, calls: Sequence[_KeyedBeginCall]) -> Mapping[str, object]:
        return {
            **begin_columns([begin_call for begin_call, _ in calls]),
            **key_columns([key for _, key in calls]),
            "kept_for": KEPT_FOR,
        }

    @override
    def decode(self, call: _KeyedBeginCall, row: Row) -> _Begun | Exception | None:
        outcome, deadline_at, *facts = row
        if outcome == "judged":
            return begun(call[0], deadline_at, facts[:-_KEPT_COLUMNS])
        if outcome == "kept":
            return _replayed_execution(*call, deadline_at, facts[-_KEPT_COLUMNS:])
        return RowLocked() if outcome == "skipped" else None

    @override
    def absent(self, call: _KeyedBeginCall) -> Exception:
        return SessionNotFound()

    @override
    def response_size(self, response: _Begun | Exception | None) -> int:
        if not isinstance(response, Executed):
            return begun_size(response)
        return ROW_BYTES + _report_size(response.report)


class WithdrawKeyedExecutions(BatchStatement[_KeyedWithdrawal, None]):
    """Removes open records, and frees their keys."""

    name: ClassVar[str] = "withdraw_keyed"

    @override
    def batch_key(self, call: _KeyedWithdrawal) -> int:
        return call[0].session_id.int

    @override
    def size(self, call: _KeyedWithdrawal) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[_KeyedWithdrawal]) -> Mapping[str, object]:
        return {
            **execution_columns([(ref, execution_id) for ref, execution_id, _ in calls]),
            "keys": codec.texts(key.value for _, _, key in calls),
        }

    @override
    def absent(self, call: _KeyedWithdrawal) -> None:
        return None


class FinishKeyedExecutions(LockingStatement[_KeyedEnd, int | None]):
    """Records ends with their responses; the response to a call without an open record is None."""

    name: ClassVar[str] = "finish_keyed"

    def __init__(self, sql: Statement, *, full: bool) -> None:
        super().__init__(sql)
        self._full = full

    @override
    def batch_key(self, call: _KeyedEnd) -> int:
        return call[0].execution.ref.session_id.int

    @override
    def size(self, call: _KeyedEnd) -> int:
        return keyed_end_size(call[0])

    @override
    def columns(self, calls: Sequence[_KeyedEnd]) -> Mapping[str, object]:
        return keyed_end_columns(calls, full=self._full)

    @override
    def decode(self, call: _KeyedEnd, row: Row) -> int | Exception:
        return RowLocked() if row[0] is None else int(row[0])

    @override
    def absent(self, call: _KeyedEnd) -> None:
        return None


class PostgresKeyedExecutionRepository(KeyedExecutionRepository):
    """Stores keys in `meta.idempotency_keys`; all writers of sessions in this process share `writing`."""

    def __init__(
        self,
        gateway: Gateway,
        statements: KeyedCallStatements,
        executions: PostgresExecutionRepository,
        writing: BatchKeys,
    ) -> None:
        self._history = executions.history
        batches, full = executions.options.batches, executions.options.history.full
        begin = BeginKeyedExecutions(statements.begin_keyed_executions)
        withdraw = WithdrawKeyedExecutions(statements.withdraw_keyed_executions)
        finish = FinishKeyedExecutions(statements.finish_keyed_executions, full=full)
        self._begins = LockingWrites(gateway, begin, batches, exclusive=writing)
        self._withdrawals = Coalescer(gateway, withdraw, batches, exclusive=writing)
        self._finishes = LockingWrites(gateway, finish, batches, exclusive=writing)
        saving = SavingEndStatement(finish, executions.statements, _finished, executions.clock)
        self._saving = SavingEnds(gateway, saving, batches, exclusive=writing)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        ends: list[Coalescer[Any, Any]] = [*self._finishes.coalescers, *self._saving.coalescers]
        return [*self._begins.coalescers, self._withdrawals, *ends]

    @override
    async def begin(
        self, execution_id: UUID, ref: SessionRef, allowance: timedelta, idempotency_key: IdempotencyKey
    ) -> OpenExecution | Executed:
        call = (execution_id, ref, allowance), idempotency_key
        return await until_settled(idempotency_key, lambda: self._begins.submit(call))

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef, idempotency_key: IdempotencyKey) -> None:
        await self._withdrawals.submit((ref, execution_id, idempotency_key))

    @override
    async def finish(self, finished: FinishedExecution, idempotency_key: IdempotencyKey) -> int:
        ends = self._saving if finished.saves_more else self._finishes
        count = await ends.submit((finished, idempotency_key))
        return await self._history.stored_count(finished.execution) if count is None else count


def _finished(call: _KeyedEnd) -> FinishedExecution:
    return call[0]


def keyed_end_columns(calls: Sequence[_KeyedEnd], *, full: bool) -> dict[str, object]:
    """Return the parameters that record ends with their responses; a `full` history stores payloads."""
    ended = [finished for finished, _ in calls]
    return {
        **finish_columns(ended, full=full),
        **answer_columns(ended),
        "keys": codec.texts(key.value for _, key in calls),
    }


def answer_columns(ended: Sequence[FinishedExecution]) -> dict[str, object]:
    """Return the parameters that keep responses."""
    return {
        "answers": codec.texts(report_text(finished.report) for finished in ended),
        "whole_results": codec.texts(finished.report.result for finished in ended),
    }


def keyed_end_size(finished: FinishedExecution) -> int:
    """Return the bytes of an end with its response."""
    return ROW_BYTES + 2 * (len(finished.params) + _report_size(finished.report))


def _replayed_execution(
    begin_call: BeginCall, key: IdempotencyKey, deadline_at: datetime, kept: Sequence[Any]
) -> Executed | Exception:
    execution_id, ref, _ = begin_call
    payload_hash, winner, expires_at, title, count, text, result, ready_at = kept
    response = text and Executed(ref, winner, LanguageTitle.of(title), report_of(text, result), count, replayed=True)
    is_erased = result == ERASED
    call = KeptCall(ref.session_id, payload_hash, winner, deadline_at, expires_at, response, is_erased, ready_at)
    return replayed(call, key, uuid7_time(execution_id))


def _report_size(report: ScriptReport) -> int:
    return len(report.result or "") + len(report.stdout) + len(report.stderr)
