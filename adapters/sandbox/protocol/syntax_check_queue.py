"""The syntax checks of one language, shared fairly among owners."""

import time
from collections.abc import Callable, Sequence

from attrs import define, field

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_check_batcher import (
    QUEUE,
    BatchLimits,
    CheckBatcher,
    CheckCall,
    CheckKey,
    PendingCheck,
    ScriptChecker,
)
from adapters.sandbox.protocol.syntax_checker import TOO_HARD, CheckedScript, SyntaxCheckResult, Verdict
from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.workers.prewarm_pool import STOPPING
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Overloaded
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.script import Script
from domain.scripts.syntax import Syntax

_SLOW_OWNERS_MAX = 4096


@define(eq=False)
class SyntaxCheckQueue:
    """Checks the scripts of one language.

    Small scripts, large scripts, and scripts of owners whose checks were slow have checkers of their own, so none waits
    for another kind. Small scripts are checked in batches. If the check of a small script is slow, it is ended and
    repeated among the slow ones.

    Equal scripts of one owner share a check while it waits or runs. Its result is kept for that owner alone, so that
    the time of a response does not reveal which scripts other owners have.
    """

    make_checker: Callable[[], ScriptChecker]
    options: SandboxOptions
    now: Callable[[], float] = time.monotonic
    syntax: Syntax | None = None
    """Of all scripts; None is that of the language."""

    _small: CheckBatcher = field(init=False)
    _large: CheckBatcher = field(init=False)
    _slow: CheckBatcher = field(init=False)
    _slow_until: BoundedCache[Owner, float] = field(init=False)
    _pending: dict[CheckKey, PendingCheck] = field(factory=dict, init=False)
    _known: BoundedCache[CheckKey, Verdict] = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self.options
        self._small = self._batcher(options.check_batch_max, options.brief_check_cpu_s_max)
        self._large = self._batcher(1, options.check_cpu_s_max)
        self._slow = self._batcher(1, options.check_cpu_s_max)
        self._slow_until = BoundedCache(_SLOW_OWNERS_MAX, lambda _: 1)
        self._known = BoundedCache(options.check_results_max, lambda _: 1)

    @property
    def waiting(self) -> int:
        """The number of checks that wait for a checker."""
        return sum(len(batcher) for batcher in self._batchers)

    async def check(self, script: Script, owner: Owner, convention: Convention = Convention.OWN) -> Verdict:
        """Return why the script does not parse, or its form.

        Raises Overloaded if the wait for a checker is too long or too many checks wait, and LaunchFailed. Cancelling
        the call removes a check that has not begun, unless other calls wait for it.
        """
        key = (owner, script.hash, convention)
        known = self._known.get(key)
        if known is not None:
            return known
        check = self._pending.get(key) or self._begin(key, script)
        call = CheckCall(check, self.options)
        check.calls.add(call)
        try:
            return await call.verdict
        finally:
            call.cancel()
            check.calls.discard(call)
            if not check.calls and not check.is_running:
                self._forget(check)

    async def close(self) -> None:
        """End every check, and raise LaunchFailed in the calls that wait."""
        for batcher in self._batchers:
            await batcher.close()
        for check in list(self._pending.values()):
            self._fail(check, LaunchFailed(STOPPING))

    @property
    def _batchers(self) -> Sequence[CheckBatcher]:
        return self._small, self._large, self._slow

    def _batcher(self, batch_max: int, cpu_s_max: Callable[[int], float]) -> CheckBatcher:
        limits = BatchLimits(batch_max, cpu_s_max)
        return CheckBatcher(self.options, limits, self.make_checker(), self._settle, self._fail)

    def _checked(self, source: str, convention: Convention) -> CheckedScript:
        if self.syntax is not None:
            return source, convention, self.syntax
        return source if convention is Convention.OWN else (source, convention)

    def _begin(self, key: CheckKey, script: Script) -> PendingCheck:
        owner, _, convention = key
        check = PendingCheck(key, self._checked(script.source, convention), len(script.source.encode()))
        batcher = self._large if check.size > self.options.large_script_size else self._small
        (self._slow if self._is_slow(owner) else batcher).add(check)
        self._pending[key] = check
        return check

    def _forget(self, check: PendingCheck) -> None:
        if self._pending.get(check.key) is check:
            del self._pending[check.key]
            check.batcher.remove(check)

    # What the results of the batchers mean.

    def _settle(self, checks: Sequence[PendingCheck], result: SyntaxCheckResult) -> None:
        """End these checks, or repeat the one whose exchange ended without a reply."""
        if len(checks) == 1:
            self._judge_owner(checks[0], result)
        for check, verdict in zip(checks, result.verdicts, strict=False):
            self._end(check, verdict)
        if not result.verdicts:
            self._settle_failed(checks[0], result.ending)

    def _settle_failed(self, check: PendingCheck, ending: Ending) -> None:
        if ending is Ending.TIMED_OUT:
            self._fail(check, Overloaded(QUEUE))
        elif ending is Ending.CPU_LIMIT and check.batcher is self._small and check.calls:
            self._move_to_slow(check)
        else:
            self._end(check, TOO_HARD)

    def _end(self, check: PendingCheck, verdict: Verdict) -> None:
        # A loaded host may be too slow for a script that it can check at another time.
        if verdict != TOO_HARD:
            self._known.put(check.key, verdict)
        self._forget(check)
        check.end(verdict)

    def _fail(self, check: PendingCheck, error: Exception) -> None:
        self._forget(check)
        check.fail(error)

    # Owners whose checks were slow.

    def _is_slow(self, owner: Owner) -> bool:
        return (self._slow_until.get(owner) or 0.0) > self.now()

    def _judge_owner(self, check: PendingCheck, result: SyntaxCheckResult) -> None:
        """Count the owner as slow after a check that took long or ended its checker."""
        ended_checker = result.ending not in (Ending.REPLIED, Ending.TIMED_OUT)
        if not ended_checker and result.cpu_s <= self.options.brief_check_cpu_s_max(check.size):
            return
        self._slow_until.put(check.owner, self.now() + self.options.slow_owner_s)
        for batcher in (self._small, self._large):
            for waiting in batcher.waiting_of(check.owner):
                self._move_to_slow(waiting)

    def _move_to_slow(self, check: PendingCheck) -> None:
        former = check.batcher
        check.is_running = False
        try:
            self._slow.add(check)
        except Overloaded as error:
            self._fail(check, error)
        else:
            former.remove(check)
