"""Functions in PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.response_size import ResponseSize
from adapters.postgres.codec import array_literals
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements import FunctionStatements
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import StorageUnavailable
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionConflict,
    FunctionNotFound,
    FunctionSummary,
    FunctionType,
)
from domain.functions.ports import FunctionFilter, FunctionPage, FunctionRepository
from domain.functions.schema import FunctionSchema, FunctionVersionNotFound
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script

Row = tuple[Any, ...]
_Version = tuple[LanguageTitle, int]

_ROW_BYTES = 1024
_ABSENT = 0
"""The version that no function has."""


@frozen
class FunctionRepositoryOptions:
    """Bounds: of batches, of races that an update loses (and the pause after one), of bytes of schemas that are kept."""

    batches: CoalescerOptions = field(factory=CoalescerOptions)
    races_max: int = 10
    race_pause_s: float = 0.02
    kept_schemas_size_max: int = 16 * 1024 * 1024


class PostgresFunctionRepository(FunctionRepository):
    """Keeps functions in `meta.functions`, and each version of one, which never changes, in `meta.function_versions`."""

    def __init__(
        self, gateway: Gateway, statements: FunctionStatements, options: FunctionRepositoryOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._options = options or FunctionRepositoryOptions()
        self._function_bytes = ResponseSize(_ROW_BYTES)
        self._schema_bytes = ResponseSize(_ROW_BYTES)
        batches = self._options.batches
        self._reads: Coalescer[LanguageTitle, Function] = Coalescer(
            "function", self._get, key=_itself, size=self._function_bytes.expect, options=batches, share=True
        )
        self._schema_reads: Coalescer[_Version, FunctionSchema] = Coalescer(
            "schema", self._schemas, key=_itself, size=self._schema_bytes.expect, options=batches, share=True
        )
        self._kept: BoundedCache[_Version, FunctionSchema] = BoundedCache(
            self._options.kept_schemas_size_max, _schema_size
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All of this repository's, to be watched and closed."""
        return self._reads, self._schema_reads

    @override
    async def get(self, title: LanguageTitle) -> Function:
        return await self._reads.ask(title)

    @override
    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        kept = self._kept.get((title, version))
        if kept is None:
            kept = await self._schema_reads.ask((title, version))
            self._kept.put((title, version), kept)
        return kept

    @override
    async def update(self, title: LanguageTitle, change: Callable[[Function | None], Function]) -> Function:
        for _ in range(self._options.races_max):
            read = await self._read(title)
            changed = change(read)
            if changed is read or await self._written(read, changed):
                return changed
            pause_s = self._options.race_pause_s
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # keeps the losers of one race apart
        raise FunctionConflict

    @override
    async def page(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        found = await self._gateway.fetch(
            self._statements.select_function_page,
            {"language": wanted.language, "type": wanted.type, "skipped": offset, "size": size},
        )
        return FunctionPage(found[0][0], [_summary_of(tuple(row)) for _, *row in found if row[0] is not None])

    async def _read(self, title: LanguageTitle) -> Function | None:
        """Read on behalf of a write, of which nothing is stored yet."""
        try:
            return await self.get(title)
        except FunctionNotFound:
            return None
        except StorageUnavailable as error:
            raise StorageUnavailable(stored="no") from error

    async def _written(self, read: Function | None, changed: Function) -> bool:
        """Write, unless somebody else has written in between; not repeated by itself, which would lose to itself."""
        if read is not None and changed.deactivated_at is not None:
            statement, facts = self._statements.deactivate_function, {"deactivated_at": changed.deactivated_at}
        else:
            statement, facts = self._statements.upsert_function, _columns(read, changed)
        title = changed.language_title
        of_row = {
            "language": title.language,
            "title": title.title,
            "version_read": _ABSENT if read is None else read.version,
        }
        return bool(await self._gateway.fetch(statement, {**of_row, **facts}, repeatable=False))

    async def _get(self, titles: Sequence[LanguageTitle]) -> Sequence[Function | Exception]:
        found = await self._gateway.fetch(self._statements.select_functions, _title_columns(titles), parts=len(titles))
        answers: list[Function | Exception] = [FunctionNotFound(title) for title in titles]
        for ordinal, *row in found:
            answers[ordinal - 1] = _function_of(tuple(row))
        self._function_bytes.learn(len(titles), sum(map(_function_size, answers)))
        return answers

    async def _schemas(self, versions: Sequence[_Version]) -> Sequence[FunctionSchema | Exception]:
        found = await self._gateway.fetch(
            self._statements.select_function_schemas,
            {
                **_title_columns([title for title, _ in versions]),
                "versions": array_literals.numbers(version for _, version in versions),
            },
            parts=len(versions),
        )
        answers: list[FunctionSchema | Exception] = [FunctionVersionNotFound(*version) for version in versions]
        for ordinal, params, result in found:
            answers[ordinal - 1] = FunctionSchema(params, result)
        self._schema_bytes.learn(len(versions), sum(map(_schema_size, answers)))
        return answers


def _columns(read: Function | None, changed: Function) -> dict[str, Any]:
    made = changed.definition
    return {
        "registered_read": read is not None and read.deactivated_at is None,
        "version": changed.version,
        "type": changed.type,
        "created_at": changed.created_at,
        "updated_at": changed.updated_at,
        "description": made.description,
        "tags": array_literals.texts(made.tags),
        "script": made.script.source,
        "script_hash": made.script.hash,
        "params_schema": made.schema.params,
        "result_schema": made.schema.result,
        "examples": json.dumps([[example.params, example.result] for example in made.examples]),
    }


def _title_columns(titles: Sequence[LanguageTitle]) -> dict[str, Any]:
    return {
        "languages": array_literals.texts(title.language for title in titles),
        "titles": array_literals.texts(title.title for title in titles),
    }


def _function_of(row: Row) -> Function:
    language, title, source, script_hash, description, params_schema, result_schema, examples, tags, *facts = row
    created_at, updated_at, version, kind, deactivated_at = facts
    schema = FunctionSchema(_json_text(params_schema), _json_text(result_schema))
    pairs = tuple(Example(JsonText(params), JsonText(result)) for params, result in json.loads(examples))
    made = Definition(Script(source, script_hash), description, schema, pairs, tuple(tags))
    name = LanguageTitle(Language(language), title)
    return Function(name, made, created_at, updated_at, version, FunctionType(kind), deactivated_at)


def _summary_of(row: Row) -> FunctionSummary:
    language, title, version, kind, description, tags, created_at, updated_at = row
    name = LanguageTitle(Language(language), title)
    return FunctionSummary(name, version, FunctionType(kind), description, tuple(tags), created_at, updated_at)


def _json_text(text: str | None) -> JsonText | None:
    return None if text is None else JsonText(text)


def _itself(key: Any) -> Any:
    return key


def _function_size(answer: Function | Exception) -> int:
    if isinstance(answer, Exception):
        return _ROW_BYTES
    made = answer.definition
    examples = sum(len(example.params) + len(example.result) for example in made.examples)
    return len(made.script.source) + len(made.description) + examples + _schema_size(made.schema)


def _schema_size(answer: FunctionSchema | Exception) -> int:
    if isinstance(answer, Exception):
        return _ROW_BYTES
    return _ROW_BYTES + len(answer.params or "") + len(answer.result or "")
