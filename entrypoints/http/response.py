"""The response to one HTTP request, and the headers that endpoints add to it."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from attrs import define
from msgspec import Raw, Struct, structs
from starlette.types import Receive, Scope, Send

from entrypoints.http.request import Header

Headers = tuple[Header, ...]

SINGLE_WRITE = "pglambda.single_write"
"""The name of an ASGI extension with which the server sends a whole response at once."""

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
PLAIN = b"text/plain"
TEXT = PLAIN + b"; charset=utf-8"
EVENT_STREAM = b"text/event-stream"

PRIVATE: Headers = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""A response is for its caller alone, and a browser must not take the output of a script for a page."""

REPLAYED: Headers = ((b"idempotent-replayed", b"true"),)
"""Marks the repetition of an earlier response."""

_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_DISCARDED_SIZE_MAX = 16 * 1024 * 1024
_DISCARD_TIMEOUT_S = 2.0


class Relay(Protocol):
    """Sends a response of another server as it was received: reason phrase, spelling of headers and framing.

    A client that has disconnected gets nothing, silently.
    """

    async def send(self, status: int, reason: bytes, headers: Sequence[Header], body: bytes) -> None:
        """Send a complete response at once."""
        ...

    async def start(self, status: int, reason: bytes, headers: Sequence[Header], *, is_last: bool) -> None:
        """Send the head of a response. With `is_last` the connection takes no further request."""
        ...

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, which is not empty; returns when the client may take another."""
        ...

    async def finish(self) -> None:
        """Send the end of the body."""
        ...

    def abort(self) -> None:
        """Close the connection at once, so that the client does not take the response for complete."""
        ...


class SingleWrite(Protocol):
    """What the extension offers."""

    @property
    def target(self) -> bytes:
        """The target of the request as it was received."""
        ...

    def __call__(self, status: int, headers: Headers, body: bytes) -> bool:
        """Send the response and return True; if that is not possible, send nothing and return False."""
        ...

    def relay(self) -> Relay | None:
        """Return what sends a response of another server instead; None after the response."""
        ...

    def switch(self, protocol: str, receiver: asyncio.Protocol) -> None:
        """Send a 101 to this protocol, and give the connection to `receiver`."""
        ...

    def abort(self) -> None:
        """Close the connection at once; unsent bytes are lost."""
        ...


@define(eq=False)
class Response:
    """Status, headers with names in lower case, and body. An ASGI application that sends them.

    `is_body_unread` says that the client may still be sending the body of its request. Without a body there need be no
    content type.
    """

    status: int
    body: bytes = b""
    headers: Headers = ()
    is_body_unread: bool = False
    content_type: bytes | None = JSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, in a single write if the server offers that."""
        headers = self.headers
        if self.status not in _WITHOUT_BODY:
            if self.content_type is not None:
                headers += ((b"content-type", self.content_type),)
            headers += ((b"content-length", b"%d" % len(self.body)),)
        if not self.is_body_unread:
            write = single_write(scope)
            if write is not None and write(self.status, headers, self.body):
                return
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": self.is_body_unread})
        if self.is_body_unread:
            await discard_body(scope, receive)
            await send({"type": "http.response.body", "body": b""})


def json_response(
    payload: Any, status: int = HTTPStatus.OK, headers: Headers = (), *, is_body_unread: bool = False
) -> Response:
    """Return a response with this payload as JSON. Instants in UTC become RFC 3339 with `Z`."""
    return Response(int(status), encode_json(payload), headers + PRIVATE, is_body_unread)


_encoder = msgspec.json.Encoder(enc_hook=str)


def encode_json(payload: Any) -> bytes:
    """Return a payload as JSON. Raw JSON in it stays as it is."""
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError:
        return _encoder.encode(_unicode(payload))


def in_one_line(payload: Any) -> bytes:
    """Return a payload as JSON without line breaks.

    They stand between values only: the result of a script may be indented.
    """
    return encode_json(payload).replace(b"\n", b" ").replace(b"\r", b" ")


def embedded(text: str) -> Raw:
    """Return JSON text that the encoder copies unchanged."""
    return Raw(text.encode())


def _unicode(value: Any) -> Any:
    """Replace half surrogate pairs in all strings: a script may print one."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Struct):
        return _unicode({name: each for name, each in structs.asdict(value).items() if each is not msgspec.UNSET})
    if isinstance(value, dict):
        return {_unicode(name): _unicode(member) for name, member in value.items()}
    return [_unicode(item) for item in value] if isinstance(value, (list, tuple)) else value


def single_write(scope: Scope) -> SingleWrite | None:
    """Return the extension of this request, None if the server does not have it."""
    extensions = scope.get("extensions")
    return extensions.get(SINGLE_WRITE) if extensions else None


async def discard_body(scope: Scope, receive: Receive, timeout_s: float = _DISCARD_TIMEOUT_S) -> None:
    """Read the rest of a request's body and drop it, for at most `timeout_s` and 16 MiB.

    Closing the connection while a client sends would reset it, and most clients would lose the response. A client that
    sent `Expect: 100-continue` sends no body.
    """
    if not any(name == b"expect" for name, _ in scope["headers"]):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _discard(receive)


async def _discard(receive: Receive) -> None:
    left, more = _DISCARDED_SIZE_MAX, True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)


def etag(tag: str | int) -> tuple[bytes, bytes]:
    """Return the header that carries a strong entity tag (RFC 9110, section 8.8.3), given without its quotes."""
    return b"etag", f'"{tag}"'.encode()


def not_modified(tag: str | int, headers: Headers = PRIVATE) -> Response:
    """Return the response to a caller that has the representation with this entity tag."""
    return Response(HTTPStatus.NOT_MODIFIED, headers=(etag(tag), *headers))


def execution_path(execution_id: UUID) -> bytes:
    """Return the path of an execution, for the header `Location`."""
    return f"/api/v1/executions/{execution_id}".encode("ascii")


def next_link(path: str, parameters: Mapping[str, str | int | None]) -> Headers:
    """Return the `Link` header (RFC 8288) to the next page of a list."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return ((b"link", f'<{path}?{query}>; rel="next"'.encode("ascii")),)
