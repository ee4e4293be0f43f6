"""The service's end of the egress process: starts it at the first need, and again after its end."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from uuid import UUID

import structlog
from attrs import define, field
from typing_extensions import override

from adapters.egress.control import (
    Admit,
    Begin,
    Begun,
    Close,
    Configure,
    ControlLost,
    ControlSocket,
    End,
    Order,
    Ready,
    Report,
    Traffic,
    decode_report,
)
from adapters.egress.leases import LEASES_MAX
from domain.egress.endpoints import NamedEndpoint
from domain.egress.ports import Lease, WayOut
from domain.egress.rule import EgressRule
from domain.egress.stats import EgressStats
from domain.egress.traffic import LOST, ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.errors import RuntimeUnavailable
from domain.identity import Owner

_START_TIMEOUT_S = 10.0
_REPLY_TIMEOUT_S = 5.0
_WORDS_MAX = 2000
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 5.0
_REMEDY = "Repeat the call after a moment."

_log = structlog.get_logger(__name__)

Launch = Callable[[int], "subprocess.Popen[bytes]"]
"""Starts the process with this descriptor as its end of the control socket; raises OSError."""


def _unavailable(problem: str) -> RuntimeUnavailable:
    return RuntimeUnavailable("a session with a network", f"the egress process {problem}. {_REMEDY}")


@define(eq=False)
class _Process:
    """A started egress process, and the leases that end with it."""

    program: "subprocess.Popen[bytes]"
    control: ControlSocket
    ready: "asyncio.Future[None]"
    waiting: dict[int, "asyncio.Future[Report]"] = field(factory=dict)
    leases: set[int] = field(factory=set)
    sending: "set[asyncio.Task[None]]" = field(factory=set)
    is_lost: bool = False
    words: "asyncio.Future[str]" = field(factory=lambda: asyncio.get_running_loop().create_future())
    """Why it has ended, once it has."""
    burial: "asyncio.Task[None] | None" = None

    async def ask(self, order: Begin | End) -> Report | None:
        """Return the reply to an order; None if the process has ended, or does not reply in time."""
        if self.is_lost:
            return None
        replied: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self.waiting[order.lease] = replied
        try:
            async with asyncio.timeout(_REPLY_TIMEOUT_S):
                await self.control.send(order)
                return await replied
        except ControlLost:
            return None
        except TimeoutError:
            self.kill()  # it is stuck, and what it connects is unknown
            return None
        finally:
            self.waiting.pop(order.lease, None)

    def send_later(self, order: Order) -> None:
        """Send an order without a reply, if the process is still there."""
        task = asyncio.get_running_loop().create_task(self._send(order))
        self.sending.add(task)
        task.add_done_callback(self.sending.discard)

    async def _send(self, order: Order) -> None:
        with contextlib.suppress(ControlLost):
            await self.control.send(order)

    def kill(self) -> None:
        """End it at once, with everything that it connects."""
        self.program.kill()

    def receive(self, message: bytes) -> None:
        """Take a report."""
        report = decode_report(message)
        if isinstance(report, Ready):
            if not self.ready.done():
                self.ready.set_result(None)
            return
        waiting = self.waiting.get(report.lease)
        if waiting is not None and not waiting.done():
            waiting.set_result(report)


@define(eq=False)
class EgressLease(Lease):
    """A lease of the process that was there when its worker started."""

    _process: _Process
    _number: int
    _stats: EgressStats
    _is_in_doubt: bool = field(default=False, init=False)
    """Whether a call was cancelled, so that it may still connect an execution."""
    _is_executing: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)

    @property
    @override
    def is_lost(self) -> bool:
        return self._process.is_lost or self._is_in_doubt

    @override
    async def begin(
        self, execution_id: UUID, rules: Sequence[EgressRule], guarded: Sequence[NamedEndpoint] = ()
    ) -> None:
        self._is_executing = True
        reply = None
        try:
            reply = await self._ask(Begin(self._number, [str(rule) for rule in rules], list(guarded)))
        finally:
            self._is_executing = isinstance(reply, Begun)
        if not self._is_executing:
            raise _unavailable("ended before the script started")

    @override
    async def end(self) -> ExecutionTraffic:
        reply = await self._ask(End(self._number))
        traffic = _traffic_of(reply) if isinstance(reply, Traffic) else LOST
        self._stats.count(traffic)
        self._is_executing = False
        if self._is_closed:
            self.close()
        return traffic

    async def _ask(self, order: Begin | End) -> Report | None:
        self._is_in_doubt = True
        reply = await self._process.ask(order)
        self._is_in_doubt = False
        return reply

    @override
    def close(self) -> None:
        self._is_closed = True
        if not self._is_executing and self._number in self._process.leases:
            self._process.leases.discard(self._number)
            self._process.send_later(Close(self._number))


@define(eq=False)
class EgressClient(WayOut):
    """Connects workers by one egress process, which starts with the first of them.

    If the process ends, its leases are lost, and the next worker starts another one, after a pause that doubles.
    """

    configuration: Configure
    launch: Launch
    stats: EgressStats = field(factory=EgressStats)
    _process: _Process | None = field(default=None, init=False)
    _numbers: "count[int]" = field(factory=lambda: count(1), init=False)
    _pause_s: float = field(default=_PAUSE_MIN_S, init=False)
    _not_before_s: float = field(default=0.0, init=False)
    _starting: asyncio.Lock = field(factory=asyncio.Lock, init=False)
    _closed: bool = field(default=False, init=False)

    @override
    async def admit(
        self, listeners: Sequence[int], hosts: Mapping[str, str], connections_max: int, owner: Owner
    ) -> Lease:
        try:
            process = await self._ready()
            if len(process.leases) >= LEASES_MAX:
                raise _unavailable(f"has {LEASES_MAX} workers, as many as it may have")
            number = next(self._numbers)
            process.leases.add(number)
            try:
                await process.control.send(Admit(number, dict(hosts), connections_max, owner), listeners)
            except ControlLost:
                process.leases.discard(number)
                raise _unavailable("ended while a worker started") from None
        finally:
            for each in listeners:
                os.close(each)
        return EgressLease(process, number, self.stats)

    @override
    async def health(self) -> Mapping[str, object]:
        process = self._process
        if process is None:
            status, state = ("ok", "idle") if self.stats.starts == 0 else ("degraded", "ended")
            return {"status": status, "process": state, "starts": self.stats.starts}
        state = "running" if process.ready.done() else "starting"
        return {"status": "ok", "process": state, "workers": len(process.leases), "starts": self.stats.starts}

    @override
    async def close(self) -> None:
        self._closed = True
        process = self._process
        if process is not None:
            self._on_end(process)
            await process.words

    async def _ready(self) -> _Process:
        """Return a process that takes leases; raises RuntimeUnavailable."""
        async with self._starting:
            process = self._process
            if process is None:
                process = await self._started()
        return process

    async def _started(self) -> _Process:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise _unavailable("is stopping with the service")
        await asyncio.sleep(max(0.0, self._not_before_s - loop.time()))
        self._not_before_s, self._pause_s = loop.time() + self._pause_s, min(2 * self._pause_s, _PAUSE_MAX_S)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                program = self.launch(theirs.fileno())
        except OSError as error:
            ours.close()
            raise _unavailable(f"cannot be started: {error}") from error
        self.stats.starts += 1
        process = _Process(program, ControlSocket(ours), loop.create_future())
        process.control.listen(lambda message, _: process.receive(message), lambda: self._on_end(process))
        self._process = process
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await process.control.send(self.configuration)
                await asyncio.shield(process.ready)
        except (TimeoutError, ControlLost):
            self._on_end(process)
            raise _unavailable(f"did not start: {await process.words}") from None
        self._pause_s = _PAUSE_MIN_S
        return process

    def _on_end(self, process: _Process) -> None:
        """Forget a process that has ended, with its leases."""
        if process.is_lost:
            return
        process.is_lost = True
        process.control.close()
        if not process.ready.done():
            process.ready.set_exception(ControlLost())
            process.ready.exception()
        for waiting in process.waiting.values():
            if not waiting.done():
                waiting.set_exception(ControlLost())
        if self._process is process:
            self._process = None
        process.kill()
        process.burial = asyncio.get_running_loop().create_task(self._bury(process))

    async def _bury(self, process: _Process) -> None:
        """Find why a process has ended."""
        words = await asyncio.to_thread(_last_words, process.program)
        if not self._closed:
            _log.warning("egress_process_ended", workers=len(process.leases), reason=words)
        process.words.set_result(words)


def _last_words(program: "subprocess.Popen[bytes]") -> str:
    said = b""
    if program.stderr is not None:
        with program.stderr as stderr:
            said = stderr.read(_WORDS_MAX)
    program.wait()
    return said.decode("utf-8", "replace").strip() or f"it ended with status {program.returncode}"


def _traffic_of(report: Traffic) -> ExecutionTraffic:
    return ExecutionTraffic(
        tuple(HostTraffic(*each) for each in report.hosts),
        tuple(Refusal(host, port, RefusalReason(reason)) for host, port, reason in report.refusals),
    )
