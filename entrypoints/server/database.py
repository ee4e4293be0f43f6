"""The PostgreSQL server that the service brings along: as a child of the supervisor, or for one command."""

import asyncio
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals
from typing import ClassVar, Protocol

from attrs import define
from typing_extensions import override

from entrypoints.server.data_dir import DataDir
from entrypoints.server.process import Process, StartFailed, status_text

FAST_STOP_TIMEOUT_S = 10.0
IMMEDIATE_STOP_TIMEOUT_S = 7.0
_READY_TIMEOUT_S = 300.0
"""The limit of a start. Replaying the log after a crash takes time."""
_POLL_S = 0.02


class ServerFailed(Exception):
    """The database server does not run; the text says what to do."""


class DatabaseServer(Protocol):
    """A PostgreSQL server that runs as a child of this process."""

    fast_stop: ClassVar[Signals]
    immediate_stop: ClassVar[Signals]

    @property
    def exists(self) -> bool:
        """Whether the data folder exists. If not, `prepare` makes it."""
        ...

    def prepare(self) -> None:
        """Prepare a start, which takes seconds the first time; raises RuntimeError with a text for operators."""
        ...

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the prepared server; has to be called from the main thread."""
        ...

    def is_ready(self) -> bool:
        """Return whether the started server accepts connections."""
        ...

    def forget(self) -> None:
        """Remove what only a running server needs."""
        ...

    @property
    def url(self) -> str:
        """The URL of the started server."""
        ...

    @property
    def log_tail(self) -> str:
        """The end of the server's log."""
        ...


@define(eq=False)
class DatabaseProcess(Process):
    """A running database server, whose URL is published in the data folder."""

    server: DatabaseServer
    data_dir: DataDir

    @classmethod
    async def spawn(cls, server: DatabaseServer, data_dir: DataDir) -> "DatabaseProcess":
        """Prepare the server in a thread and start it from the main thread; raises StartFailed."""
        data_dir.withdraw()
        try:
            await _completed(asyncio.create_task(asyncio.to_thread(server.prepare)))
        except RuntimeError as error:
            raise StartFailed(str(error)) from error
        return cls(server.start(), server, data_dir)

    @override
    async def up(self) -> None:
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                await self._ready()
        except TimeoutError:
            raise StartFailed(_failure(self.server, _NOT_READY)) from None
        self.data_dir.publish(self.server.url)

    @override
    def drain(self) -> None:
        self.data_dir.withdraw()
        self.signal(self.server.fast_stop)

    @override
    def stop(self) -> None:
        self.signal(self.server.immediate_stop)

    async def _ready(self) -> None:
        while not self.server.is_ready():
            if await self.ended_within(_POLL_S):
                raise StartFailed(_failure(self.server, f"PostgreSQL ended ({status_text(await self.ended())})."))


@contextmanager
def running(server: DatabaseServer) -> Iterator[str]:
    """Run the server for the duration of a command and yield its URL; raises ServerFailed."""
    try:
        server.prepare()
    except RuntimeError as error:
        raise ServerFailed(str(error)) from error
    process = server.start()
    try:
        _await_ready(server, process)
        yield server.url
    finally:
        stop(server, process)


def stop(server: DatabaseServer, process: "subprocess.Popen[bytes]") -> None:
    """Stop the server: fast, then at once, then by force."""
    for signal, timeout_s in (
        (server.fast_stop, FAST_STOP_TIMEOUT_S),
        (server.immediate_stop, IMMEDIATE_STOP_TIMEOUT_S),
        (Signals.SIGKILL, IMMEDIATE_STOP_TIMEOUT_S),
    ):
        process.send_signal(signal)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            continue
        break
    server.forget()


_NOT_READY = f"PostgreSQL was not ready within {_READY_TIMEOUT_S:.0f} s."


def _failure(server: DatabaseServer, reason: str) -> str:
    return f"{reason} Its log ends with:\n{server.log_tail}"


def _await_ready(server: DatabaseServer, process: "subprocess.Popen[bytes]") -> None:
    ends_at = time.monotonic() + _READY_TIMEOUT_S
    while not server.is_ready():
        if process.poll() is not None:
            raise ServerFailed(_failure(server, f"PostgreSQL ended ({status_text(process.returncode)})."))
        if time.monotonic() > ends_at:
            raise ServerFailed(_failure(server, _NOT_READY))
        time.sleep(_POLL_S)


async def _completed(task: asyncio.Task[None]) -> None:
    """Wait for work in a thread, also if cancelled meanwhile: the work itself cannot be cancelled."""
    try:
        await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task])
