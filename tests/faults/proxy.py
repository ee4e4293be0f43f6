"""A TCP proxy that misbehaves on request."""

import asyncio
import contextlib
import socket
import struct
from enum import Enum, auto

from tests.support.waiting import until

_CHUNK = 65536
_LINGER_NOT = struct.pack("ii", 1, 0)
_CANCEL_REQUEST = 80877102
_READY = b"Z\x00\x00\x00\x05"


class Mode(Enum):
    """What happens to the bytes; a connection that has been silenced or reset stays so."""

    PASS = auto()
    SILENT = auto()  # bytes are swallowed both ways, and nothing is closed
    REFUSE = auto()  # new connections are reset at once
    SILENT_ON_CONNECT = auto()  # only new connections are silent
    RESET = auto()  # the next query is reset: every other time before the server gets it, otherwise after
    CUT = auto()  # the server's next response is held for `hold_s`, and then the connection is reset instead


class Proxy:
    """Forwards connections to one address; `delay_s` is added each way, `hold_s` to the server's responses.

    A connection that sends what the proxy does not admit (`admits`) is reset; by default all is admitted.

    With `swallow_cancels`, requests to cancel a statement are accepted and go nowhere. `cancels` counts them. With
    `lets_end`, a connection that one side ends is closed after the other side has got everything, and not reset.
    """

    def __init__(self, host, port, *, lets_end=False):
        self.target = (host, port)
        self.lets_end = lets_end
        self.mode = Mode.PASS
        self.delay_s = 0.0
        self.hold_s = 0.0
        self.swallow_cancels = False
        self.admits = _always
        self.cancels = 0
        self.resets = 0
        self.links = set()

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self):
        self._server.close()
        for link in list(self.links):
            link.reset()
        await until(lambda: not self.links)

    async def _serve(self, reader, writer):
        link = _Link(self, writer)
        if self.mode is Mode.REFUSE:
            link.reset()
            return
        self.links.add(link)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await link.run(reader)
        finally:
            (link.close if self.lets_end else link.reset)()
            self.links.discard(link)


class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy, client):
        self._proxy = proxy
        self._client = client
        self._server = None
        self._silent = proxy.mode in (Mode.SILENT, Mode.SILENT_ON_CONNECT)
        self._greeted = False
        self._due_s = {}

    async def run(self, client_reader):
        if self._silent:
            await _swallow(client_reader)
            return
        server_reader, self._server = await asyncio.open_connection(*self._proxy.target)
        pumps = [
            asyncio.ensure_future(self._pump(client_reader, self._to_server)),
            asyncio.ensure_future(self._pump(server_reader, self._to_client)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            await self._delivered()
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def reset(self):
        """End both connections; one that is in use learns it by RST."""
        for writer in (self._client, self._server):
            if writer is not None and not writer.transport.is_closing():
                writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                writer.transport.abort()

    def close(self):
        for writer in (self._client, self._server):
            if writer is not None:
                writer.close()

    async def _pump(self, reader, take):
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                self._silent = self._silent or self._proxy.mode is Mode.SILENT
                if not self._silent:
                    take(chunk)

    def _to_server(self, chunk):
        if not self._greeted and _is_cancel(chunk):
            self._proxy.cancels += 1
            self._silent = self._proxy.swallow_cancels
            if self._silent:
                return
        if not self._proxy.admits(chunk):
            self.reset()
            return
        if self._resets_now():
            self._proxy.resets += 1
            if self._proxy.resets % 2:
                self.reset()
                return
        self._later(self._server, chunk, self._proxy.delay_s)

    def _to_client(self, chunk):
        was_greeted = self._greeted
        self._greeted = was_greeted or _READY in chunk[-6:]
        if was_greeted and self._resets_now():
            self.reset()
        elif was_greeted and self._proxy.mode is Mode.CUT:
            self._silent = True
            asyncio.get_running_loop().call_later(self._proxy.hold_s, self.reset)
        else:
            self._later(self._client, chunk, self._proxy.delay_s + (self._proxy.hold_s if was_greeted else 0.0))

    def _resets_now(self):
        return self._greeted and self._proxy.mode is Mode.RESET

    def _later(self, writer, chunk, delay_s):
        """Write after the delay, and never before what was taken earlier."""
        loop = asyncio.get_running_loop()
        due_s = max(loop.time() + delay_s, self._due_s.get(writer, 0.0) + 1e-6)
        if due_s <= loop.time():
            writer.write(chunk)
            return
        self._due_s[writer] = due_s
        loop.call_at(due_s, _write, writer, chunk)

    async def _delivered(self):
        """Wait until what is on its way has arrived."""
        left_s = max(self._due_s.values(), default=0.0) - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.sleep(left_s + 0.01)


def _always(_):
    return True


async def _swallow(reader):
    with contextlib.suppress(OSError):
        while await reader.read(_CHUNK):
            pass


def _write(writer, chunk):
    if not writer.transport.is_closing():
        writer.write(chunk)


def _is_cancel(chunk):
    return len(chunk) >= 8 and struct.unpack("!I", chunk[4:8])[0] == _CANCEL_REQUEST
