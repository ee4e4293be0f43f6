"""Explains what is wrong with a body, and where."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec
from attrs import define, field, frozen
from msgspec import Raw, Struct

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.json_pointer import pointer
from domain.json_text import is_deeper
from entrypoints.http.errors import InvalidParams, invalid
from entrypoints.http.parsing.body_schema import BodySchema
from entrypoints.http.parsing.json_faults import HALF_PAIR, Object, read_json, text_fault, value_faults
from entrypoints.http.parsing.json_scan import (
    MEMBERS_MAX,
    Members,
    has_half_pair,
    has_more_values,
    members,
    starts_with,
    utf8_fault_at,
    without_half_pairs,
)

Body = TypeVar("Body", bound=Struct)
BodyProblem = Problem | FieldTooLarge

DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
PROBLEMS_MAX = 100
LOCATED_VALUES_MAX = 50_000

_SMALL_SIZE_MAX = 1024
"""Bytes of the largest object or array that is read within the envelope of a larger body."""

_NOT_LOCATED = "(the body has too many values to say where)"
_REPEATED = "is given more than once"


def raise_problems(problems: Iterable[BodyProblem]) -> None:
    """Raise the problems, if there are any. FieldTooLarge has the first one if all of them are sizes."""
    found = {problem.pointer: problem for problem in reversed(tuple(problems))}
    ordered = sorted(found.values(), key=lambda problem: problem.pointer)
    if not ordered:
        return
    oversized = [problem for problem in ordered if isinstance(problem, FieldTooLarge)]
    if len(oversized) == len(ordered):
        raise oversized[0]
    of_params = all(problem.pointer.split("/")[1:2] == ["params"] for problem in ordered)
    raise invalid(map(_as_problem, ordered), InvalidParams if of_params else InvalidRequest)


def _as_problem(problem: BodyProblem) -> Problem:
    if isinstance(problem, Problem):
        return problem
    return Problem(problem.pointer, f"must take at most {problem.size_max} bytes")


@frozen
class BodyFields:
    """What the fields of a body are.

    `structs` have fields of their own. PostgreSQL stores the strings of `stored`. A parser of its own reads `opaque`.
    """

    structs: frozenset[str]
    stored: frozenset[str]
    opaque: frozenset[str]

    def envelopes(self, outermost: Members) -> Iterator[tuple[tuple[str, ...], Members]]:
        """Yield the members of the body, and of its fields that have fields of their own, with their path."""
        yield (), outermost
        for name, value in outermost.values.items():
            if name in self.structs and starts_with(value, b"{"):
                yield (name,), members(value)

    def faults(self, outermost: Members, skipped: Collection[str] = ()) -> Iterator[Problem]:
        """Yield a problem for each field with a fault in its text; `skipped` are pointers of fields not to search."""
        for name, value in outermost.values.items():
            where = pointer((name,))
            if name in self.opaque or where in skipped:
                continue
            if found := text_fault(bytes(value), stored=name in self.stored):
                yield Problem(where, f"{found} {_NOT_LOCATED}")

    def has_hidden_fault(self, content: bytes) -> bool:
        """Return whether a body that its decoder accepts has a repeated name or a fault, or too many members to say."""
        outermost = members(content)
        return (
            outermost.is_cut
            or any(each.repeated for _, each in self.envelopes(outermost))
            or any(self.faults(outermost))
        )


@define
class BodyExplanation(Generic[Body]):
    """Finds every problem of a body that was rejected.

    A place is named if the body has at most `located_values_max` values, because that takes a Python object for each
    value. In a larger body the problem names the field.
    """

    body_type: type[Body]
    fields: BodyFields
    depth_max: int
    rules: Callable[[Body], Iterable[BodyProblem]]
    misplaced: Mapping[str, str]
    located_values_max: int = LOCATED_VALUES_MAX
    _schema: BodySchema = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._schema = BodySchema(self.body_type, self.misplaced)

    def raise_problems(self, content: bytes) -> None:
        """Raise the first problems, if the body has any."""
        raise_problems(islice(self.problems(content), PROBLEMS_MAX))

    def problems(self, content: bytes) -> Iterator[BodyProblem]:
        """Yield what is wrong with a body."""
        found = _text_problem(content, self.depth_max)
        if found is not None:
            yield Problem("", found)
        elif has_more_values(content, self.located_values_max):
            yield from self._by_field(content)
        else:
            yield from self._located(content)

    def _located(self, content: bytes) -> Iterator[BodyProblem]:
        try:
            value = read_json(content.decode())
        except ValueError as error:
            yield Problem("", f"is not valid JSON: {error}")
            return
        fields = value if isinstance(value, Object) else Object([])
        yield from _repeated((), fields)
        for name in self.fields.structs & fields.keys():
            yield from _repeated((name,), fields[name])
        yield from self._schema.problems(value)
        for name, member in fields.items():
            yield from value_faults(member, (name,), stored=name in self.fields.stored)
        yield from self.rules(_valid_part(self.body_type, without_half_pairs(content)))

    def _by_field(self, content: bytes) -> Iterator[BodyProblem]:
        try:
            outermost = members(content)
            envelopes = dict(self.fields.envelopes(outermost))
        except msgspec.ValidationError:
            yield Problem("", "must be an object")
            return
        except DECODE_ERRORS as error:
            is_half = has_half_pair(content)
            yield Problem("", f"{HALF_PAIR} {_NOT_LOCATED}" if is_half else f"is not valid JSON: {error}")
            return
        for path, envelope in envelopes.items():
            yield from (Problem(pointer((*path, name)), _REPEATED) for name in envelope.repeated)
            if envelope.is_cut:
                yield Problem(pointer(path), f"must not have more than {MEMBERS_MAX} fields")
                return
        found = [*self._schema.problems(_nested(envelopes)), *self.rules(_valid_part(self.body_type, content))]
        yield from found
        # A search takes far longer than everything else, so fields with a problem are not searched for more.
        yield from self.fields.faults(outermost, {"/" + each.pointer.split("/")[1] for each in found if each.pointer})


def _text_problem(content: bytes, depth_max: int) -> str | None:
    if not content:
        return "is empty; send a JSON object"
    if content.startswith(b"\xef\xbb\xbf"):
        return "begins with a byte order mark; send it without"
    if is_deeper(content, depth_max):
        return f"is nested deeper than {depth_max} levels"
    fault_at = utf8_fault_at(content)
    return None if fault_at is None else f"is not UTF-8 at byte {fault_at}"


def _repeated(path: tuple[str, ...], value: Any) -> Iterator[Problem]:
    for name in value.repeated if isinstance(value, Object) else ():
        yield Problem(pointer((*path, name)), _REPEATED)


def _nested(envelopes: dict[tuple[str, ...], Members]) -> Any:
    """Return the body as far as the schema of envelopes goes: large nested objects and arrays are empty."""
    nested = {name: _shallow(bytes(value)) for name, value in envelopes[()].values.items()}
    for path, inner in envelopes.items():
        for name in path:
            nested[name] = {each: _shallow(bytes(value)) for each, value in inner.values.items()}
    return nested


def _shallow(text: bytes) -> Any:
    if len(text) <= _SMALL_SIZE_MAX:
        with suppress(ValueError):
            return read_json(text.decode())
    if text.startswith(b"{"):
        return {}
    return [] if text.startswith(b"[") else read_json(text.decode())


def _valid_part(kind: type[Any], content: bytes | Raw) -> Any:
    """Return the fields of a body that are valid, so that the rules are checked beside other problems."""
    try:
        return msgspec.json.decode(content, type=kind)
    except DECODE_ERRORS:
        pass
    try:
        found = msgspec.json.decode(content, type=dict[str, Raw])
    except DECODE_ERRORS:
        return kind()
    types = {each.name: each.type for each in msgspec.structs.fields(kind) if each.name in found}
    valid = {name: _valid_field(each, found[name]) for name, each in types.items()}
    return kind(**{name: value for name, value in valid.items() if value is not None})


def _valid_field(kind: Any, content: Raw) -> Any:
    if is_struct(kind):
        return _valid_part(kind, content)
    try:
        return msgspec.json.decode(content, type=kind)
    except DECODE_ERRORS:
        return None


def is_struct(kind: Any) -> bool:
    """Return whether a type of a field has fields of its own."""
    return isinstance(kind, type) and issubclass(kind, Struct)
