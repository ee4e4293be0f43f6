"""Either end of a stream as raw frames, for tests of peers that break the protocol."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
from attrs import define, field

from adapters.runtime_frames import FrameParser, FrameWriter, Kind, StreamFrame, Welcome
from adapters.runtime_link import PROTOCOL
from tests.contracts.script_runs import new_id

SWITCHED = f"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {PROTOCOL}\r\n\r\n".encode()
SIZES_MAX = dict.fromkeys(Kind, 1 << 24)


def request(token: str | None = None, upgrade: str = PROTOCOL) -> bytes:
    """Return the head by which a controller asks for a stream."""
    authorization = "" if token is None else f"authorization: Bearer {token}\r\n"
    return (
        f"GET /stream HTTP/1.1\r\nhost: host\r\nconnection: upgrade\r\nupgrade: {upgrade}\r\n{authorization}\r\n"
    ).encode()


def frame(kind: int, run_id: int = 0, payload: bytes = b"") -> bytes:
    """Return the bytes of a message."""
    writer = FrameWriter()
    writer.put(kind, run_id, payload)
    return writer.take(1 << 30)


def welcome(runs_max: int = 8, *, draining: bool = False, features: Sequence[str] = ()) -> bytes:
    """Return the first frame of a host."""
    first = Welcome("raw", new_id(), "0.0.0", ["python"], runs_max, draining, features=list(features))
    return frame(Kind.WELCOME, 0, msgspec.json.encode(first))


@define(eq=False)
class RawPeer:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    frames: FrameParser = field(factory=lambda: FrameParser(SIZES_MAX))
    received: list[StreamFrame] = field(factory=list)

    async def next(self, kind: int | None = None) -> StreamFrame:
        """Return the next message, of this kind if one is given; raises EOFError at the end."""
        while True:
            while self.received:
                found = self.received.pop(0)
                if kind is None or found.kind == kind:
                    return found
            async with asyncio.timeout(10):
                data = await self.reader.read(1 << 16)
            if not data:
                raise EOFError
            self.received += self.frames.feed(data)

    async def is_closed(self) -> bool:
        """Wait for the end of the connection."""
        try:
            while True:
                await self.next()
        except (EOFError, ConnectionError):
            return True


@asynccontextmanager
async def raw_stream_host(serve: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Listen as a host whose streams `serve` plays, behind the 101; yields its URL."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SWITCHED)
            await serve(RawPeer(reader, writer))
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None))


@asynccontextmanager
async def raw_controller(url: str, head: bytes | None = None, unread_max: int = 1 << 16) -> AsyncIterator[RawPeer]:
    """Connect to a host as a controller, and ask for a stream; `unread_max` bytes are taken without a read."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=unread_max)
    try:
        writer.write(head or request())
        yield RawPeer(reader, writer)
    finally:
        writer.close()


async def switched(peer: RawPeer) -> bytes:
    """Read the head of the host's reply and return it."""
    async with asyncio.timeout(10):
        return await peer.reader.readuntil(b"\r\n\r\n")
