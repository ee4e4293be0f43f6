"""Ends of executions that save a state, or have uses: the same statements as other ends, with a write in front."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic

from attrs import evolve
from psycopg.errors import NotNullViolation
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import POLLS_MAX
from adapters.postgres.batching.statement import Call, LockingStatement, Row
from adapters.postgres.codec import file_slot_of, partition_of
from adapters.postgres.connections.errors import StatementRefused, StillLocked
from adapters.postgres.connections.statement import BoundStatement
from adapters.postgres.gateway import Gateway, PoolName
from adapters.postgres.statements.calls import ExecutionStatements
from domain.clock import Clock
from domain.egress.traffic import ExecutionTraffic
from domain.errors import StorageUnavailable
from domain.executions.execution import FinishedExecution, StateLost
from domain.files.file import StoredFile

_STATEMENTS_MAX = 2
"""Statements that wait for locks at once, as in LockingWrites."""


class SavingEndStatement(LockingStatement[Call, int | None]):
    """A kind of end, behind the save of states and uses. It waits for locks, which the save has taken already."""

    def __init__(
        self,
        ends: LockingStatement[Call, int | None],
        statements: ExecutionStatements,
        finished: Callable[[Call], FinishedExecution],
        clock: Clock,
    ) -> None:
        super().__init__(ends.sql)
        self.name = f"{ends.name}_state"  # type: ignore[misc]  # one class for each kind of end would say no more
        self._ends = ends
        self._statements = statements
        self._finished = finished
        self._clock = clock

    @override
    def batch_key(self, call: Call) -> Any:
        return self._ends.batch_key(call)

    @override
    def size(self, call: Call) -> int:
        finished = self._finished(call)
        return self._ends.size(call) + len(finished.state or "") + len(finished.uses or "")

    @override
    def columns(self, calls: Sequence[Call]) -> Mapping[str, object]:
        return self._ends.columns(calls)

    @override
    def parameters(self, calls: Sequence[Call], pool: PoolName) -> Mapping[str, object]:
        return {**self.columns(calls), "waits": True}

    @override
    def before(self, calls: Sequence[Call]) -> Sequence[BoundStatement]:
        ends = [self._finished(call) for call in calls]
        found = [BoundStatement(self._statements.save_states_and_uses, _saved(ends))]
        connected = [(each, used) for each in ends if (used := each.report.traffic) is not None and used.hosts]
        if connected:
            found.append(BoundStatement(self._statements.add_network_usage, _connected(connected)))
        files = [(each, file) for each in ends for file in each.files]
        if files:
            # Behind the save, which has taken the locks of all calls of the batch.
            found.append(BoundStatement(self._statements.complete_files, {**_left(files), "now": self._clock.now()}))
        return found

    @override
    def decode(self, call: Call, row: Row) -> int | Exception | None:
        return self._ends.decode(call, row)

    @override
    def absent(self, call: Call) -> int | Exception | None:
        return self._ends.absent(call)


def _saved(ends: Sequence[FinishedExecution]) -> dict[str, object]:
    return {
        **codec.ref_columns([each.execution.ref for each in ends]),
        "execution_ids": codec.uuids(each.execution.execution_id for each in ends),
        "partitions": codec.numbers(partition_of(each.execution.execution_id) for each in ends),
        "states": codec.texts(each.state for each in ends),
        "uses": codec.texts(each.uses for each in ends),
        "nows": codec.instants(each.finished_at for each in ends),
    }


def _connected(ends: Sequence[tuple[FinishedExecution, ExecutionTraffic]]) -> dict[str, object]:
    return {
        **codec.ref_columns([finished.execution.ref for finished, _ in ends]),
        "execution_ids": codec.uuids(finished.execution.execution_id for finished, _ in ends),
        "nows": codec.instants(finished.finished_at for finished, _ in ends),
        "connections": codec.numbers(used.connections for _, used in ends),
        "sent_bytes": codec.numbers(used.sent_bytes for _, used in ends),
        "received_bytes": codec.numbers(used.received_bytes for _, used in ends),
    }


def _left(files: Sequence[tuple[FinishedExecution, StoredFile]]) -> dict[str, object]:
    return {
        "request_ids": codec.uuids(finished.execution.ref.session_id for finished, _ in files),
        "execution_ids": codec.uuids(finished.execution.execution_id for finished, _ in files),
        "slots": codec.numbers(file_slot_of(file.file_id) for _, file in files),
        "file_ids": codec.uuids(file.file_id for _, file in files),
        "sizes": codec.numbers(file.size for _, file in files),
        "sha256s": codec.texts(file.sha256 for _, file in files),
        "expiries": codec.instants(file.expires_at for _, file in files),
    }


class SavingEnds(Generic[Call]):
    """Runs ends that save a state, or have uses, in batches.

    They wait for locks. If that is in vain for a batch, each of its calls is repeated in a statement of its own, so a
    foreign lock delays only the callers of its row.
    """

    def __init__(
        self,
        gateway: Gateway,
        statement: SavingEndStatement[Call],
        options: CoalescerOptions,
        *,
        exclusive: BatchKeys,
    ) -> None:
        together = evolve(options, concurrency=min(options.concurrency, _STATEMENTS_MAX))
        alone = evolve(together, batch_max=1)
        self._together = Coalescer(gateway, statement, together, exclusive=exclusive, pool="lock_wait")
        self._alone = Coalescer(gateway, statement, alone, exclusive=exclusive, pool="lock_wait")
        self._alone.name = f"{statement.name}_locked"

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """Both coalescers, for metrics and to be closed."""
        return self._together, self._alone

    async def submit(self, call: Call) -> int | None:
        """Return the count, or None without an open record; raises StateLost, and what Coalescer.submit raises."""
        try:
            return await self._submit(call)
        except StatementRefused as refused:
            if isinstance(refused.__cause__, NotNullViolation):
                raise StateLost from refused
            raise

    async def _submit(self, call: Call) -> int | None:
        try:
            return await self._together.submit(call)
        except StillLocked as locked:
            pause_s = locked.pause_s
        for _ in range(POLLS_MAX):
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # keeps processes apart
            try:
                return await self._alone.submit(call)
            except StillLocked as locked:
                pause_s = locked.pause_s
        raise StorageUnavailable(stored="no")
