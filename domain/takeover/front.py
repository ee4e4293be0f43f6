"""Which side serves a call that arrives at the origin's old address."""

import asyncio
import contextlib
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.clock import MonotonicClock
from domain.concurrency.budget import Budget
from domain.errors import Unavailable
from domain.takeover.passing import OriginUnavailable
from domain.takeover.ports import Holding, Ownership
from domain.takeover.stages import Stage

STAGE_READ_EACH_S = 1.0
STAGE_TRUSTED_S = 2.0
"""How long a stage counts after it was read; commands that change it wait longer before they move a session."""

_NS_PER_S = 1_000_000_000
_OWN_VERSION = 7
"""The ids of this service are UUIDv7. Those of the origin are version 4, or were made by hand."""


class Side(StrEnum):
    """Who serves a call."""

    HERE = "here"
    ORIGIN = "origin"


_MOVING = frozenset({Holding.FENCING, Holding.RETURNING})
_SERVED_BY: Mapping[Holding, Side] = {
    Holding.SERVED: Side.HERE,
    Holding.INBOUND: Side.ORIGIN,
    Holding.RETURNED: Side.ORIGIN,
}
"""The side that serves a session about which this service has stored something, and which does not move."""

_MOVED = frozenset({Stage.ADOPT, Stage.BACK})
"""The stages in which sessions move. In the others it is rare that this service owns one that the origin has made."""

_CREATING = frozenset({Stage.OPEN, Stage.ADOPT, Stage.FINISHED})
"""The stages in which this service creates sessions, and lists functions."""


@define(eq=False)
class SessionMoving(Unavailable):
    """The session moves from one side to the other, and that takes longer than the call may wait."""

    code: ClassVar[str] = "SESSION_MOVING"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return (
            "The session moves between the origin and this service, which took longer than REQUEST_TIMEOUT_MS. Nothing "
            "was done. Repeat the call after a moment."
        )


@define(eq=False)
class StageUnknown(Unavailable):
    """The stage of the takeover was not read in time, so a session may have moved."""

    code: ClassVar[str] = "STAGE_UNKNOWN"
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return (
            f"The database has not told the stage of the takeover for {STAGE_TRUSTED_S:g} s. So it is not known who "
            "serves this call, and nothing was done. Repeat it after a moment."
        )


@define(eq=False)
class KnownStage:
    """The stage as this process knows it: what `run`, or a call that came late, has read within the last 2 s."""

    _ownership: Ownership
    _monotonic: MonotonicClock
    _stage: Stage = field(default=Stage.LOOK, init=False)
    _read_at_ns: int | None = field(default=None, init=False)
    _reading: "asyncio.Future[bool] | None" = field(default=None, init=False)

    @property
    def known(self) -> Stage | None:
        """The stage; None if it was not read in time."""
        is_late = self._read_at_ns is None or self._monotonic() - self._read_at_ns > STAGE_TRUSTED_S * _NS_PER_S
        return None if is_late else self._stage

    async def current(self) -> Stage:
        """Return the stage; raises StageUnknown.

        A late one is read again first: a start may take longer than 2 s, and a busy process reads late.
        """
        if self.known is None:
            await self.read()
        stage = self.known
        if stage is None:
            raise StageUnknown
        return stage

    async def read(self) -> bool:
        """Read the stage, once for all who wait for it; return whether that succeeded."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> bool:
        asked_at_ns = self._monotonic()
        try:
            self._stage = await self._ownership.stage()
        except Unavailable:
            return False
        self._read_at_ns = asked_at_ns
        return True

    async def run(self) -> None:
        """Read the stage each second, and sooner after a failure; never returns."""
        while True:
            is_read = await self.read()
            await asyncio.sleep(STAGE_READ_EACH_S if is_read else STAGE_READ_EACH_S / 10)


@frozen
class FrontPolicy:
    """How long a call waits for a session that moves, how often it looks, and at which looks it moves it on itself."""

    wait_s: float
    look_each_s: float = 0.01
    settle_each_looks: int = 50


@define(eq=False)
class Front:
    """Decides for each call who serves it, by the stage and by what is stored about its session.

    Every method may raise StageUnknown, StorageUnavailable or Overloaded; then nothing was done for the call.
    """

    _ownership: Ownership
    _stage: KnownStage
    _policy: FrontPolicy

    async def side_of_new(self) -> Side:
        """Return who creates a session now, and lists functions."""
        return Side.HERE if await self._stage.current() in _CREATING else Side.ORIGIN

    async def side_of_rest(self) -> Side:
        """Return who responds to paths that this service does not have, and creates sessions that it cannot run."""
        return Side.HERE if await self._stage.current() is Stage.FINISHED else Side.ORIGIN

    async def side_of(self, session_id: UUID | None) -> Side:
        """Return who serves a session; None is an id that is no UUID. Raises SessionMoving.

        A session that moves is waited for. In stage ADOPT a session that was copied moves here at its first call. An id
        of this service is not looked up: if it was returned to the origin, it is not found here; see `side_after`.
        """
        stage = await self._stage.current()
        if stage is Stage.FINISHED:
            return Side.HERE
        if session_id is None or (session_id.version != _OWN_VERSION and stage not in _MOVED):
            return Side.ORIGIN
        return Side.HERE if session_id.version == _OWN_VERSION else await self._look(session_id, stage)

    async def side_after(self, session_id: UUID | None, missed_by: Side) -> Side:
        """Return who serves a session that one side did not find: it may have moved during the call, and nothing ran.

        Before `open` this service may have sessions of an earlier takeover. Raises SessionMoving.
        """
        stage = await self._stage.current()
        if session_id is None or stage is Stage.FINISHED:
            return missed_by
        return await self._look(session_id, stage)

    async def _look(self, session_id: UUID, stage: Stage) -> Side:
        look = self._settled(session_id, moves_here=stage is Stage.ADOPT)
        holding = await Budget(self._policy.wait_s).spend(look, SessionMoving)
        made_by = Side.HERE if session_id.version == _OWN_VERSION else Side.ORIGIN
        return _SERVED_BY.get(holding, made_by)

    async def _settled(self, session_id: UUID, *, moves_here: bool) -> Holding:
        """Return what is stored about a session once it does not move; the first touch moves it here."""
        looks = 0
        while True:
            holding = await self._ownership.of(session_id)
            looks += 1
            is_untouched = looks == 1 and moves_here and holding is Holding.INBOUND
            if not is_untouched and holding not in _MOVING:
                return holding
            if is_untouched or looks % self._policy.settle_each_looks == 0:
                with contextlib.suppress(OriginUnavailable):
                    await self._ownership.settle(session_id)
            if holding in _MOVING:
                await asyncio.sleep(self._policy.look_each_s)
