"""Reads the functions of the origin."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from attrs import define
from typing_extensions import override

from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.rows import utc
from adapters.origin.statements import OriginFunctionStatements, OriginStatements
from domain.takeover.function_import import FunctionReader
from domain.takeover.functions import FunctionRow


@define(eq=False)
class PostgresOriginFunctions(FunctionReader):
    """Scripts and JSON are read up to `bytes_max` each."""

    _database: OriginDatabase
    _statements: OriginFunctionStatements
    _bytes_max: int

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, options: OriginDatabaseOptions, statements: OriginStatements, bytes_max: int
    ) -> AsyncIterator[Self]:
        """Connect, and yield a reader; raises SourceUnavailable or SourceRefused."""
        async with OriginDatabase.opened(options, statements.connection) as database:
            yield cls(database, statements.functions, bytes_max)

    @override
    async def page(self, after: str, size: int) -> Sequence[FunctionRow]:
        bounds = {"after_title": after, "bytes_max": self._bytes_max, "rows_max": size}
        return [_function(*row) for row in await self._database.fetch(self._statements.select_functions, bounds)]


def _function(*row: Any) -> FunctionRow:
    title, description, schema, examples, created_at, updated_at, created_by, is_active, version, tags, *content = row
    times = utc(created_at), utc(updated_at)
    labels: tuple[Any, ...] = (created_by, is_active, version, tuple(tags))
    return FunctionRow(title, description, schema, examples, *times, *labels, *content)
