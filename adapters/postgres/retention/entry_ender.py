"""Ends entries of the queue that can no longer run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define, field, frozen, validators

from adapters.postgres import codec
from adapters.postgres.connections.connection import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.reports import error_text, report_text
from adapters.postgres.statements import QueueEndStatements
from domain.queue.entry import CANCELLED, EXPIRED

EntryIds = tuple[Any, ...]
"""A session and its execution."""


@frozen
class QueueLimits:
    """What one statement examines: turns, rows of each turn, rows of a page; and how many entries it ends.

    Cleanup looks at fewer rows of a turn than a claim: it looks at all turns.
    """

    turns_max: int = field(default=64, validator=validators.ge(1))
    rows_max: int = field(default=1000, validator=validators.ge(1))
    page_rows_max: int = field(default=1000, validator=validators.ge(1))
    blocking_rows_max: int = field(default=50, validator=validators.ge(1))
    ended_max: int = field(default=500, validator=validators.ge(1))


@define(eq=False)
class EntryEnder:
    """Finds entries, and ends those that no other transaction has locked; each statement examines a bounded number.

    Every method returns how many entries have ended, and may raise StorageUnavailable or Overloaded.
    """

    _gateway: Gateway
    _statements: QueueEndStatements
    _bounds: QueueLimits = field(factory=QueueLimits)

    async def end(self, entries: Sequence[EntryIds], now: datetime) -> int:
        """End those of the entries that can no longer run."""
        if not entries:
            return 0
        named = {
            "request_ids": codec.uuids(session_id for session_id, _ in entries),
            "execution_ids": codec.uuids(execution_id for _, execution_id in entries),
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
        bounds = {"turns_max": self._bounds.turns_max, "rows_max": self._bounds.blocking_rows_max}
        named = {"now": now, "ended_max": rows_max, **bounds}
        return await self.end(await self._found(self._statements.select_blocking_entries, named), now)

    async def _found(self, statement: Statement, parameters: Mapping[str, object]) -> list[EntryIds]:
        return await self._gateway.fetch(statement, parameters)
