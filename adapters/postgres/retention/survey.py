"""Facts about the storage, for operators."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, evolve

from adapters.postgres.clock.probe import AT_HOME
from adapters.postgres.codec import PARTITIONS, day_number
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.catalogue import Statements
from domain.identity import uuid7_at, uuid7_time
from domain.storage.growth import StorageFacts
from domain.storage.storage import Part, Stored

_SAMPLE_MAX = 1000
"""The mean lifetime is taken over this many of the newest sessions, and of those that were taken over."""
_DAY = timedelta(days=1)


@define(eq=False)
class StorageSurvey:
    """Reads sizes, oldest rows and lifetimes; each statement reads a bounded number of rows.

    Of the sessions that were taken over, a sample shows how old they are and how long they live.
    """

    _gateway: Gateway
    _statements: Statements
    _session_retention: timedelta
    _history_days: int
    _key_lifetime: timedelta
    _audit_days: int
    _buckets: Sequence[Gateway] = ()
    """The gateways of further buckets."""

    async def facts(self) -> StorageFacts:
        """Return the facts of all buckets as of the database's time; raises StorageUnavailable or Overloaded."""
        ((now, *_),) = await self._gateway.fetch(self._statements.clock.select_clock, AT_HOME)
        buckets = [self, *(evolve(self, gateway=each, buckets=()) for each in self._buckets)]
        return StorageFacts.together([await each.facts_at(now) for each in buckets])

    async def facts_at(self, now: datetime) -> StorageFacts:
        """Return the facts of the first bucket alone; raises as `facts`."""
        stored = await StorageGauge(self._gateway, self._statements.storage).stored()
        newest = uuid7_at(now + _DAY, 0)
        spans = await self._session_spans(newest)
        return StorageFacts(
            stored=stored,
            measured_at=now,
            oldest=await self._oldest(stored, newest, [created_at for created_at, _ in spans]),
            session_days=self._session_days(spans),
            history_days=self._history_days,
            key_days=self._key_lifetime / _DAY,
            audit_days=self._audit_days,
        )

    async def _oldest(self, stored: Stored, newest: UUID, sampled: Sequence[datetime]) -> Mapping[Part, datetime]:
        storage = self._statements.storage
        session = await self._first(storage.select_oldest_session, newest=newest)
        oldest_open = await self._first(storage.select_oldest_open_execution)
        ended = await self._oldest_ended(stored)
        expiry = await self._first(storage.select_oldest_key_expiry)
        act = await self._first(storage.select_oldest_act)
        found = {
            Part.SESSIONS: min([*sampled, *([uuid7_time(session)] if session else [])], default=None),
            Part.OPEN_EXECUTIONS: oldest_open and uuid7_time(oldest_open),
            Part.HISTORY: ended and uuid7_time(ended),
            Part.AUDIT: act and uuid7_time(act),
            Part.IDEMPOTENCY_KEYS: expiry and expiry - self._key_lifetime,
        }
        return {part: at for part, at in found.items() if at is not None}

    async def _oldest_ended(self, stored: Stored) -> Any:
        if not stored.history:
            return None
        partition = day_number(stored.history[0].day) % PARTITIONS
        return await self._first(self._statements.storage.select_oldest_execution, partition=partition)

    async def _first(self, statement: Statement, **facts: object) -> Any:
        rows = await self._gateway.fetch(statement, facts)
        return rows[0][0] if rows else None

    async def _session_spans(self, newest: UUID) -> Sequence[tuple[datetime, datetime]]:
        """Return the creation and the expiry of sampled sessions."""
        sample = {"newest": newest, "rows_max": _SAMPLE_MAX}
        rows = await self._gateway.fetch(self._statements.storage.select_session_sample, sample)
        return [(created_at or uuid7_time(session_id), expires_at) for session_id, created_at, expires_at in rows]

    def _session_days(self, spans: Sequence[tuple[datetime, datetime]]) -> float | None:
        """Return how many days sessions stay: their mean lifetime and the retention after it."""
        if not spans:
            return None
        lives = [expires_at - created_at for created_at, expires_at in spans]
        return (sum(lives, timedelta()) / len(lives) + self._session_retention) / _DAY
