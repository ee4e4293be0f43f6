"""What owners have executed, in PostgreSQL."""

from collections.abc import Sequence
from datetime import date, datetime

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import UsageStatements
from domain.idempotency import NO_SESSION
from domain.identity import EVERY_OWNER, Owner, uuid7_time
from domain.usage import ExecutionCounts, UsedDay

NOT_COUNTED = NO_SESSION
"""The progress before the first count: every execution is behind the nil UUID."""


@define(eq=False)
class PostgresExecutionCounts(ExecutionCounts):
    """Reads `meta.usage`, which the cleanup counts."""

    _gateway: Gateway
    _statements: UsageStatements

    @override
    async def counted_until(self, owner: Owner = EVERY_OWNER) -> datetime | None:
        ((progress,),) = await self._gateway.fetch(self._statements.select_usage_progress, {})
        return None if progress == NOT_COUNTED else uuid7_time(progress)

    @override
    async def days(self, owners: Sequence[Owner], since: date) -> Sequence[Sequence[UsedDay]]:
        found = await self._gateway.fetch(
            self._statements.select_usage_days, {"owners": codec.texts(owners), "day_from": since}
        )
        days: list[list[UsedDay]] = [[] for _ in owners]
        for ordinal, *used in found:
            days[ordinal - 1].append(UsedDay(*used))
        return days

    @override
    async def owners(self, after: Owner, size: int) -> Sequence[Owner]:
        found = await self._gateway.fetch(self._statements.select_owners, {"after": after, "rows_max": size})
        return [Owner(owner) for (owner,) in found]

    @override
    async def in_order(self, owners: Sequence[Owner]) -> Sequence[Owner]:
        found = await self._gateway.fetch(self._statements.sort_owners, {"owners": codec.texts(owners)})
        return [Owner(owner) for (owner,) in found]
