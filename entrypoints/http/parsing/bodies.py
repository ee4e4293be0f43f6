"""Reads the body of a request within its limits, checks it as text, and decodes it once."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Generic, TypeVar

import msgspec
from attrs import define, field
from msgspec import Raw, Struct, UnsetType
from starlette.types import Receive

from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import FairTurns
from domain.errors import FieldTooLarge, Overloaded, Problem
from domain.identity import Owner
from domain.json_text import DEPTH_MAX, EMPTY_OBJECT, JsonText, is_deeper
from entrypoints.http.errors import SlowBody, UnsupportedMediaType, invalid
from entrypoints.http.parsing.body_problems import (
    DECODE_ERRORS,
    Body,
    BodyExplanation,
    BodyFields,
    BodyProblem,
    is_struct,
)
from entrypoints.http.parsing.json_scan import is_plain, is_utf8, may_hide_fault
from entrypoints.http.request import ClientDisconnected, Request

Result = TypeVar("Result")

_JSON = re.compile(r'application/json[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?;?[ \t]*', re.IGNORECASE)
"""The media type of bodies, without other parameters: their meaning would be lost."""

_LENGTH_DIGITS_MAX = 15
_QUEUE = "the examination of large bodies"
_PLAIN_SIZE_MAX = 64 * 1024
_SMALL_SIZE_MAX = 16 * 1024
"""A larger body goes to a thread. Up to these sizes a check takes a millisecond at most; a thread costs 0.1 ms."""

_OPAQUE_LEVELS = 2
"""The body and an array stand above an opaque value, which itself may have all levels."""


def json_text(raw: Raw | UnsetType) -> JsonText:
    """Return a checked JSON value as text; an absent value is an empty object."""
    return EMPTY_OBJECT if isinstance(raw, UnsetType) else JsonText(str(raw, "utf-8"))


async def read_body(request: Request, size_max: int, timeout_s: float, media_types: re.Pattern[str] = _JSON) -> bytes:
    """Return the body, which may be empty, of one of the media types.

    Raises UnsupportedMediaType, FieldTooLarge (by the declared length before anything is read), SlowBody or
    ClientDisconnected.
    """
    media_type = request.header(b"content-type")
    if media_type is not None:
        _require_json(request, media_type, media_types)
    _require_length(request.header(b"content-length"), size_max)
    content = await Budget(timeout_s).spend(_received(request.receive, size_max), lambda: SlowBody(timeout_s))
    if content and media_type is None:
        raise UnsupportedMediaType("content-type", None)
    return content


def _require_json(request: Request, media_type: str, media_types: re.Pattern[str]) -> None:
    if not media_types.fullmatch(media_type):
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


@define(eq=False)
class Examiner:
    """Parses large bodies in a thread, so that the event loop serves other requests meanwhile.

    A second thread would not be faster, because both would need the interpreter. So one body at a time is parsed:
    memory and delay are those of one body, however many a caller sends at once. A call waits `wait_max_s` at most, and
    `bytes_max` bytes of bodies wait at once.
    """

    _wait_max_s: float
    _bytes_max: int
    _turns: FairTurns = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = FairTurns(_QUEUE, turns_max=1, owner_max=1, bytes_max=self._bytes_max)

    async def run(self, owner: Owner, size: int, work: Callable[[], Result]) -> Result:
        """Return the result of `work` on a body of `size` bytes.

        Raises what `work` raises, or Overloaded after `wait_max_s` or if too many bytes wait.
        """
        turn = self._turns.acquire(owner, size)
        await Budget(self._wait_max_s).spend(turn, lambda: Overloaded(_QUEUE))
        examination = asyncio.ensure_future(asyncio.to_thread(work))
        examination.add_done_callback(partial(self._ended, owner))
        # A caller that leaves does not stop the thread, and the turn is not free before the thread has ended.
        return await asyncio.shield(examination)

    def _ended(self, owner: Owner, examination: asyncio.Future[Result]) -> None:
        if not examination.cancelled():
            examination.exception()  # marks it as retrieved, in case the caller has left
        self._turns.release(owner)


@define
class BodyParser(Generic[Body]):
    """Parses the body of a route.

    `rules` yields what the type cannot express. PostgreSQL stores the strings of the `stored` fields. Parsers of their
    own read the `opaque` fields. An empty body means an empty object if it is `optional`. `misplaced` has the
    problem of names that belong to another part of the request.
    """

    body_type: type[Body]
    size_max: int
    timeout_s: float
    rules: Callable[[Body], Iterable[BodyProblem]]
    examiner: Examiner
    stored: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    optional: bool = False
    misplaced: Mapping[str, str] = field(factory=dict)
    media_types: re.Pattern[str] = _JSON
    explanation: BodyExplanation[Body] = field(init=False)
    _decoder: msgspec.json.Decoder[Body] = field(init=False)
    _fields: BodyFields = field(init=False)
    _names: tuple[bytes, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        structs = frozenset(each.name for each in msgspec.structs.fields(self.body_type) if is_struct(each.type))
        depth_max = DEPTH_MAX + (_OPAQUE_LEVELS if self.opaque else 0)
        self._decoder = msgspec.json.Decoder(self.body_type)
        self._fields = BodyFields(structs, self.stored, self.opaque)
        self._names = tuple(f'"{name}"'.encode() for name in _names(self.body_type))
        self.explanation = BodyExplanation(self.body_type, self._fields, depth_max, self.rules, self.misplaced)

    async def read(self, request: Request) -> Body:
        """Return the body of the request.

        Raises InvalidRequest or InvalidParams with every problem at once, FieldTooLarge, UnsupportedMediaType,
        SlowBody, Overloaded or ClientDisconnected.
        """
        content = await read_body(request, self.size_max, self.timeout_s, self.media_types)
        if not content and self.optional:
            return self.body_type()
        if len(content) < _SMALL_SIZE_MAX:
            return self.parse(content)
        if len(content) < _PLAIN_SIZE_MAX and is_plain(content, self._names):
            body = self._decoded(content)
            if body is not None:
                return body
        return await self.examiner.run(request.caller.owner, len(content), lambda: self.parse(content))

    def parse(self, content: bytes) -> Body:
        """Return the value of a body; raises InvalidRequest, InvalidParams or FieldTooLarge."""
        if len(content) > self.size_max:
            raise FieldTooLarge("", self.size_max, len(content))
        body = self.check(content)
        if body is not None:
            return body
        self.explanation.raise_problems(content)
        try:
            return self._decoder.decode(content)
        except DECODE_ERRORS as error:
            raise invalid([_decoder_problem(error)]) from None

    def check(self, content: bytes) -> Body | None:
        """Return the value of a body, or None if it has a problem. No object is made for each value in it."""
        body = self._decoded(content)
        if body is None or not may_hide_fault(content, self._names):
            return body
        return None if self._fields.has_hidden_fault(content) else body

    def _decoded(self, content: bytes) -> Body | None:
        """Return the value of a body, or None if the decoder or a rule rejects it."""
        if not is_utf8(content) or (not self.opaque and is_deeper(content, DEPTH_MAX)):
            return None
        try:
            body = self._decoder.decode(content)
            return None if any(self.rules(body)) else body
        except DECODE_ERRORS:
            return None


def _decoder_problem(error: Exception) -> Problem:
    """Return what the decoder rejected, if nothing else was wrong."""
    message, _, path = str(error).partition(" - at `$")
    return Problem(path.rstrip("`").replace(".", "/"), message)


def _names(body_type: type[Struct]) -> Iterator[str]:
    for member in msgspec.structs.fields(body_type):
        yield member.name
        if is_struct(member.type):
            yield from _names(member.type)
