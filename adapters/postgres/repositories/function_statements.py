"""Statements about functions, in batches."""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.statement import MeasuredStatement, Response, Row
from adapters.postgres.connections.statement import Statement
from domain.functions.function import (
    Definition,
    Example,
    Function,
    FunctionNotFound,
    FunctionType,
    FunctionVersionNotFound,
    PinnedVersion,
)
from domain.functions.ports import FunctionLookup
from domain.functions.schema import FunctionSchema
from domain.grants.grants import Grants
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script

SchemaKey = tuple[UUID, int]
"""The id of a function, and a version."""

_ROW_BYTES = 1024
_LOOKUP_BYTES = 256


class SelectByLookup(MeasuredStatement[FunctionLookup, Response]):
    """Reads what functions have at versions; only the newest `versions_kept` are found."""

    def __init__(self, sql: Statement, versions_kept: int) -> None:
        super().__init__(sql)
        self._versions_kept = versions_kept

    @override
    def batch_key(self, call: FunctionLookup) -> FunctionLookup:
        return call

    @override
    def columns(self, calls: Sequence[FunctionLookup]) -> Mapping[str, object]:
        return {
            "owners": codec.texts(call.owner for call in calls),
            "others": codec.texts(call.other for call in calls),
            "languages": codec.texts(call.language_title.language for call in calls),
            "titles": codec.texts(call.language_title.title for call in calls),
            "versions": codec.numbers(call.version for call in calls),
            "versions_kept": self._versions_kept,
        }


class SelectFunctions(SelectByLookup[Function]):
    """Reads functions."""

    name: ClassVar[str] = "function"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

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


class SelectCallableVersions(SelectByLookup[PinnedVersion | None]):
    """Reads the versions that calls by name find; the response to a call that finds none is None."""

    name: ClassVar[str] = "callable"
    response_size_min: ClassVar[int] = _LOOKUP_BYTES

    @override
    def decode(self, call: FunctionLookup, row: Row) -> PinnedVersion:
        function_id, version = row
        return PinnedVersion(function_id, version, call.language_title)

    @override
    def absent(self, call: FunctionLookup) -> None:
        return None

    @override
    def response_size(self, response: PinnedVersion | Exception | None) -> int:
        return _LOOKUP_BYTES


class SelectSchemas(MeasuredStatement[SchemaKey, FunctionSchema | None]):
    """Reads the schemas of versions."""

    name: ClassVar[str] = "schema"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

    @override
    def batch_key(self, call: SchemaKey) -> SchemaKey:
        return call

    @override
    def columns(self, calls: Sequence[SchemaKey]) -> Mapping[str, object]:
        return {
            "function_ids": codec.uuids(function_id for function_id, _ in calls),
            "versions": codec.numbers(version for _, version in calls),
        }

    @override
    def decode(self, call: SchemaKey, row: Row) -> FunctionSchema:
        return FunctionSchema(*row)

    @override
    def absent(self, call: SchemaKey) -> None:
        return None

    @override
    def response_size(self, response: FunctionSchema | Exception | None) -> int:
        return schema_size(response) if isinstance(response, FunctionSchema) else _ROW_BYTES


def schema_size(schema: FunctionSchema) -> int:
    """Return the bytes that a schema takes, roughly."""
    return _ROW_BYTES + len(schema.params or "") + len(schema.result or "")


def _function_of(row: Row) -> Function:
    function_id, owner, language, title, created_at, deactivated_at, version, kind, author, registered_at, *parts = row
    source, script_hash, description, params_schema, result_schema, examples, tags, convention, grants = parts
    schema = FunctionSchema(_json_text(params_schema), _json_text(result_schema))
    pairs = tuple(Example(JsonText(params), JsonText(result)) for params, result in json.loads(examples))
    return Function(
        function_id=function_id,
        owner=Owner(owner),
        language_title=LanguageTitle(Language(language), title),
        definition=Definition(
            Script(source, script_hash),
            description,
            schema,
            pairs,
            tuple(tags),
            Convention(convention),
            None if grants is None else Grants.of(grants),
        ),
        created_at=created_at,
        updated_at=registered_at,
        version=version,
        type=FunctionType(kind),
        author=author and Owner(author),
        deactivated_at=deactivated_at,
    )


def _json_text(text: str | None) -> JsonText | None:
    return None if text is None else JsonText(text)
