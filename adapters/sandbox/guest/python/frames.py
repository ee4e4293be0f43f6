"""Frames between the worker and the service: two little-endian lengths, a JSON header, a body.

A notice has no body, and a mark in its first length. A worker may send notices before its reply.
"""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

import json
import os
import struct

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LENGTHS = struct.Struct("<II")
NOTICE = 1 << 31
PIECE_SIZE = 16_384
LARGE_PIECE_SIZE = 1 << 20

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode_notice(header: dict[str, Any]) -> bytes:
    encoded = encode(header).encode("utf-8", "replace")
    return LENGTHS.pack(len(encoded) | NOTICE, 0) + encoded


class ServiceChannel:
    """The worker's end of its channel: most frames arrive whole, and some with the next one behind them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.unread = b""

    def read_frame(self) -> tuple[dict[str, Any], bytes]:
        """Return the header and the body. Ends the process when the service has ended."""
        content = self.unread or self._read_some(PIECE_SIZE)
        while len(content) < LENGTHS.size:
            content += self._read_some(PIECE_SIZE)
        header_size, body_size = LENGTHS.unpack_from(content)
        body_at = LENGTHS.size + header_size
        end = body_at + body_size
        if len(content) < end:
            content = b"".join((content, *self._read_exactly(end - len(content))))
        self.unread = content[end:]
        return json.loads(content[LENGTHS.size : body_at]), content[body_at:end]

    def write_frame(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Write all of a frame."""
        encoded = encode(header).encode("utf-8", "replace")
        self.write(b"".join((LENGTHS.pack(len(encoded), len(body)), encoded, body)))

    def write(self, encoded: bytes) -> None:
        """Write all of this."""
        content = memoryview(encoded)
        while content:
            content = content[os.write(self.descriptor, content) :]

    def _read_some(self, size: int) -> bytes:
        piece = os.read(self.descriptor, size)
        if not piece:
            os._exit(0)
        return piece

    def _read_exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self._read_some(min(size, LARGE_PIECE_SIZE))
            size -= len(piece)
            yield piece
