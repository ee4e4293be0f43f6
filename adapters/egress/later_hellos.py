"""Further ClientHellos of a connection: the one after a HelloRetryRequest must name the same host as the first."""

from attrs import define, field

from adapters.egress.client_hello import CLIENT_HELLO, HANDSHAKE, RECORD_HEADER_SIZE, HelloReader, InvalidHello

_SERVER_HELLO = 2
_RETRY_AT = RECORD_HEADER_SIZE + 4 + 2
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that asks for another ClientHello (RFC 8446, 4.1.3)."""
RECORDS_MAX = 256
"""Records before the answer of the server: early data of 4 MiB. Many small ones would take much time."""


class TooManyRecords(InvalidHello):
    """The client sends many records before the server has answered."""


@define
class LaterHellos:
    """Follows the records of a client after its first ClientHello, and the first record of its server.

    A server that has asked for another ClientHello reads the host from that one. A client need not wait for the
    request. So every ClientHello is judged until the server has answered in another way, or has got the second one.
    """

    host: str
    _held: bytearray = field(factory=bytearray, init=False)
    """What is not passed on yet: the beginning of a record, or of a ClientHello."""
    _left: int = field(default=0, init=False)
    """Bytes of the present record that are passed on unread."""
    _reader: HelloReader | None = field(default=None, init=False)
    _fed: int = field(default=0, init=False)
    _has_second: bool = field(default=False, init=False)
    _records: int = field(default=0, init=False)
    _answer: bytearray = field(factory=bytearray, init=False)
    _is_retry: bool | None = field(default=None, init=False)
    """Whether the server asks for another ClientHello; None before its answer."""

    def sent(self, piece: bytes) -> bytes:
        """Return what to pass on to the server; a ClientHello is held until it is whole.

        Raises InvalidHello, also its subclass TooManyRecords.
        """
        if self._is_over and not self._held:
            return piece
        self._held += piece
        passed = bytearray()
        while size := self._passable():
            passed += self._held[:size]
            del self._held[:size]
        return bytes(passed)

    def received(self, piece: bytes) -> None:
        """Look at what the server sends."""
        if self._is_retry is None:
            self._answer += piece[: _RETRY_AT + len(_RETRY) - len(self._answer)]
            if self._answer and self._answer[0] != HANDSHAKE:
                self._is_retry = False
            elif len(self._answer) == _RETRY_AT + len(_RETRY):
                is_server_hello = self._answer[RECORD_HEADER_SIZE] == _SERVER_HELLO
                self._is_retry = is_server_hello and self._answer.endswith(_RETRY)

    @property
    def _is_over(self) -> bool:
        return self._is_retry is False or (self._is_retry is True and self._has_second)

    def _passable(self) -> int:
        """Return how many of the held bytes may be passed on."""
        if self._left:
            size = min(self._left, len(self._held))
            self._left -= size
            return size
        if self._reader is None and self._is_over:
            return len(self._held)
        if len(self._held) < RECORD_HEADER_SIZE:
            return 0
        size = RECORD_HEADER_SIZE + int.from_bytes(self._held[RECORD_HEADER_SIZE - 2 : RECORD_HEADER_SIZE])
        if self._held[0] == HANDSHAKE and size > RECORD_HEADER_SIZE:
            if len(self._held) == RECORD_HEADER_SIZE:
                return 0
            if self._held[RECORD_HEADER_SIZE] == CLIENT_HELLO:
                return self._judged()
        self._count()
        self._left = size
        return self._passable()

    def _judged(self) -> int:
        """Return the size of the ClientHello that is held, 0 if it is not whole."""
        reader = self._reader = self._reader or HelloReader()
        hello = reader.feed(bytes(self._held[self._fed :]))
        self._fed = len(self._held)
        if hello is None:
            return 0
        if hello.host != self.host or hello.hides_another:
            raise InvalidHello("its second ClientHello names another host")
        self._count()
        self._reader, self._fed, self._has_second = None, 0, True
        return reader.size

    def _count(self) -> None:
        self._records += 1
        if self._records > RECORDS_MAX:
            raise TooManyRecords(f"it sends more than {RECORDS_MAX} records before the server has answered")
