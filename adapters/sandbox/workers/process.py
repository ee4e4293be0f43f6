"""A worker process as the service sees it: it takes operations, replies, writes output, and can be killed."""

import asyncio
import time
from collections.abc import Callable, Mapping
from math import inf

from attrs import define, evolve, field, frozen

from adapters.sandbox.isolation.control_group import USED_UP, ControlGroup
from adapters.sandbox.workers.channel import Channel, Ending, Frame, FrameReader, Outbox, reject_notice
from adapters.sandbox.workers.deadline import CpuPriority, ExecutionDeadline
from adapters.sandbox.workers.listeners import Listeners
from adapters.sandbox.workers.observation import Footprint, UsageMeter, WorkerOutput
from adapters.sandbox.zygote.launch import Exit, Launched, LaunchFailed
from domain.egress.ports import Lease
from domain.scripts.output import OutputListener
from domain.scripts.syntax import Syntax

_End = tuple[Ending, Frame | None, str]


@frozen
class Death:
    """How a worker ended during an exchange.

    `status` is its exit code, or the negative number of the signal; None if it has not left the process table.
    """

    status: int | None
    closed_channel: bool = False
    """It closed its channel and continued, and the service killed it."""
    memory_was_short: bool = False
    """In its lifetime, the kernel killed workers because all of them together had used up their memory."""


@frozen
class Exchange:
    """The end of an exchange: the reply if there is one, what was observed, and what was used."""

    ending: Ending
    frame: Frame | None = None
    detail: str = ""
    elapsed_s: float = 0.0
    cpu_before_s: float = 0.0
    """CPU time that the worker had used before."""
    cpu_s: float | None = None
    memory_bytes: int | None = None
    """The most memory that it held at once beyond its interpreter's own, None if unknown."""
    footprint: Footprint = field(factory=Footprint)
    death: Death | None = None
    """Of a worker that died."""


@define(eq=False)
class WorkerProcess:
    """A sandboxed interpreter that takes one operation at a time. Belongs to one event loop."""

    launched: Launched
    output_size_max: int
    reply_size_max: int
    kill_s: float
    threads_later_max: int
    outbox: Outbox = field(factory=Outbox)
    """Shared with the other workers of the event loop."""
    group: ControlGroup | None = None
    listeners: Listeners | None = None
    """Of a worker with a network, until somebody else takes them."""
    variables: Mapping[str, str] = field(factory=dict)
    """Environment variables for each of its scripts."""
    syntax: Syntax | None = None
    """Of its scripts. Only workers of an equipped zygote of Node.js know one."""
    lease: Lease | None = None
    """Of a worker with a network: what connects it."""
    meter: UsageMeter = field(factory=UsageMeter, init=False)
    output: WorkerOutput = field(init=False)
    _channel: Channel = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _ended: asyncio.Future[_End] | None = field(default=None, init=False)
    """The end of the present exchange."""
    _gone: asyncio.Future[None] = field(init=False)
    _exit: Exit = field(default=Exit(), init=False)
    _on_death: Callable[[], None] | None = field(default=None, init=False)
    _is_killed: bool = field(default=False, init=False)
    _threads_max: int | None = field(default=None, init=False)
    _base: Footprint = field(factory=Footprint, init=False)
    """Of its interpreter alone, before any script."""
    _kills_before: int = field(default=0, init=False)
    _priority: CpuPriority = field(factory=CpuPriority, init=False)

    def __attrs_post_init__(self) -> None:
        self._gone = self._loop.create_future()
        self._channel = Channel(self.launched.channel, FrameReader(self.reply_size_max), self._on_channel, self.outbox)
        self.output = WorkerOutput(self.output_size_max, lambda: self._end(Ending.OUTPUT_LIMIT))

    @property
    def is_alive(self) -> bool:
        """Whether it can take another operation."""
        return not self._is_killed and not self._gone.done()

    def when_dead(self, callback: Callable[[], None] | None) -> None:
        """Call back, once, when it dies or breaks the protocol while it has no operation."""
        self._on_death = callback

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call back when it has left the process table."""
        self._gone.add_done_callback(lambda _: callback())

    async def start(self) -> None:
        """Wait until the interpreter in the sandbox is ready; raises LaunchFailed with the worker's stderr."""
        self._ended = self._loop.create_future()
        self._kills_before = self._memory_kills()
        self.launched.exited.add_done_callback(self._on_exit)
        self._channel.listen()
        self.output.listen(self.launched.stdout, self.launched.stderr)
        try:
            ending, _, _ = await self._ended
        finally:
            self._ended = None
        if ending is not Ending.REPLIED:
            raise LaunchFailed(await self._last_words())
        self.meter = UsageMeter.of(self.launched.pid)
        self._priority = CpuPriority(self.launched.pid)
        self._priority.start()
        self._base = base = self.meter.footprint()
        self._threads_max = None if base.threads is None else base.threads + self.threads_later_max

    @property
    def interpreter_data_bytes(self) -> int | None:
        """The data that its interpreter had before any script, as RLIMIT_DATA counts it; None if unknown."""
        return self._base.data_bytes

    def has_left_threads(self, exchange: Exchange) -> bool:
        """Return whether more threads remain after this exchange than the interpreter has of its own.

        Threads that cannot be counted are too many: the kernel hides them after the end of the first thread.
        """
        threads = exchange.footprint.threads
        return threads is None or self._threads_max is None or threads > self._threads_max

    def has_kept_memory(self, exchange: Exchange, bytes_max: int) -> bool:
        """Return whether it holds more than this after the exchange, beyond its interpreter's own memory."""
        return exchange.footprint.own_bytes - self._base.own_bytes > bytes_max

    async def exchange(  # noqa: PLR0913, PLR0917  # what bounds it, and who hears of it
        self,
        operations: bytes,
        timeout_s: float,
        cpu_s_max: float = inf,
        listener: OutputListener | None = None,
        on_notice: Callable[[bytes], None] = reject_notice,
        state_size_max: int = 0,
    ) -> Exchange:
        """Send operations, of which the last one has a reply, and wait for the reply or another end.

        `cpu_s_max` is CPU time of all threads together (see ExecutionDeadline). After any end but a reply, the process
        has been killed and is gone, or has had `kill_s` to go. `listener` receives the output until then, and
        `on_notice` each notice, which breaks the protocol by default. A reply may have a state behind its result.
        """
        if not self.is_alive:
            return await self._died(Exchange(Ending.DIED))
        self.output.clear()
        self.output.pass_on(listener)
        frames = self._channel.frames
        frames.on_notice, frames.state_size_max = on_notice, state_size_max
        self.meter.reset_peak()
        started_at, cpu_before_s = time.perf_counter(), self.meter.cpu_s() or 0.0
        deadline = ExecutionDeadline(
            self._loop, timeout_s, cpu_s_max, self.meter.cpu_s, self._end, cpu_before_s, self._priority.lower
        )
        ending, frame, detail = await self._end_of(operations, deadline)
        cpu_after_s = self.meter.cpu_s()
        footprint = self.meter.footprint()
        self.meter.mark_idle(cpu_after_s, footprint)
        cpu_s = None if cpu_after_s is None else cpu_after_s - cpu_before_s
        elapsed_s = time.perf_counter() - started_at
        memory_bytes = footprint.beyond(self._base)
        exchange = await self._settled(
            Exchange(ending, frame, detail, elapsed_s, cpu_before_s, cpu_s, memory_bytes, footprint)
        )
        self.output.pass_on(None)
        self._channel.frames.on_notice = reject_notice
        return exchange

    async def _end_of(self, operations: bytes, deadline: ExecutionDeadline) -> _End:
        self._ended = self._loop.create_future()
        deadline.start()
        self._channel.send(operations)
        try:
            return await self._ended
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            deadline.cancel()
            self._priority.restore()
            self._ended = None

    def cancel(self) -> None:
        """End the present exchange, if there is one, and kill the whole sandbox."""
        if self._ended is not None:
            self._end(Ending.CANCELLED)

    def kill(self) -> None:
        """Kill the whole sandbox at once."""
        self._is_killed = True
        self.launched.kill()

    async def gone(self) -> bool:
        """Wait until it has left the process table, at most `kill_s`; return whether it has."""
        await asyncio.wait([self._gone], timeout=self.kill_s)
        return self._gone.done()

    async def _settled(self, exchange: Exchange) -> Exchange:
        if exchange.ending is Ending.DIED:
            return await self._died(exchange)
        self.output.drain()
        if exchange.ending is Ending.REPLIED and self.output.is_exceeded:
            exchange = evolve(exchange, ending=Ending.OUTPUT_LIMIT)
        if exchange.ending is not Ending.REPLIED:
            self.kill()
            await self.gone()
        return exchange

    async def _died(self, exchange: Exchange) -> Exchange:
        closed_channel = not await self.gone() and self._lives_on(exchange)
        if not self._gone.done():
            self.kill()
            await self.gone()
        if self.output.is_exceeded:
            return evolve(exchange, ending=Ending.OUTPUT_LIMIT)
        death = Death(self._exit.status, closed_channel, self._memory_was_short)
        return evolve(exchange, death=death, memory_bytes=self._peak_at_exit(exchange.footprint))

    def _peak_at_exit(self, last: Footprint) -> int | None:
        files = self._base if last.resident_bytes is None else last
        return evolve(files, memory_bytes=self._exit.memory_bytes).beyond(self._base)

    def _lives_on(self, exchange: Exchange) -> bool:
        """Return whether a worker that has closed its channel still runs.

        A process that ends frees its memory first, so one that has memory still runs. One whose first thread has ended
        shows none either. It counts as running, unless memory is short: then an end may take this long.
        """
        if self.launched.has_ended:
            return False
        return exchange.footprint.memory_bytes is not None or not self._memory_was_short

    @property
    def _memory_was_short(self) -> bool:
        return self._memory_kills() > self._kills_before

    def _memory_kills(self) -> int:
        return 0 if self.group is None else self.group.memory_kills() or 0

    async def _last_words(self) -> str:
        self.kill()
        await self.gone()
        because = f": {USED_UP}" if self._memory_was_short else ""
        return (
            self.output.stderr.text().strip()
            or f"a worker ended with status {self._exit.status} before it was ready{because}"
        )

    # Ends: of an exchange, and of the process.

    def _on_channel(self, ending: Ending, frame: Frame | None, detail: str) -> None:
        is_partial = ending is Ending.REPLIED and frame is None
        if self._ended is None or not is_partial:
            self._end(ending, frame, detail)

    def _end(self, ending: Ending, frame: Frame | None = None, detail: str = "") -> None:
        if self._ended is None:
            # It has no operation, so whatever this is, the worker cannot be used again.
            self.kill()
            callback, self._on_death = self._on_death, None
            if callback is not None:
                callback()
        elif not self._ended.done():
            self._ended.set_result((ending, frame, detail))

    def _on_exit(self, exited: "asyncio.Future[Exit]") -> None:
        self._exit = exited.result()
        self.output.drain()
        self.output.close()
        self._channel.close()
        self.launched.close()
        if self.listeners is not None:
            self.listeners.close()
        if self.lease is not None:
            self.lease.close()
        self.meter.close()
        self._gone.set_result(None)
        self._end(Ending.DIED)
