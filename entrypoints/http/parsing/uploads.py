"""The body of an upload, read chunk by chunk, and what its headers declare."""

import re
from base64 import b64decode
from collections.abc import AsyncIterator

from attrs import define, field

from domain.concurrency.budget import Budget
from domain.files.file import CHUNK_SIZE, DEFAULT_TYPE, NewFile
from entrypoints.http.errors import SlowBody, UnsupportedMediaType
from entrypoints.http.parsing.headers import invalid_header
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import ClientDisconnected, Request

NAME_LENGTH_MAX = 255
_DEFAULT_NAME = "file"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
TYPE_PATTERN = rf'^{_WORD}/{_WORD}(?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|"[^"\\\x00-\x1f\x7f-\xff]*"))*$'
"""The form of a media type (RFC 9110, section 8.3.1), without escapes in its parameters."""

_TYPE = re.compile(TYPE_PATTERN)
_TYPE_LENGTH_MAX = 255
_FORM = "multipart/form-data"
"""What a form sends: its parts would be stored with their borders."""
_UNSAID = "application/x-www-form-urlencoded"
"""What curl sends with a file if it is given no type."""
_DIGEST = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/]{43}=):[ \t]*(?=,|;|$)")
_LENGTH = re.compile(r"[0-9]{1,15}")


def new_file(request: Request) -> NewFile:
    """Return what the request declares of the file; raises InvalidRequest or UnsupportedMediaType."""
    query = Query(request.query_string, request.route.query_names)
    name = query.bounded_text("name", NAME_LENGTH_MAX)
    if name is not None and (not name.isprintable() or "/" in name or "\\" in name):
        query.add_problem("name", "must have printable characters only, and neither / nor \\")
    query.require_valid()
    coding = request.header(b"content-encoding")
    if coding is not None and coding.lower() != "identity":
        raise UnsupportedMediaType("content-encoding", coding, is_upload=True)
    return NewFile(name or _DEFAULT_NAME, _media_type(request), _length(request), _digest(request))


def _media_type(request: Request) -> str:
    found = request.header(b"content-type")
    if found is None:
        return DEFAULT_TYPE
    if len(found) > _TYPE_LENGTH_MAX or not _TYPE.fullmatch(found):
        raise invalid_header("Content-Type", f"must be a media type of at most {_TYPE_LENGTH_MAX} characters")
    if found.lower().startswith(_FORM):
        raise UnsupportedMediaType("content-type", found, is_upload=True)
    return DEFAULT_TYPE if found.lower() == _UNSAID else found


def _length(request: Request) -> int | None:
    found = request.header(b"content-length")
    return int(found) if found is not None and _LENGTH.fullmatch(found) else None


def _digest(request: Request) -> str | None:
    """Return the SHA-256 of `Content-Digest` (RFC 9530); other digests beside it are not checked."""
    found = request.header(b"content-digest")
    if found is None:
        return None
    digest = _DIGEST.search(found)
    if digest is None:
        raise invalid_header("Content-Digest", "must have the SHA-256 of the body as sha-256=:BASE64:")
    return b64decode(digest[1]).hex()


@define(eq=False)
class UploadBody:
    """The body of a request as chunks of CHUNK_SIZE bytes, of which each must arrive within `chunk_timeout_s`."""

    _request: Request
    _chunk_timeout_s: float
    is_whole: bool = field(default=False, init=False)
    """Whether the client has sent its end."""
    _received: bytearray = field(factory=bytearray, init=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks; only the last one is shorter. Raises SlowBody or ClientDisconnected."""
        timeout_s = self._chunk_timeout_s
        while self._received or not self.is_whole:
            await Budget(timeout_s).spend(self._fill(), lambda: SlowBody(timeout_s))
            chunk = bytes(self._received[:CHUNK_SIZE])
            del self._received[:CHUNK_SIZE]
            if chunk:
                yield chunk

    async def _fill(self) -> None:
        """Receive until there is a chunk, or the end."""
        while not self.is_whole and len(self._received) < CHUNK_SIZE:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            self._received += message.get("body", b"")
            self.is_whole = not message.get("more_body", False)
