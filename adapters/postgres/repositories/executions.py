"""Executions in PostgreSQL."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.history import PAYLOAD_LENGTH_MAX, history_of
from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import SKIPPED, LockingWrites, Skipped
from adapters.postgres.batching.response_size import ResponseSize
from adapters.postgres.codec import array_literals, rows
from adapters.postgres.gateway import Gateway, PoolName
from adapters.postgres.repositories.history import HistoryOptions, HistoryReader
from adapters.postgres.retention.partitions import slot_of
from adapters.postgres.statements import ExecutionStatements
from domain.clock import Clock
from domain.executions.execution import Execution
from domain.executions.ports import (
    EVERY_EXECUTION,
    Admission,
    ExecutionFilter,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
)
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.sessions.session import SessionNotFound

_Fated = tuple[SessionRef, UUID]

_ROW_BYTES = 512
"""What an execution or a session takes beside its texts, about."""
_KEY_BYTES = 96
_OVERLAP_S = 0.005
"""Few commits take longer; meanwhile there are scripts to run."""


@frozen
class ExecutionRepositoryOptions:
    """Bounds of batches; what the history keeps, and its bounds."""

    batches: CoalescerOptions = field(factory=partial(CoalescerOptions, overlap_s=_OVERLAP_S))
    history: HistoryOptions = field(factory=HistoryOptions)


class PostgresExecutionRepository(ExecutionRepository):
    """Keeps executions; `writing` is shared by all writers of sessions in this process.

    Begins are not among them: few of them lock a session, to renew it, and those that find it locked ask again.
    """

    def __init__(
        self,
        gateway: Gateway,
        statements: ExecutionStatements,
        clock: Clock,
        writing: BatchKeys,
        options: ExecutionRepositoryOptions | None = None,
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self.options = options or ExecutionRepositoryOptions()
        self.history = HistoryReader(gateway, statements, clock, self.options.history)
        self._session_bytes = ResponseSize(_ROW_BYTES)
        batches, opening = self.options.batches, BatchKeys()
        self._begins: LockingWrites[ExecutionRequest, Admission] = LockingWrites(
            "begin", self._begin, key=_begin_key, size=self._session_bytes.expect, options=batches, exclusive=opening
        )
        # What is withdrawn may still be on its way.
        self._withdrawals: Coalescer[_Fated, None] = Coalescer(
            "withdraw", self._withdraw, key=_fated_key, size=_key_size, options=batches, exclusive=opening
        )
        self._finishes: LockingWrites[FinishedExecution, int | None] = LockingWrites(
            "finish", self._finish, key=_finish_key, size=_finish_size, options=batches, exclusive=writing
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All of this repository's, to be watched and closed."""
        return *self._begins.coalescers, self._withdrawals, *self._finishes.coalescers, self.history.counts

    @override
    async def begin(self, request: ExecutionRequest) -> Admission:
        return await self._begins.ask(request)

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef) -> None:
        await self._withdrawals.ask((ref, execution_id))

    @override
    async def finish(self, finished: FinishedExecution) -> int:
        count = await self._finishes.ask(finished)
        return await self.history.stored_count(finished.execution) if count is None else count

    @override
    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        return await self.history.page(ref, after, size, wanted)

    @override
    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        return await self.history.get(owner, execution_id)

    def finish_columns(self, calls: Sequence[FinishedExecution]) -> dict[str, object]:
        """Return the parameters that record ends."""
        full = self.options.history.full
        return {
            **_execution_keys([(call.execution.ref, call.execution.execution_id) for call in calls]),
            "slots": array_literals.numbers(slot_of(call.execution.execution_id) for call in calls),
            "finished_ats": array_literals.instants(call.finished_at for call in calls),
            **rows.execution_columns([history_of(call, full=full) for call in calls]),
        }

    async def _begin(
        self, calls: Sequence[ExecutionRequest], lane: PoolName
    ) -> Sequence[Admission | Exception | Literal[Skipped.SKIPPED]]:
        found = await self._gateway.fetch(
            self._statements.begin_executions,
            {
                **_execution_keys([(call.ref, call.execution_id) for call in calls]),
                "slots": array_literals.numbers(slot_of(call.execution_id) for call in calls),
                "started_ats": array_literals.instants(call.started_at for call in calls),
                "allowances": array_literals.intervals(call.allowance for call in calls),
                "waits": lane == "waiting",
            },
            lane=lane,
            parts=len(calls),
        )
        answers: list[Admission | Exception | Literal[Skipped.SKIPPED]] = [SessionNotFound()] * len(calls)
        for ordinal, deadline_at, *facts in found:
            skipped = deadline_at is None
            answers[ordinal - 1] = SKIPPED if skipped else rows.admission_of(calls[ordinal - 1], deadline_at, facts)
        self._session_bytes.learn(len(calls), sum(_admission_size(answer) for answer in answers))
        return answers

    async def _withdraw(self, calls: Sequence[_Fated]) -> Sequence[None]:
        await self._gateway.fetch(self._statements.delete_open_executions, _execution_keys(calls))
        return [None] * len(calls)

    async def _finish(
        self, calls: Sequence[FinishedExecution], lane: PoolName
    ) -> Sequence[int | Literal[Skipped.SKIPPED] | None]:
        """Record the ends; None is the answer to a call whose open record is gone."""
        found = await self._gateway.fetch(
            self._statements.finish_executions,
            {**self.finish_columns(calls), "waits": lane == "waiting"},
            lane=lane,
        )
        answers: list[int | Literal[Skipped.SKIPPED] | None] = [None] * len(calls)
        for ordinal, count in found:
            answers[ordinal - 1] = SKIPPED if count is None else count
        return answers


def _execution_keys(calls: Sequence[_Fated]) -> dict[str, object]:
    return {
        **rows.key_columns([key for key, _ in calls]),
        "execution_ids": array_literals.uuids(execution_id for _, execution_id in calls),
    }


def _begin_key(call: ExecutionRequest) -> int:
    return call.ref.session_id.int


def _fated_key(call: _Fated) -> int:
    return call[0].session_id.int


def _finish_key(call: FinishedExecution) -> int:
    return call.execution.ref.session_id.int


def _key_size(_: object) -> int:
    return _KEY_BYTES


def _finish_size(call: FinishedExecution) -> int:
    report = call.report
    payloads = (call.params, report.result or "", report.stdout, report.stderr)
    return _ROW_BYTES + sum(min(len(payload), PAYLOAD_LENGTH_MAX) for payload in payloads)


def _admission_size(answer: Admission | Exception | Literal[Skipped.SKIPPED]) -> int:
    if not isinstance(answer, Admission):
        return _ROW_BYTES
    return _ROW_BYTES + len(answer.session.context) + len(answer.session.metadata)
