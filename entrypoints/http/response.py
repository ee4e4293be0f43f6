"""The answer to one HTTP request."""

from http import HTTPStatus
from typing import Any

import msgspec
from attrs import define
from msgspec import Struct, structs
from starlette.types import Send

from entrypoints.http.lingering import finish_body
from entrypoints.http.request import Request

Headers = tuple[tuple[bytes, bytes], ...]

_JSON = b"application/json"
_PRIVATE: Headers = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Answers are for their caller alone, and no browser takes what a script gave back for a page."""

_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@define(eq=False)
class Response:
    """A status, headers with names in lower case, and a body, which is JSON unless its type is said.

    `ahead` says that the body of the request is still on its way.
    """

    status: int
    body: bytes = b""
    headers: Headers = ()
    ahead: bool = False
    content_type: bytes = _JSON

    async def send(self, request: Request, send: Send) -> None:
        """Send it whole, in one piece where the server can."""
        headers = [*self.headers]
        if self.status not in _WITHOUT_BODY:
            headers += ((b"content-type", self.content_type), (b"content-length", b"%d" % len(self.body)))
        whole = request.whole_answer
        if whole is not None and not self.ahead and whole(self.status, headers, self.body):
            return
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": self.ahead})
        if self.ahead:
            await finish_body(request)
            await send({"type": "http.response.body", "body": b""})


_encoder = msgspec.json.Encoder(enc_hook=str)


def json_answer(payload: Any, status: int = HTTPStatus.OK, headers: Headers = (), *, ahead: bool = False) -> Response:
    """Return the answer with this payload as JSON; times in UTC become RFC 3339 with `Z`."""
    return Response(int(status), encoded(payload), headers + _PRIVATE, ahead)


def encoded(payload: Any) -> bytes:
    """Return a payload as JSON; what is embedded in it stays as it is written."""
    try:
        return _encoder.encode(payload)
    except UnicodeEncodeError:
        return _encoder.encode(_unicode(payload))


def _unicode(value: Any) -> Any:
    """Replace what is no Unicode in all strings: a script may print half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Struct):
        return _unicode({name: each for name, each in structs.asdict(value).items() if each is not msgspec.UNSET})
    if isinstance(value, dict):
        return {_unicode(name): _unicode(member) for name, member in value.items()}
    return [_unicode(item) for item in value] if isinstance(value, (list, tuple)) else value
