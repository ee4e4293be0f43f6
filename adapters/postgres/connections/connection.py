"""The connection that runs statements."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, TypeVar, cast

import psycopg
from attrs import field, frozen
from psycopg.abc import Buffer, PQGen, QueryNoTemplate
from psycopg.adapt import Dumper, Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from typing_extensions import override

from adapters.copied_rows import COPY_END, COPY_HEAD
from adapters.postgres.connections.addresses import count_addresses, each_host, first_connected
from adapters.postgres.connections.exchange import StatementExchange
from adapters.postgres.connections.statement import BoundStatement, Statement


@frozen
class SentValue:
    """A value as a server has sent it in its binary format, of the type that the statement states."""

    data: bytes = field(repr=False)


class _SentValueDumper(Dumper):
    format = Format.BINARY

    @override
    def dump(self, obj: SentValue) -> Buffer:
        return obj.data


Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Types = tuple[int, ...]
"""OIDs of parameters; 0 leaves the type to the server."""

_Key = tuple[str, Types]
"""What is prepared once on a connection: the name of a statement, and the types of its values."""


@frozen
class _DumpedStatement:
    """What a statement is sent with."""

    statement: Statement
    values: Sequence[Buffer | None]
    types: Types
    formats: Sequence[Format] | None


LOADED = "rows"
"""The parameter with what a COPY stores, in the binary form of the server; its statement has no placeholder for it."""

Result = TypeVar("Result")

PREPARED_MAX = 100
"""Statements on one connection; the server keeps a plan for each."""

_DRIVER_TIMEOUT_MIN_S = 2
"""The driver's minimum for an address."""


class GatewayConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that runs statements by libpq's own calls, one at a time, and connects in a bounded time.

    It knows which statements it has prepared, and prepares others without a round trip of their own. `timeline` is that
    of its server, 0 until it is known.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.timeline = 0
        self._names: dict[_Key, bytes] = {}
        self._exchange = StatementExchange(self.pgconn)
        self.adapters.register_dumper(SentValue, _SentValueDumper)
        self._adaptation = Transformer(self)

    @override
    async def close(self) -> None:
        self._exchange.unwatch()
        await super().close()

    @override
    async def wait(self, gen: PQGen[Result], *given: Any, **options: Any) -> Result:
        self._exchange.unwatch()
        return await super().wait(gen, *given, **options)

    @classmethod
    @override
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        """Connect as `_connect` does; a failure is passed to `on_failure` too, if that is given."""
        on_failure: Callable[[psycopg.Error], None] | None = options.pop("on_failure", None)
        try:
            return await cls._connect(conninfo, **options)
        except psycopg.Error as error:
            if on_failure is not None:
                on_failure(error)
            raise

    @classmethod
    async def _connect(cls, conninfo: str, **options: Any) -> Self:
        """Connect to the first host that takes the connection; none waits for a silent one. Raises psycopg.Error."""
        return await first_connected([partial(cls._connect_to, each, **options) for each in each_host(conninfo)])

    @classmethod
    async def _connect_to(cls, conninfo: str, *, address_timeout_s: float, **options: Any) -> Self:
        """Connect to the first address of a host that responds. Names are resolved within `address_timeout_s`.

        The driver tries one address after the other, each for at least two whole seconds, and resolves names without a
        limit. The last address has `address_timeout_s`, however many are silent. Raises psycopg.Error.
        """
        driver_timeout_s = max(_DRIVER_TIMEOUT_MIN_S, math.ceil(address_timeout_s))
        try:
            async with asyncio.timeout(address_timeout_s):
                addresses = await count_addresses(conninfo)
            async with asyncio.timeout(driver_timeout_s * (addresses - 1) + address_timeout_s):
                return await super().connect(conninfo, **options, connect_timeout=driver_timeout_s)
        except TimeoutError:
            raise psycopg.errors.ConnectionTimeout("the server did not greet in time") from None

    async def run(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        fence: Sequence[Statement] = (),
        before: Sequence[BoundStatement] = (),
    ) -> Rows:
        """Run the statement and return its rows; raises the driver's error. See `Gateway.fetch` for the rest.

        If the call is cancelled, the connection must be closed.
        """
        for each in fence:
            async with self.transaction():
                await self._run(each, parameters)
        if before:
            return await self._run_behind([*before, BoundStatement(statement, parameters)])
        return await self._run(statement, parameters)

    async def _run_behind(self, statements: Sequence[BoundStatement]) -> Rows:
        """Run statements in one message and one transaction; return the rows of the last one.

        There is one Sync, so the server commits all of them or none.
        """
        sendable = [self._dumped(each) for each in statements]  # first: a value that cannot be sent leaves no pipeline
        self.pgconn.enter_pipeline_mode()
        opening = self._send_opening()
        names: dict[_Key, bytes] = {}
        prepared = [key for each in sendable for key in self._send_prepared(each, names)]
        self.pgconn.pipeline_sync()
        results = await self._exchange.results()
        if results[-1].status == ExecStatus.PIPELINE_SYNC:  # else the connection is lost
            results.pop()
            self.pgconn.exit_pipeline_mode()
        self._note_opening(results[:opening])
        for key, result in zip(prepared, results[opening:], strict=False):
            if key is not None and result.status == ExecStatus.COMMAND_OK:
                self._names[key] = names[key]
        return self._rows(results)

    def _send_opening(self) -> int:
        """Queue what stands in front of each transaction, and return how many results it has."""
        return 0

    def _note_opening(self, results: Sequence[PGresult]) -> None:
        """Note the results of the opening, of which some are missing if the transaction has failed."""

    def _dumped(self, bound: BoundStatement) -> _DumpedStatement:
        statement = bound.statement
        values = self._adaptation.dump_sequence(statement.values(bound.parameters), statement.formats)
        return _DumpedStatement(statement, values, self._adaptation.types or (), self._adaptation.formats)

    def _send_prepared(self, each: _DumpedStatement, names: dict[_Key, bytes]) -> Sequence[_Key | None]:
        """Queue a statement; return for each of its results what it prepares, or None for that of the run.

        It is prepared if there is room beside the `names` that the message prepares already.
        """
        key, number = (each.statement.name, each.types), len(self._names) + len(names)
        name = self._names.get(key) or names.get(key)
        is_first = name is None and self.prepare_threshold is not None and number < PREPARED_MAX
        if is_first:
            name = names[key] = b"pglambda_%d" % number
            self.pgconn.send_prepare(name, each.statement.numbered, each.types)
        if name is None:
            self.pgconn.send_query_params(each.statement.numbered, each.values, each.types, each.formats)
        else:
            self.pgconn.send_query_prepared(name, each.values, each.formats)
        return [key, None] if is_first else [None]

    async def _run(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        if not statement.prepare:
            return await (self._run_loading if LOADED in parameters else self._run_planned)(statement, parameters)
        values = self._adaptation.dump_sequence(statement.values(parameters), statement.formats)
        types, formats = self._adaptation.types or (), self._adaptation.formats
        name = self._names.get((statement.name, types))
        if name is not None:
            self.pgconn.send_query_prepared(name, values, formats)
        elif self.prepare_threshold is None or len(self._names) >= PREPARED_MAX:
            self.pgconn.send_query_params(statement.numbered, values, types, formats)
        else:
            return await self._run_first(statement, values, types, formats)
        return self._rows(await self._exchange.results())

    async def _run_first(
        self, statement: Statement, values: Sequence[Buffer | None], types: Types, formats: Sequence[Format] | None
    ) -> Rows:
        """Prepare the statement and run it in one round trip."""
        name = b"pglambda_%d" % len(self._names)
        self.pgconn.enter_pipeline_mode()
        self.pgconn.send_prepare(name, statement.numbered, types)
        self.pgconn.send_query_prepared(name, values, formats)
        self.pgconn.pipeline_sync()
        results = await self._exchange.results()
        if results[-1].status == ExecStatus.PIPELINE_SYNC:  # else the connection is lost
            results.pop()
            self.pgconn.exit_pipeline_mode()
        if results[0].status == ExecStatus.COMMAND_OK:
            self._names[statement.name, types] = name
        return self._rows(results)

    def _rows(self, results: Sequence[PGresult]) -> Rows:
        """Return the rows of the last result; raises the driver's error if one of the results is an error."""
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result, self.info.encoding)
        result = results[-1]
        if result.status != ExecStatus.TUPLES_OK:
            return []
        self._adaptation.set_pgresult(result)
        return self._adaptation.load_rows(0, result.ntuples, tuple)

    async def _run_loading(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        """Run statements of which the last one copies rows in, all in one transaction; return the rows before it.

        The one before is a query, or returns rows. If it has none, nothing is copied.
        """

        def loaded(results: Sequence[PGresult]) -> bytes:
            return cast("bytes", parameters[LOADED]) if results[-1].ntuples else COPY_HEAD + COPY_END

        self.pgconn.send_query(self._text(statement, parameters))
        results = await self._exchange.results(loaded)
        return self._rows([*results, *results[-2:-1]])

    async def _run_planned(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        """Run a statement with the values in its text: it is planned for them, whatever the mode of the plan cache."""
        self.pgconn.send_query(self._text(statement, parameters))
        return self._rows(await self._exchange.results())

    def _text(self, statement: Statement, parameters: Mapping[str, object]) -> bytes:
        """Return the statement with the values in its text."""
        text = cast("QueryNoTemplate", statement.sql)  # from a file of the project, never assembled
        return psycopg.AsyncClientCursor(self).mogrify(text, parameters).encode()
