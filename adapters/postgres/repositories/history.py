"""The history of executions, read from the slots that it can be in."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from attrs import field, frozen

from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.codec import array_literals, rows
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.partitions import SLOTS, day_at, day_of, slot_of, slots_between
from adapters.postgres.statements import ExecutionStatements
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.executions.execution import Execution, ExecutionLost, ExecutionNotFound, OpenExecution
from domain.executions.ports import ExecutionFilter
from domain.identity import Owner, SessionRef, uuid7_at
from domain.paging import Page

_KEY_BYTES = 96
_LOOKS = 2
"""Statements that look for a count: the first one's snapshot may be older than the commit that it looks for."""


@frozen
class HistoryOptions:
    """Bounds of rows that are looked at for a page of one outcome, and of the bytes on a page; `full` keeps payloads."""

    full: bool = True
    examined_max: int = 1000
    page_bytes_max: int = 8 * 1024 * 1024
    batches: CoalescerOptions = field(factory=CoalescerOptions)


class HistoryReader:
    """Reads executions that have ended, and open records past their deadline."""

    def __init__(
        self, gateway: Gateway, statements: ExecutionStatements, clock: Clock, options: HistoryOptions
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._clock = clock
        self._options = options
        self.counts: Coalescer[OpenExecution, int | None] = Coalescer(
            "count", self._count, key=_execution_id, size=_key_size, options=options.batches, share=True
        )

    async def page(self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter) -> Page[Execution]:
        """Return a page as ExecutionRepository promises."""
        now = self._clock.now()
        last_day = day_at(now) + 1 if after is None else day_of(after)
        since = None if wanted.since is None else uuid7_at(wanted.since, 0)
        found = await self._gateway.fetch(
            self._statements.select_execution_page,
            {
                "slots": array_literals.numbers(slots_between(_first_day(ref, now, since), last_day)),
                "request_id": ref.session_id,
                "owner": ref.owner,
                "after": after,
                "since": since,
                "outcome": wanted.outcome,
                "rows_max": size if wanted.outcome is None else max(size, self._options.examined_max),
                "size": size,
                "bytes_max": self._options.page_bytes_max,
                "now": now,
            },
        )
        next_after = found[0][0]
        return Page([rows.execution_of(ref, row[1:]) for row in found if row[1] is not None], next_after)

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return one execution as ExecutionRepository promises."""
        slot = {"slot": slot_of(execution_id), "owner": owner, "execution_id": execution_id}
        overdue = {"owner": owner, "execution_id": execution_id, "now": self._clock.now()}
        found = await self._gateway.fetch(self._statements.select_execution, slot)
        # In this order: a record that is moved to the history meanwhile is seen in one place or the other.
        found = found or await self._gateway.fetch(self._statements.select_overdue_execution, overdue)
        found = found or await self._gateway.fetch(self._statements.select_execution, slot)
        if not found:
            raise ExecutionNotFound
        session_id, *row = found[0]
        return rows.execution_of(SessionRef(owner, session_id), tuple(row))

    async def stored_count(self, execution: OpenExecution) -> int:
        """Return the count of an execution whose open record is gone; raises ExecutionLost."""
        try:
            for _ in range(_LOOKS):
                count = await self.counts.ask(execution)
                if count is not None:
                    return count
        except StorageUnavailable as error:
            raise StorageUnavailable(stored="unknown", retry_after_ms=None) from error
        raise ExecutionLost

    async def _count(self, calls: Sequence[OpenExecution]) -> Sequence[int | None]:
        slots = [slot_of(call.execution_id) for call in calls]
        found = await self._gateway.fetch(
            self._statements.select_execution_counts,
            {
                **rows.key_columns([call.ref for call in calls]),
                "execution_ids": array_literals.uuids(call.execution_id for call in calls),
                "slots": array_literals.numbers(slots),
                "named_slots": array_literals.numbers(sorted(set(slots))),
            },
        )
        answers: list[int | None] = [None] * len(calls)
        for ordinal, count in found:
            answers[ordinal - 1] = count
        return answers


def _first_day(ref: SessionRef, now: datetime, since: UUID | None) -> int:
    """Return the first day on which the wanted executions can have been admitted and still be kept."""
    days = [day_of(ref.session_id), day_at(now) - SLOTS + 2]
    return max(days if since is None else [*days, day_of(since)])


def _execution_id(call: OpenExecution) -> UUID:
    return call.execution_id


def _key_size(_: object) -> int:
    return _KEY_BYTES
