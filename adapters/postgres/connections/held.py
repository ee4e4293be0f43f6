"""Connections for statements of buckets, which a move of a bucket cannot separate from its rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from attrs import frozen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from typing_extensions import override

from adapters.postgres.connections.connection import PREPARED_MAX, GatewayConnection, Rows
from adapters.postgres.connections.statement import Statement

_NAME = b"pglambda_hold"


@frozen
class Hold:
    """The statement that keeps buckets on their node until the transaction ends, or raises an error; with its value."""

    statement: Statement
    shard: int
    """The shard by which the bucket is known to the database."""

    opening: Statement | None = None
    """Lets statements with the values in their text empty shards and see them in the catalogue. No other one does."""


def shards_text(shards: Iterable[int]) -> bytes:
    """Return the parameter of a hold: the shards of the buckets that it keeps."""
    return b"{%s}" % b",".join([b"%d" % shard for shard in shards])


class HeldConnection(GatewayConnection):
    """A connection that runs each statement behind the hold of its bucket, both in one message and one transaction.

    If the hold raises an error, the statement does not run.
    """

    _hold: Hold
    _is_prepared = False

    @classmethod
    @override
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:
        hold: Hold = options.pop("hold")
        connection = await super().connect(conninfo, **options)
        connection._hold = hold  # noqa: SLF001  # its own class
        return connection

    @override
    async def _run(self, statement: Statement, parameters: Mapping[str, object]) -> Rows:
        if not statement.prepare:
            return await super()._run(statement, parameters)
        values = self._adaptation.dump_sequence(statement.values(parameters), statement.formats)
        types, formats = self._adaptation.types or (), self._adaptation.formats
        name = self._names.get((statement.name, types))
        is_first = name is None and self.prepare_threshold is not None and len(self._names) < PREPARED_MAX
        if is_first:
            name = b"pglambda_%d" % len(self._names)
        self.pgconn.enter_pipeline_mode()
        is_first_hold = self._send_hold()
        if is_first and name is not None:
            self.pgconn.send_prepare(name, statement.numbered, types)
        if name is None:
            self.pgconn.send_query_params(statement.numbered, values, types, formats)
        else:
            self.pgconn.send_query_prepared(name, values, formats)
        self.pgconn.pipeline_sync()
        results = await self._exchange.results()
        if results[-1].status == ExecStatus.PIPELINE_SYNC:  # else the connection is lost
            results.pop()
            self.pgconn.exit_pipeline_mode()
        self._is_prepared = self._is_prepared or (is_first_hold and _is_done(results, 0))
        if is_first and name is not None and _is_done(results, 2 if is_first_hold else 1):
            self._names[statement.name, types] = name
        return self._rows(results)

    def _send_hold(self) -> bool:
        """Send the hold, and return whether it is prepared for this."""
        statement, values = self._hold.statement, [shards_text([self._hold.shard])]
        if self.prepare_threshold is None:
            self.pgconn.send_query_params(statement.numbered, values)
            return False
        is_first = not self._is_prepared
        if is_first:
            self.pgconn.send_prepare(_NAME, statement.numbered)
        self.pgconn.send_query_prepared(_NAME, values)
        return is_first

    @override
    def _send_opening(self) -> int:
        return 2 if self._send_hold() else 1

    @override
    def _note_opening(self, results: Sequence[PGresult]) -> None:
        self._is_prepared = self._is_prepared or (len(results) > 1 and _is_done(results, 0))

    @override
    def _text(self, statement: Statement, parameters: Mapping[str, object]) -> bytes:
        before = super()._text(self._hold.statement, {"shards": [self._hold.shard]})
        if self._hold.opening is not None:
            before += super()._text(self._hold.opening, {})
        return before + super()._text(statement, parameters)


def _is_done(results: Sequence[PGresult], position: int) -> bool:
    """Return whether the server has prepared a statement: it stays prepared if the transaction fails later."""
    return len(results) > position and results[position].status == ExecStatus.COMMAND_OK
