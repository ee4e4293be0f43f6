"""The queue of syntax checks of one language, shared fairly among owners."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from attrs import define, field, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, SyntaxCheckResult
from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.workers.prewarm_pool import STOPPING
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
class _KnownResult:
    fault: SyntaxFault | None


@define(eq=False)
class _PendingCheck:
    """A check that waits or runs, for all calls that wait for its result."""

    script: bytes
    owner: Owner
    callers: int = 0
    running: asyncio.Event = field(factory=asyncio.Event, init=False)
    task: asyncio.Task[SyntaxFault | None] = field(init=False)


@define(eq=False)
class _CheckerGroup:
    """Checkers for which owners take turns, with one check of an owner at a time."""

    idle: list[ScriptChecker]
    turns: FairTurns

    @asynccontextmanager
    async def turn(self, pending: _PendingCheck) -> AsyncIterator[ScriptChecker]:
        """Wait for a checker, if possible the warm one that was used last; raises Overloaded."""
        await self.turns.acquire(pending.owner, len(pending.script))
        checker = max(reversed(self.idle), key=lambda idle: idle.is_warm)
        self.idle.remove(checker)
        try:
            yield checker
        finally:
            self.idle.append(checker)
            self.turns.release(pending.owner)


@define(eq=False)
class SyntaxCheckQueue:
    """Checks the scripts of one language.

    Small scripts, large scripts, and scripts of owners whose checks were slow have checkers of their own, so none waits
    for another kind. If the check of a small script is slow, it is ended and repeated among the slow ones.

    Equal scripts of one owner share a check while it waits or runs. Its result is kept for that owner alone, so that
    the time of a response does not reveal which scripts other owners have.
    """

    make_checker: Callable[[], ScriptChecker]
    options: SandboxOptions
    now: Callable[[], float] = time.monotonic
    _small: _CheckerGroup = field(init=False)
    _large: _CheckerGroup = field(init=False)
    _slow: _CheckerGroup = field(init=False)
    _slow_until: BoundedCache[Owner, float] = field(init=False)
    _pending: dict[tuple[Owner, str], _PendingCheck] = field(factory=dict, init=False)
    _known: BoundedCache[tuple[Owner, str], _KnownResult] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._small = self._group(self.options.small_script_checkers)
        self._large, self._slow = self._group(1), self._group(1)
        self._slow_until = BoundedCache(_SLOW_OWNERS_MAX, lambda _: 1)
        self._known = BoundedCache(self.options.check_results_max, lambda _: 1)

    @property
    def waiting(self) -> int:
        """The number of checks that wait for a checker."""
        return sum(group.turns.waiting for group in (self._small, self._large, self._slow))

    async def check(self, script: Script, owner: Owner) -> SyntaxFault | None:
        """Return why the script does not parse; None if it does.

        Raises Overloaded if the wait for a checker is too long or too many checks wait, and LaunchFailed. Cancelling
        the call removes a check that has not begun, unless other calls wait for it.
        """
        key = (owner, script.hash)
        known = self._known.get(key)
        if known is not None:
            return known.fault
        pending = self._pending.get(key) or self._begin(key, script)
        pending.callers += 1
        try:
            return await self._result(pending)
        finally:
            pending.callers -= 1
            if not pending.callers and not pending.running.is_set():
                pending.task.cancel()
                self._forget(key, pending)

    async def close(self) -> None:
        """End every check, and raise LaunchFailed in the calls that wait."""
        tasks = [pending.task for pending in self._pending.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # One check, and the calls that wait for it.

    def _begin(self, key: tuple[Owner, str], script: Script) -> _PendingCheck:
        pending = self._pending[key] = _PendingCheck(script.source.encode(), key[0])
        pending.task = asyncio.get_running_loop().create_task(self._run(key, pending))
        pending.task.add_done_callback(lambda _: self._end(key, pending))
        return pending

    async def _result(self, pending: _PendingCheck) -> SyntaxFault | None:
        try:
            async with asyncio.timeout(self.options.queue_timeout_s):
                await pending.running.wait()
        except TimeoutError:
            raise Overloaded(QUEUE) from None
        # Unlike `await task`, this wait can time out without cancelling the check.
        wait_s = self.options.queue_timeout_s + self.options.check_timeout_s
        ended, _ = await asyncio.wait([pending.task], timeout=wait_s)
        if not ended:
            raise Overloaded(QUEUE)
        if pending.task.cancelled():
            raise LaunchFailed(STOPPING)
        return pending.task.result()

    def _end(self, key: tuple[Owner, str], pending: _PendingCheck) -> None:
        pending.running.set()
        self._forget(key, pending)
        if not pending.task.cancelled():
            pending.task.exception()  # marks it as retrieved, as perhaps no call waits for it

    def _forget(self, key: tuple[Owner, str], pending: _PendingCheck) -> None:
        if self._pending.get(key) is pending:
            del self._pending[key]

    # The choice of a checker, and the meaning of its result.

    async def _run(self, key: tuple[Owner, str], pending: _PendingCheck) -> SyntaxFault | None:
        checked = await self._checked(pending)
        if checked.ending is Ending.TIMED_OUT:
            raise Overloaded(QUEUE)
        # A loaded host may be too slow for a script that it can check at another time.
        if checked.fault != TOO_HARD:
            self._known.put(key, _KnownResult(checked.fault))
        return checked.fault

    async def _checked(self, pending: _PendingCheck) -> SyntaxCheckResult:
        if not self._is_slow(pending.owner):
            is_large = len(pending.script) > self.options.large_script_size
            checked = await (self._as_large(pending) if is_large else self._as_small(pending))
            if checked is not None:
                return checked
        async with self._slow.turn(pending) as checker:
            return await self._use(checker, pending, self.options.check_cpu_s_max(len(pending.script)))

    async def _as_large(self, pending: _PendingCheck) -> SyntaxCheckResult | None:
        """Return None if another check of this owner was slow while this one waited."""
        async with self._large.turn(pending) as checker:
            if self._is_slow(pending.owner):
                return None
            return await self._use(checker, pending, self.options.check_cpu_s_max(len(pending.script)))

    async def _as_small(self, pending: _PendingCheck) -> SyntaxCheckResult | None:
        """Return None if this check was slow, or another check of this owner while this one waited."""
        async with self._small.turn(pending) as checker:
            if self._is_slow(pending.owner):
                return None
            checked = await self._use(checker, pending, self.options.brief_check_cpu_s_max(len(pending.script)))
        if checked.ending is not Ending.CPU_LIMIT:
            return checked
        pending.running.clear()
        if not pending.callers:
            raise Overloaded(QUEUE)
        return None

    async def _use(self, checker: ScriptChecker, pending: _PendingCheck, cpu_s_max: float) -> SyntaxCheckResult:
        pending.running.set()
        checked = await checker.check(pending.script, cpu_s_max)
        if checked.cpu_s > self.options.brief_check_cpu_s_max(len(pending.script)):
            self._slow_until.put(pending.owner, self.now() + self.options.slow_owner_s)
        return checked

    def _is_slow(self, owner: Owner) -> bool:
        return (self._slow_until.get(owner) or 0.0) > self.now()

    def _group(self, checkers: int) -> _CheckerGroup:
        turns = FairTurns(QUEUE, checkers, _CHECKS_AT_ONCE_PER_OWNER, self.options.checks_waiting_bytes_max)
        return _CheckerGroup([self.make_checker() for _ in range(checkers)], turns)
