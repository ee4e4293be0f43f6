"""Kinds of calls that run in batches: how calls become parameters of a statement, and rows become responses."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from typing_extensions import override

from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.gateway import PoolName

Call = TypeVar("Call")
Response = TypeVar("Response")
Row = Sequence[Any]

_MISSING: Any = object()
_FORGET = 0.9


class RowLocked(Exception):
    """Another transaction holds the row's lock, so the statement has skipped the call; nothing was stored."""


class BatchStatement(Generic[Call, Response]):
    """A kind of call that runs in batches, each as one SQL statement.

    A row of the statement begins with the ordinal of its call in the batch, from 1. `name` stands in metrics. Running a
    `repeatable` statement twice does no harm; `fence` is as in `Gateway.fetch`. A `divisible` batch that takes too long
    is run again in halves.
    """

    name: ClassVar[str]
    repeatable: ClassVar[bool] = True
    divisible: ClassVar[bool] = False
    fence: Sequence[Statement] = ()

    def __init__(self, sql: Statement) -> None:
        self.sql = sql

    def batch_key(self, call: Call) -> Hashable:
        """Return the value by which calls may not stand in two batches at once, or by which equal calls are shared."""
        raise NotImplementedError

    def size(self, call: Call) -> int:
        """Return the bytes that the call counts in a batch, with its response."""
        raise NotImplementedError

    def columns(self, calls: Sequence[Call]) -> Mapping[str, object]:
        """Return the calls as parameters of the statement."""
        raise NotImplementedError

    def decode(self, call: Call, row: Row) -> Response | Exception:
        """Return the response in the call's row, without its ordinal; or the error to raise to the caller."""
        raise NotImplementedError

    def absent(self, call: Call) -> Response | Exception:
        """Return the response to a call that has no row."""
        raise NotImplementedError

    def parameters(self, calls: Sequence[Call], pool: PoolName) -> Mapping[str, object]:  # noqa: ARG002  # for locks
        """Return all parameters of the statement on this pool."""
        return self.columns(calls)

    def before(self, calls: Sequence[Call]) -> Sequence[BoundStatement]:  # noqa: ARG002  # for those that have some
        """Return what runs in front of the statement and in its transaction, as in `Gateway.fetch`."""
        return ()

    def responses(self, calls: Sequence[Call], rows: Sequence[Row]) -> Sequence[Response | Exception]:
        """Return the responses in the order of the calls."""
        found = [_MISSING] * len(calls)
        for ordinal, *row in rows:
            found[ordinal - 1] = self.decode(calls[ordinal - 1], row)
        return [self.absent(call) if each is _MISSING else each for call, each in zip(calls, found, strict=True)]


class LockingStatement(BatchStatement[Call, Response]):
    """A statement that locks rows.

    On the pool `lock_wait` it waits for locked rows. On `normal` it skips them, and `decode` returns RowLocked for
    their calls.
    """

    @override
    def parameters(self, calls: Sequence[Call], pool: PoolName) -> Mapping[str, object]:
        return {**self.columns(calls), "waits": pool == "lock_wait"}


class MeasuredStatement(BatchStatement[Call, Response]):
    """A statement whose responses may be large: a call counts the size that is expected of its response.

    The expected size is at least `response_size_min` bytes. It rises at once with a batch of large responses, and falls
    slowly.
    """

    response_size_min: ClassVar[int]

    def __init__(self, sql: Statement) -> None:
        super().__init__(sql)
        self._expected: float = self.response_size_min

    def response_size(self, response: Response | Exception) -> int:
        """Return the size of a response in bytes, roughly."""
        raise NotImplementedError

    @override
    def size(self, call: Call) -> int:
        return int(self._expected)

    @override
    def responses(self, calls: Sequence[Call], rows: Sequence[Row]) -> Sequence[Response | Exception]:
        responses = super().responses(calls, rows)
        mean = sum(map(self.response_size, responses)) / len(responses)
        self._expected = max(self.response_size_min, mean, self._expected * _FORGET)
        return responses
