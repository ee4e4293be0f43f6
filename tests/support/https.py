"""A local HTTPS server that tells its clients what they sent."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from attrs import define, field


@define(eq=False)
class HttpsServer:
    """A server on a port of 127.0.0.1, and the requests that it got."""

    port: int = 0
    requests: list[bytes] = field(factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests with what they say, until the client ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length_of(head))
                self.requests.append(head + body)
                reply = b'{"heard":"%s"}' % body
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(reply)
                )
                writer.write(reply)
                await writer.drain()
        writer.close()


def _length_of(head: bytes) -> int:
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return int(lengths[0]) if lengths else 0


@contextlib.asynccontextmanager
async def https_server(certificate: tuple[Path, Path]) -> AsyncIterator[HttpsServer]:
    """Serve HTTPS with this certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = HttpsServer()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
