"""An origin that replies to every request with the same bytes: as cheap as Python allows, so that the front shows."""

import asyncio
import re
import sys

import uvloop

_BODY = (
    b'{"result":8,"request_id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","execution_time_ms":12,"memory_usage_bytes":null}'
)
_REPLY = (
    b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\naccess-control-allow-origin: *\r\n"
    b"date: Fri, 27 Nov 2026 19:00:00 GMT\r\n\r\n%b" % (len(_BODY), _BODY)
)
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class FixedReply(asyncio.Protocol):
    """Waits for a head and the body of its length, and replies."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]  # of a stream

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < size:
                return
            self._received = self._received[size:]
            self._transport.write(_REPLY)


async def serve(port: int) -> None:
    """Serve on a port of loopback until the process ends."""
    server = await asyncio.get_running_loop().create_server(FixedReply, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
