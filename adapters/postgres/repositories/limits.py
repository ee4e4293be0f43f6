"""Rates and usage of owners in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import LimitStatements
from domain.identity import Owner
from domain.limits.ports import (
    OwnerHoldings,
    OwnerUsage,
    RateCharge,
    RateStore,
    ReservationChange,
    ReservationStore,
    UsageReader,
)
from domain.limits.reservation import Reserved
from domain.scripts.language import Language

_START = (Owner(""), "")
"""Sorts before every owner."""

_NOTHING = Reserved()
"""Of a row that another process has inserted since the statement began."""

_LANGUAGES = codec.texts(Language)


@define(eq=False)
class PostgresRateStore(RateStore):
    """Stores rates in `meta.rates`, one row for each owner and policy."""

    _gateway: Gateway
    _statements: LimitStatements
    _examined_max: int = 1000

    @override
    async def settle(self, charges: Sequence[RateCharge]) -> Sequence[datetime]:
        # Not retried by itself: it would charge twice.
        found = await self._gateway.fetch(
            self._statements.settle_rates,
            {
                "owners": codec.texts(charge.owner for charge in charges),
                "policies": codec.texts(charge.policy for charge in charges),
                "firsts_at": codec.instants(charge.first_at for charge in charges),
                "spents": codec.intervals(charge.spent for charge in charges),
            },
            repeatable=False,
        )
        full_at = {(owner, policy): instant for owner, policy, instant in found}
        return [full_at[charge.owner, charge.policy] for charge in charges]

    @override
    async def balances(self, owners: Sequence[Owner]) -> Mapping[tuple[Owner, str], datetime]:
        found = await self._gateway.fetch(self._statements.select_rates, {"owners": codec.texts(owners)})
        return {(Owner(owner), policy): instant for owner, policy, instant in found}

    @override
    async def forget(self, full_before: datetime, after: tuple[Owner, str] | None) -> tuple[Owner, str] | None:
        owner, policy = after or _START
        found = await self._gateway.fetch(
            self._statements.forget_rates,
            {
                "full_before": full_before,
                "after_owner": owner,
                "after_policy": policy,
                "rows_max": self._examined_max,
            },
        )
        if not found or found[0][2] < self._examined_max:
            return None
        return Owner(found[0][0]), found[0][1]


@define(eq=False)
class PostgresReservationStore(ReservationStore):
    """Stores what is reserved in `meta.rates`, one row for each owner and limit; `forget` of the rates removes it."""

    _gateway: Gateway
    _statements: LimitStatements

    @override
    async def reserve(self, changes: Sequence[ReservationChange]) -> Sequence[Reserved]:
        reserved = [each.proposal.reserved for each in changes]
        found = await self._gateway.fetch(
            self._statements.reserve_parts,
            {
                "owners": codec.texts(each.owner for each in changes),
                "limits": codec.texts(each.limit for each in changes),
                "replaced": codec.numbers(each.proposal.replaced for each in changes),
                "versions": codec.numbers(each.version for each in reserved),
                "slots": codec.numbers(each.slot for each in reserved),
                "reserved": codec.numbers(each.amount for each in reserved),
                "reserved_before": codec.numbers(each.amount_before for each in reserved),
                "expiries": codec.instants(datetime.fromtimestamp(each.expires_at_s, UTC) for each in reserved),
            },
        )
        stored = {(owner, limit): Reserved(*row) for owner, limit, *row in found}
        return [stored.get((each.owner, each.limit), _NOTHING) for each in changes]


@define(eq=False)
class PostgresUsageReader(UsageReader):
    """Counts by the indexes of owners; it examines at most `examined_max` rows of a kind of each owner."""

    _gateway: Gateway
    _statements: LimitStatements
    _examined_max: int = 20_000

    @override
    async def usage(
        self, owners: Sequence[Owner], now: datetime, examined_max: int | None = None
    ) -> Sequence[OwnerUsage]:
        rows_max = self._examined_max if examined_max is None else examined_max
        asked = {"owners": codec.texts(owners), "languages": _LANGUAGES, "now": now, "rows_max": rows_max}
        found = await self._gateway.fetch(self._statements.select_usage, asked)
        return [OwnerUsage(live, stored, examined < rows_max) for live, stored, examined in found]

    @override
    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        found = await self._gateway.fetch(
            self._statements.select_open_executions, {"owners": codec.texts(owners), "now": now}
        )
        count: dict[str, int] = dict(found)
        return [count.get(owner, 0) for owner in owners]

    @override
    async def holdings(self, owners: Sequence[Owner], queued_max: int) -> Sequence[OwnerHoldings]:
        found = await self._gateway.fetch(
            self._statements.select_holdings,
            {"owners": codec.texts(owners), "languages": _LANGUAGES, "queued_max": queued_max},
        )
        return [OwnerHoldings(*row) for row in found]
