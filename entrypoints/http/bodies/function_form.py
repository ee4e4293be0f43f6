"""The body of a function: its lists are looked at one by one, so that each problem is told where it is."""

from collections.abc import Callable, Iterable, Iterator

import msgspec
from attrs import define
from msgspec import Raw, UnsetType

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.functions.function import Example
from domain.functions.schema import FunctionSchema
from domain.functions.service import FunctionRequest
from domain.json_pointer import pointer
from domain.json_text import JsonText
from entrypoints.http.bodies.examiner import Examiner
from entrypoints.http.bodies.members import elements, starts_with
from entrypoints.http.bodies.reading import read_body
from entrypoints.http.bodies.validation import BodyForm, Flaw, refuse
from entrypoints.http.options import HttpOptions
from entrypoints.http.payloads.functions import (
    DESCRIPTION_SIZE_MAX,
    EXAMPLES_MAX,
    EXAMPLES_SIZE_MAX,
    TAG_LENGTH_MAX,
    TAGS_MAX,
    ExampleEnvelope,
    FunctionEnvelope,
)
from entrypoints.http.payloads.values import json_text
from entrypoints.http.request import Request

_ENVELOPE_SIZE = 64 * 1024
_ESCAPED = 3
"""A script may take so many times its size when written as a JSON string."""

_NULL = b"null"
_SCHEMA_STARTS = (b"{", b"true", b"false", _NULL)


@define
class FunctionForm:
    """Reads functions that are to be registered."""

    _size_max: int
    _timeout_s: float
    _examiner: Examiner
    _envelopes: BodyForm[FunctionEnvelope]
    _examples: BodyForm[ExampleEnvelope]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "FunctionForm":
        """Return the form for these options."""
        size_max = options.script_size_max * _ESCAPED + 2 * options.schema_size_max + EXAMPLES_SIZE_MAX + _ENVELOPE_SIZE
        stored = frozenset({"script_content", "description", "tags"})
        timeout_s = options.body_timeout_s
        return cls(
            size_max,
            timeout_s,
            examiner,
            BodyForm(
                FunctionEnvelope,
                size_max,
                timeout_s,
                _function_rules(options),
                examiner,
                stored,
                frozenset({"examples"}),
            ),
            BodyForm(ExampleEnvelope, EXAMPLES_SIZE_MAX, timeout_s, _example_rules, examiner),
        )

    async def read(self, request: Request) -> FunctionRequest:
        """Return the request's function.

        Raises InvalidRequest with every problem at once, FieldTooLarge, UnsupportedMediaType, SlowBody,
        Overloaded or ClientGone.
        """
        content = await read_body(request, self._size_max, self._timeout_s)
        return await self._examiner.run(request.caller.owner, len(content), lambda: self._function(content))

    def _function(self, content: bytes) -> FunctionRequest:
        body = self._envelopes.parsed(content)
        assert not isinstance(body.script_content, UnsetType), "the rules require it"
        return FunctionRequest(
            script_content=body.script_content,
            description=body.description,
            schema=FunctionSchema(_schema(body.schema.params), _schema(body.schema.result)),
            examples=tuple(self._parsed(_listed(body.examples, EXAMPLES_MAX) or ())),
            tags=tuple(msgspec.json.decode(tag, type=str) for tag in _listed(body.tags, TAGS_MAX) or ()),
        )

    def _parsed(self, examples: Iterable[Raw]) -> list[Example]:
        parsed: list[Example] = []
        problems: list[Problem] = []
        for index, raw in enumerate(examples):
            try:
                example = self._examples.parsed(bytes(raw))
            except InvalidRequest as refusal:
                problems += (Problem(f"/examples/{index}{p.pointer}", p.message) for p in refusal.problems)
                continue
            parsed.append(Example(json_text(example.params), json_text(example.result)))
        refuse(problems)
        return parsed


def _function_rules(options: HttpOptions) -> Callable[[FunctionEnvelope], Iterator[Flaw]]:
    def rules(body: FunctionEnvelope) -> Iterator[Flaw]:
        if isinstance(body.script_content, UnsetType):
            yield Problem("/script_content", "must be given: the source of the script")
        else:
            yield from _oversized("/script_content", body.script_content.encode(), options.script_size_max)
        yield from _oversized("/description", body.description.encode(), DESCRIPTION_SIZE_MAX)
        yield from _schema_flaws("/schema/params", body.schema.params, options.schema_size_max)
        yield from _schema_flaws("/schema/result", body.schema.result, options.schema_size_max)
        yield from _array_flaws("/examples", body.examples, EXAMPLES_MAX)
        if not isinstance(body.examples, UnsetType):
            yield from _oversized("/examples", bytes(body.examples), EXAMPLES_SIZE_MAX)
        yield from _tag_flaws(body.tags)

    return rules


def _example_rules(example: ExampleEnvelope) -> Iterator[Flaw]:
    if isinstance(example.result, UnsetType):
        yield Problem("/result", "must be given: the result that the params give")


def _schema_flaws(where: str, raw: Raw | UnsetType, size_max: int) -> Iterator[Flaw]:
    if isinstance(raw, UnsetType):
        return
    if not bytes(raw).startswith(_SCHEMA_STARTS):
        yield Problem(where, "must be a JSON Schema: an object, true or false")
    yield from _oversized(where, bytes(raw), size_max)


def _array_flaws(where: str, raw: Raw | UnsetType, count_max: int) -> Iterator[Flaw]:
    if isinstance(raw, UnsetType):
        return
    if not starts_with(raw, b"["):
        yield Problem(where, "must be an array")
    elif elements(raw, count_max) is None:
        yield Problem(where, f"must have at most {count_max} items")


def _listed(raw: Raw | UnsetType, count_max: int) -> list[Raw] | None:
    """Return the elements of an array; None where it is none, or too long."""
    if isinstance(raw, UnsetType):
        return []
    return elements(raw, count_max) if starts_with(raw, b"[") else None


def _tag_flaws(tags: Raw | UnsetType) -> Iterator[Flaw]:
    yield from _array_flaws("/tags", tags, TAGS_MAX)
    for index, raw in enumerate(_listed(tags, TAGS_MAX) or ()):
        if not _is_tag(raw):
            yield Problem(pointer(("tags", index)), f"must be a string of 1 to {TAG_LENGTH_MAX} characters")


def _is_tag(raw: Raw) -> bool:
    try:
        return 1 <= len(msgspec.json.decode(raw, type=str)) <= TAG_LENGTH_MAX
    except msgspec.MsgspecError:
        return False


def _oversized(where: str, content: bytes, size_max: int) -> Iterator[Flaw]:
    if len(content) > size_max:
        yield FieldTooLarge(where, size_max, len(content))


def _schema(raw: Raw | UnsetType) -> JsonText | None:
    return None if isinstance(raw, UnsetType) or bytes(raw) == _NULL else json_text(raw)
