"""Ends executions that can no longer begin, or whose end was not recorded in time."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define, field, frozen, validators

from adapters.postgres import codec
from adapters.postgres.codec import PARTITIONS, day_at
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.reports import error_text, report_text
from adapters.postgres.statements.queue import QueueSweepStatements
from adapters.random_ids import RandomIds
from domain.clock import IdGenerator
from domain.queue.state import CANCELLED, EXPIRED

EntryIds = tuple[Any, ...]
"""A session and its execution."""


@frozen
class QueueLimits:
    """What one statement examines: turns, rows of each turn, rows and entries of a page; and how many entries it ends.

    It moves about `bytes_max` of params to another table.

    A claim that finds nothing goes on with the next turns, up to `walks_max` statements in all. Cleanup looks at fewer
    rows of more turns.
    """

    turns_max: int = field(default=256, validator=validators.ge(1))
    walks_max: int = field(default=4, validator=validators.ge(1))
    blocking_turns_max: int = field(default=1000, validator=validators.ge(1))
    rows_max: int = field(default=1000, validator=validators.ge(1))
    page_rows_max: int = field(default=1000, validator=validators.ge(1))
    page_entries_max: int = field(default=10_000, validator=validators.ge(1))
    blocking_rows_max: int = field(default=50, validator=validators.ge(1))
    ended_max: int = field(default=500, validator=validators.ge(1))
    bytes_max: int = field(default=4 * 1024 * 1024, validator=validators.ge(1))


@define(eq=False)
class EntryEnder:
    """Finds executions, and ends those that no other transaction has locked; each statement examines a bounded number.

    Every method returns how many have ended, and may raise StorageUnavailable or Overloaded.
    """

    _gateway: Gateway
    _statements: QueueSweepStatements
    _bounds: QueueLimits = field(factory=QueueLimits)
    _ids: IdGenerator = field(factory=RandomIds)

    async def end(self, entries: Sequence[EntryIds], now: datetime) -> int:
        """End those of the entries that can no longer run."""
        ended = 0
        while ended < len(entries):
            found = await self._end(entries, now)
            if not found:  # the others are locked, or can run
                break
            ended += found
        return ended

    async def _end(self, entries: Sequence[EntryIds], now: datetime) -> int:
        named = {
            "request_ids": codec.uuids(session_id for session_id, _ in entries),
            "execution_ids": codec.uuids(execution_id for _, execution_id in entries),
            "bytes_max": self._bounds.bytes_max,
            "now": now,
            "cancelled": report_text(CANCELLED),
            "expired": report_text(EXPIRED),
            "cancelled_error": error_text(CANCELLED.failure),
            "expired_error": error_text(EXPIRED.failure),
        }
        ((ended,),) = await self._found(self._statements.end_entries, named)
        return int(ended)

    async def end_of(self, session_id: UUID, now: datetime) -> int:
        """End entries of a session."""
        named = {"request_id": session_id, "now": now, "rows_max": self._bounds.ended_max}
        return await self.end(await self._found(self._statements.select_entries_of, named), now)

    async def end_expired(self, now: datetime, rows_max: int) -> int:
        """End entries past their expiry, the earliest first."""
        named = {"now": now, "rows_max": rows_max}
        return await self.end(await self._found(self._statements.select_expired_entries, named), now)

    async def end_blocking(self, now: datetime, rows_max: int) -> int:
        """End entries of closed sessions that claims examine in vain."""
        bounds = {"turns_max": self._bounds.blocking_turns_max, "rows_max": self._bounds.blocking_rows_max}
        named = {"now": now, "ended_max": rows_max, **bounds}
        return await self.end(await self._found(self._statements.select_blocking_entries, named), now)

    async def end_overdue(self, now: datetime, rows_max: int, execution_id: UUID | None = None) -> int:
        """End open executions past their deadline as unknown, any or one of them."""
        next_ids = [self._ids.new(now) for _ in range(rows_max)]
        ((ended,),) = await self._found(
            self._statements.move_overdue_executions,
            {
                "now": now,
                "rows_max": rows_max,
                "execution_id": execution_id,
                "next_ids": codec.uuids(next_ids),
                "next_partition": day_at(now) % PARTITIONS,
                "jitters": codec.numbers(random.random() for _ in next_ids),  # noqa: S311  # keeps attempts apart
            },
        )
        return int(ended)

    async def _found(self, statement: Statement, parameters: Mapping[str, object]) -> list[EntryIds]:
        return await self._gateway.fetch(statement, parameters)
