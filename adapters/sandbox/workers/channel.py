"""The service's end of a worker's channel."""

import asyncio
import socket
from collections.abc import Callable

from attrs import define, field

from adapters.sandbox.workers.exchange import Ending, Exchange
from adapters.sandbox.workers.frames import FrameReader, ProtocolBroken
from adapters.sandbox.workers.outbox import Outbox

_PIECE_SIZE = 64 * 1024


@define(eq=False)
class Channel:
    """Sends operations and tells of every answer, of every breach of the protocol, and of the end."""

    connection: socket.socket
    frames: FrameReader
    tell: Callable[[Exchange], None]
    outbox: Outbox
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _unwritten: memoryview = field(default=memoryview(b""), init=False)

    def listen(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self.connection.fileno(), self._on_readable)

    def send(self, operations: bytes) -> None:
        """Send these bytes at the end of this turn of the loop, as far as there is room then."""
        self._unwritten = memoryview(operations)
        self.outbox.add(self._leave)

    def _leave(self) -> None:
        if self.connection.fileno() < 0:
            return  # closed meanwhile
        self._write()
        if self._unwritten:
            self._loop.add_writer(self.connection.fileno(), self._on_writable)

    def close(self) -> None:
        """Neither read nor write any more."""
        if self.connection.fileno() >= 0:
            self._loop.remove_reader(self.connection.fileno())
            self._loop.remove_writer(self.connection.fileno())

    def _write(self) -> None:
        try:
            sent = self.connection.send(self._unwritten)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # It has died; reading will tell.
            sent = len(self._unwritten)
        self._unwritten = self._unwritten[sent:]

    def _on_writable(self) -> None:
        self._write()
        if not self._unwritten:
            self._loop.remove_writer(self.connection.fileno())

    def _on_readable(self) -> None:
        try:
            piece = self.connection.recv(_PIECE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        if piece:
            self._take(piece)
        else:
            self.close()
            self.tell(Exchange(Ending.DIED))

    def _take(self, piece: bytes) -> None:
        try:
            frame = self.frames.feed(piece)
        except ProtocolBroken as error:
            self.tell(Exchange(Ending.PROTOCOL_BROKEN, observed=str(error)))
        else:
            # A part of a frame is told as well: it matters when nothing was asked.
            self.tell(Exchange(Ending.REPLIED, frame))
