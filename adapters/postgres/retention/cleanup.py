"""Removes rows that are past their retention, in small batches."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

import structlog
from attrs import define, evolve, field, frozen, validators

from adapters.postgres import codec
from adapters.postgres.codec import PARTITIONS, day_at, first_id_of
from adapters.postgres.connections.errors import StatementRefused
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.backlog import BacklogReader
from adapters.postgres.retention.deliveries import DeliveryRetention
from adapters.postgres.retention.entry_ender import EntryEnder
from adapters.postgres.retention.functions import FunctionRetention, Pinned
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.retention.usage_counter import UsageCounter
from adapters.postgres.statements.administration import CleanupStatements
from domain.audit import AuditRetention
from domain.cleanup import ArchiveStats, CleanupFailure, CleanupStats
from domain.clock import Clock
from domain.errors import StorageUnavailable, Unavailable
from domain.files.ports import FileRepository
from domain.hosts.host import KEPT_FOR
from domain.identity import uuid7_at
from domain.takeover.recording import RECORDINGS_KEPT

_HISTORY_DAYS_MAX = PARTITIONS - 2
_NEXT_DAY_MARGIN = timedelta(hours=1)
"""This long before a day begins, its partition is left alone: clocks of other controllers may be ahead."""

_REPETITIONS_KEPT = timedelta(days=1)
"""An accept on a broken connection may begin for so long: the server drops a silent one after 2.2 h by default."""

_log = structlog.get_logger(__name__)


PinnedElsewhere = Callable[[], Awaitable[Pinned]]


async def nothing_pinned() -> Pinned:
    """Return what other buckets use of functions if there are none."""
    return ()


@frozen
class CleanupOptions:
    """Rows in one statement, statements in one cleanup, and pauses in seconds."""

    batch_max: int = field(default=400, validator=validators.ge(1))
    batch_min: int = field(default=10, validator=validators.ge(1))
    batches_max: int = 2500
    batch_pause_s: float = 0.01
    pause_s: float = 30.0


@frozen
class Retention:
    """How long an ended session is kept after its end, how long the history and audit entries, how many versions."""

    sessions: timedelta
    history: timedelta = field(validator=validators.le(timedelta(days=_HISTORY_DAYS_MAX)))
    versions: int = field(default=20, validator=validators.ge(1))
    audit: AuditRetention = field(factory=AuditRetention)


@define(eq=False)
class Cleanup:
    """Any number of controllers may clean up at once; each skips the rows that another one has locked."""

    _gateway: Gateway
    _statements: CleanupStatements
    _clock: Clock
    _retention: Retention
    _history_budget: HistoryBudget
    _usage: UsageCounter
    _entries: EntryEnder
    _files: FileRepository
    _options: CleanupOptions = field(factory=CleanupOptions)
    _pinned_elsewhere: PinnedElsewhere = nothing_pinned
    """The versions that sessions in other buckets are pinned to."""

    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _monotonic_s: Callable[[], float] = time.monotonic
    _failed_at_s: float | None = field(default=None, init=False)
    """When the first run failed after the last one that succeeded."""
    _reason: str = field(default="", init=False)
    _batch: int = field(init=False)
    _backlog: BacklogReader = field(init=False)
    _deliveries: DeliveryRetention = field(init=False)
    _functions: FunctionRetention = field(init=False)
    _stats: CleanupStats = field(init=False, factory=CleanupStats)

    def __attrs_post_init__(self) -> None:
        self._batch = self._options.batch_max
        self._backlog = BacklogReader(self._gateway, self._statements, self._clock)
        self._deliveries = DeliveryRetention(self._gateway, self._statements, self._clock)
        self._functions = FunctionRetention(self._gateway, self._statements, self._clock, self._retention.versions)

    async def run(self) -> None:
        """Clean up for ever, with a pause between; a failure is retried after the pause."""
        while True:
            await self.try_once()
            await self._pause(self._options.pause_s)

    async def try_once(self) -> None:
        """Clean up once; a failure, also of a statement that PostgreSQL refuses, is counted and logged."""
        try:
            await self.run_once()
            self._failed_at_s = None
        except (Unavailable, StatementRefused) as error:
            self._stats.runs_failed += 1
            self._reason = error.message
            if self._failed_at_s is None:
                self._failed_at_s = self._monotonic_s()
            _log.warning("cleanup_failed", reason=error.message)

    async def run_once(self) -> None:
        """Remove all rows that are due now, in bounded batches; raises StorageUnavailable or Overloaded."""
        now = self._clock.now()
        self._stats.lag_s = await self._lag_s(now)
        self._stats.sessions_removed += await self._in_batches(self._remove_sessions)
        await self._in_batches(self._remove_inbound)
        await self._in_batches(self._remove_takings)
        await self._in_batches(self._remove_recordings)
        self._stats.entries_ended += await self._in_batches(self._end_expired) + await self._end_blocking(now)
        self._stats.executions_overdue += await self._in_batches(self._end_overdue)
        await self._in_batches(self._remove_live_output)
        await self._in_batches(self._remove_hosts)
        self._stats.keys_removed += await self._in_batches(self._remove_keys)
        self._stats.partitions_emptied += await self._empty_partitions(now)
        await self._in_batches(self._erase_files)
        await self._files.empty_slots(now)
        self._stats.acts_removed += await self._in_batches(self._remove_acts)
        self._stats.deliveries_removed += await self._in_batches(self._deliveries.remove_old)
        self._stats.deliveries_removed += await self._in_batches(self._deliveries.trim)
        await self._in_batches(self._deliveries.settle)
        self._stats.deliveries = await self._deliveries.stats()
        self._stats.backlogs = await self._backlog.read()
        await self._history_budget.enforce(now)
        await self._in_batches(self._usage.count)
        await self._in_batches(self._usage.count_added)
        await self._in_batches(self._usage.remove_old)
        self._stats.archive = await self._archive()
        self._stats.unserved = await self._unserved()
        await self._clean_functions()
        self._stats.lag_s = await self._lag_s(now)
        self._stats.runs += 1
        self._stats.last_run_at = now

    def stats(self) -> CleanupStats:
        """Return the present figures."""
        failing_s = None if self._failed_at_s is None else self._monotonic_s() - self._failed_at_s
        failures = [] if failing_s is None else [CleanupFailure(failing_s, self._reason)]
        return evolve(self._stats, usage_lag_s=self._usage.lag_s, failures=failures)

    async def _lag_s(self, now: datetime) -> float:
        rows = await self._gateway.fetch(self._statements.select_oldest_expiry, {})
        due_at = now - self._retention.sessions
        return max(0.0, (due_at - rows[0][0]).total_seconds()) if rows else 0.0

    async def _archive(self) -> ArchiveStats | None:
        rows = await self._gateway.fetch(self._statements.select_archiving, {})
        return ArchiveStats(*rows[0]) if rows else None

    async def _unserved(self) -> int | None:
        rows = await self._gateway.fetch(self._statements.select_unserved, {})
        return int(rows[0][0]) if rows else None

    async def _in_batches(self, remove: Callable[[int], Awaitable[int]]) -> int:
        """Repeat until a batch is not full; a batch that takes too long makes the next one smaller."""
        removed = 0
        for _ in range(self._options.batches_max):
            batch = self._batch
            try:
                found = await remove(batch)
            except StorageUnavailable:
                if batch == self._options.batch_min:
                    raise
                self._batch = max(self._options.batch_min, batch // 2)
            else:
                removed += found
                self._batch = min(self._options.batch_max, batch * 2)
                if found < batch:
                    break
            await self._pause(self._options.batch_pause_s)
        return removed

    async def _remove_sessions(self, rows_max: int) -> int:
        return await self._remove_expired(self._statements.delete_expired_sessions, rows_max)

    async def _remove_inbound(self, rows_max: int) -> int:
        return await self._remove_expired(self._statements.delete_expired_inbound, rows_max)

    async def _remove_takings(self, rows_max: int) -> int:
        return await self._remove_expired(self._statements.delete_expired_takings, rows_max)

    async def _remove_recordings(self, rows_max: int) -> int:
        before = self._clock.now() - RECORDINGS_KEPT
        parameters = {"recorded_before": uuid7_at(before, 0), "ended_before": before, "rows_max": rows_max}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_old_recordings, parameters)
        return int(removed)

    async def _remove_expired(self, statement: Statement, rows_max: int) -> int:
        expired_before = self._clock.now() - self._retention.sessions
        ((removed,),) = await self._gateway.fetch(statement, {"expired_before": expired_before, "rows_max": rows_max})
        return int(removed)

    async def _end_overdue(self, rows_max: int) -> int:
        return await self._entries.end_overdue(self._clock.now(), rows_max)

    async def _end_expired(self, rows_max: int) -> int:
        return await self._entries.end_expired(self._clock.now(), rows_max)

    async def _end_blocking(self, now: datetime) -> int:
        """End entries of closed sessions once: what it finds may be locked, and the next cleanup finds more."""
        return await self._entries.end_blocking(now, self._options.batch_max)

    async def _remove_live_output(self, rows_max: int) -> int:
        parameters = {"now": self._clock.now(), "rows_max": rows_max}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_old_live_output, parameters)
        return int(removed)

    async def _remove_hosts(self, rows_max: int) -> int:
        parameters = {"seen_before": self._clock.now() - KEPT_FOR, "rows_max": rows_max}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_old_runtime_hosts, parameters)
        return int(removed)

    async def _remove_keys(self, rows_max: int) -> int:
        now = self._clock.now()
        facts = {"now": now, "accepted_before": uuid7_at(now - _REPETITIONS_KEPT, 0), "rows_max": rows_max}
        ((removed,),) = await self._gateway.fetch(self._statements.delete_expired_keys, facts)
        return int(removed)

    async def _remove_acts(self, rows_max: int) -> int:
        kept = self._retention.audit
        ((removed,),) = await self._gateway.fetch(
            self._statements.delete_old_acts,
            {
                "expired_before": uuid7_at(self._clock.now() - kept.kept, 0),
                "entries_max": kept.entries_max,
                "rows_max": rows_max,
            },
        )
        return int(removed)

    async def _erase_files(self, rows_max: int) -> int:
        return await self._files.erase(self._clock.now(), None, rows_max)

    async def _clean_functions(self) -> None:
        """Remove what no session uses. Last, because all functions are examined: nothing else then waits for that."""
        try:
            pinned = await self._pinned_elsewhere()
        except Unavailable as error:  # a bucket that is away may use any of them
            _log.warning("functions_not_cleaned", reason=error.message)
            return
        self._stats.functions_removed += await self._in_batches(partial(self._functions.remove_deactivated, pinned))
        self._stats.versions_removed += await self._in_batches(partial(self._functions.remove_old_versions, pinned))

    async def _empty_partitions(self, now: datetime) -> int:
        due = sorted(self._partitions_due(now))
        found = await self._gateway.fetch(self._statements.select_filled_partitions, {"partitions": codec.numbers(due)})
        emptied = 0
        for (partition,) in found:
            try:
                emptied += await empty_partition(self._gateway, self._statements, partition, self._first_day_kept())
            except StorageUnavailable:
                _log.info("partition_in_use", partition=partition)
        return emptied

    def _first_day_kept(self) -> int:
        """Return the first day whose history is kept, counted from 1970-01-01."""
        return day_at(self._clock.now() - self._retention.history)

    def _partitions_due(self, now: datetime) -> Iterator[int]:
        """Yield the partitions whose latest day is past retention, except the one that will be written next."""
        kept = {
            day % PARTITIONS for day in range(day_at(now - self._retention.history), day_at(now + _NEXT_DAY_MARGIN) + 1)
        }
        yield from (partition for partition in range(PARTITIONS) if partition not in kept)

    async def _pause(self, pause_s: float) -> None:
        await self._sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # keeps controllers apart


async def empty_partition(gateway: Gateway, statements: CleanupStatements, partition: int, kept_day: int) -> bool:
    """Empty a partition unless it has rows of `kept_day` (since 1970-01-01) or later; return whether it was emptied.

    Raises StorageUnavailable if another transaction uses it for longer than the server waits.
    """
    facts = {"partition": partition, "kept_from": first_id_of(kept_day)}
    ((emptied,),) = await gateway.fetch(statements.empty_partition, facts, repeatable=False)
    return bool(emptied)
