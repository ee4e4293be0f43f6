"""Connections for statements of buckets, which a move of a bucket cannot separate from its rows."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Self

import psycopg
from attrs import frozen
from psycopg.abc import Buffer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from typing_extensions import override

from adapters.postgres.connections.connection import PREPARED_MAX, GatewayConnection, Rows, Statement, Types

_NAME = b"pglambda_hold"


@frozen
class Hold:
    """The statement that keeps a bucket on its node until the transaction ends, or raises an error; with its value."""

    statement: Statement
    shard: int
    """The shard by which the bucket is known to the database."""


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
        statement, values = self._hold.statement, [b"%d" % self._hold.shard]
        if self.prepare_threshold is None:
            self.pgconn.send_query_params(statement.numbered, values)
            return False
        is_first = not self._is_prepared
        if is_first:
            self.pgconn.send_prepare(_NAME, statement.numbered)
        self.pgconn.send_query_prepared(_NAME, values)
        return is_first

    @override
    def _text(self, statement: Statement, parameters: Mapping[str, object]) -> bytes:
        hold = super()._text(self._hold.statement, {"shard": self._hold.shard})
        return hold + super()._text(statement, parameters)


def _is_done(results: Sequence[PGresult], position: int) -> bool:
    """Return whether the server has prepared a statement: it stays prepared if the transaction fails later."""
    return len(results) > position and results[position].status == ExecStatus.COMMAND_OK


@frozen
class HeldStatement:
    """A statement of one bucket with its parameters, and the hold of the bucket."""

    hold: Hold
    statement: Statement
    parameters: Mapping[str, object]


_Key = tuple[int, str, Types]
"""What is prepared once on a connection: a shard by which a bucket is known, and the name and types of a statement."""


@frozen
class _Sendable:
    """What a statement is sent with."""

    held: HeldStatement
    values: Sequence[Buffer | None]
    types: Types
    formats: Sequence[Format] | None


class NodeConnection(GatewayConnection):
    """A connection that runs statements of several buckets of its node in one message.

    Each is behind the hold of its own bucket, and in a transaction of its own: none fails with another one.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._held_names: dict[_Key, bytes] = {}
        self._numbers = count()

    async def run_each(self, statements: Sequence[HeldStatement]) -> Sequence[Rows | Exception]:
        """Return for each statement its rows, or the driver's error.

        If the connection is lost, those without a result have the error. If the call is cancelled, the connection must
        be closed.
        """
        prepared = [self._sendable(each) for each in statements]
        sendable = [each for each in prepared if isinstance(each, _Sendable)]
        outcomes = iter(await self._run_all(sendable) if sendable else ())
        return [next(outcomes) if isinstance(each, _Sendable) else each for each in prepared]

    def _sendable(self, held: HeldStatement) -> _Sendable | Exception:
        try:
            values = self._adaptation.dump_sequence(held.statement.values(held.parameters), held.statement.formats)
        except Exception as error:  # noqa: BLE001  # a value that cannot be sent is the error of its statement alone
            return error
        return _Sendable(held, values, self._adaptation.types or (), self._adaptation.formats)

    async def _run_all(self, sendable: Sequence[_Sendable]) -> Sequence[Rows | Exception]:
        self.pgconn.enter_pipeline_mode()
        names = [self._send(each) for each in sendable]
        try:
            results = await self._exchange.results(syncs=len(sendable))
        except psycopg.OperationalError as lost:
            return [lost] * len(sendable)
        segments = _segments(results, len(sendable))
        if results[-1].status == ExecStatus.PIPELINE_SYNC and all(segments):
            self.pgconn.exit_pipeline_mode()
        for segment, new in zip(segments, names, strict=True):
            self._note_prepared(segment, new)
        return [self._outcome(segment) for segment in segments]

    def _send(self, sendable: _Sendable) -> Sequence[tuple[_Key, bytes]]:
        """Queue hold, statement and the end of their transaction; return what is prepared with them, in this order."""
        held = sendable.held
        shard, new = held.hold.shard, list[tuple[_Key, bytes]]()
        value: Sequence[Buffer | None] = [b"%d" % shard]
        for statement, values, types, formats in (
            (held.hold.statement, value, (), None),
            (held.statement, sendable.values, sendable.types, sendable.formats),
        ):
            key = (shard, statement.name, types)
            name = self._held_names.get(key)
            if name is None and self.prepare_threshold is not None and len(self._held_names) + len(new) < PREPARED_MAX:
                name = b"pglambda_n%d" % next(self._numbers)
                self.pgconn.send_prepare(name, statement.numbered, types)
                new.append((key, name))
            if name is None:
                self.pgconn.send_query_params(statement.numbered, values, types, formats)
            else:
                self.pgconn.send_query_prepared(name, values, formats)
        self.pgconn.pipeline_sync()
        return new

    def _note_prepared(self, segment: Sequence[PGresult], new: Sequence[tuple[_Key, bytes]]) -> None:
        """Remember what the server has prepared: its results have no rows, and come before those that have."""
        done = sum(result.status == ExecStatus.COMMAND_OK for result in segment[: 2 * len(new)])
        self._held_names.update(new[:done])

    def _outcome(self, segment: Sequence[PGresult]) -> Rows | Exception:
        if not segment:
            return psycopg.OperationalError("the connection is lost")
        try:
            return self._rows(segment)
        except psycopg.Error as error:
            return error


def _segments(results: Sequence[PGresult], number: int) -> Sequence[Sequence[PGresult]]:
    """Return the results of each transaction, without its end; of one that has not ended only its error, or nothing."""
    segments: list[list[PGresult]] = []
    segment: list[PGresult] = []
    for result in results:
        if result.status == ExecStatus.PIPELINE_SYNC:
            segments.append(segment)
            segment = []
        else:
            segment.append(result)
    refused = [result for result in segment if result.status == ExecStatus.FATAL_ERROR]
    return [*segments, refused, *([] for _ in range(number))][:number]
