"""The messages between the service and the egress process, on a socket that keeps their bounds."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

import msgspec
from attrs import define, field

MESSAGE_SIZE_MAX = 64 * 1024
DESCRIPTORS_MAX = 17
"""A listener for the port of each rule, and one for the proxy."""


class Configure(msgspec.Struct, tag="configure"):
    """The first message to the process."""

    connections_max: int
    """Of one execution at once."""
    bytes_max: int
    """Of one execution, each way."""
    connect_timeout_s: float
    allowed: list[str]
    denied: list[str]
    own_ports: list[int]
    guarded: list[tuple[str, int]]
    filter: bytes = b""
    """System calls that the process denies itself."""


class Admit(msgspec.Struct, tag="admit"):
    """A new lease, with its listeners beside the message."""

    lease: int
    hosts: dict[str, str]
    connections_max: int
    owner: str


class Begin(msgspec.Struct, tag="begin"):
    """An execution begins when it is acknowledged."""

    lease: int
    rules: list[str]
    guarded: list[tuple[str, int]] = []
    """What belongs to the service now, beside what Configure names."""


class End(msgspec.Struct, tag="end"):
    """An execution has ended."""

    lease: int


class Close(msgspec.Struct, tag="close"):
    """The worker of a lease has ended."""

    lease: int


class Ready(msgspec.Struct, tag="ready"):
    """The process takes leases."""


class Begun(msgspec.Struct, tag="begun"):
    """The acknowledgement of Begin."""

    lease: int


class Traffic(msgspec.Struct, tag="traffic"):
    """What an execution used."""

    lease: int
    hosts: list[tuple[str, int, int, int, int, int]]
    refusals: list[tuple[str, int, str]]


Order = Configure | Admit | Begin | End | Close
Report = Ready | Begun | Traffic

decode_order = msgspec.json.Decoder(Order).decode
decode_report = msgspec.json.Decoder(Report).decode
encode = msgspec.json.encode


class ControlLost(Exception):
    """The other side has ended."""


@define(eq=False)
class ControlSocket:
    """One end of the socket. Messages are sent in order, and received by a callback."""

    connection: socket.socket
    _sending: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    def listen(self, receive: Callable[[bytes, list[int]], None], on_end: Callable[[], None]) -> None:
        """Call `receive` for each message with its descriptors, and `on_end` once at the end."""
        self.connection.setblocking(False)
        asyncio.get_running_loop().add_reader(self.connection.fileno(), self._on_readable, receive, on_end)

    async def send(self, message: Order | Report, descriptors: Sequence[int] = ()) -> None:
        """Send a message; raises ControlLost."""
        encoded = encode(message)
        async with self._sending:
            while not self._try(encoded, descriptors):
                await self._writable()

    def close(self) -> None:
        """Close this end."""
        if self.connection.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.connection.fileno())
            self.connection.close()

    def _try(self, encoded: bytes, descriptors: Sequence[int]) -> bool:
        if self.connection.fileno() < 0:
            raise ControlLost
        try:
            socket.send_fds(self.connection, [encoded], descriptors)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            raise ControlLost from error
        return True

    async def _writable(self) -> None:
        loop, writable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self.connection.fileno(), writable.set)
        try:
            await writable.wait()
        finally:
            if self.connection.fileno() >= 0:
                loop.remove_writer(self.connection.fileno())

    def _on_readable(self, receive: Callable[[bytes, list[int]], None], on_end: Callable[[], None]) -> None:
        try:
            message, descriptors, _, _ = socket.recv_fds(self.connection, MESSAGE_SIZE_MAX, DESCRIPTORS_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            message, descriptors = b"", []
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        if message:
            receive(message, descriptors)
        else:
            self.close()
            on_end()
