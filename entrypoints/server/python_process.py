"""A Python child and its channel."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from attrs import define, field
from typing_extensions import override

from entrypoints.server.control import UP, Assignment, Order, encode
from entrypoints.server.launcher import launch
from entrypoints.server.process import WRONG_SETTING_STATUS, Process, StartFailed, WronglySet

_UP_TIMEOUT_S = 60.0
_ROOT = str(Path(__file__).resolve().parents[2])


@define(eq=False)
class PythonProcess(Process):
    """A child that follows an assignment and takes orders."""

    channel: socket.socket
    name: str
    _is_up: bool = field(default=False, init=False)

    @classmethod
    def spawn(cls, name: str, assignment: Assignment) -> "PythonProcess":
        """Start a child; what it inherits is its end of the channel and the assignment's listener."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            inherited = [theirs.fileno(), *([] if assignment.listener is None else [assignment.listener])]
            popen = launch(
                (sys.executable, "-m", "entrypoints.server.child", str(theirs.fileno())),
                env={**os.environ, "PYTHONPATH": _python_path()},
                pass_fds=inherited,
            )
        child = cls(popen, ours, name)
        child._send(encode(assignment))
        return child

    @override
    async def up(self) -> None:
        try:
            said = await asyncio.wait_for(self._hear(), _UP_TIMEOUT_S)
        except TimeoutError:
            raise StartFailed(f"The {self.name} did not come up within {_UP_TIMEOUT_S:.0f} s.") from None
        if not said:
            status = await self.ended()
            failure = WronglySet if status == WRONG_SETTING_STATUS else StartFailed
            raise failure(f"The {self.name} ended ({spoken(status)}); its reason stands above.")
        self._is_up = True

    @override
    def drain(self) -> None:
        self._order(Order.DRAIN)

    @override
    def stop(self) -> None:
        self._order(Order.STOP)

    def _order(self, order: Order) -> None:
        if self._is_up:
            self._send(f"{order}\n".encode())
        else:  # it takes no orders yet, and has no work to lose
            self.kill()

    def _send(self, line: bytes) -> None:
        with suppress(OSError):  # a child that has ended needs no word
            self.channel.sendall(line)

    async def _hear(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self.channel, len(UP))
        except ConnectionResetError:
            return b""


def spoken(status: int) -> str:
    """Say an exit status."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


def _python_path() -> str:
    """Let a child find this package whatever its folder is."""
    given = os.environ.get("PYTHONPATH")
    return os.pathsep.join([_ROOT, given] if given else [_ROOT])
