"""The stream to one runtime host: runs, their output and their ends on one connection."""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.connection import HostLate, HostReply, HostSilent, HostUnreached, ReplyTooLarge
from adapters.remote_runtime.files import PIECES_MAX, FileExchange
from adapters.remote_runtime.fleet import Condition, HostView
from adapters.remote_runtime.messages import MessageRate, OutputLimits, has_no_time, hear, read_message, reply_of
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.silence import JUDGED_EACH_S, LEFT_AFTER_S, Silence, SilenceVerdict
from adapters.runtime_files import STEP_SIZE_MAX
from adapters.runtime_frames import RUN_ID_MAX, BrokenStream, Capacity, FrameParser, Kind, StreamFrame, Welcome
from adapters.runtime_link import PING_SIZE, FrameLink, FrameReceiver
from adapters.runtime_replies import Line
from domain.concurrency.budget import TimerWheel
from domain.scripts.output import OutputListener

_WELCOME_SIZE_MAX = 16_384
_CAPACITY_SIZE_MAX = 4_096
_EVICTIONS_UNSENT_MAX = 1_048_576
_OK = 200
_STATE_INTERVAL_S = 0.05
_STATES = frozenset({Kind.CAPACITY, Kind.DRAIN, Kind.PONG})
_PING = bytes(PING_SIZE)


@define(eq=False)
class _Run:
    """A run in flight. It stays one until its END, even if its caller has left."""

    execution_id: UUID
    done: "asyncio.Future[HostReply]"
    listener: OutputListener | None
    _view: HostView
    files: FileExchange | None = None
    is_cancelled: bool = False
    limits: OutputLimits = field(factory=OutputLimits, init=False)

    def expire(self) -> None:
        """Leave the end unknown."""
        if not self.done.done():
            self.done.set_exception(HostLate)
            self._view.overdue(self.done.get_loop().time())


@define(eq=False)
class HostStream(FrameReceiver):
    """Carries runs to a host, and keeps its state. Calls `on_change` after changes that concern the choice of a host.

    `begun` has the first frame of the host, and `lost` the reason why the stream has ended.
    """

    _state: HostView
    _options: RuntimeOptions
    _on_change: Callable[[], None]
    _run_id_max: int = RUN_ID_MAX
    link: FrameLink = field(init=False)
    begun: "asyncio.Future[Welcome]" = field(init=False)
    lost: "asyncio.Future[str]" = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _runs: dict[int, _Run] = field(factory=dict, init=False)
    _last_id: int = field(default=0, init=False)
    _silence: Silence = field(init=False)
    _pieces: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(PIECES_MAX), init=False)
    _state_rate: MessageRate = field(factory=lambda: MessageRate(_STATE_INTERVAL_S), init=False)
    _judging: asyncio.TimerHandle | None = field(default=None, init=False)
    _pinged_at_s: float = field(factory=time.monotonic, init=False)
    """By the clock of the system: the loop's may have steps of 1 ms."""

    def __attrs_post_init__(self) -> None:
        reply_size_max = self._options.reply_size_max
        sizes_max: dict[int, int] = {
            Kind.WELCOME: _WELCOME_SIZE_MAX,
            Kind.OUTPUT: reply_size_max,
            Kind.END: reply_size_max,
            Kind.CAPACITY: _CAPACITY_SIZE_MAX,
            Kind.DRAIN: 0,
            Kind.FILE_FROM_HOST: STEP_SIZE_MAX,
            Kind.PING: PING_SIZE,
            Kind.PONG: PING_SIZE,
        }
        self.link = FrameLink(FrameParser(sizes_max), self)
        self.begun, self.lost = self._loop.create_future(), self._loop.create_future()
        self._silence = Silence(self._loop.time(), self._loop.time())

    async def run(
        self,
        execution_id: UUID,
        body: bytes,
        ends_at: float,
        listener: OutputListener | None = None,
        files: FileExchange | None = None,
    ) -> HostReply:
        """Send a run and return its reply, with its files meanwhile; a cancelled call withdraws the run.

        Raises HostUnreached if nothing was sent, HostSilent or ReplyTooLarge.
        """
        if not self.link.is_open or self._is_used_up:
            raise HostUnreached("its stream has ended")
        self._last_id += 1
        run_id, run = self._last_id, _Run(execution_id, self._loop.create_future(), listener, self._state, files)
        if files is not None:
            files.open(self.link, run_id, self._pieces)
        self._runs[run_id] = run
        self._state.in_flight += 1
        self._send(Kind.RUN, run_id, body)
        if self._is_used_up:
            self._become(Condition.DRAINING, "its stream has no ids left, and a new one follows after its last run")
        period = TimerWheel.of(self._loop).schedule(run, ends_at)
        try:
            return await run.done
        except asyncio.CancelledError:
            self._send(Kind.WITHDRAW, run_id)
            raise
        finally:
            period.discard(run)
            run.listener = None
            if files is not None:
                await files.close()

    def cancel(self, execution_id: UUID) -> bool:
        """Stop the execution if it is in flight on this stream; return whether it is."""
        for run_id, run in self._runs.items():
            if run.execution_id == execution_id:
                if not run.is_cancelled:
                    run.is_cancelled = True
                    self._send(Kind.CANCEL, run_id)
                return self.link.is_open
        return False

    def evict(self, body: bytes) -> None:
        """Send an eviction. It is dropped if too much is unsent: hosts evict workers by themselves too."""
        if self.link.unsent < _EVICTIONS_UNSENT_MAX:
            self._send(Kind.EVICT, 0, body)

    @override
    def on_frame(self, frame: StreamFrame) -> None:
        """Take a message of the host; raises BrokenStream."""
        if self.begun.done() is (frame.kind == Kind.WELCOME):
            raise BrokenStream("its first frame, and no other one, must be a welcome")
        self._state.counts.messages[frame.kind] += 1
        if frame.kind in _STATES:
            self._state_rate.note(frame.kind, self._loop.time())
        match frame.kind:
            case Kind.END:
                self._ended(frame)
            case Kind.OUTPUT:
                self._output(frame)
            case Kind.FILE_FROM_HOST:
                self._moved(frame)
            case Kind.CAPACITY:
                self._reported(read_message(Capacity, frame))
            case Kind.WELCOME:
                self._welcomed(read_message(Welcome, frame))
            case Kind.DRAIN:
                self._become(Condition.DRAINING, "it ends, and takes no new runs")
            case Kind.PONG:
                self._state.ponged(time.monotonic() - self._pinged_at_s)

    @override
    def on_lost(self, reason: str) -> None:
        """Leave the ends of all runs that were sent unknown; those that still wait may go to another host."""
        if self._judging is not None:
            self._judging.cancel()
        if self.link.is_broken:
            self._state.leave(self._loop.time(), reason)
        runs, self._runs = self._runs, {}
        self._state.in_flight -= len(runs)
        self._become(Condition.UNREACHED, reason)
        unwritten = self.link.unwritten(Kind.RUN)
        for run_id, run in runs.items():
            if not run.done.done():
                run.done.set_exception(HostUnreached(reason) if run_id in unwritten else HostSilent(reason))
        if not self.begun.done():
            self.begun.set_exception(HostUnreached(reason))
        if not self.lost.done():  # else nobody keeps the stream any more
            self.lost.set_result(reason)

    def _welcomed(self, welcome: Welcome) -> None:
        self._state.claim(welcome.runs_max)
        self._state.name, self._state.unavailable = welcome.name, frozenset(welcome.unavailable)
        self._state.release, self._state.features = welcome.release, frozenset(welcome.features)
        if self.begun.cancelled():
            return
        self.begun.set_result(welcome)
        self._become(Condition.DRAINING if welcome.draining else Condition.READY)
        self._judge()

    def _reported(self, capacity: Capacity) -> None:
        self._state.reported = sum(capacity.running) + sum(capacity.queued)
        unavailable = frozenset(capacity.unavailable)
        if self._state.unavailable != unavailable:
            self._state.unavailable = unavailable
            self._on_change()

    def _send(self, kind: Kind, run_id: int, payload: bytes = b"") -> None:
        self._state.counts.messages[kind] += 1
        self.link.send(kind, run_id, payload)

    def _output(self, frame: StreamFrame) -> None:
        run, line = self._in_flight(frame), read_message(Line, frame)
        run.limits.note(line, frame.kind, self._loop.time())
        if run.listener is not None:
            hear(run.listener, line)

    def _moved(self, frame: StreamFrame) -> None:
        run = self._in_flight(frame)
        if run.files is None:
            raise BrokenStream(f"a step of files of run {frame.id}, which has none")
        run.files.on_frame(frame)

    def _ended(self, frame: StreamFrame) -> None:
        run = self._in_flight(frame)
        reply = reply_of(frame)
        del self._runs[frame.id]
        self._state.in_flight -= 1
        if self._is_used_up and not self._runs:
            self.link.close()
        window = int(self._state.window)
        self._state.ended(was_refused=reply is not None and reply.status != _OK and has_no_time(reply))
        if int(self._state.window) != window:
            self._on_change()
        if run.done.done():
            return
        if reply is None:
            run.done.set_exception(ReplyTooLarge(_OK, frame.size))
        else:
            run.done.set_result(reply)

    @property
    def _is_used_up(self) -> bool:
        return self._last_id >= self._run_id_max

    def _in_flight(self, frame: StreamFrame) -> _Run:
        run = self._runs.get(frame.id)
        if run is None:
            raise BrokenStream(f"a frame of run {frame.id}, which is not in flight")
        return run

    def _judge(self) -> None:
        now_s = self._loop.time()
        verdict, quiet_s = self._silence.judge(self.link.heard_at_s, now_s)
        if verdict is SilenceVerdict.DEAD:
            self.link.abort(f"nothing was heard of it for {quiet_s:.1f} s")
        elif verdict is SilenceVerdict.PING:
            self._pinged_at_s = time.monotonic()
            self._send(Kind.PING, 0, _PING)
        condition = self._state.condition
        if condition is Condition.READY and quiet_s >= LEFT_AFTER_S:
            self._become(Condition.SILENT, f"nothing was heard of it for {LEFT_AFTER_S} s")
        elif condition is Condition.SILENT and quiet_s < LEFT_AFTER_S:
            self._become(Condition.READY)
        self._judging = self._loop.call_later(JUDGED_EACH_S, self._judge)

    def _become(self, condition: Condition, reason: str = "") -> None:
        self._state.become(condition, reason)
        self._on_change()
