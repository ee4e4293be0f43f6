"""Records executions that are passed on: a client of the origin that keeps a sample of what passes."""

import zlib
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from attrs import define, evolve, field
from msgspec import DecodeError, Raw, Struct, json
from typing_extensions import override

from domain.json_text import VALUE_DEPTH_MAX, JsonText, has_unreadable_number, is_deeper
from domain.takeover.passing import Header, OriginRequest
from domain.takeover.ports import OriginClient, OriginReply
from domain.takeover.recorder import Recorder
from domain.takeover.recording import BODY_SIZE_MAX, Unrecorded

_EXECUTE = b"/api/v1/execute/"
_ID_SIZE = 36
_SUCCEEDED = 200
_FAILED = 500
_SCRIPT_FAILED = "Failed to execute function: Runtime error: "
_ENDED = frozenset({_SUCCEEDED, _FAILED})
_COMPRESSED = frozenset({b"gzip", b"deflate"})
_ANY_HEADER = zlib.MAX_WBITS | 32


class _Executed(Struct):
    params: Raw


class _Returned(Struct):
    result: Raw


class _Refused(Struct):
    error: str


class BodyTooLarge(Exception):
    """A body is larger than what is recorded."""


@define
class _Kept:
    """The first bytes of a body; None if it is too large."""

    content: bytes | None = b""

    def add(self, piece: bytes) -> None:
        """Keep a piece."""
        if self.content is not None:
            self.content = self.content + piece if len(self.content) + len(piece) <= BODY_SIZE_MAX else None

    def require(self) -> bytes:
        """Return the whole body; raises BodyTooLarge."""
        if self.content is None:
            raise BodyTooLarge
        return self.content


@define(eq=False)
class RecordingOrigin(OriginClient):
    """Passes every call on unchanged, and gives a sample of executions to the recorder when their replies have ended.

    A call that was not answered by the origin's script is not recorded: an unknown session, a fault of the request, a
    failure of the origin itself.
    """

    _origin: OriginClient
    _recorder: Recorder

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        if not self._recorder.is_sampling:
            return await self._origin.send(request)
        session_id = _executed(request)
        if session_id is None or not self._recorder.wants(session_id):
            return await self._origin.send(request)
        sent = _Kept()
        reply = await self._origin.send(_tapped(request, sent))
        call = _SampledCall(self._recorder, session_id, request.headers, sent)
        if reply.body is None:
            return _TappedReply(reply, call)
        call.received.add(reply.body)
        call.end(reply)
        return reply


def _tapped(request: OriginRequest, sent: _Kept) -> OriginRequest:
    """Return the request, of whose body the first bytes are kept as they are sent."""
    body = request.body
    if isinstance(body, bytes):
        sent.add(body)
        return request

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in body:
            sent.add(piece)
            yield piece

    return evolve(request, body=pieces())


def _executed(request: OriginRequest) -> UUID | None:
    """Return the session that a request executes."""
    target = request.target
    if request.method != b"POST" or not target.startswith(_EXECUTE) or len(target) != len(_EXECUTE) + _ID_SIZE:
        return None
    try:
        return UUID(target[len(_EXECUTE) :].decode("latin-1"))
    except ValueError:
        return None


@define(eq=False)
class _SampledCall:
    """What was kept of one call."""

    _recorder: Recorder
    _session_id: UUID
    _headers: Sequence[Header]
    _sent: _Kept
    received: _Kept = field(factory=_Kept)

    def end(self, reply: OriginReply) -> None:
        """Record the call, if its script has ended."""
        if reply.status not in _ENDED:
            return
        try:
            self._record(reply)
        except BodyTooLarge:
            self._recorder.miss(Unrecorded.TOO_LARGE)
        except (DecodeError, UnicodeDecodeError, zlib.error):
            self._recorder.miss(Unrecorded.UNREADABLE)

    def _record(self, reply: OriginReply) -> None:
        sent = _plain(self._headers, self._sent.require())
        received = _plain(reply.headers, self.received.require())
        params = _text(json.decode(sent, type=_Executed).params)
        if reply.status == _SUCCEEDED:
            self._recorder.add(self._session_id, params, _text(json.decode(received, type=_Returned).result))
        elif json.decode(received, type=_Refused).error.startswith(_SCRIPT_FAILED):
            self._recorder.add(self._session_id, params, None)


@define(eq=False)
class _TappedReply(OriginReply):
    """A reply whose body is kept while it passes."""

    _reply: OriginReply
    _call: _SampledCall
    status: int = field(init=False)
    reason: bytes = field(init=False)
    headers: Sequence[Header] = field(init=False)
    body: bytes | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.status, self.reason, self.headers = self._reply.status, self._reply.reason, self._reply.headers

    @override
    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._reply.pieces():
            self._call.received.add(piece)
            yield piece
        self._call.end(self._reply)

    @override
    def close(self) -> None:
        self._reply.close()


def _plain(headers: Sequence[Header], body: bytes) -> bytes:
    """Return a body without its compression; raises BodyTooLarge, or zlib.error for one that is not read here."""
    codings = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
    if not codings or codings == {b"identity"}:
        return body
    if len(codings) > 1 or not codings <= _COMPRESSED:
        raise zlib.error("a coding that is not read here")
    plain = zlib.decompressobj(_ANY_HEADER).decompress(body, BODY_SIZE_MAX + 1)
    if len(plain) > BODY_SIZE_MAX:
        raise BodyTooLarge
    return plain


def _text(raw: Raw) -> JsonText:
    """Return a JSON value as text; raises DecodeError for one that no decoder here reads."""
    content = bytes(raw)
    json.decode(content)  # a raw value is not read to its depth before
    if is_deeper(content, VALUE_DEPTH_MAX) or has_unreadable_number(content):
        raise DecodeError("too deep, or a number is too long")
    return JsonText(content.decode())
