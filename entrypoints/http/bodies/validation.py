"""Bodies of requests, parsed into what is right by construction."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.json_pointer import pointer
from domain.json_text import is_deeper
from entrypoints.http.bodies.json_values import Members, flaws, read_json
from entrypoints.http.bodies.plain_json import DEPTH_MAX, is_plain
from entrypoints.http.bodies.reading import read_body
from entrypoints.http.bodies.schema import BodySchema
from entrypoints.http.refusals import InvalidParams, invalid
from entrypoints.http.request import Request

Body = TypeVar("Body", bound=Struct)
Flaw = Problem | FieldTooLarge

_PROBLEMS_MAX = 100
_THREAD_FROM_SIZE = 64 * 1024
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@define
class BodyForm(Generic[Body]):
    """What the body of an operation must be.

    `rules` yields what types cannot say; `stored` names the fields whose strings PostgreSQL must hold. An empty body
    stands for an empty object where it is `optional`.
    """

    form: type[Body]
    size_max: int
    timeout_s: float
    rules: Callable[[Body], Iterable[Flaw]]
    stored: frozenset[str] = frozenset()
    optional: bool = False
    _decoder: msgspec.json.Decoder[Body] = field(init=False)
    _schema: BodySchema = field(init=False)
    _names: tuple[bytes, ...] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = msgspec.json.Decoder(self.form)
        self._schema = BodySchema(self.form)
        self._names = tuple(f'"{name}"'.encode() for name in _names(self.form))

    async def read(self, request: Request) -> Body:
        """Return the request's body.

        Raises InvalidRequest or InvalidParams with every problem at once, FieldTooLarge, UnsupportedMediaType,
        SlowBody or ClientGone.
        """
        content = await read_body(request, self.size_max, self.timeout_s)
        if not content and self.optional and request.header(b"content-type") is None:
            return self.form()
        body = self._plain(content)
        if body is not None:
            return body
        if len(content) < _THREAD_FROM_SIZE:
            return self._examined(content)
        # A second of Python over a hostile body must not stop everybody else's event loop.
        return await asyncio.to_thread(self._examined, content)

    def parsed(self, content: bytes) -> Body:
        """Return what a body that has been read stands for; raises as `read` does."""
        body = self._plain(content)
        return self._examined(content) if body is None else body

    def _plain(self, content: bytes) -> Body | None:
        """Return the body if one glance shows that all is well."""
        if not is_plain(content, self._names):
            return None
        try:
            body = self._decoder.decode(content)
        except _REFUSED:
            return None
        return None if any(True for _ in self.rules(body)) else body

    def _examined(self, content: bytes) -> Body:
        """Return the body, or raise with everything that is wrong."""
        try:
            value = _value(content)
        except ValueError as error:
            raise invalid([Problem("", str(error))]) from None
        problems = tuple(islice(self._problems(value), _PROBLEMS_MAX))
        refuse((*problems, *self.rules(_salvaged(self.form, _ESCAPE.sub(_without_surrogate, content)))))
        try:
            return self._decoder.decode(content)
        except _REFUSED as error:
            raise invalid([_problem(error)]) from None

    def _problems(self, value: Any) -> Iterator[Problem]:
        yield from self._repeated(value)
        yield from self._schema.problems(value)
        for name, member in value.items() if isinstance(value, dict) else ():
            yield from flaws(member, (name,), stored=name in self.stored)

    def _repeated(self, value: Any) -> Iterator[Problem]:
        envelopes: list[tuple[tuple[str, ...], Any]] = [((), value)]
        if isinstance(value, Members):
            envelopes += [((name,), value[name]) for name in value if _is_struct(self.form, name)]
        for path, envelope in envelopes:
            for name in envelope.repeated if isinstance(envelope, Members) else ():
                yield Problem(pointer((*path, name)), "is given more than once")


def _value(content: bytes) -> Any:
    """Return the value of a body; raises ValueError with what is wrong with the body as a whole."""
    if not content:
        raise ValueError("is empty; send a JSON object")
    if content.startswith(b"\xef\xbb\xbf"):
        raise ValueError("begins with a byte order mark; send it without")
    if is_deeper(content, DEPTH_MAX):
        raise ValueError(f"is nested deeper than {DEPTH_MAX} levels")
    try:
        return read_json(content.decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {error.start}") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from None


def refuse(flaws_found: Iterable[Flaw]) -> None:
    """Raise what was found, if anything: problems first, each field once; only sizes alone are FieldTooLarge."""
    found = {flaw.pointer: flaw for flaw in reversed(tuple(flaws_found))}
    ordered = sorted(found.values(), key=lambda flaw: flaw.pointer)
    if not ordered:
        return
    oversized = [flaw for flaw in ordered if isinstance(flaw, FieldTooLarge)]
    if len(oversized) == len(ordered):
        raise oversized[0]
    refusal = InvalidParams if all(p.pointer.split("/")[1:2] == ["params"] for p in ordered) else InvalidRequest
    raise invalid(map(_as_problem, ordered), refusal)


def _as_problem(flaw: Flaw) -> Problem:
    if isinstance(flaw, Problem):
        return flaw
    return Problem(flaw.pointer, f"must take at most {flaw.size_max} bytes")


def _salvaged(form: type[Any], content: bytes | Raw) -> Any:
    """Return what is right in a body, so that rules can be checked on it beside whatever else is wrong."""
    try:
        return msgspec.json.decode(content, type=form)
    except _REFUSED:
        pass
    try:
        members = msgspec.json.decode(content, type=dict[str, Raw])
    except _REFUSED:
        return form()
    fields = {field.name: field.type for field in msgspec.structs.fields(form) if field.name in members}
    right = {name: _member(kind, members[name]) for name, kind in fields.items()}
    return form(**{name: value for name, value in right.items() if value is not None})


def _member(kind: Any, content: Raw) -> Any:
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _salvaged(kind, content)
    try:
        return msgspec.json.decode(content, type=kind)
    except _REFUSED:
        return None


def _without_surrogate(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape[1] else escape[0]


def _problem(error: Exception) -> Problem:
    """Return what the decoder refused, should nothing else have."""
    message, _, path = str(error).partition(" - at `$")
    return Problem(path.rstrip("`").replace(".", "/"), message)


def _names(form: type[Struct]) -> Iterator[str]:
    for member in msgspec.structs.fields(form):
        yield member.name
        if _is_struct(form, member.name):
            yield from _names(member.type)


def _is_struct(form: type[Struct], name: str) -> bool:
    kinds = {member.name: member.type for member in msgspec.structs.fields(form)}
    kind = kinds.get(name)
    return isinstance(kind, type) and issubclass(kind, Struct)
