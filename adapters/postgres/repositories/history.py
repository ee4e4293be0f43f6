"""The history of executions, read from the partitions that may hold the rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.codec import PARTITIONS, day_at, day_of, first_day_of, partition_of, partitions_between
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import ExecutionStatements
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.executions.execution import Execution, ExecutionLost, ExecutionNotFound, OpenExecution
from domain.executions.ports import ExecutionFilter
from domain.identity import Owner, SessionRef, uuid7_at
from domain.paging import Page

_KEY_BYTES = 96
_READS = 2
"""Statements that read a count: the snapshot of the first one may be older than the commit of the row."""


@frozen
class HistoryOptions:
    """Bounds of the rows examined for a page of one outcome, and of a page's bytes; a `full` history has payloads."""

    full: bool = True
    examined_max: int = 1000
    page_bytes_max: int = 8 * 1024 * 1024
    batches: CoalescerOptions = field(factory=CoalescerOptions)


class SelectCounts(BatchStatement[OpenExecution, int | None]):
    """Reads the counts of finished executions; the response to a call without a row is None."""

    name: ClassVar[str] = "count"

    @override
    def batch_key(self, call: OpenExecution) -> UUID:
        return call.execution_id

    @override
    def size(self, call: OpenExecution) -> int:
        return _KEY_BYTES

    @override
    def columns(self, calls: Sequence[OpenExecution]) -> Mapping[str, object]:
        partitions = [partition_of(call.execution_id) for call in calls]
        return {
            **codec.ref_columns([call.ref for call in calls]),
            "execution_ids": codec.uuids(call.execution_id for call in calls),
            "partitions": codec.numbers(partitions),
            "named_partitions": codec.numbers(sorted(set(partitions))),
        }

    @override
    def decode(self, call: OpenExecution, row: Row) -> int:
        return int(row[0])

    @override
    def absent(self, call: OpenExecution) -> None:
        return None


class HistoryReader:
    """Reads finished executions, and open records past their deadline."""

    def __init__(
        self, gateway: Gateway, statements: ExecutionStatements, clock: Clock, options: HistoryOptions
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._clock = clock
        self._options = options
        select_counts = SelectCounts(statements.select_execution_counts)
        self.counts = Coalescer(gateway, select_counts, options.batches, share=True)

    async def page(
        self, owner: Owner, session_ids: Sequence[UUID], after: UUID | None, size: int, wanted: ExecutionFilter
    ) -> Page[Execution]:
        """Return a page as ExecutionRepository promises."""
        if not session_ids:
            return Page([], None)
        now = self._clock.now()
        last_day = day_at(now) + 1 if after is None else day_of(after)
        since = None if wanted.since is None else uuid7_at(wanted.since, 0)
        found = await self._gateway.fetch(
            self._statements.select_execution_page,
            {
                "partitions": codec.numbers(partitions_between(_first_day(session_ids, now, since), last_day)),
                "request_ids": codec.uuids(session_ids),
                "owner": owner,
                "after": after,
                "since": since,
                "outcome": wanted.status,
                "rows_max": size if wanted.status is None else max(size, self._options.examined_max),
                "size": size,
                "bytes_max": self._options.page_bytes_max,
                "now": now,
            },
        )
        next_after = found[0][0]
        rows = [row for row in found if row[1] is not None]
        return Page([codec.execution_of(SessionRef(owner, row[1]), row[2:]) for row in rows], next_after)

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return one execution as ExecutionRepository promises."""
        ended = {"partition": partition_of(execution_id), "owner": owner, "execution_id": execution_id}
        overdue = {"owner": owner, "execution_id": execution_id, "now": self._clock.now()}
        found = await self._gateway.fetch(self._statements.select_execution, ended)
        # In this order, a record that cleanup moves to the history meanwhile is found in one of the two tables.
        found = found or await self._gateway.fetch(self._statements.select_overdue_execution, overdue)
        found = found or await self._gateway.fetch(self._statements.select_execution, ended)
        if not found:
            raise ExecutionNotFound
        session_id, *row = found[0]
        return codec.execution_of(SessionRef(owner, session_id), tuple(row))

    async def stored_count(self, execution: OpenExecution) -> int:
        """Return the count of an execution whose open record is gone; raises ExecutionLost."""
        try:
            for _ in range(_READS):
                count = await self.counts.submit(execution)
                if count is not None:
                    return count
        except StorageUnavailable as error:
            raise StorageUnavailable(stored="unknown", retry_after_ms=None) from error
        raise ExecutionLost


def _first_day(session_ids: Sequence[UUID], now: datetime, since: UUID | None) -> int:
    """Return the first day whose partition may hold the wanted executions."""
    days = [min(first_day_of(each, now) for each in session_ids), day_at(now) - PARTITIONS + 2]
    return max(days if since is None else [*days, day_of(since)])
