"""The claim of one command to move the sessions of a takeover."""

from collections.abc import Callable
from datetime import timedelta

from attrs import define, field

from domain.clock import Clock, MonotonicClock
from domain.takeover.mover_ports import TakeoverClaim, TakeoverClaims
from domain.takeover.stages import NO_TAKEOVER, TakeoverRefused

CLAIM = timedelta(seconds=20)
"""After a kill on another machine, the next command waits for at most this long."""

_RENEWED_AFTER_NS = 5_000_000_000


@define(eq=False)
class Claim:
    """Keeps other commands away. It has an end, so that a killed command keeps nobody away for long.

    `is_dead` tells whether a holder is a process of this machine that has ended. Its claim is over at once.
    """

    _claims: TakeoverClaims
    _clock: Clock
    _monotonic: MonotonicClock
    _holder: str
    _is_dead: Callable[[str], bool]
    _renewed_ns: int = field(default=0, init=False)

    async def take(self) -> None:
        """Claim the takeover; raises TakeoverRefused if another command holds it, or if there is no takeover."""
        held = await self._hold()
        if held.holder != self._holder and self._is_dead(held.holder):
            await self._claims.leave(held.holder)
            held = await self._hold()
        self._require(held)

    async def keep(self) -> None:
        """Renew the claim if that is due; raises TakeoverRefused if another command has taken it over."""
        if self._monotonic() - self._renewed_ns > _RENEWED_AFTER_NS:
            self._require(await self._hold())

    async def leave(self) -> None:
        """End the claim."""
        await self._claims.leave(self._holder)

    async def _hold(self) -> TakeoverClaim:
        self._renewed_ns = self._monotonic()
        now = self._clock.now()
        held = await self._claims.hold(self._holder, now, now + CLAIM)
        if held is None:
            raise TakeoverRefused(NO_TAKEOVER)
        return held

    def _require(self, held: TakeoverClaim) -> None:
        if held.holder != self._holder:
            raise TakeoverRefused(
                f"Another command moves sessions of this takeover now: {held.holder}. Wait for its end. If it was "
                f"killed on another machine, its claim ends at {held.until:%Y-%m-%dT%H:%M:%SZ}."
            )
