"""Reads which side owns a session."""

from collections.abc import Awaitable, Callable
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.takeover import TakeoverStatements
from domain.takeover.ports import Holding, Ownership
from domain.takeover.stages import Stage


@define(eq=False)
class PostgresOwnership(Ownership):
    """Each look is one statement. `settle_session` moves a session on."""

    _gateway: Gateway
    _statements: TakeoverStatements
    _settle_session: Callable[[UUID], Awaitable[object]]

    @override
    async def stage(self) -> Stage:
        rows = await self._gateway.fetch(self._statements.select_stage, {})
        return Stage(rows[0][0]) if rows else Stage.LOOK

    @override
    async def of(self, session_id: UUID) -> Holding:
        ((holding,),) = await self._gateway.fetch(self._statements.select_holding, {"request_id": session_id})
        return Holding(holding)

    @override
    async def settle(self, session_id: UUID) -> None:
        await self._settle_session(session_id)
