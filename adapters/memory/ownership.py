"""The side that owns a session, by a takeover in memory."""

from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.takeover.moving import TakenState
from domain.takeover.ports import Holding, Ownership
from domain.takeover.stages import Stage


@define(eq=False)
class MemoryOwnership(Ownership):
    """Reads the fake store; `settled` are the sessions that were to be moved on."""

    _store: MemoryStore
    _takeovers: MemoryTakeoverStore
    settled: list[UUID] = field(factory=list, init=False)

    @override
    async def stage(self) -> Stage:
        takeover = await self._takeovers.takeover()
        return Stage.LOOK if takeover is None else takeover.stage

    @override
    async def of(self, session_id: UUID) -> Holding:
        for taken in await self._takeovers.taken([session_id]):
            return Holding.SERVED if taken.state is TakenState.OWNED else Holding(taken.state)
        if session_id in self._store.sessions:
            return Holding.SERVED
        return Holding.INBOUND if await self._takeovers.inbound([session_id]) else Holding.UNKNOWN

    @override
    async def settle(self, session_id: UUID) -> None:
        self.settled.append(session_id)
