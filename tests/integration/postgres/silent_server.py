"""A server that speaks enough of PostgreSQL's protocol to fall silent in the middle of it."""

import asyncio
import contextlib
import struct

from tests.support.ports import free_port
from tests.support.waiting import until

_SSL_REQUEST, _GSS_REQUEST, _CANCEL_REQUEST = 80877103, 80877104, 80877102
_RESPONSES = {b"P": b"1", b"B": b"2", b"D": b"n", b"C": b"3"}
_FLUSH, _TERMINATE = b"H", b"X"
_ASKED_BY_NEW_CONNECTIONS = b"pg_walfile_name"


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


_READY = message(b"Z", b"I")
_LAST = {b"": b"", b"C": message(b"C", b"SELECT 0\x00"), b"D": message(b"D", b"\x00\x01" + b"x" * 100)[:50]}
_WELCOME = b"".join(
    [
        message(b"R", struct.pack("!I", 0)),
        message(b"S", b"server_version\x0018.0\x00"),
        message(b"S", b"client_encoding\x00UTF8\x00"),
        message(b"S", b"TimeZone\x00UTC\x00"),
        message(b"K", struct.pack("!II", 1, 2)),
        _READY,
    ]
)


class SilentServer:
    """Responds to every statement with no rows, until `silent`; with `mute`, not even a new connection is greeted.

    What a new connection asks first belongs to the greeting.

    With `cut_after`, the response to a statement ends with that message, or with nothing if it is empty, and then the
    connection. A row (`D`) has only a half.
    """

    def __init__(self):
        self.silent = False
        self.mute = False
        self.cut_after = None
        self.port = free_port()
        self.statements = 0
        self.exchanges = 0
        self.connections = set()

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port} user=u dbname=d sslmode=disable gssencmode=disable"

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self):
        self._server.close()
        await until(self._has_disconnected)

    def _has_disconnected(self):
        """Disconnect all clients, also those that came while the server closed; return whether none is left."""
        for writer in list(self.connections):
            writer.transport.abort()
        return not self.connections

    async def _serve(self, reader, writer):
        self.connections.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._greet(reader, writer)
                await self._respond(reader, writer)
        finally:
            self.connections.discard(writer)
            writer.close()

    async def _greet(self, reader, writer):
        while True:
            (size,) = struct.unpack("!I", await reader.readexactly(4))
            body = await reader.readexactly(size - 4)
            (code,) = struct.unpack("!I", body[:4])
            if code == _CANCEL_REQUEST or self.mute:
                await reader.read()  # until the other side has had enough
                raise ConnectionError
            if code not in (_SSL_REQUEST, _GSS_REQUEST):
                break
            writer.write(b"N")
        writer.write(_WELCOME)

    async def _respond(self, reader, writer):
        while True:
            kind = await reader.readexactly(1)
            (size,) = struct.unpack("!I", await reader.readexactly(4))
            body = await reader.readexactly(size - 4)
            if _ASKED_BY_NEW_CONNECTIONS in body:
                writer.write(self._reply(kind))
                continue
            self.statements += kind == b"E"
            self.exchanges += kind in b"QS"
            if kind == _TERMINATE:
                return
            if kind == b"E" and self.cut_after is not None:
                writer.write(_LAST[self.cut_after])
                return
            if not self.silent and kind != _FLUSH:
                writer.write(self._reply(kind))

    def _reply(self, kind):
        if kind == b"E":
            return message(b"C", b"SELECT 0\x00")
        if kind == b"Q":
            return message(b"I") + _READY
        return _READY if kind == b"S" else message(_RESPONSES[kind])
