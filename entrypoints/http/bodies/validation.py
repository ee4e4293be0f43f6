"""Bodies of requests, parsed into what is right by construction."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec
from attrs import define, field
from msgspec import Raw, Struct

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.json_pointer import pointer
from domain.json_text import is_deeper
from entrypoints.http.bodies.examiner import Examiner
from entrypoints.http.bodies.json_values import (
    HALF_PAIR,
    Object,
    fault,
    flaws,
    has_half_pair,
    is_of_more_values,
    read_json,
    without_half_pairs,
)
from entrypoints.http.bodies.members import MEMBERS_MAX, Members, members, starts_with
from entrypoints.http.bodies.plain_json import DEPTH_MAX, is_plain, is_utf8, may_hide_fault, utf8_fault_at
from entrypoints.http.bodies.reading import read_body
from entrypoints.http.bodies.schema import BodySchema
from entrypoints.http.errors import InvalidParams, invalid
from entrypoints.http.request import Request

Body = TypeVar("Body", bound=Struct)
Flaw = Problem | FieldTooLarge

_PROBLEMS_MAX = 100
_PLAIN_SIZE_MAX = 64 * 1024
_EXAMINED_SIZE_MAX = 16 * 1024
"""A larger body goes to a thread: up to these sizes a look takes a millisecond at most, and a thread a tenth of that."""

_APART_LEVELS = 2
"""A value with a form of its own may have all levels; it stands below the body and an array."""

_NOT_LOCATED = "(the body has too many values to say where)"
_REPEATED = "is given more than once"
_REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@define
class BodyForm(Generic[Body]):
    """What the body of an operation must be.

    `rules` yields what types cannot say; `stored` names the fields whose strings PostgreSQL must hold, `apart` those
    whose values have a form of their own, which is not looked at here. An empty body stands for an empty object where
    it is `optional`. Large bodies are read by the `examiner`. Of a body with more than `located_values_max` values the
    refusal says what is wrong, not where: that takes a Python object for each value.
    """

    form: type[Body]
    size_max: int
    timeout_s: float
    rules: Callable[[Body], Iterable[Flaw]]
    examiner: Examiner
    stored: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    optional: bool = False
    located_values_max: int = 50_000
    _decoder: msgspec.json.Decoder[Body] = field(init=False)
    _schema: BodySchema = field(init=False)
    _names: tuple[bytes, ...] = field(init=False)
    _structs: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = msgspec.json.Decoder(self.form)
        self._schema = BodySchema(self.form)
        self._names = tuple(f'"{name}"'.encode() for name in _names(self.form))
        self._structs = frozenset(each.name for each in msgspec.structs.fields(self.form) if _is_struct(each.type))

    async def read(self, request: Request) -> Body:
        """Return the request's body.

        Raises InvalidRequest or InvalidParams with every problem at once, FieldTooLarge, UnsupportedMediaType,
        SlowBody, Overloaded or ClientGone.
        """
        content = await read_body(request, self.size_max, self.timeout_s)
        if not content and self.optional and request.header(b"content-type") is None:
            return self.form()
        if len(content) < _PLAIN_SIZE_MAX:
            body = self._plain(content)
            if body is not None:
                return body
            if len(content) < _EXAMINED_SIZE_MAX:
                return self._examined(content)
        return await self.examiner.run(request.caller.owner, len(content), lambda: self.parsed(content))

    def parsed(self, content: bytes) -> Body:
        """Return what a body that has been read stands for; raises as `read` does."""
        if len(content) > self.size_max:
            raise FieldTooLarge("", self.size_max, len(content))
        body = None if self.apart else self._plain(content)
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
        """Return the body, or raise with what is wrong."""
        body = self._sound(content)
        if body is not None:
            return body
        refuse(islice(self._flaws(content), _PROBLEMS_MAX))
        try:
            return self._decoder.decode(content)
        except _REFUSED as error:
            raise invalid([_problem(error)]) from None

    def _sound(self, content: bytes) -> Body | None:
        """Return the body if nothing is wrong with it, without an object for each value in it."""
        if not is_utf8(content) or (not self.apart and is_deeper(content, DEPTH_MAX)):
            return None
        try:
            body = self._decoder.decode(content)
            if any(self.rules(body)) or (may_hide_fault(content, self._names) and self._is_faulty(members(content))):
                return None
        except _REFUSED:
            return None
        return body

    def _is_faulty(self, outermost: Members) -> bool:
        return any(each.repeated for _, each in self._envelopes(outermost)) or any(self._faults(outermost))

    def _envelopes(self, outermost: Members) -> Iterator[tuple[tuple[str, ...], Members]]:
        """Yield the members of the body, and of those of its fields that have fields of their own, with their path."""
        yield (), outermost
        for name, value in outermost.values.items():
            if name in self._structs and starts_with(value, b"{"):
                yield (name,), members(value)

    def _faults(self, outermost: Members, refused: Collection[str] = ()) -> Iterator[Problem]:
        """Yield what no value may contain, by field; `refused` are pointers to fields that are not searched."""
        for name, value in outermost.values.items():
            where = pointer((name,))
            if name in self.apart or where in refused:
                continue
            if found := fault(bytes(value), stored=name in self.stored):
                yield Problem(where, f"{found} {_NOT_LOCATED}")

    def _flaws(self, content: bytes) -> Iterator[Flaw]:
        """Yield what is wrong with a body, and where, unless it has too many values to look at each."""
        try:
            _require_text(content, DEPTH_MAX + (_APART_LEVELS if self.apart else 0))
            if is_of_more_values(content, self.located_values_max):
                yield from self._summary(content)
                return
            value = _value(content)
        except ValueError as error:
            yield Problem("", str(error))
            return
        yield from self._repeated(value)
        yield from self._schema.problems(value)
        for name, member in value.items() if isinstance(value, dict) else ():
            yield from flaws(member, (name,), stored=name in self.stored)
        yield from self.rules(_salvaged(self.form, without_half_pairs(content)))

    def _repeated(self, value: Any) -> Iterator[Problem]:
        envelopes: list[tuple[tuple[str, ...], Any]] = [((), value)]
        if isinstance(value, Object):
            envelopes += [((name,), value[name]) for name in value if name in self._structs]
        for path, envelope in envelopes:
            for name in envelope.repeated if isinstance(envelope, Object) else ():
                yield Problem(pointer((*path, name)), _REPEATED)

    def _summary(self, content: bytes) -> Iterator[Flaw]:
        """Yield what is wrong with a body, by field: its values are too many to look at each."""
        try:
            outermost = members(content)
            envelopes = dict(self._envelopes(outermost))
        except msgspec.ValidationError:
            yield Problem("", "must be an object")
            return
        except _REFUSED as error:
            yield Problem(
                "", f"{HALF_PAIR} {_NOT_LOCATED}" if has_half_pair(content) else f"is not valid JSON: {error}"
            )
            return
        for path, envelope in envelopes.items():
            yield from (Problem(pointer((*path, name)), _REPEATED) for name in envelope.repeated)
            if envelope.is_cut:
                yield Problem(pointer(path), f"must not have more than {MEMBERS_MAX} fields")
                return
        found = [*self._schema.problems(_outline(envelopes)), *self.rules(_salvaged(self.form, content))]
        yield from found
        # A field that is wrong as a whole is not searched, because a search takes far longer than all the rest.
        yield from self._faults(outermost, {"/" + flaw.pointer.split("/")[1] for flaw in found if flaw.pointer})


def _outline(envelopes: Mapping[tuple[str, ...], Members]) -> Any:
    """Return what a schema of envelopes looks at: nothing inside of objects and arrays."""
    outline = {name: _shallow(bytes(value)) for name, value in envelopes[()].values.items()}
    for path, inner in envelopes.items():
        for name in path:
            outline[name] = {each: _shallow(bytes(value)) for each, value in inner.values.items()}
    return outline


def _shallow(text: bytes) -> Any:
    if text.startswith(b"{"):
        return {}
    return [] if text.startswith(b"[") else read_json(text.decode())


def _value(content: bytes) -> Any:
    try:
        return read_json(content.decode())
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from None


def _require_text(content: bytes, depth_max: int) -> None:
    """Raise ValueError with what is wrong with a body as a whole."""
    if not content:
        raise ValueError("is empty; send a JSON object")
    if content.startswith(b"\xef\xbb\xbf"):
        raise ValueError("begins with a byte order mark; send it without")
    if is_deeper(content, depth_max):
        raise ValueError(f"is nested deeper than {depth_max} levels")
    fault_at = utf8_fault_at(content)
    if fault_at is not None:
        raise ValueError(f"is not UTF-8 at byte {fault_at}")


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
    if _is_struct(kind):
        return _salvaged(kind, content)
    try:
        return msgspec.json.decode(content, type=kind)
    except _REFUSED:
        return None


def _problem(error: Exception) -> Problem:
    """Return what the decoder refused, should nothing else have."""
    message, _, path = str(error).partition(" - at `$")
    return Problem(path.rstrip("`").replace(".", "/"), message)


def _names(form: type[Struct]) -> Iterator[str]:
    for member in msgspec.structs.fields(form):
        yield member.name
        if _is_struct(member.type):
            yield from _names(member.type)


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)
