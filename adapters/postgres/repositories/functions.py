"""Functions in PostgreSQL."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from attrs import field, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.function_statements import (
    SchemaKey,
    SelectCallableVersions,
    SelectFunctions,
    SelectSchemas,
    schema_size,
)
from adapters.postgres.statements.calls import FunctionStatements
from domain.audit import Act
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import StorageUnavailable
from domain.functions.function import (
    Function,
    FunctionConflict,
    FunctionNotFound,
    FunctionType,
    PinnedVersion,
)
from domain.functions.lists import FunctionFilter, FunctionPage, FunctionPlace, FunctionSummary, FunctionVersion
from domain.functions.ports import FunctionLookup, FunctionRepository, FunctionUsage
from domain.functions.schema import FunctionSchema
from domain.identity import Owner
from domain.scripts.language import Language, LanguageTitle

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
        self._schemas: BoundedCache[SchemaKey, FunctionSchema] = BoundedCache(
            self._options.cached_schemas_size_max, schema_size
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
    async def usage(self, owners: Sequence[Owner], functions_max: int | None = None) -> Sequence[FunctionUsage]:
        rows_max = self._options.counted_max if functions_max is None else functions_max
        found = await self._gateway.fetch(
            self._statements.select_function_usage, {"owners": codec.texts(owners), "rows_max": rows_max}
        )
        usage = {ordinal: FunctionUsage(functions, stored) for ordinal, functions, stored in found}
        return [usage.get(ordinal, FunctionUsage(0, 0)) for ordinal in range(1, len(owners) + 1)]

    async def _read(self, owner: Owner, title: LanguageTitle) -> Function | None:
        """Read before a write, of which nothing is stored yet; return None for an unknown function."""
        try:
            return await self.find(FunctionLookup.exact(owner, title))
        except FunctionNotFound:
            return None
        except StorageUnavailable as error:
            raise error.restated(stored="no") from error

    async def _written(self, read: Function | None, changed: Function, act: Act) -> bool:
        """Write, unless another writer was faster, and return whether it was written.

        The statement is not retried by itself: it would lose the race against its own first write.
        """
        if read is not None and changed.version == read.version:
            statement, facts = self._statements.deactivate_function, {"deactivated_at": changed.deactivated_at}
        else:
            statement, facts = self._statements.upsert_function, _columns(read, changed)
        version_read = _ABSENT if read is None else read.version
        of_row = {"function_id": changed.function_id, "owner": changed.owner, "version_read": version_read}
        return bool(
            await self._gateway.fetch(statement, {**of_row, **facts, **codec.act_columns(act)}, repeatable=False)
        )


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
        "deactivated_at": changed.deactivated_at,
        "description": definition.description,
        "tags": codec.texts(definition.tags),
        "script": definition.script.source,
        "script_hash": definition.script.hash,
        "params_schema": definition.schema.params,
        "result_schema": definition.schema.result,
        "convention": definition.convention,
        "grants": None if definition.grants is None else definition.grants.text(),
        "examples": json.dumps([[example.params, example.result] for example in definition.examples]),
    }


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
