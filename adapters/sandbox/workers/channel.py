"""The service's end of a worker's channel, and the frames on it.

A frame is two little-endian lengths, a JSON header and a body of raw bytes. A notice is a frame without a body, marked
in its first length, which a worker may send before its reply.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import Enum, auto

from attrs import define, field, frozen

_LENGTHS = struct.Struct("<II")
HEADER_SIZE_MAX = 256 * 1024
NOTICE = 1 << 31
"""Set in the length of the header of a notice."""
NOTICE_SIZE_MAX = 2048
_PIECE_SIZE = 64 * 1024


class ProtocolBroken(Exception):
    """The channel carried something that no worker of this service sends. The text says what."""


class Ending(Enum):
    """How an exchange with a worker ended."""

    REPLIED = auto()
    TIMED_OUT = auto()
    CPU_LIMIT = auto()
    OUTPUT_LIMIT = auto()
    PROTOCOL_BROKEN = auto()
    CANCELLED = auto()
    DIED = auto()


@frozen
class Frame:
    """A header (JSON, untrusted) and a body."""

    header: bytes
    body: bytes


def encode_frame(header: bytes, body: bytes = b"") -> bytes:
    """Return the bytes of a frame."""
    return b"".join((_LENGTHS.pack(len(header), len(body)), header, body))


def reject_notice(_notice: bytes) -> None:
    """Raise ProtocolBroken: no execution is in progress."""
    raise ProtocolBroken("a notice without an execution")


@define
class FrameReader:
    """Assembles frames from the pieces that arrive. A body may have `body_size_max` bytes, and `state_size_max` more.

    `on_notice` receives the header of each notice, and may raise ProtocolBroken.
    """

    body_size_max: int
    on_notice: Callable[[bytes], None] = reject_notice
    state_size_max: int = 0
    _pending: bytearray = field(factory=bytearray, init=False)

    def feed(self, piece: bytes) -> Frame | None:
        """Add a piece, and return the frame that it completes, if it does.

        Raises ProtocolBroken for a frame that is too large, and for bytes after the end of a frame: a worker never
        sends two frames in a row, except for notices.
        """
        if not self._pending and len(piece) >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(piece)
            if len(piece) == _LENGTHS.size + header_size + body_size:
                # Most frames arrive in one piece.
                self._check_sizes(header_size, body_size)
                end = _LENGTHS.size + header_size
                return Frame(piece[_LENGTHS.size : end], piece[end:])
        self._pending += piece
        while len(self._pending) >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(self._pending)
            if not header_size & NOTICE:
                return self._reply(header_size, body_size)
            if not self._take_notice(header_size ^ NOTICE, body_size):
                break
        return None

    def _take_notice(self, size: int, body_size: int) -> bool:
        """Take the notice in front, if it is whole."""
        if size > NOTICE_SIZE_MAX or body_size:
            raise ProtocolBroken(f"a notice with a header of {size} bytes and a body of {body_size} bytes")
        end = _LENGTHS.size + size
        if len(self._pending) < end:
            return False
        notice = bytes(self._pending[_LENGTHS.size : end])
        del self._pending[:end]
        self.on_notice(notice)
        return True

    def _reply(self, header_size: int, body_size: int) -> Frame | None:
        self._check_sizes(header_size, body_size)
        missing = _LENGTHS.size + header_size + body_size - len(self._pending)
        return None if missing > 0 else self._cut(header_size)

    def _check_sizes(self, header_size: int, body_size: int) -> None:
        if header_size > HEADER_SIZE_MAX or body_size > self.body_size_max + self.state_size_max:
            raise ProtocolBroken(f"a frame with a header of {header_size} bytes and a body of {body_size} bytes")
        if len(self._pending) > _LENGTHS.size + header_size + body_size:
            raise ProtocolBroken("bytes after the end of a frame")

    def _cut(self, header_size: int) -> Frame:
        content = bytes(memoryview(self._pending)[_LENGTHS.size :])
        self._pending.clear()
        return Frame(content[:header_size], content[header_size:])


@define(eq=False)
class Outbox:
    """Sends the operations of one turn of the event loop together, at its end.

    Then the workers run one after another, and the service continues when all have replied. If each were sent at once,
    service and workers would displace each other from the processor's caches, for a tenth of an execution's time.
    """

    _sends: list[Callable[[], None]] = field(factory=list, init=False)

    def add(self, send: Callable[[], None]) -> None:
        """Call `send` at the end of this turn of the loop."""
        if not self._sends:
            asyncio.get_running_loop().call_soon(self._flush)
        self._sends.append(send)

    def _flush(self) -> None:
        sends, self._sends = self._sends, []
        for send in sends:
            send()


@define(eq=False)
class Channel:
    """Sends operations, and reports what arrives.

    `report` gets REPLIED with a frame, or with None for a part of one; PROTOCOL_BROKEN with a text; or DIED.
    """

    connection: socket.socket
    frames: FrameReader
    report: Callable[[Ending, Frame | None, str], None]
    outbox: Outbox
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _unsent: memoryview = field(default=memoryview(b""), init=False)

    def listen(self) -> None:
        """Start to read."""
        self._loop.add_reader(self.connection.fileno(), self._on_readable)

    def send(self, operations: bytes) -> None:
        """Send these bytes at the end of this turn of the loop, and what does not fit then as soon as it does."""
        self._unsent = memoryview(operations)
        self.outbox.add(self._flush)

    def close(self) -> None:
        """Stop reading and writing."""
        if self.connection.fileno() >= 0:
            self._loop.remove_reader(self.connection.fileno())
            self._loop.remove_writer(self.connection.fileno())

    def _flush(self) -> None:
        if self.connection.fileno() < 0:
            return  # closed since `send`
        self._write()
        if self._unsent:
            self._loop.add_writer(self.connection.fileno(), self._on_writable)

    def _write(self) -> None:
        try:
            sent = self.connection.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            # The worker has died, and the next read reports it.
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]

    def _on_writable(self) -> None:
        self._write()
        if not self._unsent:
            self._loop.remove_writer(self.connection.fileno())

    def _on_readable(self) -> None:
        try:
            piece = self.connection.recv(_PIECE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            piece = b""
        if piece:
            self._receive(piece)
        else:
            self.close()
            self.report(Ending.DIED, None, "")

    def _receive(self, piece: bytes) -> None:
        try:
            frame = self.frames.feed(piece)
        except ProtocolBroken as error:
            self.report(Ending.PROTOCOL_BROKEN, None, str(error))
        else:
            # A part of a frame is reported too: it matters if the worker has no operation.
            self.report(Ending.REPLIED, frame, "")
