"""The service's end of a worker's channel."""

import asyncio
import socket
from collections.abc import Callable
from typing import ClassVar

from attrs import define, field

from adapters.sandbox.workers.exchange import Ending, Exchange
from adapters.sandbox.workers.frames import FrameReader, ProtocolBroken

_PIECE_SIZE = 64 * 1024


class Outbox:
    """Lets what is sent in one turn of the loop leave together, at its end.

    Then the workers run one after the other, and the service goes on when all have answered. Each by each they take
    the processor's caches from the service and from each other, at a tenth of an execution's time.
    """

    _latest: ClassVar["Outbox | None"] = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._letters: list[Callable[[], None]] = []

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Outbox":
        """Return that of the loop; one loop runs at a time in a process."""
        latest = cls._latest
        if latest is None or latest._loop is not loop:  # noqa: SLF001  # its own class
            latest = cls._latest = cls(loop)
        return latest

    def add(self, send: Callable[[], None]) -> None:
        """Have this called at the end of the turn."""
        if not self._letters:
            self._loop.call_soon(self._leave)
        self._letters.append(send)

    def _leave(self) -> None:
        letters, self._letters = self._letters, []
        for send in letters:
            send()


@define(eq=False)
class Channel:
    """Sends operations and tells of every answer, of every breach of the protocol, and of the end."""

    connection: socket.socket
    frames: FrameReader
    tell: Callable[[Exchange], None]
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _unwritten: memoryview = field(default=memoryview(b""), init=False)

    def listen(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self.connection.fileno(), self._on_readable)

    def send(self, operations: bytes) -> None:
        """Send these bytes at the end of this turn of the loop, as far as there is room then."""
        self._unwritten = memoryview(operations)
        Outbox.of(self._loop).add(self._leave)

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
            self.tell(Exchange(Ending.ANSWERED, frame))
