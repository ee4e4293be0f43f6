"""Shares the checkers of one language among owners."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from attrs import define, field, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, SyntaxCheckResult
from adapters.sandbox.workers.exchange import Ending
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.fair_turns import FairTurns
from domain.errors import Overloaded
from domain.identity import Owner
from domain.scripts.script import Script, SyntaxFault

QUEUE = "the syntax check"
_CHECKS_AT_ONCE_PER_OWNER = 1
_SLOW_OWNERS_MAX = 4096


class ScriptChecker(Protocol):
    """Parses one script at a time."""

    @property
    def is_warm(self) -> bool:
        """Whether the next check begins at once."""
        ...

    async def check(self, source: bytes, cpu_s_max: float) -> SyntaxCheckResult:
        """Parse a script within this CPU time; raises LaunchFailed."""
        ...


@frozen
class _Verdict:
    fault: SyntaxFault | None


@define(eq=False)
class _Flight:
    """A check that is waiting or running, for all who wait for its verdict."""

    script: bytes
    owner: Owner
    callers: int = 0
    running: asyncio.Event = field(factory=asyncio.Event, init=False)
    verdict: asyncio.Task[SyntaxFault | None] = field(init=False)


@define(eq=False)
class _Lane:
    """Checkers that serve owners in turn, one check of an owner at a time."""

    idle: list[ScriptChecker]
    turns: FairTurns

    @asynccontextmanager
    async def turn(self, flight: _Flight) -> AsyncIterator[ScriptChecker]:
        """Wait for a checker, the one of the warm ones that was used last; raises Overloaded."""
        await self.turns.acquire(flight.owner, len(flight.script))
        checker = max(reversed(self.idle), key=lambda idle: idle.is_warm)
        self.idle.remove(checker)
        try:
            yield checker
        finally:
            self.idle.append(checker)
            self.turns.release(flight.owner)


@define(eq=False)
class SyntaxCheckQueue:
    """Checks the scripts of one language.

    Small scripts, large scripts, and the scripts of owners whose checks were slow have checkers of their own: none of
    them waits for another kind. The check of a small script that is slow is ended, and repeated among the slow ones.

    Equal scripts of one owner that wait or are parsed at the same time share one check, and its verdict is kept for that
    owner alone: the time of an answer does not tell what other owners have.
    """

    make_checker: Callable[[], ScriptChecker]
    options: SandboxOptions
    now: Callable[[], float] = time.monotonic
    _small: _Lane = field(init=False)
    _large: _Lane = field(init=False)
    _slow: _Lane = field(init=False)
    _slow_until: BoundedCache[Owner, float] = field(init=False)
    _flights: dict[tuple[Owner, str], _Flight] = field(factory=dict, init=False)
    _verdicts: BoundedCache[tuple[Owner, str], _Verdict] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._small = self._lane(self.options.small_script_checkers)
        self._large, self._slow = self._lane(1), self._lane(1)
        self._slow_until = BoundedCache(_SLOW_OWNERS_MAX, lambda _: 1)
        self._verdicts = BoundedCache(self.options.verdicts_max, lambda _: 1)

    @property
    def waiting(self) -> int:
        """How many checks wait for a checker."""
        return sum(lane.turns.waiting for lane in (self._small, self._large, self._slow))

    async def check(self, script: Script, owner: Owner) -> SyntaxFault | None:
        """Return why the script does not parse, None when it does.

        Raises Overloaded when the wait for a checker is too long or too many wait, and LaunchFailed. Cancelling the call
        ends a check that has not begun, unless others wait for it too.
        """
        key = (owner, script.hash)
        known = self._verdicts.get(key)
        if known is not None:
            return known.fault
        flight = self._flights.get(key) or self._begin(key, script)
        flight.callers += 1
        try:
            return await self._verdict(flight)
        finally:
            flight.callers -= 1
            if not flight.callers and not flight.running.is_set():
                flight.verdict.cancel()
                self._forget(key, flight)

    async def close(self) -> None:
        """End every check; callers that wait are refused."""
        flights = [flight.verdict for flight in self._flights.values()]
        for verdict in flights:
            verdict.cancel()
        if flights:
            await asyncio.wait(flights)

    # One check, and those who wait for it.

    def _begin(self, key: tuple[Owner, str], script: Script) -> _Flight:
        flight = self._flights[key] = _Flight(script.source.encode(), key[0])
        flight.verdict = asyncio.get_running_loop().create_task(self._judge(key, flight))
        flight.verdict.add_done_callback(lambda _: self._end(key, flight))
        return flight

    async def _verdict(self, flight: _Flight) -> SyntaxFault | None:
        try:
            async with asyncio.timeout(self.options.queue_timeout_s):
                await flight.running.wait()
        except TimeoutError:
            raise Overloaded(QUEUE) from None
        # Unlike a wait for the task itself, this can end without an end to the check.
        patience_s = self.options.queue_timeout_s + self.options.check_timeout_s
        ended, _ = await asyncio.wait([flight.verdict], timeout=patience_s)
        if not ended:
            raise Overloaded(QUEUE)
        if flight.verdict.cancelled():
            raise LaunchFailed("the service is stopping")
        return flight.verdict.result()

    def _end(self, key: tuple[Owner, str], flight: _Flight) -> None:
        flight.running.set()
        self._forget(key, flight)
        if not flight.verdict.cancelled():
            flight.verdict.exception()  # perhaps nobody waits for it any more

    def _forget(self, key: tuple[Owner, str], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    # Which checker, and what its verdict means.

    async def _judge(self, key: tuple[Owner, str], flight: _Flight) -> SyntaxFault | None:
        checked = await self._checked(flight)
        if checked.ending is Ending.TIMED_OUT:
            raise Overloaded(QUEUE)
        # A host under load may be too slow for what it can do at another time.
        if checked.fault != TOO_HARD:
            self._verdicts.put(key, _Verdict(checked.fault))
        return checked.fault

    async def _checked(self, flight: _Flight) -> SyntaxCheckResult:
        if not self._is_slow(flight.owner):
            is_large = len(flight.script) > self.options.large_script_size
            checked = await (self._as_large(flight) if is_large else self._as_small(flight))
            if checked is not None:
                return checked
        async with self._slow.turn(flight) as checker:
            return await self._use(checker, flight, self.options.check_cpu_s_max(len(flight.script)))

    async def _as_large(self, flight: _Flight) -> SyntaxCheckResult | None:
        """Return None when another check of this owner was slow while this one waited."""
        async with self._large.turn(flight) as checker:
            if self._is_slow(flight.owner):
                return None
            return await self._use(checker, flight, self.options.check_cpu_s_max(len(flight.script)))

    async def _as_small(self, flight: _Flight) -> SyntaxCheckResult | None:
        """Return None when another check of this owner was slow while this one waited, or this one is."""
        async with self._small.turn(flight) as checker:
            if self._is_slow(flight.owner):
                return None
            checked = await self._use(checker, flight, self.options.brief_check_cpu_s_max(len(flight.script)))
        if checked.ending is not Ending.CPU_LIMIT:
            return checked
        flight.running.clear()
        if not flight.callers:
            raise Overloaded(QUEUE)
        return None

    async def _use(self, checker: ScriptChecker, flight: _Flight, cpu_s_max: float) -> SyntaxCheckResult:
        flight.running.set()
        checked = await checker.check(flight.script, cpu_s_max)
        if checked.cpu_s > self.options.brief_check_cpu_s_max(len(flight.script)):
            self._slow_until.put(flight.owner, self.now() + self.options.slow_owner_s)
        return checked

    def _is_slow(self, owner: Owner) -> bool:
        return (self._slow_until.get(owner) or 0.0) > self.now()

    def _lane(self, checkers: int) -> _Lane:
        turns = FairTurns(QUEUE, checkers, _CHECKS_AT_ONCE_PER_OWNER, self.options.checks_waiting_bytes_max)
        return _Lane([self.make_checker() for _ in range(checkers)], turns)
