"""The reply to one request over HTTP/1.1, from the bytes that the origin sends."""

from collections import deque

from httptools import HttpParserError, HttpResponseParser

from domain.takeover.passing import Header

HEAD_BYTES_MAX = 64 * 1024
"""Limit of a head with the interim replies before it; also of the framing between two pieces of a body."""

HEADERS_MAX = 256

_SEPARATORS_SIZE = len(": \r\n")
_CONTINUE = 100
_FINAL = 200
_STATUS_MAX = 599


class MalformedReply(Exception):
    """The bytes are no reply of HTTP/1.1, or its head is too large."""


class ReceivedReply:
    """What has arrived of the reply to one request; `is_head` says that the request is a HEAD.

    Interim replies (1xx) are dropped; `may_continue` notes a 100 (Continue). Trailers are dropped too.
    """

    __slots__ = (
        "_has_length",
        "_head_size",
        "_is_head",
        "_overhead",
        "_parser",
        "_pieces",
        "buffered",
        "has_head",
        "headers",
        "is_complete",
        "is_reusable",
        "may_continue",
        "reason",
        "status",
    )

    def __init__(self, *, is_head: bool) -> None:
        self._is_head = is_head
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._pieces: deque[bytes] = deque()
        self._overhead = self._head_size = 0
        self._has_length = False
        self.status = 0
        self.reason = b""
        self.headers: list[Header] = []
        self.buffered = 0
        self.has_head = self.is_complete = self.is_reusable = self.may_continue = False

    def feed(self, received: bytes) -> None:
        """Take bytes from the connection; raises MalformedReply."""
        if self._parser is None:
            self.is_reusable = False  # nobody asked for these bytes
            return
        self._overhead += len(received)
        try:
            self._parser.feed_data(received)
        except HttpParserError as error:
            cause = error.__context__
            raise MalformedReply(str(cause if isinstance(cause, MalformedReply) else error)) from error
        if self._overhead > HEAD_BYTES_MAX and not self.is_complete:
            raise MalformedReply(f"more than {HEAD_BYTES_MAX} bytes without a piece of a body")

    def end(self) -> bool:
        """Take the end of the connection; return whether the reply is complete."""
        # Without a length and without chunks, the end of the connection is the end of the body.
        self.is_complete = self.is_complete or (self.has_head and not self._has_length)
        self.is_reusable = False
        return self.is_complete

    def take(self) -> bytes:
        """Return the body that has arrived since the last call."""
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        return body

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Note that more than the one reply has arrived."""
        self.is_reusable = False

    def on_status(self, reason: bytes) -> None:
        """Take the reason phrase, or a part of it."""
        if not self.has_head:
            self._count_head(len(reason))
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer."""
        if self.has_head:
            return
        if len(self.headers) >= HEADERS_MAX:
            raise MalformedReply(f"more than {HEADERS_MAX} headers")
        self._count_head(len(name) + len(value) + _SEPARATORS_SIZE)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the end of a head; an interim one is dropped."""
        if self.has_head:
            return
        assert self._parser is not None, "the reply is complete"
        status = self._parser.get_status_code()
        if status < _CONTINUE or status > _STATUS_MAX or status == 101:
            raise MalformedReply(f"the status {status}, which no request asks for")
        if status < _FINAL:
            self.may_continue = self.may_continue or status == _CONTINUE
            self.reason, self.headers = b"", []
            return
        self.status, self.has_head = status, True
        self._has_length = any(name.lower() in _LENGTHS for name, _ in self.headers)
        if any(name.lower() == _CODINGS and value.strip().lower() != b"chunked" for name, value in self.headers):
            raise MalformedReply("a transfer coding but chunked, which no request accepts")
        if self._is_head:  # the parser waits for the body that the head announces, and is not fed any more
            self._complete()

    def on_body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        self._overhead = 0
        if self.is_complete:
            self.is_reusable = False  # a body after a reply to HEAD
        else:
            self._pieces.append(piece)
            self.buffered += len(piece)

    def on_message_complete(self) -> None:
        """Take the end of the reply."""
        if self.has_head and not self.is_complete:
            self._complete()

    def _count_head(self, size: int) -> None:
        # One read may have a complete head that is too large, and a piece of the body behind it.
        self._head_size += size
        if self._head_size > HEAD_BYTES_MAX:
            raise MalformedReply(f"more than {HEAD_BYTES_MAX} bytes of a head")

    def _complete(self) -> None:
        assert self._parser is not None, "the reply is complete"
        self.is_complete = True
        self.is_reusable = self._parser.should_keep_alive()
        # The parser refers to this object: without the garbage collector neither would be freed.
        self._parser = None


_CODINGS = b"transfer-encoding"
_LENGTHS = frozenset({b"content-length", _CODINGS})
