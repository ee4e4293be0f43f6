"""Short transactions in the database of the origin."""

import asyncio
import contextlib
import os
import shlex
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, cast

import psycopg
from attrs import define, field, frozen
from psycopg.abc import QueryNoTemplate
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from adapters.origin.copied import copied_rows
from adapters.origin.failures import connection_failure, statement_failure
from adapters.origin.statements import OriginConnectionStatements
from domain.takeover.source import AddressRefused, SourceAddress, SourceRefused, SourceUnavailable

Parameters = Mapping[str, object]
Rows = list[tuple[Any, ...]]

_ADDRESS_REFUSED = "The address of the origin's database is neither a PostgreSQL URL nor a list of key=value."
_ADDRESS_REMEDY = (
    "Set --source or TAKEOVER_SOURCE_URL to postgresql://user:password@host:5432/database, with the special characters "
    "of the password percent-encoded."
)
_ENCODING_REMEDY = (
    "Text of such a database is not known to be UTF-8, so scripts could change on the way. Dump it, restore it into a "
    "database with ENCODING 'UTF8', and name that one."
)


@frozen
class OriginDatabaseOptions:
    """The address of the origin's database, and a limit on every wait.

    The lock timeout is short, because calls of the origin wait behind a transaction that waits for a lock.
    """

    address: SourceAddress
    lock_timeout_ms: int = 200
    statement_timeout_ms: int = 5000
    connect_timeout_s: int = 10

    @property
    def silence_s(self) -> float:
        """How long the server may send nothing while a statement runs."""
        return self.statement_timeout_ms / 1000 + self.connect_timeout_s

    @property
    def conninfo(self) -> str:
        """The DSN with what every connection has; raises AddressRefused if it is none."""
        try:
            given = conninfo_to_dict(self.address.dsn)
            waits_s = str(self.connect_timeout_s)
            defaults = {"connect_timeout": waits_s, "keepalives_idle": waits_s, "keepalives_interval": "5"}
            return make_conninfo("", **{**defaults, **given, "client_encoding": "UTF8", "application_name": _NAME})
        except psycopg.ProgrammingError:
            # The driver's error quotes the part that it cannot parse, which may be the password.
            raise AddressRefused(_ADDRESS_REFUSED, remedy=_ADDRESS_REMEDY) from None

    @property
    def dump_command(self) -> str:
        """The command that backs the origin's tables up; pg_dump asks for the password, or takes it from PGPASSWORD."""
        given = {name: value for name, value in conninfo_to_dict(self.address.dsn).items() if name in _SHOWN}
        parts = [f"--schema={self.address.schema}", "--schema=public", f"--dbname={make_conninfo('', **given)}"]
        return shlex.join(["pg_dump", "--format=custom", "--file=origin-before-takeover.dump", *parts])


_NAME = "pglambda takeover"
_SHOWN = ("host", "hostaddr", "port", "dbname", "user", "sslmode", "sslrootcert")


@define(eq=False)
class OriginDatabase:
    """One connection, made when it is needed and again after a loss.

    Each transaction sets its own limits and needs nothing of the one before. So PgBouncer in transaction mode may be
    between. Transactions that begin together run one after the other.
    """

    options: OriginDatabaseOptions
    _statements: OriginConnectionStatements
    _connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = field(default=None, init=False)
    _turn: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, options: OriginDatabaseOptions, statements: OriginConnectionStatements
    ) -> AsyncIterator[Self]:
        """Connect, and yield the database; raises SourceUnavailable or SourceRefused."""
        database = cls(options, statements)
        try:
            await database._connected()
            yield database
        finally:
            await database.close()

    async def close(self) -> None:
        """Close the connection if there is one; it is made again when it is needed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    @asynccontextmanager
    async def transaction(self, *, writes: bool = False) -> AsyncIterator["OriginTransaction"]:
        """Run a transaction. It commits at the end of the block, and rolls back if the block fails.

        Raises SourceUnavailable, also if it is not known whether the commit succeeded, or SourceRefused.
        """
        async with self._turn, self._alone(writes=writes) as transaction:
            yield transaction

    @asynccontextmanager
    async def _alone(self, *, writes: bool) -> AsyncIterator["OriginTransaction"]:
        statements, options = self._statements, self.options
        transaction = OriginTransaction(await self._connected(), options.silence_s)
        try:
            await transaction.fetch(statements.begin)
            await transaction.fetch(statements.set_limits, _limits(options, writes=writes))
            yield transaction
            await transaction.fetch(statements.commit)
        except psycopg.Error as error:
            raise statement_failure(error, options.address.schema) from error
        finally:
            await self._roll_back(transaction)

    async def _roll_back(self, transaction: "OriginTransaction") -> None:
        """End a transaction that has not ended; a connection on which that fails is closed."""
        if transaction.is_over:
            return
        try:
            await transaction.fetch(self._statements.rollback)
        except psycopg.Error:
            await self.close()

    async def fetch(self, sql: str, parameters: Parameters | None = None) -> Rows:
        """Run one reading statement in a transaction of its own, and return its rows; raises as `transaction` does."""
        async with self.transaction() as transaction:
            return await transaction.fetch(sql, parameters)

    async def copy(self, sql: str, parameters: Parameters) -> list[memoryview]:
        """Run a statement that copies rows out, and return them as the server sends them; raises as `transaction` does.

        The head of the format precedes the first row, and its end follows the last one.
        """
        async with self.transaction() as transaction:
            return await transaction.copy(sql, parameters)

    async def _connected(self) -> psycopg.AsyncConnection[tuple[Any, ...]]:
        connection = self._connection
        if connection is None or connection.closed:
            self._connection = connection = await _connect(self.options)
        return connection


def _limits(options: OriginDatabaseOptions, *, writes: bool) -> Parameters:
    return {
        "schema": options.address.schema,
        "timezone": options.address.timezone or "UTC",
        "lock_timeout": f"{options.lock_timeout_ms}ms",
        "statement_timeout": f"{options.statement_timeout_ms}ms",
        "read_only": "off" if writes else "on",
    }


@frozen
class OriginTransaction:
    """A transaction in the origin's database; raises the driver's errors, which `OriginDatabase` translates."""

    _connection: psycopg.AsyncConnection[tuple[Any, ...]]
    _silence_s: float

    @property
    def is_over(self) -> bool:
        """Whether the server has ended it, or the connection is lost."""
        return self._connection.closed or self._connection.info.transaction_status is TransactionStatus.IDLE

    async def fetch(self, sql: str, parameters: Parameters | None = None) -> Rows:
        """Run a statement and return its rows. A server that is silent for longer than the limit loses the connection.

        Cancelling the driver would wait for the silent server. So the socket is shut down instead.
        """
        cursor = await self._run(sql, parameters)
        return [] if cursor.description is None else await cursor.fetchall()

    async def copy(self, sql: str, parameters: Parameters) -> list[memoryview]:
        """Run a statement as `OriginDatabase.copy` does."""
        text = psycopg.AsyncClientCursor(self._connection).mogrify(cast("QueryNoTemplate", sql), parameters)
        with self._alarm():
            return await self._connection.wait(copied_rows(self._connection.pgconn, text.encode()))

    async def _run(self, sql: str, parameters: Parameters | None) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        text = cast("QueryNoTemplate", sql)  # from a file of the project, never assembled
        with self._alarm():
            return await self._connection.execute(text, parameters, prepare=False)

    @contextlib.contextmanager
    def _alarm(self) -> Iterator[None]:
        """Shut the socket down if the server is silent for longer than the limit."""
        alarm = asyncio.get_running_loop().call_later(self._silence_s, _shut_down, self._connection.fileno())
        try:
            yield
        finally:
            alarm.cancel()


def _shut_down(descriptor: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)


async def _connect(options: OriginDatabaseOptions) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """Connect; raises SourceUnavailable, or SourceRefused for a database that is not in UTF-8."""
    try:
        async with asyncio.timeout(options.silence_s):
            connection = await psycopg.AsyncConnection.connect(
                options.conninfo, autocommit=True, prepare_threshold=None
            )
    except psycopg.Error as error:
        raise connection_failure(error) from error
    except TimeoutError:
        raise SourceUnavailable(f"it did not greet within {options.silence_s:g} s.", sent=False) from None
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        await connection.close()
        raise SourceRefused(f"The database of the origin has the encoding {encoding}.", remedy=_ENCODING_REMEDY)
    return connection
