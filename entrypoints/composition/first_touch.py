"""Moves single sessions when they are called, by the same code as the commands."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from uuid import UUID

import structlog
from attrs import define, field

from domain.functions.ports import FunctionRepository
from domain.takeover.mover import SessionMover
from domain.takeover.moving import Takeover
from domain.takeover.options import TakeoverOptions
from domain.takeover.ownership import Direction
from domain.takeover.passing import OriginUnavailable
from domain.takeover.ports import Holding
from domain.takeover.source import SourceAddress, SourceRefused, SourceUnavailable
from domain.takeover.source_session import Scriptless
from domain.takeover.stages import Stage
from entrypoints.composition.session_moves import TakeoverParts, origin_sessions
from entrypoints.composition.takeover import takeover_policy, with_shared_functions
from entrypoints.settings.settings import Settings

TOUCH_S = 2.0
"""The time of one move. Commands wait longer between a new stage and their first move, so no move is of the old one."""

_CONNECTIONS = 4
_MOVING = frozenset({Holding.FENCING, Holding.RETURNING})

_log = structlog.get_logger(__name__)


@define(eq=False)
class FirstTouch:
    """Moves one session on; without TAKEOVER_SOURCE_URL it moves none. Calls for one session share one move."""

    _settings: Settings
    _parts: TakeoverParts
    _functions: FunctionRepository
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)
    _mover: tuple[UUID, SessionMover] | None = field(default=None, init=False)
    _opening: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _moving: "dict[UUID, asyncio.Task[None]]" = field(factory=dict, init=False)

    async def move(self, session_id: UUID) -> None:
        """Move a session on that is INBOUND in stage ADOPT, FENCING or RETURNING; raises OriginUnavailable."""
        if self._settings.takeover_source_url is None:
            return
        task = self._moving.get(session_id)
        if task is None:
            task = self._moving[session_id] = asyncio.ensure_future(self._move(session_id))
            task.add_done_callback(partial(self._ended, session_id))
        await asyncio.shield(task)

    def _ended(self, session_id: UUID, task: "asyncio.Task[None]") -> None:
        """Forget a move; its failure was logged, also if no caller waits for it any more."""
        del self._moving[session_id]
        if not task.cancelled():
            task.exception()

    async def close(self) -> None:
        """End the moves that are under way, and close the connections."""
        for task in list(self._moving.values()):
            task.cancel()
        await asyncio.gather(*self._moving.values(), return_exceptions=True)
        await self._stack.aclose()

    async def _move(self, session_id: UUID) -> None:
        try:
            async with asyncio.timeout(TOUCH_S):
                await self._settled(session_id)
        except (SourceUnavailable, SourceRefused, TimeoutError) as error:
            _log.warning("session_not_moved", request_id=str(session_id), reason=str(error))
            raise OriginUnavailable(str(error), executed="no") from error

    async def _settled(self, session_id: UUID) -> None:
        takeover = await self._parts.store.takeover()
        if takeover is None:
            return
        mover = await self._mover_of(takeover)
        holding = (await self._parts.returns.held([session_id]))[session_id].holding
        if holding is Holding.INBOUND and takeover.stage is Stage.ADOPT:
            await mover.take([session_id])
        elif holding in _MOVING:
            await mover.settle([session_id], Direction.THERE if takeover.stage is Stage.BACK else Direction.HERE)

    async def _mover_of(self, takeover: Takeover) -> SessionMover:
        """Return the mover of the takeover; another takeover than before needs connections with another fence."""
        async with self._opening:
            if self._mover is None or self._mover[0] != takeover.takeover_id:
                await self._stack.aclose()
                self._mover = takeover.takeover_id, await self._opened(takeover)
            return self._mover[1]

    async def _opened(self, takeover: Takeover) -> SessionMover:
        assert self._settings.takeover_source_url is not None
        options = TakeoverOptions.of(takeover.options)
        policy = takeover_policy(self._settings, options)
        if options.scriptless is Scriptless.PIN:
            policy = await with_shared_functions(policy, self._functions)
        redis = self._settings.takeover_redis_url
        address = SourceAddress(
            self._settings.takeover_source_url.reveal(),
            self._settings.takeover_source_schema,
            cache_url=None if redis is None else redis.reveal(),
        )
        sessions = origin_sessions(address, takeover.takeover_id, policy, connections=_CONNECTIONS)
        return self._parts.mover(await self._stack.enter_async_context(sessions), takeover)
