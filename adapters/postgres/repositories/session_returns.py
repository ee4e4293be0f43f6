"""Stores which sessions return to the origin, what the origin counted late, and which command moves sessions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.takeover import inbound_of, taken_of
from adapters.postgres.statements.takeover import SessionReturnStatements
from domain.takeover.mover_ports import (
    Held,
    LateCount,
    OutgoingSession,
    ReturnCensus,
    ReturnStore,
    TakeoverClaim,
    TakeoverClaims,
)
from domain.takeover.moving import TakenSession
from domain.takeover.ports import Holding


@define(eq=False)
class PostgresReturnStore(ReturnStore, TakeoverClaims):
    """Every method is one statement, except `outgoing`, which first waits for begins in progress."""

    _gateway: Gateway
    _statements: SessionReturnStatements

    @override
    async def hold(self, holder: str, now: datetime, until: datetime) -> TakeoverClaim | None:
        parameters = {"holder": holder, "now": now, "until": until}
        rows = await self._gateway.fetch(self._statements.hold_takeover, parameters)
        return TakeoverClaim(*rows[0]) if rows else None

    @override
    async def leave(self, holder: str) -> None:
        await self._gateway.fetch(self._statements.leave_takeover, {"holder": holder})

    @override
    async def held(self, ids: Sequence[UUID]) -> Mapping[UUID, Held]:
        rows = await self._gateway.fetch(self._statements.select_held, _named(ids))
        return {session_id: Held(Holding(holding), known_at) for session_id, holding, known_at in rows}

    @override
    async def returnable(self, now: datetime, after: UUID | None, size: int) -> Sequence[UUID]:
        parameters = {"now": now, "after": after, "rows_max": size}
        return [row[0] for row in await self._gateway.fetch(self._statements.select_returnable, parameters)]

    @override
    async def user_ids(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        return dict(await self._gateway.fetch(self._statements.select_user_ids, _named(ids)))

    @override
    async def census(self, now: datetime) -> ReturnCensus:
        (numbers,) = await self._gateway.fetch(self._statements.select_return_census, {"now": now})
        return ReturnCensus(*numbers)

    @override
    async def close(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        parameters = {**_named(ids), "now": now}
        return [row[0] for row in await self._gateway.fetch(self._statements.close_sessions, parameters)]

    @override
    async def divert(self, ids: Sequence[UUID], now: datetime) -> None:
        await self._gateway.fetch(self._statements.divert_sessions, {**_named(ids), "now": now})

    @override
    async def outgoing(self, ids: Sequence[UUID]) -> Sequence[OutgoingSession]:
        await self._gateway.fetch(self._statements.await_begins, {})
        return [_outgoing(row) for row in await self._gateway.fetch(self._statements.select_outgoing, _named(ids))]

    @override
    async def release(self, ids: Sequence[UUID], now: datetime) -> None:
        await self._gateway.fetch(self._statements.release_sessions, {**_named(ids), "now": now})

    @override
    async def reopen(self, ids: Sequence[UUID]) -> None:
        await self._gateway.fetch(self._statements.reopen_sessions, _named(ids))

    @override
    async def unsettled(self, owned_before: datetime, after: UUID | None, size: int) -> Sequence[TakenSession]:
        parameters = {"owned_before": owned_before, "after": after, "rows_max": size}
        return [taken_of(row) for row in await self._gateway.fetch(self._statements.select_unsettled, parameters)]

    @override
    async def add_late(self, counts: Sequence[LateCount]) -> int:
        parameters = {
            **_named(each.session_id for each in counts),
            "counts": codec.numbers(each.count for each in counts),
            "lasts": codec.instants(each.last_executed_at for each in counts),
        }
        ((added,),) = await self._gateway.fetch(self._statements.add_late_counts, parameters)
        return int(added)


def _named(ids: Iterable[UUID]) -> dict[str, object]:
    return {"request_ids": codec.uuids(ids)}


def _outgoing(row: tuple[Any, ...]) -> OutgoingSession:
    session_id, is_executing, is_stored, *columns = row
    content = inbound_of(tuple(columns)) if is_stored else None
    if content is not None and content.script is None:
        content = None
    return OutgoingSession(session_id, is_executing, is_stored, content)
