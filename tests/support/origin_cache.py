"""A cache of the origin that is a dictionary, and a table that is corrected by it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define, field

from domain.takeover.cache_ports import OriginCache, OriginRepairs
from domain.takeover.cached import ExecutionCount
from domain.takeover.source_session import SourceSession
from tests.unit.takeover.world import OriginRow, SimulatedOrigin

_TITLE_MAX = 128


@define
class ManualCache(OriginCache):
    """`others` has values that somebody stores just before the next removal."""

    values: dict[str, str] = field(factory=dict)
    lives_s: dict[str, int] = field(factory=dict)
    others: list[Mapping[str, str]] = field(factory=list)
    failure: Exception | None = None

    async def get(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {each: self.values[each] for each in ids if each in self.values}

    async def require_writable(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def remove(self, values: Mapping[str, str]) -> Sequence[str]:
        if self.others:
            self.values |= self.others.pop(0)
        for each, value in values.items():
            if self.values.get(each) == value:
                del self.values[each]
        return [each for each in values if each in self.values]

    async def put(self, values: Mapping[str, str], lives_s: Mapping[str, int]) -> None:
        self.values |= values
        self.lives_s |= lives_s

    async def count(self, keys_max: int) -> int:
        return min(len(self.values), keys_max)

    async def ids(self) -> AsyncIterator[Sequence[str]]:
        yield list(self.values)


@define
class ManualRepairs(OriginRepairs):
    """Changes the rows of a simulated origin, which refuses those in its `refused`, and titles that are too long."""

    origin: SimulatedOrigin
    has_trigger: bool = False

    async def now(self) -> datetime:
        return self.origin.clock.now()

    async def runs_ahead(self) -> bool:
        return self.has_trigger

    async def executions(self, ids: Sequence[str]) -> Mapping[str, ExecutionCount]:
        found = {each: self.origin.rows.get(UUID(each)) for each in ids}
        return {each: ExecutionCount(row.count, row.last_executed_at) for each, row in found.items() if row is not None}

    async def correct(self, executions: Mapping[str, ExecutionCount]) -> None:
        for each, executed in executions.items():
            row = self.origin.rows[UUID(each)]
            row.count, row.last_executed_at = executed.count, executed.last_at

    async def add(self, rows: Sequence[SourceSession]) -> Sequence[str]:
        for row in rows:
            if UUID(row.request_id) not in self.origin.refused and len(row.language_title) <= _TITLE_MAX:
                assert row.created_at is not None
                assert row.expires_at is not None
                made = OriginRow(row.created_at, row.expires_at, row.execution_count or 0, row.last_executed_at)
                self.origin.rows.setdefault(UUID(row.request_id), made)
        return [row.request_id for row in rows if UUID(row.request_id) in self.origin.rows]
