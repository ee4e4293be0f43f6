"""The body of a function. Its lists are parsed element by element, so that each problem names its place."""

from collections.abc import Callable, Iterable, Iterator

import msgspec
from attrs import define
from msgspec import Raw, UnsetType

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from domain.functions.function import (
    DESCRIPTION_SIZE_MAX,
    EXAMPLES_MAX,
    EXAMPLES_SIZE_MAX,
    TAG_LENGTH_MAX,
    TAGS_MAX,
    Example,
)
from domain.functions.schema import FunctionSchema
from domain.functions.service import FunctionRequest
from domain.json_pointer import pointer
from domain.json_text import JsonText
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner, json_text, read_body
from entrypoints.http.parsing.body_problems import BodyProblem, raise_problems
from entrypoints.http.parsing.grants import asked_grants, grants_problems
from entrypoints.http.parsing.json_scan import elements, starts_with
from entrypoints.http.parsing.sessions import ENVELOPE_SIZE, ESCAPED
from entrypoints.http.request import Request
from entrypoints.http.schemas.functions import (
    ExampleEnvelope,
    FunctionEnvelope,
    RollbackEnvelope,
)

_NULL = b"null"
_SCHEMA_STARTS = (b"{", b"true", b"false", _NULL)
_STORED = frozenset({"script_content", "description", "tags"})


@define
class FunctionParser:
    """Parses functions that are to be registered."""

    _size_max: int
    _timeout_s: float
    _examiner: Examiner
    _envelopes: BodyParser[FunctionEnvelope]
    _examples: BodyParser[ExampleEnvelope]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "FunctionParser":
        """Return the parser for these options."""
        size_max = options.script_size_max * ESCAPED + 2 * options.schema_size_max + EXAMPLES_SIZE_MAX + ENVELOPE_SIZE
        rules, timeout_s, opaque = _function_rules(options), options.body_timeout_s, frozenset({"examples"})
        return cls(
            size_max,
            timeout_s,
            examiner,
            BodyParser(FunctionEnvelope, size_max, timeout_s, rules, examiner, _STORED, opaque),
            BodyParser(ExampleEnvelope, EXAMPLES_SIZE_MAX, timeout_s, _example_rules, examiner),
        )

    async def read(self, request: Request) -> FunctionRequest:
        """Return the function of the request.

        Raises InvalidRequest with every problem at once, FieldTooLarge, UnsupportedMediaType, SlowBody, Overloaded or
        ClientDisconnected.
        """
        content = await read_body(request, self._size_max, self._timeout_s)
        return await self._examiner.run(request.caller.owner, len(content), lambda: self.parse(content))

    def parse(self, content: bytes) -> FunctionRequest:
        """Return the function of a body; raises InvalidRequest or FieldTooLarge."""
        body = self._envelopes.parse(content)
        assert not isinstance(body.script_content, UnsetType), "the rules require it"
        return FunctionRequest(
            script_content=body.script_content,
            description=body.description,
            schema=FunctionSchema(_schema(body.schema.params), _schema(body.schema.result)),
            examples=tuple(self._parsed(_elements(body.examples, EXAMPLES_MAX) or ())),
            tags=tuple(msgspec.json.decode(tag, type=str) for tag in _elements(body.tags, TAGS_MAX) or ()),
            convention=body.convention,
            grants=asked_grants(body),
        )

    def _parsed(self, examples: Iterable[Raw]) -> list[Example]:
        parsed: list[Example] = []
        problems: list[Problem] = []
        for index, raw in enumerate(examples):
            try:
                example = self._examples.parse(bytes(raw))
            except InvalidRequest as error:
                problems += (Problem(f"/examples/{index}{p.pointer}", p.message) for p in error.problems)
                continue
            parsed.append(Example(json_text(example.params), json_text(example.result)))
        raise_problems(problems)
        return parsed


def rollback_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[RollbackEnvelope]:
    """Return the parser for the body of a rollback."""
    return BodyParser(RollbackEnvelope, ENVELOPE_SIZE, options.body_timeout_s, _rollback_rules, examiner)


def _rollback_rules(body: RollbackEnvelope) -> Iterator[BodyProblem]:
    if isinstance(body.version, UnsetType):
        yield Problem("/version", "is required: the number of a version that is kept")


def _function_rules(options: HttpOptions) -> Callable[[FunctionEnvelope], Iterator[BodyProblem]]:
    def rules(body: FunctionEnvelope) -> Iterator[BodyProblem]:
        if isinstance(body.script_content, UnsetType):
            yield Problem("/script_content", "is required: the source of the script")
        else:
            yield from _oversized("/script_content", body.script_content.encode(), options.script_size_max)
        yield from _oversized("/description", body.description.encode(), DESCRIPTION_SIZE_MAX)
        yield from _schema_problems("/schema/params", body.schema.params, options.schema_size_max)
        yield from _schema_problems("/schema/result", body.schema.result, options.schema_size_max)
        yield from _array_problems("/examples", body.examples, EXAMPLES_MAX)
        if not isinstance(body.examples, UnsetType):
            yield from _oversized("/examples", bytes(body.examples), EXAMPLES_SIZE_MAX)
        yield from _tag_problems(body.tags)
        yield from grants_problems(body)

    return rules


def _example_rules(example: ExampleEnvelope) -> Iterator[BodyProblem]:
    if isinstance(example.result, UnsetType):
        yield Problem("/result", "is required: the result that the script must return")


def _schema_problems(where: str, raw: Raw | UnsetType, size_max: int) -> Iterator[BodyProblem]:
    if isinstance(raw, UnsetType):
        return
    if not bytes(raw).startswith(_SCHEMA_STARTS):
        yield Problem(where, "must be a JSON Schema: an object, true or false")
    yield from _oversized(where, bytes(raw), size_max)


def _array_problems(where: str, raw: Raw | UnsetType, count_max: int) -> Iterator[BodyProblem]:
    if isinstance(raw, UnsetType):
        return
    if not starts_with(raw, b"["):
        yield Problem(where, "must be an array")
    elif elements(raw, count_max) is None:
        yield Problem(where, f"must have at most {count_max} items")


def _elements(raw: Raw | UnsetType, count_max: int) -> list[Raw] | None:
    """Return the elements of an array, or None if the value is no array or too long."""
    if isinstance(raw, UnsetType):
        return []
    return elements(raw, count_max) if starts_with(raw, b"[") else None


def _tag_problems(tags: Raw | UnsetType) -> Iterator[BodyProblem]:
    yield from _array_problems("/tags", tags, TAGS_MAX)
    for index, raw in enumerate(_elements(tags, TAGS_MAX) or ()):
        if not _is_tag(raw):
            yield Problem(pointer(("tags", index)), f"must be a string of 1 to {TAG_LENGTH_MAX} characters")


def _is_tag(raw: Raw) -> bool:
    try:
        return 1 <= len(msgspec.json.decode(raw, type=str)) <= TAG_LENGTH_MAX
    except msgspec.MsgspecError:
        return False


def _oversized(where: str, content: bytes, size_max: int) -> Iterator[BodyProblem]:
    if len(content) > size_max:
        yield FieldTooLarge(where, size_max, len(content))


def _schema(raw: Raw | UnsetType) -> JsonText | None:
    return None if isinstance(raw, UnsetType) or bytes(raw) == _NULL else json_text(raw)
