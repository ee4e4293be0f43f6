"""Makes JSON Schemas ready to check with, and keeps those in use."""

import asyncio
import json
from functools import partial
from typing import Any

from attrs import define, field, frozen
from jsonschema_rs import Draft202012Validator, ValidationError
from typing_extensions import override

from adapters.json_schema.document import DIALECT, Document
from adapters.json_schema.patterns import REGEX_OPTIONS
from adapters.json_schema.problems import PROBLEMS_MAX, problem_of, problems_in
from adapters.json_schema.weight import DEPTH, WEIGHT_MAX, Endless, Weight
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Problem
from domain.functions.ports import Schema, SchemaCompiler
from domain.functions.schema import SchemaRefused
from domain.json_text import JsonText, depth_of, is_deeper, without_strings

_MASK = "value"
_DIALECT = Draft202012Validator({"$ref": DIALECT}, mask=_MASK, offline=True)
_ENTRY_BYTES = 16 * 1024
"""The least that a compiled schema takes beside its text and its patterns; it bounds the count in the cache as well."""

_TEXTS = 8
"""A compiled schema takes so many times its text."""

_ALL_PROBLEMS_WORK_MAX = 5_000
"""Work up to which all problems are listed: the library finds them at once, and each takes some microseconds."""

_EXCESSIVE = (
    f"may take more than {WEIGHT_MAX} steps to check one value, even one that is nested only {DEPTH} levels deep; "
    "combine "
    "fewer subschemas, fractions and shorter patterns"
)


@frozen
class SchemaOptions:
    """Bytes of a schema's text and of all compiled schemas in the cache, and how deep a schema may be nested."""

    text_size_max: int = 64 * 1024
    cache_size_max: int = 64 * 1024 * 1024
    depth_max: int = 64
    work_max: int = 10_000_000
    """Steps (of 10 ns, about) that one check may take at worst."""


@define(eq=False)
class CompiledSchema(Schema):
    """A validator and what it costs; `size` is about what it takes in memory, in bytes."""

    _validator: Draft202012Validator
    _weight: Weight
    size: int
    _work_max: int

    @override
    def problems(self, value: JsonText) -> tuple[Problem, ...]:
        work = self._work(value)
        if work > self._work_max:
            message = (
                f"may take {work} steps to check with this schema, and {self._work_max} are allowed; send less, "
                "or nest "
                "it less deeply"
            )
            return (Problem("", message),)
        try:
            return self._found(json.loads(value), work)
        except (ValueError, RecursionError) as error:
            return (Problem("", f"cannot be checked with a schema: {error}"),)

    def _found(self, value: Any, work: int) -> tuple[Problem, ...]:
        if work <= _ALL_PROBLEMS_WORK_MAX:
            return () if self._validator.is_valid(value) else problems_in(self._validator, value)
        try:
            self._validator.validate(value)
        except ValidationError as error:
            return (problem_of(error),)
        return ()

    def _work(self, text: JsonText) -> int:
        """Return the steps at worst; the exact depth and the text without its strings are taken only if they matter."""
        encoded = text.encode(errors="replace")
        work = self._weight.work(encoded, len(text))
        if work <= (_ALL_PROBLEMS_WORK_MAX if self._weight.grows else self._work_max):
            return work
        bare = without_strings(encoded)
        return self._weight.work(bare, len(text), depth_of(bare))


@define(eq=False)
class JsonSchemaCompiler(SchemaCompiler):
    """Compiles schemas of draft 2020-12 with jsonschema-rs, once, and keeps those that were used last.

    Formats that the library knows are checked; others are notes, as the draft has it. Nothing is ever fetched: a schema
    is one document.
    """

    _options: SchemaOptions = field(factory=SchemaOptions)
    _cache: BoundedCache[JsonText, CompiledSchema] = field(init=False)
    _compilations: dict[JsonText, asyncio.Task[CompiledSchema]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._cache = BoundedCache(self._options.cache_size_max, lambda schema: schema.size)

    @override
    async def compile(self, text: JsonText) -> Schema:
        cached = self._cache.get(text)
        if cached is not None:
            return cached
        # Callers that come together share one compilation, which does not end with any of them.
        return await asyncio.shield(self._compilations.get(text) or self._begin(text))

    def _begin(self, text: JsonText) -> asyncio.Task[CompiledSchema]:
        # A compilation can take a quarter of a second of Python, which must not stop the event loop.
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._compiled, text))
        self._compilations[text] = task
        task.add_done_callback(partial(self._ended, text))
        return task

    def _ended(self, text: JsonText, task: asyncio.Task[CompiledSchema]) -> None:
        del self._compilations[text]
        if not task.cancelled() and task.exception() is None:
            self._cache.put(text, task.result())

    def _compiled(self, text: JsonText) -> CompiledSchema:
        root = self._root(text)
        document = Document(root)
        if document.problems:
            raise _refusal(*document.problems[:PROBLEMS_MAX])
        try:
            weight = document.weight()
        except Endless:
            raise _refusal(Problem("", "refers to itself without descending into the value")) from None
        if weight.is_excessive:
            raise _refusal(Problem("", _EXCESSIVE))
        document.wrap_alternatives()
        try:
            validator = Draft202012Validator(
                root, mask=_MASK, validate_formats=True, pattern_options=REGEX_OPTIONS, offline=True
            )
        except ValidationError as error:
            raise _refusal(problem_of(error)) from None
        size = _ENTRY_BYTES + _TEXTS * len(text) + document.patterns.memory
        return CompiledSchema(validator, weight, size, self._options.work_max)

    def _root(self, text: JsonText) -> Any:
        """Return the schema, if it is valid by the dialect and within the limits."""
        encoded = text.encode()
        if len(encoded) > self._options.text_size_max:
            raise _refusal(Problem("", f"must take at most {self._options.text_size_max} bytes"))
        if is_deeper(encoded, self._options.depth_max):
            raise _refusal(Problem("", f"must not be nested deeper than {self._options.depth_max} levels"))
        root = json.loads(text)
        problems = problems_in(_DIALECT, root)
        if problems:
            raise _refusal(*problems)
        return root


def _refusal(*problems: Problem) -> SchemaRefused:
    return SchemaRefused(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
