"""Shares the checkers of one language among owners."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from attrs import define, field, frozen

from adapters.bounded_cache import BoundedCache
from adapters.sandbox.operations.checker import TOO_HARD, Checked
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.rooms.launch import LaunchFailed
from domain.errors import Overloaded
from domain.fair_turns import FairTurns
from domain.identity import Owner
from domain.script import Script, SyntaxFault

QUEUE = "the syntax check"
_CHECKS_AT_ONCE_PER_OWNER = 1
_SLOW_OWNERS_MAX = 4096


class ScriptChecker(Protocol):
    """Parses one script at a time."""

    async def check(self, source: bytes) -> Checked:
        """Parse a script; raises LaunchFailed."""
        ...


@frozen
class _Verdict:
    fault: SyntaxFault | None


@define(eq=False)
class _Flight:
    """A check that is waiting or running, for all who wait for its verdict."""

    verdict: asyncio.Task[SyntaxFault | None]
    started: asyncio.Event
    callers: int = 0


@define(eq=False)
class _Lane:
    """Checkers that serve owners in turn, one check of an owner at a time."""

    idle: list[ScriptChecker]
    turns: FairTurns

    @asynccontextmanager
    async def turn(self, owner: Owner, source: bytes) -> AsyncIterator[ScriptChecker]:
        """Wait for a checker, the one that was used last if several are idle; raises Overloaded."""
        await self.turns.take(owner, len(source))
        checker = self.idle.pop()
        try:
            yield checker
        finally:
            self.idle.append(checker)
            self.turns.give_back(owner)


@define(eq=False)
class CheckDesk:
    """Checks the scripts of one language.

    Small scripts, large scripts, and the scripts of owners whose checks were slow have checkers of their own: none of
    them waits for another kind. Equal scripts of one owner that wait or are parsed at the same time share one check, and
    its verdict is kept for that owner alone: the time of an answer does not tell what other owners have.
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
        flight = self._flights.get(key) or self._begin(key, script.source.encode())
        flight.callers += 1
        try:
            return await self._verdict(flight)
        finally:
            flight.callers -= 1
            if not flight.callers and not flight.started.is_set():
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

    def _begin(self, key: tuple[Owner, str], source: bytes) -> _Flight:
        started = asyncio.Event()
        task = asyncio.get_running_loop().create_task(self._judge(key, source, started))
        self._flights[key] = flight = _Flight(task, started)
        task.add_done_callback(lambda _: self._end(key, flight))
        return flight

    async def _verdict(self, flight: _Flight) -> SyntaxFault | None:
        try:
            async with asyncio.timeout(self.options.queue_timeout_s):
                await flight.started.wait()
        except TimeoutError:
            raise Overloaded(QUEUE) from None
        # Unlike the task itself, this can be cancelled without an end to the check.
        await asyncio.wait([flight.verdict])
        if flight.verdict.cancelled():
            raise LaunchFailed("the service is stopping")
        return flight.verdict.result()

    def _end(self, key: tuple[Owner, str], flight: _Flight) -> None:
        flight.started.set()
        self._forget(key, flight)
        if not flight.verdict.cancelled():
            flight.verdict.exception()  # perhaps nobody waits for it any more

    def _forget(self, key: tuple[Owner, str], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    # Which checker, and what its verdict means.

    async def _judge(self, key: tuple[Owner, str], source: bytes, started: asyncio.Event) -> SyntaxFault | None:
        checked = await self._checked(source, key[0], started)
        if not checked.in_time:
            raise Overloaded(QUEUE)
        # A host under load may be too slow for what it can do at another time.
        if checked.fault != TOO_HARD:
            self._verdicts.put(key, _Verdict(checked.fault))
        return checked.fault

    async def _checked(self, source: bytes, owner: Owner, started: asyncio.Event) -> Checked:
        lane = self._large if len(source) > self.options.large_script_size else self._small
        if not self._is_slow(owner):
            async with lane.turn(owner, source) as checker:
                # Another check of this owner may have been slow while this one waited.
                if not self._is_slow(owner):
                    return await self._use(checker, source, owner, started)
        async with self._slow.turn(owner, source) as checker:
            return await self._use(checker, source, owner, started)

    async def _use(self, checker: ScriptChecker, source: bytes, owner: Owner, started: asyncio.Event) -> Checked:
        started.set()
        checked = await checker.check(source)
        if checked.cpu_s > self.options.slow_check_share * self.options.check_cpu_s_max(len(source)):
            self._slow_until.put(owner, self.now() + self.options.slow_owner_s)
        return checked

    def _is_slow(self, owner: Owner) -> bool:
        return (self._slow_until.get(owner) or 0.0) > self.now()

    def _lane(self, checkers: int) -> _Lane:
        turns = FairTurns(QUEUE, checkers, _CHECKS_AT_ONCE_PER_OWNER, self.options.checks_waiting_bytes_max)
        return _Lane([self.make_checker() for _ in range(checkers)], turns)
