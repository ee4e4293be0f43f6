"""Makes JSON Schemas ready, and keeps those in use."""

import asyncio
import json
from functools import partial
from typing import Any

from attrs import define, field, frozen
from jsonschema_rs import Draft202012Validator, ValidationError
from typing_extensions import override

from adapters.json_schema.document import DIALECT, Document
from adapters.json_schema.patterns import REGEX_OPTIONS
from adapters.json_schema.problems import PROBLEMS_MAX, broken_by, problem_of
from adapters.json_schema.schema import CompiledSchema
from adapters.json_schema.weight import WEIGHT_MAX, Endless, Weight
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Problem
from domain.functions.ports import Schema, SchemaCompiler
from domain.functions.schema import SchemaRefused
from domain.json_text import JsonText, is_deeper

_MASK = "value"
_DIALECT = Draft202012Validator({"$ref": DIALECT}, mask=_MASK, offline=True)
_ENTRY_BYTES = 16 * 1024
"""What a compiled schema takes beside its text and its patterns, at least; so the cache is bounded in count as well."""

_TEXTS = 8
"""A compiled schema takes so many times its text."""


@frozen
class SchemaOptions:
    """Bytes of a schema's text and of all compiled schemas that are kept, and how deep a schema may be nested."""

    text_size_max: int = 64 * 1024
    cache_size_max: int = 64 * 1024 * 1024
    depth_max: int = 64
    work_max: int = 10_000_000
    """Steps (of 10 ns, about) that one check may take at worst."""


@define(eq=False)
class JsonSchemaCompiler(SchemaCompiler):
    """Compiles schemas of draft 2020-12 with jsonschema-rs, once, and keeps those that were used last.

    Formats are checked (those that the library knows; others are notes, as the draft has it). Nothing is ever fetched:
    a schema is one document.
    """

    _options: SchemaOptions = field(factory=SchemaOptions)
    _kept: BoundedCache[JsonText, CompiledSchema] = field(init=False)
    _under_way: dict[JsonText, asyncio.Task[CompiledSchema]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._kept = BoundedCache(self._options.cache_size_max, lambda schema: schema.size)

    @override
    async def compile(self, text: JsonText) -> Schema:
        kept = self._kept.get(text)
        if kept is not None:
            return kept
        # Callers that come together share one compilation, which does not end with any of them.
        return await asyncio.shield(self._under_way.get(text) or self._begin(text))

    def _begin(self, text: JsonText) -> asyncio.Task[CompiledSchema]:
        # Up to a quarter of a second of Python must not stop everybody else's event loop.
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._compiled, text))
        self._under_way[text] = task
        task.add_done_callback(partial(self._ended, text))
        return task

    def _ended(self, text: JsonText, task: asyncio.Task[CompiledSchema]) -> None:
        del self._under_way[text]
        if not task.cancelled() and task.exception() is None:
            self._kept.put(text, task.result())

    def _compiled(self, text: JsonText) -> CompiledSchema:
        document, root = self._document(text)
        try:
            weight = Weight.of(document)
        except Endless:
            raise _refusal(Problem("", "refers to itself without looking deeper into the value")) from None
        if weight.is_excessive:
            message = (
                f"may take more than {WEIGHT_MAX} steps to check one value; combine fewer subschemas, fractions and "
                "shorter patterns"
            )
            raise _refusal(Problem("", message))
        try:
            validator = Draft202012Validator(
                root, mask=_MASK, validate_formats=True, pattern_options=REGEX_OPTIONS, offline=True
            )
        except ValidationError as error:
            raise _refusal(problem_of(error)) from None
        size = _ENTRY_BYTES + _TEXTS * len(text) + document.patterns.memory
        return CompiledSchema(validator, weight, size, self._options.work_max)

    def _document(self, text: JsonText) -> tuple[Document, Any]:
        encoded = text.encode()
        if len(encoded) > self._options.text_size_max:
            raise _refusal(Problem("", f"must take at most {self._options.text_size_max} bytes"))
        if is_deeper(encoded, self._options.depth_max):
            raise _refusal(Problem("", f"must not be nested deeper than {self._options.depth_max} levels"))
        root = json.loads(text)
        problems = broken_by(_DIALECT, root)
        if problems:
            raise _refusal(*problems)
        document = Document(root)
        if document.problems:
            raise _refusal(*document.problems[:PROBLEMS_MAX])
        return document, root


def _refusal(*problems: Problem) -> SchemaRefused:
    return SchemaRefused(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
