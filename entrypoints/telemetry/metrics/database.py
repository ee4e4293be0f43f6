"""Metrics of the database adapters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.buckets.bucket_map import HOME
from domain.cleanup import CleanupStats, DeliveryStats
from domain.stats import BucketStats, CoalescerStats, DatabaseStats, PoolStats
from entrypoints.telemetry.metrics.instruments import Family, counter, gauge, histogram
from entrypoints.telemetry.metrics.queue import backlogs

_MS_PER_S = 1000

_POOL = gauge("pglambda_db_pool_connections", "Open connections to the database.", "pool", "state")
_POOL_STATS: Sequence[tuple[Family, Callable[[PoolStats], float]]] = (
    (
        gauge("pglambda_db_pool_connections_max", "Limit of connections to the database.", "pool"),
        lambda pool: pool.pool_size_max,
    ),
    (
        gauge("pglambda_db_pool_pending_requests", "SQL statements that wait for a connection.", "pool"),
        lambda pool: pool.pool_waiting,
    ),
    (gauge("pglambda_db_statements_in_flight", "SQL statements in flight.", "pool"), lambda pool: pool.in_flight),
    (
        counter("pglambda_db_connection_attempts_total", "Attempts to connect to the database.", "pool"),
        lambda pool: pool.connects,
    ),
    (
        counter("pglambda_db_connection_errors_total", "Attempts to connect to the database that failed.", "pool"),
        lambda pool: pool.connect_errors,
    ),
)
_COALESCER_STATS: Sequence[tuple[Family, Callable[[CoalescerStats], float]]] = (
    (
        counter("pglambda_coalescer_calls_total", "Calls that were submitted to the coalescer.", "coalescer"),
        lambda stats: stats.calls,
    ),
    (
        counter(
            "pglambda_coalescer_rejections_total", "Calls that were rejected because the queue was full.", "coalescer"
        ),
        lambda stats: stats.overloaded,
    ),
    (
        gauge("pglambda_coalescer_queue_length", "Calls in the queue of the coalescer.", "coalescer"),
        lambda stats: stats.waiting,
    ),
    (
        gauge("pglambda_coalescer_queue_bytes", "Size of the calls in the queue of the coalescer.", "coalescer"),
        lambda stats: stats.waiting_bytes,
    ),
    (
        gauge("pglambda_coalescer_batches_in_flight", "Batches in flight to the database.", "coalescer"),
        lambda stats: stats.in_flight,
    ),
)
_BATCH_CALLS = "pglambda_coalescer_batch_calls", "Calls in one batch, which is one SQL statement."
_BATCH_WAITS = (
    "pglambda_coalescer_queue_duration_seconds",
    "Time that the oldest call of a batch waited in the queue.",
)

_OFFSET = gauge("pglambda_clock_offset_seconds", "How far the clock of the database is ahead of this host's.")
_ERROR_BOUND = gauge(
    "pglambda_clock_error_bound_seconds",
    "Upper bound of the difference between this process's time and the database's.",
)
_CORRECTION = gauge(
    "pglambda_clock_correction_seconds",
    "What is added to the clock of the database's server, because it differed from the last one's at a failover.",
)
_CLOCK_READY = gauge("pglambda_clock_ready", "1 if the time is known well enough to serve calls, else 0.")

_LAG = gauge("pglambda_cleanup_lag_seconds", "Time since the oldest stored session passed its retention.")
_REMOVED = counter("pglambda_cleanup_sessions_removed_total", "Sessions that cleanup removed after their retention.")
_EXPIRED = counter(
    "pglambda_cleanup_open_records_expired_total",
    "Open records past their deadline that cleanup closed with the outcome unknown.",
)
_EMPTIED = counter(
    "pglambda_cleanup_history_partitions_emptied_total", "Partitions (days) of the history that cleanup emptied."
)
_USAGE_LAG = gauge(
    "pglambda_usage_lag_seconds", "Time since the admission until which executions have been counted for their owners."
)
_RUNS = counter("pglambda_cleanup_runs_total", "Cleanup runs, by outcome: succeeded or failed.", "outcome")
_LAST_RUN = gauge(
    "pglambda_cleanup_last_success_timestamp_seconds", "Start of the last cleanup run that succeeded, as Unix time."
)
_FAILING = gauge(
    "pglambda_cleanup_failing_seconds",
    "For how long every cleanup run of a bucket has failed; 0 is `meta`, which a plain database has only. Absent if "
    "the last run succeeded.",
    "bucket",
)

_ARCHIVE_FAILING = gauge(
    "pglambda_wal_archive_failing",
    "1 if the last attempt of the server to archive WAL failed, else 0. Absent if it archives none.",
)
_ARCHIVED = gauge(
    "pglambda_wal_archive_last_success_timestamp_seconds", "Time at which the server last archived WAL, as Unix time."
)

_UNSERVED = gauge(
    "pglambda_takeover_unserved_sessions",
    "Sessions that neither side of a takeover serves, because they are moving. Absent without a takeover.",
)

_WAITING = gauge("pglambda_webhook_deliveries_pending", "Messages to webhooks that wait, counted up to 100,000.")
_DROPPED = gauge(
    "pglambda_webhook_deliveries_dropped",
    "Messages that were removed unsent: their webhook had more than 10,000, or they were 7 days old. Removed webhooks "
    "do not count.",
)
_OLDEST_DUE = gauge(
    "pglambda_webhook_oldest_due_timestamp_seconds",
    "Since or from when the message to a webhook that waits longest could be sent, as Unix time. Pauses that a "
    "receiver wants are not waits. Absent without one.",
)
_WEBHOOKS = gauge(
    "pglambda_webhooks",
    "Webhooks by state: failing (their attempts fail), or disabled because they failed for too long, or are gone.",
    "state",
)

_AWAY = gauge(
    "pglambda_buckets_away",
    "Buckets whose node did not respond within the last 5 s. Absent if the database is not distributed.",
)
_PLACEMENT_READS = counter("pglambda_bucket_placement_reads_total", "Reads of where the buckets lie.")
_MOVES = counter("pglambda_bucket_moves_total", "Buckets that were found at another node than before.")
_COPIES = gauge(
    "pglambda_webhook_copies_compared_timestamp_seconds",
    "When the copies of webhooks in buckets were last compared with those on the coordinator and repaired, or this "
    "process began to, as Unix time.",
)
_NODE_CLOCKS = gauge(
    "pglambda_node_clock_offset_seconds",
    "How far the clock of a node of a distributed database is ahead of the time of the service. Only the clock of "
    "CLOCK_SOURCE has an effect. Absent for a node that does not respond.",
    "node",
)

_STORED = gauge("pglambda_storage_bytes", "Size of stored data with indexes at the last survey, by part.", "part")
_STORED_MAX = gauge(
    "pglambda_storage_max_bytes",
    "Limit of stored data (STORAGE_MAX_GB). Beyond it the oldest history is removed.",
)
_SHORTENED = gauge(
    "pglambda_history_shortened_days", "Days of history that were removed early because of the storage limit."
)


@define(eq=False)
class DatabaseMetrics(Collector):
    """Exposes the numbers that the database adapters report."""

    _read: Callable[[], DatabaseStats]

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        yield from _pools(stats.pools)
        yield from _batches(stats.coalescers)
        yield _OFFSET.single(_seconds(stats.clock.offset_ms))
        yield _ERROR_BOUND.single(_seconds(stats.clock.error_bound_ms))
        yield _CORRECTION.single(stats.clock.correction_ms / 1000)
        yield _CLOCK_READY.single(stats.clock.is_ready)
        yield from _cleanups(stats.cleanup)
        yield from _stored(stats)
        yield from _of_buckets(stats.buckets)


def _pools(pools: Mapping[str, PoolStats]) -> Iterable[Metric]:
    idle = [((name, "idle"), pool.pool_idle) for name, pool in pools.items()]
    used = [((name, "used"), pool.pool_size - pool.pool_idle) for name, pool in pools.items()]
    yield _POOL.metric([*idle, *used])
    for family, value in _POOL_STATS:
        yield family.metric(((name,), value(pool)) for name, pool in pools.items())


def _batches(coalescers: Mapping[str, CoalescerStats]) -> Iterable[Metric]:
    for family, value in _COALESCER_STATS:
        yield family.metric(((name,), value(each)) for name, each in coalescers.items())
    for family_name, histograms in (
        (_BATCH_CALLS, {name: each.sizes for name, each in coalescers.items()}),
        (_BATCH_WAITS, {name: each.waits for name, each in coalescers.items()}),
    ):
        bounds = next(iter(histograms.values())).bounds if histograms else ()
        # Most kinds of calls are rare, and each would add twenty lines of zeros.
        used = [((name,), each) for name, each in histograms.items() if any(each.counts)]
        yield histogram(*family_name, "coalescer", bounds=bounds).buckets(used)


def _cleanups(stats: CleanupStats) -> Iterable[Metric]:
    yield _LAG.single(stats.lag_s)
    yield _REMOVED.single(stats.sessions_removed)
    yield _EXPIRED.single(stats.executions_overdue)
    yield _EMPTIED.single(stats.partitions_emptied)
    yield _USAGE_LAG.single(stats.usage_lag_s)
    yield _RUNS.metric([(("succeeded",), stats.runs), (("failed",), stats.runs_failed)])
    yield _LAST_RUN.single(_unix_time(stats.last_run_at))
    yield _FAILING.metric(((str(each.bucket or HOME),), each.seconds) for each in stats.failures)
    yield _ARCHIVE_FAILING.single(None if stats.archive is None else stats.archive.is_failing)
    yield _UNSERVED.single(stats.unserved)
    yield _ARCHIVED.single(None if stats.archive is None else _unix_time(stats.archive.last_archived_at))
    yield from _deliveries(stats.deliveries)
    yield from backlogs(stats.backlogs)


def _deliveries(stats: DeliveryStats | None) -> Iterable[Metric]:
    yield _WAITING.single(None if stats is None else stats.pending)
    yield _DROPPED.single(None if stats is None else stats.dropped)
    yield _OLDEST_DUE.single(None if stats is None else _unix_time(stats.oldest_due_at))
    states = [] if stats is None else [(("failing",), stats.failing), (("disabled",), stats.disabled)]
    yield _WEBHOOKS.metric(states)


def _stored(stats: DatabaseStats) -> Iterable[Metric]:
    parts = {} if stats.storage is None else stats.storage.stored.parts
    yield _STORED.metric(((part.value,), amount.size_bytes) for part, amount in parts.items())
    yield _STORED_MAX.single(stats.budget.size_max_bytes)
    yield _SHORTENED.single(None if stats.storage is None else len(stats.storage.shortened))


def _of_buckets(stats: BucketStats | None) -> Iterable[Metric]:
    yield _AWAY.single(None if stats is None else stats.away)
    yield _PLACEMENT_READS.single(None if stats is None else stats.placement_reads)
    yield _MOVES.single(None if stats is None else stats.moves)
    yield _COPIES.single(None if stats is None else _unix_time(stats.copies_compared_at))
    offsets_ms = {} if stats is None else stats.clock_offsets_ms
    yield _NODE_CLOCKS.metric(((node,), ms / _MS_PER_S) for node, ms in offsets_ms.items())


def _unix_time(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / _MS_PER_S
