"""Connections of migrations: for one transaction, or for statements outside of one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import psycopg
from attrs import field, frozen
from psycopg.abc import QueryNoTemplate

from adapters.postgres.connections.connection import Connection, GatewayConnection
from adapters.postgres.connections.exchange import SocketDeadline
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import to_primary
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.server import explained_refusals, require_usable
from domain.errors import StorageUnavailable


@frozen
class MigrationConnections:
    """Opens connections that can be used until the end of a context, each with its time limits."""

    dsn: str = field(repr=False)
    set_timeouts: Statement
    options: MigrationOptions

    @asynccontextmanager
    async def transaction(self, lock_timeout_s: float) -> AsyncIterator[Connection]:
        """Yield a connection in a transaction, which the end of the context commits."""
        async with self._connection(self.options.socket_timeout_s) as connection:
            await self._limit(connection, lock_timeout_s, self.options.statement_timeout_s, local=True)
            with explained_refusals():
                yield connection

    async def fetch(
        self, statement: Statement, parameters: Mapping[str, object], *, timeout_s: float | None, repeatable: bool
    ) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, as a clock needs it; its times are those of the options."""
        del timeout_s, repeatable
        async with self.transaction(self.options.lock_timeout_s) as connection:
            return await fetch(connection, statement, parameters)

    async def ask(
        self, statement: Statement, parameters: Mapping[str, object], *, timeout_s: float | None, repeatable: bool
    ) -> list[tuple[Any, ...]]:
        """Run one statement as `fetch` does; raises StorageUnavailable, whatever the reason is."""
        try:
            return await self.fetch(statement, parameters, timeout_s=timeout_s, repeatable=repeatable)
        except (psycopg.Error, MigrationFailed) as error:
            raise StorageUnavailable from error

    @asynccontextmanager
    async def single_statements(self) -> AsyncIterator[Connection]:
        """Yield a connection that commits each statement.

        Locks are awaited as long as a statement may take: calls do not queue behind the locks of such statements.
        """
        async with self._connection(self.options.build_socket_timeout_s) as connection:
            await connection.set_autocommit(True)
            await self._limit(connection, 0, self.options.build_timeout_s, local=False)
            with explained_refusals():
                yield connection

    @asynccontextmanager
    async def _connection(self, socket_timeout_s: float) -> AsyncIterator[Connection]:
        address_timeout_s = self.options.connect_timeout_s
        connection = await GatewayConnection.connect(to_primary(self.dsn), address_timeout_s=address_timeout_s)
        with SocketDeadline(connection, socket_timeout_s):
            async with connection:
                require_usable(connection)
                yield connection

    async def _limit(self, connection: Connection, lock_timeout_s: float, timeout_s: float, *, local: bool) -> None:
        limits = {
            "lock_timeout": str(round(lock_timeout_s * 1000)),
            "statement_timeout": str(round(timeout_s * 1000)),
            "local": local,
        }
        await fetch(connection, self.set_timeouts, limits)


async def fetch(
    connection: Connection, statement: Statement, parameters: Mapping[str, object] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    cursor = await connection.execute(cast("QueryNoTemplate", statement.sql), parameters, prepare=False)
    return await cursor.fetchall() if cursor.description is not None else []


async def run(connection: Connection, script: str) -> None:
    """Run several statements; without parameters the server accepts them in one message."""
    await connection.execute(cast("QueryNoTemplate", script))
