"""Frames between the service and a worker: two little-endian lengths, a JSON header, a body of raw bytes."""

import struct

from attrs import define, field, frozen

_LENGTHS = struct.Struct("<II")
HEADER_SIZE_MAX = 256 * 1024


class ProtocolBroken(Exception):
    """The worker's channel carried something that no worker of ours sends; the text says what."""


@frozen
class Frame:
    """A header (JSON, untrusted) and a body."""

    header: bytes
    body: bytes


def encode_frame(header: bytes, body: bytes = b"") -> bytes:
    """Return the frame as it travels."""
    return b"".join((_LENGTHS.pack(len(header), len(body)), header, body))


@define
class FrameReader:
    """Puts frames together from the pieces that arrive; a body may have `body_size_max` bytes."""

    body_size_max: int
    _pending: bytearray = field(factory=bytearray, init=False)

    def feed(self, piece: bytes) -> Frame | None:
        """Take a piece and return the frame that it completes, if it does.

        Raises ProtocolBroken for a frame that is too large, and for bytes beyond the end of a frame: nobody sends
        two in a row.
        """
        if not self._pending and len(piece) >= _LENGTHS.size:
            header_size, body_size = _LENGTHS.unpack_from(piece)
            if len(piece) == _LENGTHS.size + header_size + body_size:
                # A frame in one piece, as most are.
                self._judge(header_size, body_size)
                end = _LENGTHS.size + header_size
                return Frame(piece[_LENGTHS.size : end], piece[end:])
        self._pending += piece
        if len(self._pending) < _LENGTHS.size:
            return None
        header_size, body_size = _LENGTHS.unpack_from(self._pending)
        self._judge(header_size, body_size)
        missing = _LENGTHS.size + header_size + body_size - len(self._pending)
        return None if missing > 0 else self._cut(header_size)

    def _judge(self, header_size: int, body_size: int) -> None:
        if header_size > HEADER_SIZE_MAX or body_size > self.body_size_max:
            raise ProtocolBroken(f"a frame of {header_size} and {body_size} bytes")
        if len(self._pending) > _LENGTHS.size + header_size + body_size:
            raise ProtocolBroken("bytes that nobody asked for")

    def _cut(self, header_size: int) -> Frame:
        content = bytes(memoryview(self._pending)[_LENGTHS.size :])
        self._pending.clear()
        return Frame(content[:header_size], content[header_size:])
