"""An HTTP server that does with each connection what a test says, byte by byte."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@define(eq=False)
class PeerConnection:
    """One connection of a client."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        """Return the head of the next request, with the empty line."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def body(self, size: int) -> bytes:
        """Return the next `size` bytes of a body."""
        return await self._reader.readexactly(size)

    async def chunked_body(self) -> bytes:
        """Return a body in chunks, with its framing."""
        return await self._reader.readuntil(b"0\r\n\r\n")

    async def request(self) -> bytes:
        """Return a whole request, whose body has a length or none."""
        head = await self.head()
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return head + await self.body(int(lengths[0].split(b":")[1]) if lengths else 0)

    async def send(self, *parts: bytes) -> None:
        """Send bytes, and wait until the buffer has room."""
        self._writer.write(b"".join(parts))
        await self._writer.drain()

    def end(self) -> None:
        """Send no more."""
        self._writer.write_eof()

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._writer.close()

    def reset(self) -> None:
        """Close the connection so that the client gets a reset."""
        connected: socket.socket = self._writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._writer.transport.abort()

    async def ended(self) -> None:
        """Return when the client has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass


Serve = Callable[[PeerConnection], Awaitable[None]]


@define(eq=False)
class Peer:
    """The server; `connections` counts all that clients have made."""

    serve: Serve
    url: str = ""
    connections: int = 0
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection."""
        self.connections += 1
        task = asyncio.create_task(self._serve(PeerConnection(reader, writer), writer))
        self._tasks.add(task)

    async def end(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, connection: PeerConnection, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.serve(connection)
                await connection.ended()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def peer(serve: Serve) -> AsyncIterator[Peer]:
    """Run a server that serves each connection so, and then keeps it open until its client closes it."""
    running = Peer(serve)
    server = await asyncio.start_server(running.accept, "127.0.0.1")
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        await running.end()
