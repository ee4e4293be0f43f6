"""The first message of a TLS client: read to see which host it names. Nothing here decrypts or changes anything.

RFC 8446 has the format of records (5.1) and of the ClientHello (4.1.2), RFC 6066 that of the host name.
"""

import re
import struct
from collections.abc import Iterator

from attrs import define, field, frozen

SIZE_MAX = 16 * 1024
"""Bytes of a ClientHello with its records; that of a browser has about 2,000."""

HANDSHAKE, CLIENT_HELLO = 22, 1
_TLS = 3
_RECORD_SIZE_MAX = 16 * 1024
_RECORD = struct.Struct(">BBBH")
RECORD_HEADER_SIZE = _RECORD.size
_SERVER_NAME, _HOST_NAME = 0, 0
_ENCRYPTED_HELLO = frozenset({0xFE0D, 0xFE0A, 0xFE09, 0xFE08, 0xFFCE})
"""ECH, its last drafts, and encrypted SNI: each hides a name that is not the one that is seen."""
_NAME = re.compile(rb"[!-~]{1,255}")


class InvalidHello(Exception):
    """The bytes are not a ClientHello that names a host. The text says what is wrong."""


@frozen
class ClientHello:
    """What matters of a ClientHello: the host that it names, in lower case; None if it names none."""

    host: str | None
    hides_another: bool = False
    """Whether it contains another ClientHello in encrypted form (ECH), which may name another host."""


@define
class HelloReader:
    """Assembles a ClientHello from the pieces that arrive. It may span records, and a record may span pieces."""

    received: bytearray = field(factory=bytearray, init=False)
    """Everything that was fed, to be passed on as it is."""
    _message: bytearray = field(factory=bytearray, init=False)
    _at: int = field(default=0, init=False)
    """Where the next record begins."""

    @property
    def size(self) -> int:
        """The bytes of the records that were read; more may have been received."""
        return self._at

    def feed(self, piece: bytes) -> ClientHello | None:
        """Add a piece; return the ClientHello if it is whole. Raises InvalidHello."""
        self.received += piece
        while self._take_record():
            if self._at > SIZE_MAX:
                break
            if len(self._message) >= _HEADER_SIZE:
                size = int.from_bytes(self._message[1:_HEADER_SIZE])
                if len(self._message) - _HEADER_SIZE > size:
                    raise InvalidHello("it sends more beside its first message")
                if len(self._message) - _HEADER_SIZE == size:
                    return read_client_hello(bytes(self._message[_HEADER_SIZE:]))
        if len(self.received) > SIZE_MAX:
            raise InvalidHello(f"its first message has more than {SIZE_MAX} bytes")
        return None

    def _take_record(self) -> bool:
        """Take the next record, if it is whole."""
        left = len(self.received) - self._at
        if left and self.received[self._at] != HANDSHAKE:
            raise InvalidHello("it does not begin with TLS")
        if left < _RECORD.size:
            return False
        _, major, _, size = _RECORD.unpack_from(self.received, self._at)
        if major != _TLS or not 0 < size <= _RECORD_SIZE_MAX:
            raise InvalidHello("it does not begin with TLS")
        if left < _RECORD.size + size:
            self._require_hello(self.received[self._at + _RECORD.size :])
            return False
        start = self._at + _RECORD.size
        self._message += self.received[start : start + size]
        self._at = start + size
        self._require_hello(b"")
        return True

    def _require_hello(self, more: bytes | bytearray) -> None:
        head = bytes(self._message[:_HEADER_SIZE]) + bytes(more[:_HEADER_SIZE])
        if head and head[0] != CLIENT_HELLO:
            raise InvalidHello("its first message is not a ClientHello")


_HEADER_SIZE = 4


def read_client_hello(body: bytes) -> ClientHello:
    """Return what matters of the body of a ClientHello; raises InvalidHello."""
    rest = _Bytes(body)
    rest.skip(2 + 32)  # version, random
    rest.vector(1)  # session id
    rest.vector(2)  # cipher suites
    rest.vector(1)  # compression
    if not rest.left:
        return ClientHello(None)
    extensions = _Bytes(rest.vector(2))
    rest.require_end()
    host, hides, seen = None, False, set()
    for kind, content in _extensions(extensions):
        if kind in seen:
            raise InvalidHello(f"its ClientHello has the extension {kind} twice")
        seen.add(kind)
        if kind == _SERVER_NAME:
            host = _host_of(content)
        hides = hides or kind in _ENCRYPTED_HELLO
    return ClientHello(host, hides)


def _extensions(rest: "_Bytes") -> Iterator[tuple[int, bytes]]:
    while rest.left:
        yield rest.number(2), rest.vector(2)


def _host_of(content: bytes) -> str:
    outer = _Bytes(content)
    names = _Bytes(outer.vector(2))
    outer.require_end()
    kind, name = names.number(1), names.vector(2)
    # More than one name is forbidden, and servers differ in which one they take.
    names.require_end()
    if kind != _HOST_NAME or not _NAME.fullmatch(name):
        raise InvalidHello("its ClientHello has no valid host name")
    return name.decode("ascii").lower()


@define
class _Bytes:
    """Bytes that are read from the front; each read beyond the end raises InvalidHello."""

    _content: bytes
    _at: int = 0

    @property
    def left(self) -> int:
        return len(self._content) - self._at

    def skip(self, size: int) -> bytes:
        if size > self.left:
            raise InvalidHello("its ClientHello is cut off")
        self._at += size
        return self._content[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.skip(size))

    def vector(self, length_size: int) -> bytes:
        return self.skip(self.number(length_size))

    def require_end(self) -> None:
        if self.left:
            raise InvalidHello("its ClientHello has bytes that belong to no field")
