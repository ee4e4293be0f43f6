"""Functions in PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import MeasuredStatement, Row
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

_Version = tuple[LanguageTitle, int]

_ROW_BYTES = 1024
_ABSENT = 0
"""No function has this version."""


@frozen
class FunctionRepositoryOptions:
    """Bounds of batches, of races that an update may lose and the pause after each, of the bytes of cached schemas."""

    batches: CoalescerOptions = field(factory=CoalescerOptions)
    races_max: int = 10
    race_pause_s: float = 0.02
    cached_schemas_size_max: int = 16 * 1024 * 1024


class SelectFunctions(MeasuredStatement[LanguageTitle, Function]):
    """Reads functions."""

    name: ClassVar[str] = "function"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

    @override
    def batch_key(self, call: LanguageTitle) -> LanguageTitle:
        return call

    @override
    def columns(self, calls: Sequence[LanguageTitle]) -> Mapping[str, object]:
        return _title_columns(calls)

    @override
    def decode(self, call: LanguageTitle, row: Row) -> Function:
        return _function_of(row)

    @override
    def absent(self, call: LanguageTitle) -> Exception:
        return FunctionNotFound(call)

    @override
    def response_size(self, response: Function | Exception) -> int:
        if isinstance(response, Exception):
            return _ROW_BYTES
        definition = response.definition
        examples = sum(len(example.params) + len(example.result) for example in definition.examples)
        texts = len(definition.script.source) + len(definition.description)
        return texts + examples + _schema_size(definition.schema)


class SelectSchemas(MeasuredStatement[_Version, FunctionSchema]):
    """Reads the schemas of versions."""

    name: ClassVar[str] = "schema"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

    @override
    def batch_key(self, call: _Version) -> _Version:
        return call

    @override
    def columns(self, calls: Sequence[_Version]) -> Mapping[str, object]:
        return {
            **_title_columns([title for title, _ in calls]),
            "versions": codec.numbers(version for _, version in calls),
        }

    @override
    def decode(self, call: _Version, row: Row) -> FunctionSchema:
        return FunctionSchema(*row)

    @override
    def absent(self, call: _Version) -> Exception:
        return FunctionVersionNotFound(*call)

    @override
    def response_size(self, response: FunctionSchema | Exception) -> int:
        return _ROW_BYTES if isinstance(response, Exception) else _schema_size(response)


class PostgresFunctionRepository(FunctionRepository):
    """Stores functions in `meta.functions`, and their versions, which never change, in `meta.function_versions`."""

    def __init__(
        self, gateway: Gateway, statements: FunctionStatements, options: FunctionRepositoryOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._options = options or FunctionRepositoryOptions()
        batches = self._options.batches
        self._reads = Coalescer(gateway, SelectFunctions(statements.select_functions), batches, share=True)
        select_schemas = SelectSchemas(statements.select_function_schemas)
        self._schema_reads = Coalescer(gateway, select_schemas, batches, share=True)
        self._schemas: BoundedCache[_Version, FunctionSchema] = BoundedCache(
            self._options.cached_schemas_size_max, _schema_size
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return self._reads, self._schema_reads

    @override
    async def get(self, title: LanguageTitle) -> Function:
        return await self._reads.submit(title)

    @override
    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        schema = self._schemas.get((title, version))
        if schema is None:
            schema = await self._schema_reads.submit((title, version))
            self._schemas.put((title, version), schema)
        return schema

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
        return FunctionPage(found[0][0], [_summary_of(row) for _, *row in found if row[0] is not None])

    async def _read(self, title: LanguageTitle) -> Function | None:
        """Read before a write, of which nothing is stored yet; return None for an unknown function."""
        try:
            return await self.get(title)
        except FunctionNotFound:
            return None
        except StorageUnavailable as error:
            raise StorageUnavailable.of(error.fault, stored="no") from error

    async def _written(self, read: Function | None, changed: Function) -> bool:
        """Write, unless another writer was faster, and return whether it was written.

        The statement is not retried by itself: it would lose the race against its own first write.
        """
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


def _columns(read: Function | None, changed: Function) -> dict[str, Any]:
    definition = changed.definition
    return {
        "registered_read": read is not None and read.deactivated_at is None,
        "version": changed.version,
        "type": changed.type,
        "created_at": changed.created_at,
        "updated_at": changed.updated_at,
        "description": definition.description,
        "tags": codec.texts(definition.tags),
        "script": definition.script.source,
        "script_hash": definition.script.hash,
        "params_schema": definition.schema.params,
        "result_schema": definition.schema.result,
        "examples": json.dumps([[example.params, example.result] for example in definition.examples]),
    }


def _title_columns(titles: Sequence[LanguageTitle]) -> dict[str, Any]:
    return {
        "languages": codec.texts(title.language for title in titles),
        "titles": codec.texts(title.title for title in titles),
    }


def _function_of(row: Row) -> Function:
    language, title, source, script_hash, description, params_schema, result_schema, examples, tags, *facts = row
    created_at, updated_at, version, kind, deactivated_at = facts
    schema = FunctionSchema(_json_text(params_schema), _json_text(result_schema))
    pairs = tuple(Example(JsonText(params), JsonText(result)) for params, result in json.loads(examples))
    definition = Definition(Script(source, script_hash), description, schema, pairs, tuple(tags))
    name = LanguageTitle(Language(language), title)
    return Function(name, definition, created_at, updated_at, version, FunctionType(kind), deactivated_at)


def _summary_of(row: Row) -> FunctionSummary:
    language, title, version, kind, description, tags, created_at, updated_at = row
    name = LanguageTitle(Language(language), title)
    return FunctionSummary(name, version, FunctionType(kind), description, tuple(tags), created_at, updated_at)


def _json_text(text: str | None) -> JsonText | None:
    return None if text is None else JsonText(text)


def _schema_size(schema: FunctionSchema) -> int:
    return _ROW_BYTES + len(schema.params or "") + len(schema.result or "")
