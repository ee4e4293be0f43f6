"""Prewarmed workers: started before a session needs them, and free of any script."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from adapters.sandbox.zygote.launch import LaunchFailed
from domain.concurrency.fair_queue import FairQueue
from domain.histogram import Histogram
from domain.identity import Owner


class IdleMeter(Protocol):
    """What pools observe of a worker process that has no operation."""

    @property
    def has_background_activity(self) -> bool:
        """Whether it computes or allocates memory."""
        ...

    @property
    def cost_bytes(self) -> int:
        """The memory that its end would free, as far as it is known."""
        ...

    @property
    def counts_shared(self) -> bool:
        """Whether `cost_bytes` also counts memory that is shared with other processes."""
        ...

    @property
    def is_cost_known(self) -> bool:
        """Whether `measure_cost` would not change `cost_bytes`."""
        ...

    def measure_cost(self) -> None:
        """Find how much of its memory it shares with other processes, which takes half a millisecond."""
        ...


class Startable(Protocol):
    """What pools need of a worker process."""

    @property
    def meter(self) -> IdleMeter:
        """Observes it while it is idle."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether it can take an operation."""
        ...

    def when_dead(self, callback: Callable[[], None] | None) -> None:
        """Call back when it dies without an operation."""
        ...

    def kill(self) -> None:
        """Kill it."""
        ...


STOPPING = "the service is stopping. Repeat the call later."
STARTS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of start durations, in seconds."""

_KEPT_WHEN_QUIET = 2
"""Workers that are kept ready while no call has needed one for a while."""
_PAUSE_PER_START = 3.0
"""The longest pause between two starts ahead of need, as a multiple of the last start's duration."""

Process = TypeVar("Process", bound=Startable)


@define(eq=False)
class PrewarmPool(Generic[Process]):
    """Keeps workers of one kind ready, and starts more while calls wait, at most `starting_max` at a time.

    Two are ready from the beginning, and `kept` from the first call until none has come for `quiet_s`. While no call
    waits, those beyond two start one by one. The pauses between them grow with the number that is ready, so calls that
    arrive all the time keep most of the processors.

    Owners that wait take turns. A failed start raises LaunchFailed in every call that waits. The next start comes with
    the next call, or `retry_s` later.
    """

    start: Callable[[], Coroutine[None, None, Process]]
    kept: int
    starting_max: int
    retry_s: float
    quiet_s: float = 60.0
    now: Callable[[], float] = time.monotonic
    failure: str | None = field(default=None, init=False)
    starts_s: Histogram = field(factory=lambda: Histogram(STARTS_S), init=False)
    start_failures: int = field(default=0, init=False)
    _ready: deque[Process] = field(factory=deque, init=False)
    _waiting: FairQueue[asyncio.Future[Process]] = field(factory=FairQueue, init=False)
    _starts: set[asyncio.Task[None]] = field(factory=set, init=False)
    _retry: asyncio.TimerHandle | None = field(default=None, init=False)
    _pause: asyncio.TimerHandle | None = field(default=None, init=False)
    _taken_at: float = field(default=-inf, init=False)
    _last_start_s: float = field(default=0.0, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def ready(self) -> int:
        """The number of workers that are ready."""
        return len(self._ready)

    @property
    def wanted(self) -> int:
        """The number of workers that are to be ready now."""
        is_quiet = self.now() - self._taken_at > self.quiet_s
        return min(self.kept, _KEPT_WHEN_QUIET) if is_quiet else self.kept

    async def take(self, owner: Owner) -> Process:
        """Return an unused worker; raises LaunchFailed. Cancelling the call leaves the queue."""
        if self._closed:
            raise LaunchFailed(STOPPING)
        self._taken_at = self.now()
        if self._ready:
            worker = self._ready.popleft()
            worker.when_dead(None)
            self.refill()
            return worker
        waiting: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._waiting.add(owner, waiting)
        self.refill()
        try:
            return await waiting
        except asyncio.CancelledError:
            self._leave(owner, waiting)
            raise

    def put(self, worker: Process) -> None:
        """Give an unused worker to the call that waits next, or keep it."""
        while self._waiting:
            waiting = self._waiting.pop()
            if not waiting.done():
                waiting.set_result(worker)
                return
        if self._closed or not worker.is_alive or len(self._ready) >= max(self.wanted, 1):
            _discard(worker)
            return
        worker.when_dead(lambda: self._on_death(worker))
        self._ready.append(worker)

    def refill(self) -> None:
        """Start the workers that are missing: at once those that calls wait for and the first two, others later."""
        if self._closed:
            return
        urgent = min(self.kept, _KEPT_WHEN_QUIET) + len(self._waiting) - len(self._ready) - len(self._starts)
        for _ in range(min(urgent, self.starting_max - len(self._starts))):
            self._begin_start()
        wanted = self.wanted
        if len(self._ready) < wanted and not self._starts and self._pause is None:
            pause_s = _PAUSE_PER_START * self._last_start_s * len(self._ready) / wanted
            self._pause = asyncio.get_running_loop().call_later(pause_s, self._on_pause_over)

    def shrink(self) -> None:
        """Kill the workers that have become too many since the last call."""
        while len(self._ready) > self.wanted:
            _discard(self._ready.pop())

    async def open(self) -> None:
        """Start the first workers, and wait until one is ready or has failed."""
        self.refill()
        if self._starts:
            await asyncio.wait(self._starts, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Kill every worker, cancel every start, and raise LaunchFailed in the calls that wait."""
        self._closed = True
        for timer in (self._retry, self._pause):
            if timer is not None:
                timer.cancel()
        starts = list(self._starts)
        for task in starts:
            task.cancel()
        self._fail(LaunchFailed(STOPPING))
        if starts:
            await asyncio.wait(starts)
        while self._ready:
            _discard(self._ready.popleft())

    def _begin_start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._start_one())
        self._starts.add(task)
        task.add_done_callback(self._on_started)

    def _on_pause_over(self) -> None:
        self._pause = None
        if not self._starts and len(self._ready) < self.wanted:
            self._begin_start()

    async def _start_one(self) -> None:
        started_s = self.now()
        try:
            worker = await self.start()
        except LaunchFailed as error:
            self.start_failures += 1
            self.failure = str(error)
            self._fail(error)
            self._schedule_retry()
        else:
            self._last_start_s = self.now() - started_s
            self.starts_s.add(self._last_start_s)
            self.failure = None
            self.put(worker)

    def _on_started(self, task: asyncio.Task[None]) -> None:
        self._starts.discard(task)
        # Calls that wait after a failed start came later than it.
        if self.failure is None or self._waiting:
            self.refill()

    def _schedule_retry(self) -> None:
        if self._retry is None or self._retry.cancelled():
            self._retry = asyncio.get_running_loop().call_later(self.retry_s, self._on_retry)

    def _on_retry(self) -> None:
        self._retry = None
        self.refill()

    def _on_death(self, worker: Process) -> None:
        self._ready.remove(worker)
        # Not at once: the cause of its death may kill the next one as well.
        self._schedule_retry()

    def _fail(self, error: LaunchFailed) -> None:
        while self._waiting:
            waiting = self._waiting.pop()
            if not waiting.done():
                waiting.set_exception(LaunchFailed(str(error)))

    def _leave(self, owner: Owner, waiting: "asyncio.Future[Process]") -> None:
        if (
            not self._waiting.discard(owner, waiting)
            and waiting.done()
            and not waiting.cancelled()
            and waiting.exception() is None
        ):
            self.put(waiting.result())


def _discard(worker: Startable) -> None:
    worker.when_dead(None)
    worker.kill()
