"""Gathers the syntax checks of one kind into batches for one checker."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from attrs import define, field, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_checker import CheckedScript, SyntaxCheckResult, Verdict
from domain.concurrency.budget import TimerWheel
from domain.concurrency.fair_queue import FairQueue
from domain.concurrency.fair_turns import QueueCapacity
from domain.errors import Overloaded
from domain.identity import Owner
from domain.scripts.convention import Convention

QUEUE = "the syntax check"
_MEASURED_EXCHANGES = 8
"""The measured time of a check is that of the last exchanges; fewer may be slow by chance."""


class ScriptChecker(Protocol):
    """Parses one batch of scripts at a time."""

    async def check(self, scripts: Sequence[CheckedScript], cpu_s_max: float) -> SyntaxCheckResult:
        """Parse the first scripts within this CPU time; raises LaunchFailed."""
        ...

    async def close(self) -> None:
        """Start no process ahead any more."""
        ...


class CheckCall:
    """A call that waits for a verdict.

    Its check begins within `queue_timeout_s`, and has `check_timeout_s` more with all repetitions. Then the call fails
    with Overloaded.
    """

    __slots__ = ("_check", "_is_last", "_options", "_period", "verdict")

    def __init__(self, check: "PendingCheck", options: SandboxOptions) -> None:
        self.verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._check = check
        self._options = options
        self._is_last = False
        self._schedule(options.queue_timeout_s)

    def expire(self) -> None:
        """Wait on if the check has begun, once."""
        if self._check.is_running and not self._is_last:
            self._is_last = True
            self._schedule(self._options.queue_timeout_s + self._options.check_timeout_s)
        elif not self.verdict.done():
            self.verdict.set_exception(Overloaded(QUEUE))

    def cancel(self) -> None:
        """Stop the clock."""
        self._period.discard(self)

    def _schedule(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._period = TimerWheel.of(loop).schedule(self, loop.time() + timeout_s)


CheckKey: TypeAlias = tuple[Owner, str, Convention]
"""An owner, the hash of a script, and the calling convention under which it is to parse."""


@define(eq=False)
class PendingCheck:
    """A check that waits or runs, for all calls that wait for its verdict."""

    key: CheckKey
    script: CheckedScript = field(repr=False)
    size: int
    calls: set[CheckCall] = field(factory=set, init=False)
    batcher: "CheckBatcher" = field(init=False, repr=False)
    is_running: bool = field(default=False, init=False)
    is_alone: bool = field(default=False, init=False)
    """Whether it was in a batch whose exchange failed, so that it may be the cause."""

    @property
    def owner(self) -> Owner:
        """The owner whose script it is."""
        return self.key[0]

    def end(self, verdict: Verdict) -> None:
        """Give all calls the verdict."""
        for call in self.calls:
            if not call.verdict.done():
                call.verdict.set_result(verdict)

    def fail(self, error: Exception) -> None:
        """Raise this error in all calls."""
        for call in self.calls:
            if not call.verdict.done():
                call.verdict.set_exception(error)


@frozen
class BatchLimits:
    """How many scripts a batch may have, and the CPU time of a script by its size in bytes."""

    batch_max: int
    cpu_s_max: Callable[[int], float]


@define(eq=False)
class CheckBatcher:
    """Checks of one kind: all that wait when the checker becomes free are a batch, with owners in turn.

    A batch has at most `batch_max` scripts and `check_batch_bytes` bytes, or one script. What the checker leaves out
    for lack of time waits for the next batch. If the exchange of a batch fails, each of its scripts is checked alone.
    """

    options: SandboxOptions
    limits: BatchLimits
    checker: ScriptChecker
    settle: Callable[[Sequence[PendingCheck], SyntaxCheckResult], None]
    """Takes checks and their verdicts, or the one check whose exchange ended otherwise."""
    fail: Callable[[PendingCheck, Exception], None]
    """Takes a check that cannot be made."""
    _queue: FairQueue[PendingCheck] = field(factory=FairQueue, init=False)
    _capacity: QueueCapacity = field(init=False)
    _serving: asyncio.Task[None] | None = field(default=None, init=False)
    _measured: deque[tuple[float, int]] = field(factory=lambda: deque(maxlen=_MEASURED_EXCHANGES), init=False)
    """Seconds and scripts of the last exchanges since the batcher was idle."""
    _check_s: float = field(default=0.0, init=False)
    """The measured time of a check; 0 while too little was measured."""

    def __attrs_post_init__(self) -> None:
        self._capacity = QueueCapacity(QUEUE, self.options.checks_waiting_bytes_max)

    def __len__(self) -> int:
        """Return how many checks wait."""
        return len(self._queue)

    def add(self, check: PendingCheck) -> None:
        """Let a check wait; raises Overloaded if it would wait for longer than `queue_timeout_s`, or if too many do."""
        if self._queue.ahead_of(check.owner) * self._check_s > self.options.queue_timeout_s:
            raise Overloaded(QUEUE)
        self._capacity.acquire(check.owner, check.size)
        check.batcher = self
        self._queue.add(check.owner, check)
        if self._serving is None:
            self._serving = asyncio.get_running_loop().create_task(self._serve())

    def remove(self, check: PendingCheck) -> None:
        """Count a check no more: it has ended, or no call waits for it."""
        self._queue.discard(check.owner, check)
        self._capacity.release(check.owner, check.size)

    def waiting_of(self, owner: Owner) -> Sequence[PendingCheck]:
        """Return the checks of an owner that wait."""
        return self._queue.of(owner)

    async def close(self) -> None:
        """End the present exchange, and begin no other."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.wait([self._serving])
        await self.checker.close()

    async def _serve(self) -> None:
        try:
            while self._queue:
                await self._check(self._next_batch())
        finally:
            self._serving = None
            self._measured.clear()
            self._check_s = 0.0

    def _next_batch(self) -> list[PendingCheck]:
        batch, size = [self._begin()], 0
        while self._queue and len(batch) < self.limits.batch_max and not batch[0].is_alone:
            size += batch[-1].size
            following = self._queue.first
            if following.is_alone or size + following.size > self.options.check_batch_bytes:
                break
            batch.append(self._begin())
        return batch

    def _begin(self) -> PendingCheck:
        check = self._queue.pop()
        check.is_running = True
        return check

    async def _check(self, batch: list[PendingCheck]) -> None:
        try:
            result = await self.checker.check([check.script for check in batch], self._cpu_s_max(batch))
        except Exception as error:  # noqa: BLE001  # the calls that wait raise it
            for check in batch:
                self.fail(check, error)
            return
        self._measure(result.elapsed_s, len(result.verdicts) or len(batch))
        has_failed = not result.verdicts
        checked = len(result.verdicts) if len(batch) > 1 else 1
        self._put_back(batch[checked:], alone=has_failed)
        if checked:
            self.settle(batch[:checked], result)

    def _measure(self, elapsed_s: float, scripts: int) -> None:
        self._measured.append((elapsed_s, scripts))
        if len(self._measured) == _MEASURED_EXCHANGES:
            self._check_s = sum(each for each, _ in self._measured) / sum(each for _, each in self._measured)

    def _cpu_s_max(self, batch: Sequence[PendingCheck]) -> float:
        """Return the CPU time that a batch exceeds only if one of its scripts exceeds its own."""
        longest_s = max(self.limits.cpu_s_max(check.size) for check in batch)
        return longest_s if len(batch) == 1 else longest_s + self.options.check_batch_cpu_s

    def _put_back(self, batch: Sequence[PendingCheck], *, alone: bool) -> None:
        for check in reversed(batch):
            check.is_running, check.is_alone = False, alone
            self._queue.put_back(check.owner, check)
