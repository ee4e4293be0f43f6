"""Connections for statements of several buckets of one node, in one message."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import psycopg
from attrs import frozen
from psycopg.abc import Buffer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from adapters.postgres.connections.connection import GatewayConnection, Rows, Types
from adapters.postgres.connections.held import Hold, shards_text
from adapters.postgres.connections.statement import Statement

_PREPARED_MAX = 256
"""Three statements and a hold for each of 64 buckets; see `Placement.gathers`."""

_ENDS_CONNECTION = ("FATAL", "PANIC")


@frozen
class HeldStatement:
    """A statement of one bucket with its parameters, and the hold of the bucket."""

    hold: Hold
    statement: Statement
    parameters: Mapping[str, object]


_Key = tuple[bytes, Types]
"""What is prepared once on a connection: a text, which names the shards of its bucket, and the types of its values.

A migration that makes a table anew gives it another shard, so the text of a statement changes and its name does not.
"""


@frozen
class _Sendable:
    """What a statement is sent with, and the hold of its bucket."""

    hold: Hold
    statement: Statement
    values: Sequence[Buffer | None]
    types: Types = ()
    formats: Sequence[Format] | None = None


@frozen
class _Step:
    """What a result of a transaction is for: the statement of this position, or the hold, which has none."""

    position: int | None
    prepared: tuple[_Key, bytes] | None = None
    """Given if the statement is prepared, and not run."""


@frozen
class _Ended:
    """How a transaction has ended: with the rows of each statement, or with an error, of one statement if it is known.

    If the connection `is_lost`, nobody knows what is stored.
    """

    rows: Sequence[Rows] = ()
    error: Exception | None = None
    position: int | None = None
    is_lost: bool = False

    @property
    def outcome(self) -> Rows | Exception:
        """The outcome of the only statement."""
        return self.error or self.rows[0]


class NodeConnection(GatewayConnection):
    """A connection that runs statements of several buckets of its node in one message.

    They are one transaction, behind one hold of all their buckets. If it fails, the statements without an error run
    again, each behind its own hold and in a transaction of its own. So none fails with another one.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._held_names: dict[_Key, bytes] = {}
        self._numbers = count()

    async def run_each(self, statements: Sequence[HeldStatement]) -> Sequence[Rows | Exception]:
        """Return for each statement its rows, or the driver's error.

        If the connection is lost, those whose transaction has not ended have the error. If the call is cancelled, the
        connection must be closed.
        """
        prepared = [self._sendable(each) for each in statements]
        sendable = [each for each in prepared if isinstance(each, _Sendable)]
        outcomes = iter(await self._run_all(sendable) if sendable else ())
        return [next(outcomes) if isinstance(each, _Sendable) else each for each in prepared]

    def _sendable(self, held: HeldStatement) -> _Sendable | Exception:
        statement = held.statement
        try:
            values = self._adaptation.dump_sequence(statement.values(held.parameters), statement.formats)
        except Exception as error:  # noqa: BLE001  # a value that cannot be sent is the error of its statement alone
            return error
        return _Sendable(held.hold, statement, values, self._adaptation.types or (), self._adaptation.formats)

    async def _run_all(self, sendable: Sequence[_Sendable]) -> Sequence[Rows | Exception]:
        [together] = await self._transact([sendable])
        if together.error is None:
            return together.rows
        if together.is_lost or len(sendable) == 1:
            return [together.error] * len(sendable)
        others = [[each] for position, each in enumerate(sendable) if position != together.position]
        outcomes = [each.outcome for each in await self._transact(others)]
        if together.position is not None:
            outcomes.insert(together.position, together.error)
        return outcomes

    async def _transact(self, transactions: Sequence[Sequence[_Sendable]]) -> Sequence[_Ended]:
        """Run transactions in one message, and return how each has ended."""
        self.pgconn.enter_pipeline_mode()
        steps = [self._send(each) for each in transactions]
        try:
            results = await self._exchange.results(syncs=len(transactions))
        except psycopg.OperationalError as error:
            return [_Ended(error=error, is_lost=True)] * len(transactions)
        *segments, rest = _segments(results)
        ended = [self._ended(each, segment) for each, segment in zip(steps, segments, strict=False)]
        if len(ended) == len(transactions):
            self.pgconn.exit_pipeline_mode()
            return ended
        lost = _Ended(error=self._error_of_loss(rest), is_lost=True)
        return [*ended, *[lost] * (len(transactions) - len(ended))]

    def _send(self, transaction: Sequence[_Sendable]) -> Sequence[_Step]:
        """Queue the hold, the statements and their end; return what the results are for."""
        holds = {each.hold.shard: each.hold for each in transaction}
        shards = sorted(holds)  # one order for all: a move waits for each of them
        first = holds[shards[0]]
        steps = self._queue(None, _Sendable(first, first.statement, [shards_text(shards)]))
        for position, each in enumerate(transaction):
            steps += self._queue(position, each)
        self.pgconn.pipeline_sync()
        return steps

    def _queue(self, position: int | None, each: _Sendable) -> list[_Step]:
        steps, key = [_Step(position)], (each.statement.numbered, each.types)
        name = self._held_names.get(key)
        if name is None and self.prepare_threshold is not None and len(self._held_names) < _PREPARED_MAX:
            name = b"pglambda_n%d" % next(self._numbers)
            self.pgconn.send_prepare(name, each.statement.numbered, each.types)
            steps.insert(0, _Step(position, (key, name)))
        if name is None:
            self.pgconn.send_query_params(each.statement.numbered, each.values, each.types or None, each.formats)
        else:
            self.pgconn.send_query_prepared(name, each.values, each.formats)
        return steps

    def _ended(self, steps: Sequence[_Step], results: Sequence[PGresult]) -> _Ended:
        """Return how a transaction has ended; a result more than there are steps is the error of its commit."""
        rows: list[Rows] = []
        for step, result in zip([*steps, _Step(None)], results, strict=False):
            try:
                found = self._rows([result])
            except psycopg.Error as error:
                return _Ended(error=error, position=step.position)
            if step.prepared is not None:
                key, self._held_names[key] = step.prepared
            elif step.position is not None:
                rows.append(found)
        return _Ended(rows)

    def _error_of_loss(self, results: Sequence[PGresult]) -> psycopg.Error:
        """Return why the server has ended the connection, if it said so."""
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                error = psycopg.errors.error_from_result(result, self.info.encoding)
                if error.diag.severity_nonlocalized in _ENDS_CONNECTION:
                    return error
        return psycopg.OperationalError("the connection is lost")


def _segments(results: Sequence[PGresult]) -> Sequence[Sequence[PGresult]]:
    """Return the results of each transaction that has ended, and at last those of one that has not."""
    segments: list[list[PGresult]] = [[]]
    for result in results:
        if result.status == ExecStatus.PIPELINE_SYNC:
            segments.append([])
        else:
            segments[-1].append(result)
    return segments
