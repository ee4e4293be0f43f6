"""One worker process as the service sees it: operations go in, answers and output come out, and it can be killed."""

import asyncio
import os
import select
import time
from collections.abc import Callable
from math import inf

from attrs import define, evolve, field

from adapters.sandbox.isolation.control_group import USED_UP, ControlGroup
from adapters.sandbox.isolation.cpu_scheduling import CpuPriority
from adapters.sandbox.workers.channel import Channel
from adapters.sandbox.workers.deadline import ExecutionDeadline
from adapters.sandbox.workers.exchange import Death, Ending, Exchange
from adapters.sandbox.workers.frames import FrameReader
from adapters.sandbox.workers.outbox import Outbox
from adapters.sandbox.workers.output import CapturedOutput
from adapters.sandbox.workers.usage import UsageMeter
from adapters.sandbox.zygote.launch import Exit, Launched, LaunchFailed

_PIECE_SIZE = 64 * 1024


@define(eq=False)
class WorkerProcess:
    """A sandboxed interpreter that answers one operation at a time. Belongs to one event loop."""

    launched: Launched
    output_size_max: int
    reply_size_max: int
    kill_s: float
    threads_later_max: int
    outbox: Outbox = field(factory=Outbox)
    """What it shares with other workers of its loop."""
    group: ControlGroup | None = None
    """What it is in with all other workers, where there is one."""
    is_ready: bool = field(default=False, init=False)
    meter: UsageMeter = field(factory=UsageMeter, init=False)
    stdout: CapturedOutput = field(init=False)
    stderr: CapturedOutput = field(init=False)
    _channel: Channel = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _waiting: asyncio.Future[Exchange] | None = field(default=None, init=False)
    _gone: asyncio.Future[None] = field(init=False)
    _exit: Exit = field(default=Exit(), init=False)
    _on_death: Callable[[], None] | None = field(default=None, init=False)
    _broken: bool = field(default=False, init=False)
    _threads_max: int | None = field(default=None, init=False)
    _interpreter_bytes: int = field(default=0, init=False)
    _kills_before: int = field(default=0, init=False)
    _priority: CpuPriority = field(factory=CpuPriority, init=False)
    _filled: "select.poll | None" = field(default=None, init=False)
    """Tells whether there is any output, in less time than it takes to find that there is none."""

    def __attrs_post_init__(self) -> None:
        self._gone = self._loop.create_future()
        self._channel = Channel(self.launched.channel, FrameReader(self.reply_size_max), self._on_channel, self.outbox)
        self.stdout = CapturedOutput(self.output_size_max)
        self.stderr = CapturedOutput(self.output_size_max)

    @property
    def is_alive(self) -> bool:
        """Whether it can take another operation."""
        return not self._broken and not self._gone.done()

    @property
    def has_background_activity(self) -> bool:
        """Whether something goes on in it though nothing is asked of it."""
        return self.meter.has_background_activity

    def when_dead(self, callback: Callable[[], None] | None) -> None:
        """Call back, once, when it dies or breaks the protocol while nothing is asked of it."""
        self._on_death = callback

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call back once it has left the process table."""
        self._gone.add_done_callback(lambda _: callback())

    async def start(self) -> None:
        """Wait for the sandbox, and for the interpreter in it to be ready; raises LaunchFailed with what was said."""
        self._waiting = self._loop.create_future()
        self._kills_before = self._memory_kills()
        self._listen()
        try:
            exchange = await self._waiting
        finally:
            self._waiting = None
        if exchange.ending is not Ending.REPLIED:
            raise LaunchFailed(await self._last_words())
        self.meter = UsageMeter.of(self.launched.pid)
        self._priority = CpuPriority(self.launched.pid)
        self._priority.start()
        held = self.meter.footprint()
        self._threads_max = None if held.threads is None else held.threads + self.threads_later_max
        self._interpreter_bytes = held.memory_bytes or 0
        self.is_ready = True

    def has_left_threads(self, exchange: Exchange) -> bool:
        """Tell whether there were more threads after this exchange than the interpreter has of its own.

        Once its first thread has ended, nobody can say how many others there are: then, and where they could not be
        counted at all, there are too many.
        """
        threads = exchange.footprint.threads
        return threads is None or self._threads_max is None or threads > self._threads_max

    async def exchange(self, operations: bytes, timeout_s: float, cpu_s_max: float = inf) -> Exchange:
        """Send operations of which the last one is answered, and wait for its answer or another end.

        `cpu_s_max` is CPU time of all threads together, looked at now and then (see Deadline). After anything but an answer the process has been killed and is gone (or has had `kill_s` to go).
        """
        if not self.is_alive:
            return await self._died(Exchange(Ending.DIED))
        self.stdout.clear()
        self.stderr.clear()
        self.meter.reset_peak()
        started_at, cpu_before_s = time.perf_counter(), self.meter.cpu_s() or 0.0
        ended = await self._answer_to(
            operations,
            ExecutionDeadline(
                self._loop, timeout_s, cpu_s_max, self.meter.cpu_s, self._end, cpu_before_s, self._priority.lower
            ),
        )
        cpu_after_s = self.meter.cpu_s()
        cpu_s = None if cpu_after_s is None else cpu_after_s - cpu_before_s
        footprint = self.meter.footprint()
        self.meter.rest(cpu_after_s, footprint)
        return await self._settled(
            Exchange(
                ended.ending,
                ended.frame,
                ended.observed,
                elapsed_s=time.perf_counter() - started_at,
                cpu_before_s=cpu_before_s,
                cpu_s=cpu_s,
                footprint=footprint,
            )
        )

    async def _answer_to(self, operations: bytes, deadline: ExecutionDeadline) -> Exchange:
        self._waiting = self._loop.create_future()
        deadline.start()
        self._channel.send(operations)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            deadline.cancel()
            self._priority.restore()
            self._waiting = None

    def kill(self) -> None:
        """Kill the whole sandbox at once."""
        self._broken = True
        self.launched.kill()

    async def gone(self) -> bool:
        """Wait until it has left the process table, at most `kill_s`; return whether it has."""
        done, _ = await asyncio.wait([self._gone], timeout=self.kill_s)
        return bool(done)

    async def _settled(self, exchange: Exchange) -> Exchange:
        if exchange.ending is Ending.DIED:
            return await self._died(exchange)
        self._drain()
        if exchange.ending is Ending.REPLIED and self._output_exceeded():
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
        if self._output_exceeded():
            return evolve(exchange, ending=Ending.OUTPUT_LIMIT)
        peak = self._exit.memory_bytes
        script_bytes = None if peak is None else max(0, peak - self._interpreter_bytes)
        death = Death(self._exit.status, closed_channel, script_bytes, self._memory_was_short)
        return evolve(exchange, death=death, footprint=evolve(exchange.footprint, memory_bytes=peak))

    def _lives_on(self, exchange: Exchange) -> bool:
        """Return whether a worker that has closed its channel is still running.

        A process that ends frees its memory before it closes its descriptors, so that one with memory runs. One whose
        first thread has ended shows none either. It counts as running, unless memory is short: an end may then take
        this long.
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
        return self.stderr.text().strip() or f"it ended with status {self._exit.status}{because}"

    # Starting.

    def _listen(self) -> None:
        self._filled = select.poll()
        for descriptor in (self.launched.stdout, self.launched.stderr):
            self._filled.register(descriptor, select.POLLIN)
        self.launched.exited.add_done_callback(self._on_exit)
        self._channel.listen()
        self._loop.add_reader(self.launched.stdout, self._on_output, self.launched.stdout, self.stdout)
        self._loop.add_reader(self.launched.stderr, self._on_output, self.launched.stderr, self.stderr)

    # Its ends, of an exchange and for good.

    def _on_channel(self, exchange: Exchange) -> None:
        is_partial = exchange.ending is Ending.REPLIED and exchange.frame is None
        if self._waiting is None or not is_partial:
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        if self._waiting is None:
            # Nothing was asked: whatever this is, it is not to be used again.
            self.kill()
            self._tell_death()
        elif not self._waiting.done():
            self._waiting.set_result(exchange)

    # Output.

    def _on_output(self, descriptor: int, output: CapturedOutput) -> None:
        if not self._read_output(descriptor, output):
            self._loop.remove_reader(descriptor)
        if output.is_exceeded:
            self._end(Exchange(Ending.OUTPUT_LIMIT))

    def _read_output(self, descriptor: int, output: CapturedOutput) -> bool:
        """Read what is there, at most one piece; return whether more may come."""
        try:
            piece = os.read(descriptor, _PIECE_SIZE)
        except (BlockingIOError, InterruptedError):
            return True
        output.add(piece)
        return bool(piece)

    def _drain(self) -> None:
        """Take what the pipes hold: the worker wrote it before its answer."""
        if self._filled is not None and not self._filled.poll(0):
            return
        for descriptor, output in ((self.launched.stdout, self.stdout), (self.launched.stderr, self.stderr)):
            size = -1
            while size < output.size and not output.is_exceeded and descriptor >= 0:
                size = output.size
                self._read_output(descriptor, output)

    def _output_exceeded(self) -> bool:
        return self.stdout.is_exceeded or self.stderr.is_exceeded

    def _on_exit(self, exited: "asyncio.Future[Exit]") -> None:
        self._exit = exited.result()
        self._drain()
        launched = self.launched
        for descriptor in (launched.stdout, launched.stderr):
            self._forget(descriptor)
        self._channel.close()
        launched.close()
        self.meter.close()
        self._gone.set_result(None)
        self._end(Exchange(Ending.DIED))

    def _forget(self, descriptor: int) -> None:
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)

    def _tell_death(self) -> None:
        callback, self._on_death = self._on_death, None
        if callback is not None:
            callback()
