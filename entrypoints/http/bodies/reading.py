"""Reading a request's body, bounded in size and in time."""

import re

from starlette.types import Receive

from domain.concurrency.budget import Budget
from domain.errors import FieldTooLarge
from entrypoints.http.errors import ClientDisconnected, SlowBody, UnsupportedMediaType
from entrypoints.http.request import Request

_JSON = re.compile(r'application/json[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?;?[ \t]*', re.IGNORECASE)
_LENGTH_DIGITS_MAX = 15


async def read_body(request: Request, size_max: int, timeout_s: float) -> bytes:
    """Return the body, which may be empty when no content type is given.

    Raises UnsupportedMediaType, FieldTooLarge (a declared length is refused before anything is read), SlowBody or
    ClientDisconnected.
    """
    media_type = request.header(b"content-type")
    if media_type is not None:
        _require_json(request, media_type)
    _require_length(request.header(b"content-length"), size_max)
    content = await Budget(timeout_s).spend(_received(request.receive, size_max), lambda: SlowBody(timeout_s))
    if content and media_type is None:
        raise UnsupportedMediaType("content-type", None)
    return content


def _require_json(request: Request, media_type: str) -> None:
    if not _JSON.fullmatch(media_type):
        raise UnsupportedMediaType("content-type", media_type)
    coding = request.header(b"content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise UnsupportedMediaType("content-encoding", coding)


def _require_length(declared: str | None, size_max: int) -> None:
    if declared is None or not declared.isdecimal():
        return
    size = int(declared[:_LENGTH_DIGITS_MAX])
    if size > size_max:
        raise FieldTooLarge("", size_max, size)


async def _received(receive: Receive, size_max: int) -> bytes:
    content, more = await _chunk(receive)
    if more:
        content = bytearray(content)
    while more and len(content) <= size_max:
        chunk, more = await _chunk(receive)
        content += chunk
    if len(content) > size_max:
        raise FieldTooLarge("", size_max)
    return bytes(content)


async def _chunk(receive: Receive) -> tuple[bytes | bytearray, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    return message.get("body", b""), message.get("more_body", False)
