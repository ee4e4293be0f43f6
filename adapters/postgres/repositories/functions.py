"""Functions in PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, MeasuredStatement, Row
from adapters.postgres.connections.connection import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements import FunctionStatements
from domain.audit import Act
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import StorageUnavailable
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionConflict,
    FunctionNotFound,
    FunctionType,
    FunctionVersionNotFound,
    PinnedVersion,
)
from domain.functions.lists import FunctionFilter, FunctionPage, FunctionPlace, FunctionSummary, FunctionVersion
from domain.functions.ports import FunctionLookup, FunctionRepository, FunctionUsage
from domain.functions.schema import FunctionSchema
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script

_Version = tuple[UUID, int]

_ROW_BYTES = 1024
_LOOKUP_BYTES = 256
_PLACE_COLUMNS = len(FunctionPlace._fields)
_ABSENT = 0
"""No function has this version."""


@frozen
class FunctionRepositoryOptions:
    """Versions that are kept of each function, and bounds.

    They bound batches, races that an update may lose and the pause after each, the bytes of cached schemas, and the
    functions that a page examines and a count of usage covers.
    """

    versions_kept: int = 20
    batches: CoalescerOptions = field(factory=CoalescerOptions)
    races_max: int = 10
    race_pause_s: float = 0.02
    cached_schemas_size_max: int = 16 * 1024 * 1024
    examined_max: int = 1000
    counted_max: int = 20_000


class SelectFunctions(MeasuredStatement[FunctionLookup, Function]):
    """Reads functions at versions; only the newest `versions_kept` are found."""

    name: ClassVar[str] = "function"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

    def __init__(self, sql: Statement, versions_kept: int) -> None:
        super().__init__(sql)
        self._versions_kept = versions_kept

    @override
    def batch_key(self, call: FunctionLookup) -> FunctionLookup:
        return call

    @override
    def columns(self, calls: Sequence[FunctionLookup]) -> Mapping[str, object]:
        return _lookup_columns(calls, self._versions_kept)

    @override
    def decode(self, call: FunctionLookup, row: Row) -> Function | Exception:
        *function, kept = row
        if kept is None:
            return _function_of(function)
        assert call.version is not None, "the current version is stored as long as the function"
        return FunctionVersionNotFound(Owner(function[1]), call.language_title, call.version, kept)

    @override
    def absent(self, call: FunctionLookup) -> Exception:
        return FunctionNotFound(call.language_title, call.owner if call.owner == call.other else None)

    @override
    def response_size(self, response: Function | Exception) -> int:
        if isinstance(response, Exception):
            return _ROW_BYTES
        return _ROW_BYTES + response.definition.size


class SelectCallableVersions(BatchStatement[FunctionLookup, PinnedVersion | None]):
    """Reads the versions that calls by name find; the response to a call that finds none is None."""

    name: ClassVar[str] = "callable"

    def __init__(self, sql: Statement, versions_kept: int) -> None:
        super().__init__(sql)
        self._versions_kept = versions_kept

    @override
    def batch_key(self, call: FunctionLookup) -> FunctionLookup:
        return call

    @override
    def size(self, call: FunctionLookup) -> int:
        return _LOOKUP_BYTES

    @override
    def columns(self, calls: Sequence[FunctionLookup]) -> Mapping[str, object]:
        return _lookup_columns(calls, self._versions_kept)

    @override
    def decode(self, call: FunctionLookup, row: Row) -> PinnedVersion:
        function_id, version = row
        return PinnedVersion(function_id, version, call.language_title)

    @override
    def absent(self, call: FunctionLookup) -> None:
        return None


class SelectSchemas(MeasuredStatement[_Version, FunctionSchema | None]):
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
            "function_ids": codec.uuids(function_id for function_id, _ in calls),
            "versions": codec.numbers(version for _, version in calls),
        }

    @override
    def decode(self, call: _Version, row: Row) -> FunctionSchema:
        return FunctionSchema(*row)

    @override
    def absent(self, call: _Version) -> None:
        return None

    @override
    def response_size(self, response: FunctionSchema | Exception | None) -> int:
        return _schema_size(response) if isinstance(response, FunctionSchema) else _ROW_BYTES


class PostgresFunctionRepository(FunctionRepository):
    """Stores functions in `meta.functions`, and their versions, which never change, in `meta.function_versions`."""

    def __init__(
        self, gateway: Gateway, statements: FunctionStatements, options: FunctionRepositoryOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._options = options or FunctionRepositoryOptions()
        batches = self._options.batches
        select_functions = SelectFunctions(statements.select_functions, self._options.versions_kept)
        self._reads = Coalescer(gateway, select_functions, batches, share=True)
        select_callable = SelectCallableVersions(statements.select_callable_versions, self._options.versions_kept)
        self._callable_reads = Coalescer(gateway, select_callable, batches, share=True)
        select_schemas = SelectSchemas(statements.select_function_schemas)
        self._schema_reads = Coalescer(gateway, select_schemas, batches, share=True)
        self._schemas: BoundedCache[_Version, FunctionSchema] = BoundedCache(
            self._options.cached_schemas_size_max, _schema_size
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return self._reads, self._callable_reads, self._schema_reads

    @override
    async def find(self, lookup: FunctionLookup) -> Function:
        return await self._reads.submit(lookup)

    @override
    async def callable(self, lookup: FunctionLookup) -> PinnedVersion:
        found = await self._callable_reads.submit(lookup)
        # `find` knows why there is none.
        return found or (await self.find(lookup)).require_registered().pinned

    @override
    async def versions(self, function_id: UUID) -> Sequence[FunctionVersion]:
        rows = await self._gateway.fetch(
            self._statements.select_function_versions,
            {"function_id": function_id, "versions_kept": self._options.versions_kept},
        )
        return [_version_of(row) for row in rows]

    @override
    async def schema(self, function_id: UUID, version: int) -> FunctionSchema | None:
        schema = self._schemas.get((function_id, version))
        if schema is None:
            schema = await self._schema_reads.submit((function_id, version))
            if schema is not None:
                self._schemas.put((function_id, version), schema)
        return schema

    @override
    async def update(
        self, owner: Owner, title: LanguageTitle, change: Callable[[Function | None], Function], act: Act
    ) -> Function:
        for _ in range(self._options.races_max):
            read = await self._read(owner, title)
            changed = change(read)
            if changed is read or await self._written(read, changed, act):
                return changed
            pause_s = self._options.race_pause_s
            await asyncio.sleep(random.uniform(0, pause_s))  # noqa: S311  # keeps the losers of one race apart
        raise FunctionConflict

    @override
    async def page(self, wanted: FunctionFilter, after: FunctionPlace, size: int) -> FunctionPage:
        parameters = {
            "owners": None if wanted.owners is None else codec.texts(sorted(wanted.owners)),
            "language": wanted.language,
            "type": wanted.type,
            "tag": wanted.tag,
            "text": wanted.text,
            "after_language": after.language,
            "after_title": after.title,
            "after_owner": after.owner,
            "rows_max": self._options.examined_max,
            "size": size,
        }
        rows = await self._gateway.fetch(self._statements.select_function_page, parameters)
        next_after = rows[0][:_PLACE_COLUMNS]
        shown = [row[_PLACE_COLUMNS:] for row in rows if row[_PLACE_COLUMNS] is not None]
        return FunctionPage(
            [_summary_of(row) for row in shown], None if next_after[0] is None else FunctionPlace(*next_after)
        )

    @override
    async def usage(self, owner: Owner) -> FunctionUsage:
        ((functions, stored_bytes),) = await self._gateway.fetch(
            self._statements.select_function_usage, {"owner": owner, "rows_max": self._options.counted_max}
        )
        return FunctionUsage(functions, stored_bytes)

    async def _read(self, owner: Owner, title: LanguageTitle) -> Function | None:
        """Read before a write, of which nothing is stored yet; return None for an unknown function."""
        try:
            return await self.find(FunctionLookup.exact(owner, title))
        except FunctionNotFound:
            return None
        except StorageUnavailable as error:
            raise StorageUnavailable.of(error.fault, stored="no") from error

    async def _written(self, read: Function | None, changed: Function, act: Act) -> bool:
        """Write, unless another writer was faster, and return whether it was written.

        The statement is not retried by itself: it would lose the race against its own first write.
        """
        if read is not None and changed.deactivated_at is not None:
            statement, facts = self._statements.deactivate_function, {"deactivated_at": changed.deactivated_at}
        else:
            statement, facts = self._statements.upsert_function, _columns(read, changed)
        version_read = _ABSENT if read is None else read.version
        of_row = {"function_id": changed.function_id, "owner": changed.owner, "version_read": version_read}
        return bool(
            await self._gateway.fetch(statement, {**of_row, **facts, **codec.act_columns(act)}, repeatable=False)
        )


def _lookup_columns(calls: Sequence[FunctionLookup], versions_kept: int) -> Mapping[str, object]:
    return {
        "owners": codec.texts(call.owner for call in calls),
        "others": codec.texts(call.other for call in calls),
        "languages": codec.texts(call.language_title.language for call in calls),
        "titles": codec.texts(call.language_title.title for call in calls),
        "versions": codec.numbers(call.version for call in calls),
        "versions_kept": versions_kept,
    }


def _columns(read: Function | None, changed: Function) -> dict[str, Any]:
    definition, title = changed.definition, changed.language_title
    return {
        "language": title.language,
        "title": title.title,
        "author": changed.author,
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


def _function_of(row: Row) -> Function:
    function_id, owner, language, title, created_at, deactivated_at, version, kind, author, registered_at, *parts = row
    source, script_hash, description, params_schema, result_schema, examples, tags = parts
    schema = FunctionSchema(_json_text(params_schema), _json_text(result_schema))
    pairs = tuple(Example(JsonText(params), JsonText(result)) for params, result in json.loads(examples))
    return Function(
        function_id=function_id,
        owner=Owner(owner),
        language_title=LanguageTitle(Language(language), title),
        definition=Definition(Script(source, script_hash), description, schema, pairs, tuple(tags)),
        created_at=created_at,
        updated_at=registered_at,
        version=version,
        type=FunctionType(kind),
        author=author and Owner(author),
        deactivated_at=deactivated_at,
    )


def _summary_of(row: Row) -> FunctionSummary:
    owner, language, title, version, kind, description, tags, created_at, updated_at, author = row
    return FunctionSummary(
        owner=Owner(owner),
        language_title=LanguageTitle(Language(language), title),
        version=version,
        type=FunctionType(kind),
        description=description,
        tags=tuple(tags),
        created_at=created_at,
        updated_at=updated_at,
        author=author and Owner(author),
    )


def _version_of(row: Row) -> FunctionVersion:
    version, kind, author, registered_at, script_hash, description = row
    return FunctionVersion(
        version, FunctionType(kind), author and Owner(author), registered_at, script_hash, description
    )


def _json_text(text: str | None) -> JsonText | None:
    return None if text is None else JsonText(text)


def _schema_size(schema: FunctionSchema) -> int:
    return _ROW_BYTES + len(schema.params or "") + len(schema.result or "")
