"""The slots of sessions, which executions of this process take in the order of their arrival."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from attrs import define, field

from domain.clock import Clock, Jitter
from domain.histogram import Histogram
from domain.identity import SessionRef
from domain.states.ports import StateRepository
from domain.states.state import SessionState, SlotClaim, StateTaken

_PAUSE_S = 0.005
_PAUSE_MAX_S = 0.04
WAITS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
SIZES = (256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0)


@define(eq=False)
class _Turn:
    """Who of this process has the turn of a session, and who waits for it."""

    holder: UUID
    waiting: deque[tuple[UUID, "asyncio.Future[None]"]] = field(factory=deque)


@define(eq=False)
class StateStats:
    """Waits in vain, executions that lost their slot, and histograms of waits and of the sizes of saved states."""

    conflicts: int = 0
    lost: int = 0
    waits_s: Histogram = field(factory=lambda: Histogram(WAITS_S))
    sizes: Histogram = field(factory=lambda: Histogram(SIZES))


@define(eq=False)
class StateSlots:
    """Lets one execution of this process at a time ask for the slot of a session.

    So those of one process get it first come, first served. Those of several processes poll, with pauses that grow from
    5 to 40 ms. A wait ends after `wait_s`.
    """

    _states: StateRepository
    _clock: Clock
    _jitter: Jitter
    wait_s: float
    stats: StateStats = field(factory=StateStats, init=False)
    _turns: dict[UUID, _Turn] = field(factory=dict, init=False)

    async def read(self, ref: SessionRef) -> SessionState:
        """Return the state without the slot; raises what StateRepository.read raises."""
        return await self._states.read(ref, self._clock.now())

    @asynccontextmanager
    async def hold(self, claim: SlotClaim, wait_s: float | None = None) -> AsyncIterator[SessionState]:
        """Hold the slot for an execution, and yield the state.

        The slot stays with the execution until its open record is removed. Raises StateTaken if another one holds it
        for longer than the wait, and what StateRepository.take raises.
        """
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        ends_s = since_s + (self.wait_s if wait_s is None else wait_s)
        async with self.turn(claim.ref.session_id, claim.execution_id, ends_s):
            state = await self._taken(claim, ends_s)
            self.stats.waits_s.add(loop.time() - since_s)
            yield state

    @asynccontextmanager
    async def turn(self, session_id: UUID, call_id: UUID, ends_s: float) -> AsyncIterator[None]:
        """Have the turn of a session in this process; raises StateTaken if it does not come by `ends_s` of the loop."""
        found = self._turns.get(session_id)
        if found is None:
            self._turns[session_id] = _Turn(call_id)
        else:
            await self._wait(found, session_id, call_id, ends_s)
        try:
            yield
        finally:
            self._pass_on(session_id)

    async def _wait(self, turn: _Turn, session_id: UUID, call_id: UUID, ends_s: float) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turn.waiting.append((call_id, granted))
        try:
            async with asyncio.timeout_at(ends_s):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self._pass_on(session_id)
            if isinstance(error, TimeoutError):
                self.stats.conflicts += 1
                raise StateTaken(turn.holder) from None
            raise

    def _pass_on(self, session_id: UUID) -> None:
        """Give the turn to the first that still waits."""
        turn = self._turns[session_id]
        while turn.waiting:
            turn.holder, granted = turn.waiting.popleft()
            if not granted.done():
                granted.set_result(None)
                return
        del self._turns[session_id]

    async def _taken(self, claim: SlotClaim, ends_s: float) -> SessionState:
        loop, pause_s = asyncio.get_running_loop(), _PAUSE_S
        while True:
            try:
                return await self._states.take(claim, self._clock.now())
            except StateTaken:
                if loop.time() + pause_s > ends_s:
                    self.stats.conflicts += 1
                    raise
            await self.pause(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def pause(self, longest_s: float = _PAUSE_MAX_S) -> None:
        """Wait before another process is asked again."""
        await asyncio.sleep(self._jitter(longest_s / 2, longest_s))
