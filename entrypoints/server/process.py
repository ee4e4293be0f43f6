"""Child processes: how they are started, and how their end is awaited without polling."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from attrs import define, field
from typing_extensions import override

from entrypoints.server.control import UP, Assignment, Command, encode

WRONG_SETTING_STATUS = 2
"""The exit status of a child that has reported a wrong setting."""

_UP_TIMEOUT_S = 60.0
_ROOT = str(Path(__file__).resolve().parents[2])
_CHILD_EXEC = str(Path(__file__).with_name("child_exec.py"))
_UNCHANGED = ("-1", "-1")


class StartFailed(Exception):
    """A part of the service did not start; the text says what to do."""


class WronglySet(StartFailed):
    """A part of the service did not start because of a setting, which it has reported."""


def launch(  # noqa: PLR0913  # each is one property of a process
    argv: Sequence[str],
    *,
    credentials: tuple[int, int] | None = None,
    death_signal: int = signal.SIGKILL,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program by its path, in its own session, as (uid, gid) if given; `env` None is that of this process.

    The kernel sends it `death_signal` when the calling *thread* ends, so servers have to be started by the main thread.
    """
    user = map(str, credentials) if credentials else _UNCHANGED
    prologue = (sys.executable, "-I", "-S", _CHILD_EXEC, str(os.getpid()), str(int(death_signal)), *user)
    return subprocess.Popen(  # noqa: S603  # every caller names the program by its path
        (*prologue, *argv),
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
    )


@define(eq=False)
class Process(ABC):
    """A process in a session of its own; has to be made on the event loop that waits for it."""

    popen: "subprocess.Popen[bytes]"
    _ended: "asyncio.Future[int]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        descriptor = os.pidfd_open(self.popen.pid)
        loop.add_reader(descriptor, self._reap, descriptor)

    @abstractmethod
    async def up(self) -> None:
        """Wait until the process serves; raises StartFailed."""

    @abstractmethod
    def drain(self) -> None:
        """Let the process finish its work and end."""

    @abstractmethod
    def stop(self) -> None:
        """Let the process end at once."""

    @property
    def status(self) -> int | None:
        """The exit status (negative: the signal); None while it runs."""
        return self._ended.result() if self._ended.done() else None

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        return await asyncio.shield(self._ended)

    async def ended_within(self, timeout_s: float) -> bool:
        """Return whether the process ends in time."""
        done, _ = await asyncio.wait([self._ended], timeout=timeout_s)
        return bool(done)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone, if it still runs."""
        if self.status is None:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill the process and all that is left of its process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def _reap(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._ended.set_result(self.popen.wait())


@define(eq=False)
class PythonProcess(Process):
    """A child with an assignment and a control channel."""

    channel: socket.socket
    name: str
    _is_up: bool = field(default=False, init=False)

    @classmethod
    def spawn(cls, name: str, assignment: Assignment) -> "PythonProcess":
        """Start a child. It inherits its end of the channel and the listener of the assignment."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            listener = [] if assignment.listener is None else [assignment.listener]
            inherited = [theirs.fileno(), *listener, *assignment.further.values()]
            popen = launch(
                (sys.executable, "-P", "-m", "entrypoints.server.child", str(theirs.fileno())),
                env={**os.environ, "PYTHONPATH": _python_path()},
                pass_fds=inherited,
            )
        child = cls(popen, ours, name)
        child._send(encode(assignment))
        return child

    @override
    async def up(self) -> None:
        try:
            word = await asyncio.wait_for(self._receive(), _UP_TIMEOUT_S)
        except TimeoutError:
            raise StartFailed(
                f"The {self.name} did not start within {_UP_TIMEOUT_S:.0f} s. Read its log above; a busy host may need "
                "a second attempt."
            ) from None
        if not word:
            status = await self.ended()
            failure = WronglySet if status == WRONG_SETTING_STATUS else StartFailed
            raise failure(
                f"The {self.name} ended ({status_text(status)}) before it served. Its log above has the reason."
            )
        self._is_up = True

    @override
    def drain(self) -> None:
        self._command(Command.DRAIN)

    @override
    def stop(self) -> None:
        self._command(Command.STOP)

    def _command(self, command: Command) -> None:
        if self._is_up:
            self._send(f"{command}\n".encode())
        else:  # it does not read commands yet, and has no work to lose
            self.kill()

    def _send(self, line: bytes) -> None:
        with suppress(OSError):  # the child has ended
            self.channel.sendall(line)

    async def _receive(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self.channel, len(UP))
        except ConnectionResetError:
            return b""


def status_text(status: int) -> str:
    """Return an exit status as a text: `status 1`, or the name of the signal."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _python_path() -> str:
    """Let a child find this package in any working directory."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([_ROOT, given] if given else [_ROOT])
