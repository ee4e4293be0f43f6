"""Reading on in HTTP behind a request for another protocol (RFC 9110, section 7.8).

The parser leaves HTTP at the end of the head of such a request, whatever the server does. It would take the body for
the next request.
"""

from collections.abc import Iterable
from typing import Protocol

from httptools import HttpRequestParser

from entrypoints.http.request import Header

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class ParsedRequests(Protocol):
    """What a parser of requests calls."""

    def on_message_begin(self) -> None: ...
    def on_url(self, url: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_body(self, body: bytes) -> None: ...
    def on_message_complete(self) -> None: ...


def behind_upgrade(requests: ParsedRequests, headers: Iterable[Header]) -> tuple[HttpRequestParser, bytes]:
    """Return a parser for the body of a request with these headers and for further requests; it is fed the bytes first.

    They are a head that declares the same body, and asks for no other protocol. `requests` does not get it.
    """
    framing = (b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING)
    return HttpRequestParser(_BehindHead(requests)), b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing)


class _BehindHead:
    """Passes on what a parser reads, but for the first head."""

    def __init__(self, requests: ParsedRequests) -> None:
        self._requests = requests
        self._is_behind = False
        self.on_body = requests.on_body
        self.on_message_complete = requests.on_message_complete

    def on_message_begin(self) -> None:
        if self._is_behind:
            self._requests.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._is_behind:
            self._requests.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_behind:
            self._requests.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_behind:
            self._requests.on_headers_complete()
        self._is_behind = True
