"""What adapters tell of themselves, as Prometheus names it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from attrs import define

from adapters.histogram import Histogram
from adapters.postgres.batching.coalescer import Coalescer, CoalescerStats
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.history_budget import HistoryBudget
from entrypoints.telemetry.metrics.samples import Family, Reading, Sample, counter, gauge, histogram, single

_MS_PER_S = 1000

POOL = gauge("pglambda_db_pool_connections", "Open connections to the database.", "lane", "state")
POOL_MAX = gauge("pglambda_db_pool_connections_max", "Limit of connections to the database.", "lane")
POOL_WAITING = gauge("pglambda_db_pool_pending_requests", "SQL statements that wait for a connection.", "lane")
IN_FLIGHT = gauge("pglambda_db_statements_in_flight", "SQL statements in flight.", "lane")
CONNECTS = counter("pglambda_db_connection_attempts_total", "Attempts to connect to the database.", "lane")
CONNECT_ERRORS = counter(
    "pglambda_db_connection_errors_total", "Attempts to connect to the database that failed.", "lane"
)

CALLS = counter("pglambda_coalescer_calls_total", "Calls that were submitted to the coalescer.", "coalescer")
REFUSALS = counter(
    "pglambda_coalescer_rejections_total", "Calls that were rejected because the queue was full.", "coalescer"
)
WAITING = gauge("pglambda_coalescer_queue_length", "Calls in the queue of the coalescer.", "coalescer")
WAITING_BYTES = gauge("pglambda_coalescer_queue_bytes", "Size of the calls in the queue of the coalescer.", "coalescer")
UNDER_WAY = gauge("pglambda_coalescer_batches_in_flight", "Batches in flight to the database.", "coalescer")

OFFSET = gauge("pglambda_clock_offset_seconds", "How far the clock of the database is ahead of this host's.")
ERROR_BOUND = gauge(
    "pglambda_clock_error_bound_seconds",
    "Upper bound of the difference between this process's time and the database's.",
)
CLOCK_READY = gauge("pglambda_clock_ready", "1 if the time is known well enough to serve calls, else 0.")

LAG = gauge("pglambda_cleanup_lag_seconds", "Time since the oldest stored session passed its retention.")
REMOVED = counter("pglambda_cleanup_sessions_removed_total", "Sessions that cleanup removed after their retention.")
OVERDUE = counter(
    "pglambda_cleanup_open_records_expired_total",
    "Open records past their deadline that cleanup closed with the outcome unknown.",
)
EMPTIED = counter(
    "pglambda_cleanup_history_partitions_emptied_total", "Partitions (days) of the history that cleanup emptied."
)
SWEEPS = counter("pglambda_cleanup_runs_total", "Cleanup runs, by outcome: succeeded or failed.", "outcome")
SWEPT_AT = gauge(
    "pglambda_cleanup_last_success_timestamp_seconds", "Start of the last cleanup run that succeeded, as Unix time."
)

STORED = gauge("pglambda_storage_bytes", "Size of stored data with indexes at the last survey, by part.", "part")
STORED_MAX = gauge(
    "pglambda_storage_max_bytes", "Limit of stored data (STORAGE_MAX_GB). Beyond it the oldest history is removed."
)
SHORTENED = gauge(
    "pglambda_history_shortened_days", "Days of history that were removed early because of the storage limit."
)


@define(eq=False)
class DatabaseMetrics:
    """Reads the gateway, the coalescers of all repositories, the clock, the cleanup and the keeper of the storage."""

    _gateway: Gateway
    _coalescers: Sequence[Coalescer[Any, Any]]
    _clock: DisciplinedClock
    _cleanup: Cleanup
    _storage: HistoryBudget

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        yield from self._pool()
        yield from self._batches()
        yield single(OFFSET, _seconds(self._clock.offset_ms))
        yield single(ERROR_BOUND, _seconds(self._clock.error_bound_ms))
        yield single(CLOCK_READY, self._clock.ready)
        yield from self._sweeping()
        yield from self._keeping()

    def _pool(self) -> Iterator[Reading]:
        lanes = self._gateway.lanes()
        idle = [Sample((name, "idle"), lane.pool_idle) for name, lane in lanes.items()]
        busy = [Sample((name, "used"), lane.pool_size - lane.pool_idle) for name, lane in lanes.items()]
        yield Reading(POOL, [*idle, *busy])
        for family, attribute in (
            (POOL_MAX, "pool_size_max"),
            (POOL_WAITING, "pool_waiting"),
            (IN_FLIGHT, "in_flight"),
            (CONNECTS, "connects"),
            (CONNECT_ERRORS, "connect_errors"),
        ):
            yield Reading(family, [Sample((name,), getattr(lane, attribute)) for name, lane in lanes.items()])

    def _batches(self) -> Iterator[Reading]:
        told = {each.name: each.stats() for each in self._coalescers}

        def reading(family: Family, figure: Callable[[CoalescerStats], float]) -> Reading:
            return Reading(family, [Sample((name,), figure(stats)) for name, stats in told.items()])

        yield reading(CALLS, lambda stats: stats.calls)
        yield reading(REFUSALS, lambda stats: stats.overloaded)
        yield reading(WAITING, lambda stats: stats.waiting)
        yield reading(WAITING_BYTES, lambda stats: stats.waiting_bytes)
        yield reading(UNDER_WAY, lambda stats: stats.under_way)
        yield _tallies(
            "pglambda_coalescer_batch_calls",
            "Calls in one batch, which is one SQL statement.",
            {name: stats.sizes for name, stats in told.items()},
        )
        yield _tallies(
            "pglambda_coalescer_queue_duration_seconds",
            "Time that the oldest call of a batch waited in the queue.",
            {name: stats.waits for name, stats in told.items()},
        )

    def _sweeping(self) -> Iterator[Reading]:
        stats = self._cleanup.stats()
        yield single(LAG, stats.lag_s)
        yield single(REMOVED, stats.sessions_removed)
        yield single(OVERDUE, stats.executions_overdue)
        yield single(EMPTIED, stats.slots_emptied)
        yield Reading(SWEEPS, [Sample(("succeeded",), stats.sweeps), Sample(("failed",), stats.sweeps_failed)])
        yield single(SWEPT_AT, None if stats.swept_at is None else stats.swept_at.timestamp())

    def _keeping(self) -> Iterator[Reading]:
        state = self._storage.state
        parts = {} if state is None else state.stored.parts
        yield Reading(STORED, [Sample((part.value,), amount.size_bytes) for part, amount in parts.items()])
        yield single(STORED_MAX, self._storage.budget.size_max_bytes)
        yield single(SHORTENED, None if state is None else len(state.shortened))


def all_coalescers(*groups: Iterable[Coalescer[Any, Any]]) -> tuple[Coalescer[Any, Any], ...]:
    """Return the coalescers of several repositories."""
    return tuple(coalescer for group in groups for coalescer in group)


def _tallies(name: str, says: str, tallies: dict[str, Histogram]) -> Reading:
    bounds = next(iter(tallies.values())).bounds if tallies else ()
    # Most kinds of calls are rare, and each would be twenty lines of zeros.
    samples = [
        Sample((each,), tally.total, tuple(tally.counts)) for each, tally in tallies.items() if any(tally.counts)
    ]
    return Reading(histogram(name, says, "coalescer", bounds=bounds), samples)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / _MS_PER_S
