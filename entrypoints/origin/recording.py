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
from domain.takeover.recorder import BodyTooLarge, RecordedBody, Recorder, Sample
from domain.takeover.recording import BODY_SIZE_MAX, Unrecorded

_EXECUTE = b"/api/v1/execute/"
_ID_SIZE = 36
_SUCCEEDED = 200
_FAILED = 500
_SCRIPT_FAILED = "Failed to execute function: Runtime error: "
_ENDED = frozenset({_SUCCEEDED, _FAILED})
_ACCEPTED = b"accept-encoding"
_PLAIN = b"identity"
_COMPRESSED = frozenset({b"gzip", b"deflate"})
_READABLE = _COMPRESSED | {_PLAIN}
_ANY_HEADER = zlib.MAX_WBITS | 32


class _Executed(Struct):
    params: Raw


class _Returned(Struct):
    result: Raw


class _Refused(Struct):
    error: str


@define(eq=False)
class RecordingOrigin(OriginClient):
    """Passes every call on, and gives a sample of executions to the recorder when their replies have ended.

    Nothing of a call is changed but the codings that a sampled one accepts. A call is not recorded if its script did
    not end: for an unknown session, a fault of the request, or a failure of the origin itself.
    """

    _origin: OriginClient
    _recorder: Recorder

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        if not self._recorder.is_sampling:
            return await self._origin.send(request)
        session_id = _executed(request)
        sample = None if session_id is None else self._recorder.sample(session_id)
        if sample is None:
            return await self._origin.send(request)
        call = _SampledCall(self._recorder, sample, request.headers)
        reply = await self._origin.send(_tapped(request, sample.sent))
        if reply.body is None:
            return _TappedReply(reply, call)
        sample.received.add(reply.body)
        call.end(reply)
        return reply


def _tapped(request: OriginRequest, sent: RecordedBody) -> OriginRequest:
    """Return the request, whose body is kept as it is sent, and whose reply can be read here."""
    body, headers = request.body, _readable(request.headers)
    if isinstance(body, bytes):
        sent.add(body)
        return evolve(request, headers=headers)

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in body:
            sent.add(piece)
            yield piece

    return evolve(request, headers=headers, body=pieces())


def _readable(headers: Sequence[Header]) -> Sequence[Header]:
    """Return headers without the codings of replies that are not read here, such as `br`; the client accepts others."""
    codings = [coding for name, value in headers if name == _ACCEPTED for coding in value.split(b",")]
    readable = [coding for coding in codings if coding.partition(b";")[0].strip().lower() in _READABLE]
    if len(readable) == len(codings):
        return headers
    others = [header for header in headers if header[0] != _ACCEPTED]
    return [*others, (_ACCEPTED, b",".join(readable).strip() or _PLAIN)]


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
    """One call of which a sample is kept; the headers are those of its request."""

    _recorder: Recorder
    sample: Sample
    _headers: Sequence[Header]

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
        sent = _plain(self._headers, self.sample.sent.whole())
        received = _plain(reply.headers, self.sample.received.whole())
        params = _text(json.decode(sent, type=_Executed).params)
        if reply.status == _SUCCEEDED:
            self._recorder.add(self.sample.session_id, params, _text(json.decode(received, type=_Returned).result))
        elif json.decode(received, type=_Refused).error.startswith(_SCRIPT_FAILED):
            self._recorder.add(self.sample.session_id, params, None)


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
            self._call.sample.received.add(piece)
            yield piece
        self._call.end(self._reply)

    @override
    def close(self) -> None:
        self._reply.close()


def _plain(headers: Sequence[Header], body: bytes) -> bytes:
    """Return a body without its compression; raises BodyTooLarge, or zlib.error for one that is not read here."""
    codings = {value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"}
    if not codings or codings == {_PLAIN}:
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
