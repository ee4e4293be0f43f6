"""The body of a function: its lists are looked at one by one, so that each problem is told where it is."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import msgspec
from attrs import define
from msgspec import Raw, UnsetType

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.function import Example
from domain.function_schema import FunctionSchema
from domain.function_service import FunctionRequest
from domain.json_pointer import pointer
from domain.json_text import JsonText
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
    _envelopes: BodyForm[FunctionEnvelope]
    _examples: BodyForm[ExampleEnvelope]

    @classmethod
    def of(cls, options: HttpOptions) -> "FunctionForm":
        """Return the form for these options."""
        size_max = options.script_size_max * _ESCAPED + 2 * options.schema_size_max + EXAMPLES_SIZE_MAX + _ENVELOPE_SIZE
        stored = frozenset({"script_content", "description", "tags"})
        timeout_s = options.body_timeout_s
        return cls(
            size_max,
            timeout_s,
            BodyForm(FunctionEnvelope, size_max, timeout_s, _function_rules(options), stored),
            BodyForm(ExampleEnvelope, EXAMPLES_SIZE_MAX, timeout_s, _example_rules),
        )

    async def read(self, request: Request) -> FunctionRequest:
        """Return the request's function.

        Raises InvalidRequest with every problem at once, FieldTooLarge, UnsupportedMediaType, SlowBody or ClientGone.
        """
        content = await read_body(request, self._size_max, self._timeout_s)
        return await asyncio.to_thread(self._function, content)

    def _function(self, content: bytes) -> FunctionRequest:
        body = self._envelopes.parsed(content)
        assert not isinstance(body.script_content, UnsetType), "the rules require it"
        return FunctionRequest(
            script_content=body.script_content,
            description=body.description,
            schema=FunctionSchema(_schema(body.schema.params), _schema(body.schema.result)),
            examples=tuple(self._parsed(body.examples)),
            tags=tuple(msgspec.json.decode(tag, type=str) for tag in body.tags),
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
        if len(body.examples) > EXAMPLES_MAX:
            yield Problem("/examples", f"must have at most {EXAMPLES_MAX} items")
        yield from _oversized("/examples", b"".join(map(bytes, body.examples)), EXAMPLES_SIZE_MAX)
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


def _tag_flaws(tags: Iterable[Raw]) -> Iterator[Flaw]:
    for index, raw in enumerate(tags):
        if index == TAGS_MAX:
            yield Problem("/tags", f"must have at most {TAGS_MAX} items")
            return
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
