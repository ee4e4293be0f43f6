"""A runtime host that can be killed, and the connections to it, which break at a chosen message of an execution."""

import asyncio
import contextlib
import logging
import multiprocessing
from collections.abc import Callable
from struct import Struct

import structlog
import uvicorn
from attrs import define, field

from adapters.memory.script_runner import MemoryRunnerOptions
from adapters.runtime_files import step_of
from adapters.runtime_frames import MESSAGE_SIZE_MAX, FrameParser, Kind, StreamFrame
from adapters.runtime_link import PROTOCOL
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.server.connection import BoundedConnection
from tests.faults.mortal import TIMEOUT_S, CountingRunner
from tests.support.ports import free_port

_HEADER = Struct("!IIBB")
_STEPS = (Kind.FILE_TO_HOST, Kind.FILE_FROM_HOST)
_CHUNK = 65_536
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])


def serve(runs, port):
    """Be the process; it reports nothing, even when it fails."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()
    host = HostApi(CountingRunner(MemoryRunnerOptions(workers_max=64, queue_max=64), runs=runs), RuntimeHostOptions())
    options = {"http": BoundedConnection, "ws": "none", "lifespan": "off", "log_config": None, "access_log": False}
    uvicorn.run(host.app(), host="127.0.0.1", port=port, **options)


class MortalHost:
    """A host as a process, which can be killed, and started again on its port. Its scripts leave a line each in `runs`."""

    def __init__(self, runs):
        self.port = free_port()
        self._runs = runs
        self.start()

    def start(self):
        self._process = _PROCESSES.Process(target=serve, args=(self._runs, self.port))
        self._process.start()

    def kill(self):
        self._process.kill()
        self._process.join(TIMEOUT_S)


class _Broken(Exception):
    """The connection is to break now."""


@define(eq=False)
class BreakingProxy:
    """Forwards connections to a host, and breaks them once as many messages of an execution have arrived as `break_after`.

    Then it calls `on_break`. A message is `RUN`, `END` or a step of files. `seen` has those that have arrived since then.
    """

    host_port: int
    seen: list[str] = field(factory=list, init=False)
    _left: int | None = field(default=None, init=False)
    _on_break: Callable[[], None] = field(default=lambda: None, init=False)
    _writers: set[asyncio.StreamWriter] = field(factory=set, init=False)
    _server: asyncio.Server = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def start(self) -> "BreakingProxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def stop(self) -> None:
        self._server.close()
        self._abort()
        await self._server.wait_closed()

    def break_after(self, count: int, on_break: Callable[[], None]) -> None:
        """Break as soon as that many messages have arrived, and the next one is on its way or there is none."""
        self._left, self._on_break = count, on_break
        self.seen.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = {writer}
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                host_reader, host_writer = await asyncio.open_connection("127.0.0.1", self.host_port)
                writers.add(host_writer)
                self._writers.add(host_writer)
                pumps = [
                    asyncio.ensure_future(self._pump(reader, host_writer)),
                    asyncio.ensure_future(self._pump(host_reader, writer)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._writers -= writers
            for each in writers:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, _Broken):
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            if PROTOCOL.encode() in head:
                await self._pump_frames(reader, writer)
            while piece := await reader.read(_CHUNK):
                writer.write(piece)

    async def _pump_frames(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = FrameParser(dict.fromkeys(Kind, MESSAGE_SIZE_MAX))
        while True:
            header = await reader.readexactly(_HEADER.size)
            size, run_id, *_ = _HEADER.unpack(header)
            frame = header + await reader.readexactly(size)
            if run_id and self._left == 0:
                self._break()
            writer.write(frame)
            for message in parser.feed(frame):
                self._arrived(message)

    def _arrived(self, message: StreamFrame) -> None:
        if not message.id:
            return
        step = step_of(message) if message.kind in _STEPS else None
        self.seen.append(Kind(message.kind).name if step is None else step[0].name)
        if self._left is not None:
            self._left -= 1
            if not self._left and message.kind == Kind.END:
                self._break()

    def _break(self) -> None:
        self._left = None
        self._on_break()
        self._abort()
        raise _Broken

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
