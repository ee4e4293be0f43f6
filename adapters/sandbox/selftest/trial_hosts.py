"""Hosts for attacks of scripts with a network: one that they may reach, and two that they may not."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from adapters.sandbox.selftest.corpus import Attack

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

NETWORK = "127.0.7.0/24"
"""The network that is allowed, although it is not public."""
_ALLOWED, _OWN, _REGISTERED, _GUARDED = "127.0.7.1", "127.0.7.2", "127.0.7.8", "127.0.7.9"
_NAMES = {"allowed.test": _ALLOWED, "own.test": _OWN, "registered.test": _REGISTERED, "guarded.test": _GUARDED}
_TLS = 22
_PIECE = 64 * 1024
_RETRY = bytes.fromhex(
    "160303002e0200002a0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c00130100000000"
)
"""A server's request for another ClientHello."""


@define(eq=False)
class TrialHosts:
    """Servers on loopback addresses, and names for them and for the hosts of attacks.

    The allowed host echoes what it hears, or asks for another ClientHello. What it must not hear has the mark of the
    canaries. `own`, `guarded` and `registered` stand for the service's own port, for its database, and for a runtime
    host that has registered itself.
    """

    attacks: Sequence[Attack]
    mark: str
    _folder: Path = field(init=False)
    _server: asyncio.Server = field(init=False)
    _forbidden: Mapping[str, socket.socket] = field(init=False)
    _heard_mark: bool = field(default=False, init=False)
    _closing: contextlib.AsyncExitStack = field(factory=contextlib.AsyncExitStack, init=False)

    async def open(self) -> None:
        """Serve, and write the names; raises OSError."""
        async with contextlib.AsyncExitStack() as closing:
            self._folder = Path(tempfile.mkdtemp(prefix="pglambda-hosts-"))
            closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._folder.chmod(0o755)  # the egress process has a user of its own
            self._write_names()
            self._server = await closing.enter_async_context(await self._started())
            self._forbidden = {
                name: closing.enter_context(_listening(address))
                for name, address in (("own", _OWN), ("guarded", _GUARDED), ("registered", _REGISTERED))
            }
            self._closing = closing.pop_all()

    async def close(self) -> None:
        """End everything."""
        await self._closing.aclose()

    @property
    def names(self) -> Sequence[tuple[Path, str]]:
        """The files by which names are resolved, and where the egress process looks for them."""
        files = ("hosts", "host.conf", "nsswitch.conf")
        return [(self._folder / name, f"/etc/{name}") for name in files]

    @property
    def own_port(self) -> int:
        """The port that stands for PORT of the service."""
        return _port_of(self._forbidden["own"])

    @property
    def guarded(self) -> tuple[str, int]:
        """The host and the port that stand for its database."""
        return "guarded.test", _port_of(self._forbidden["guarded"])

    @property
    def registered(self) -> tuple[str, int]:
        """The address and the port that stand for the registered host."""
        return _REGISTERED, _port_of(self._forbidden["registered"])

    def params(self) -> Mapping[str, object]:
        """Return names and ports, for scripts and for rules."""
        return {
            "allowed": "allowed.test",
            "allowed_port": _port_of(self._server.sockets[0]),
            "own": "own.test",
            "own_port": self.own_port,
            "guarded": self.guarded[0],
            "guarded_port": self.guarded[1],
            "registered": "registered.test",
            "registered_port": self.registered[1],
        }

    def harm(self) -> str | None:
        """Return what reached a host since the last call, and should not have."""
        heard, self._heard_mark = self._heard_mark, False
        if heard:
            return "the allowed host has heard what it should not hear"
        for name, listener in self._forbidden.items():
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                return f"a connection came in on the port that is {name}"
        return None

    async def _started(self) -> asyncio.Server:
        listener = socket.create_server((_ALLOWED, 0))
        # What a host holds is not held for the script, and would hide how much is.
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, _PIECE)
        return await asyncio.start_server(self._serve, sock=listener, limit=_PIECE)

    def _write_names(self) -> None:
        lines = [f"{address} {name}\n" for name, address in _NAMES.items()]
        lines += [f"{address} {attack.target}\n" for attack in self.attacks for address in attack.resolves]
        self._write("hosts", "".join(lines))
        self._write("host.conf", "multi on\n")  # by which a name in two lines has two addresses
        self._write("nsswitch.conf", "hosts: files\n")

    def _write(self, name: str, text: str) -> None:
        path = self._folder / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o644)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tail, is_first = b"", True
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                self._heard_mark = self._heard_mark or self.mark.encode() in tail + piece
                tail = piece[-len(self.mark) :]
                writer.write(_RETRY if is_first and piece[0] == _TLS else piece)
                is_first = False
                await writer.drain()
        writer.close()


def _listening(address: str) -> socket.socket:
    listener = socket.create_server((address, 0))
    listener.setblocking(False)
    return listener


def _port_of(listener: "socket.socket | TransportSocket") -> int:
    return int(listener.getsockname()[1])
