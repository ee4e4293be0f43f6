"""Workers that are started ahead of need and have not seen any script."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from adapters.histogram import Histogram
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.concurrency.fair_queue import FairQueue
from domain.identity import Owner


class Startable(Protocol):
    """What a shelf needs to know of a worker process."""

    @property
    def is_alive(self) -> bool:
        """Whether it can be used."""
        ...

    @property
    def is_restless(self) -> bool:
        """Whether something goes on in it though nothing is asked of it."""
        ...

    def when_dead(self, callback: Callable[[], None] | None) -> None:
        """Call back when it dies unused."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


_STOPPING = "the service is stopping"
STARTS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets into which durations of starts are counted."""

Process = TypeVar("Process", bound=Startable)


@define(eq=False)
class PrewarmPool(Generic[Process]):
    """Keeps `kept` workers of one kind ready, and starts more while takers wait; at most `starting_max` at a time.

    Takers of several owners are served in turn.
    After a failed start everyone who waits is told, and the next try comes when someone asks, or `retry_s` later.
    """

    start: Callable[[], Coroutine[None, None, Process]]
    kept: int
    starting_max: int
    retry_s: float
    failure: str | None = field(default=None, init=False)
    starts_s: Histogram = field(factory=lambda: Histogram(STARTS_S), init=False)
    start_failures: int = field(default=0, init=False)
    _ready: deque[Process] = field(factory=deque, init=False)
    _takers: FairQueue[asyncio.Future[Process]] = field(factory=FairQueue, init=False)
    _starts: set[asyncio.Task[None]] = field(factory=set, init=False)
    _retry: asyncio.TimerHandle | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def ready(self) -> int:
        """How many are ready."""
        return len(self._ready)

    async def take(self, owner: Owner) -> Process:
        """Return a worker that nobody has used; raises LaunchFailed. Cancelling leaves the queue."""
        if self._closed:
            raise LaunchFailed(_STOPPING)
        if self._ready:
            worker = self._ready.popleft()
            worker.when_dead(None)
            self.refill()
            return worker
        taker: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._takers.add(owner, taker)
        self.refill()
        try:
            return await taker
        except asyncio.CancelledError:
            self._leave(owner, taker)
            raise

    def put(self, worker: Process) -> None:
        """Take a worker that nobody has used (any more), for the next taker."""
        while self._takers:
            taker = self._takers.pop()
            if not taker.done():
                taker.set_result(worker)
                return
        if self._closed or not worker.is_alive or len(self._ready) >= max(self.kept, 1):
            worker.when_dead(None)
            worker.kill()
            return
        worker.when_dead(lambda: self._lost(worker))
        self._ready.append(worker)

    def refill(self) -> None:
        """Start what is missing."""
        wanted = self.kept + len(self._takers) - len(self._ready) - len(self._starts)
        for _ in range(min(wanted, self.starting_max - len(self._starts))):
            if not self._closed:
                task = asyncio.get_running_loop().create_task(self._start_one())
                self._starts.add(task)
                task.add_done_callback(self._started)

    async def open(self) -> None:
        """Begin, and wait until the first worker is ready or could not be started."""
        self.refill()
        if self._starts:
            await asyncio.wait(self._starts, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """End every worker and every start; whoever waits is told."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        starts = list(self._starts)
        for task in starts:
            task.cancel()
        self._fail(LaunchFailed(_STOPPING))
        if starts:
            await asyncio.wait(starts)
        while self._ready:
            worker = self._ready.popleft()
            worker.when_dead(None)
            worker.kill()

    async def _start_one(self) -> None:
        started_s = time.monotonic()
        try:
            worker = await self.start()
        except LaunchFailed as error:
            self.start_failures += 1
            self.failure = str(error)
            self._fail(error)
            self._retry_later()
        else:
            self.starts_s.add(time.monotonic() - started_s)
            self.failure = None
            self.put(worker)

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starts.discard(task)
        # Whoever waits now has asked after the failure.
        if self.failure is None or self._takers:
            self.refill()

    def _retry_later(self) -> None:
        if self._retry is None or self._retry.cancelled():
            self._retry = asyncio.get_running_loop().call_later(self.retry_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.refill()

    def _lost(self, worker: Process) -> None:
        self._ready.remove(worker)
        # Not at once: what killed it may kill the next one as well.
        self._retry_later()

    def _fail(self, error: LaunchFailed) -> None:
        while self._takers:
            taker = self._takers.pop()
            if not taker.done():
                taker.set_exception(LaunchFailed(str(error)))

    def _leave(self, owner: Owner, taker: "asyncio.Future[Process]") -> None:
        if (
            not self._takers.discard(owner, taker)
            and taker.done()
            and not taker.cancelled()
            and taker.exception() is None
        ):
            self.put(taker.result())
