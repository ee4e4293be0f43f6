"""The numbers of the database adapters, read together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define

from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.buckets.pool import BucketGateway
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.history_budget import BucketBudgets, HistoryBudget
from domain.histogram import Histogram
from domain.stats import BucketStats, ClockStats, CoalescerStats, DatabaseStats, PoolStats


def no_pools() -> Mapping[str, PoolStats]:
    """Return the figures of connections to nodes, of which a plain database has none."""
    return {}


def not_distributed() -> BucketStats | None:
    """Return the numbers of buckets of a plain database."""
    return None


@define(eq=False)
class DatabaseStatsReader:
    """Reads the gateways, the coalescers of all repositories, the clock, the cleanup and the storage budget.

    Coalescers of one name, of several buckets, count together. The pools of a bucket have its number in their names.
    """

    _gateway: Gateway
    _coalescers: Sequence[Coalescer[Any, Any]]
    _clock: DisciplinedClock
    _cleanup: Cleanup | BucketCleanups
    _budget: HistoryBudget | BucketBudgets
    _buckets: Sequence[BucketGateway] = ()
    _bucket_stats: Callable[[], BucketStats | None] = not_distributed
    _pools_of_nodes: Callable[[], Mapping[str, PoolStats]] = no_pools

    def read(self) -> DatabaseStats:
        """Return the present numbers; never waits."""
        clock = self._clock
        return DatabaseStats(
            pools={**self._gateway.pools(), **self._pools_of_buckets(), **self._pools_of_nodes()},
            coalescers=_by_name(self._coalescers),
            clock=ClockStats(clock.offset_ms, clock.error_bound_ms, clock.correction_ms, clock.ready),
            cleanup=self._cleanup.stats(),
            storage=self._budget.state,
            budget=self._budget.budget,
            buckets=self._bucket_stats(),
        )

    def _pools_of_buckets(self) -> Mapping[str, PoolStats]:
        return {
            f"bucket_{gateway.number}_{name}": pool
            for gateway in self._buckets
            for name, pool in gateway.pools().items()
        }


def _by_name(coalescers: Iterable[Coalescer[Any, Any]]) -> Mapping[str, CoalescerStats]:
    found: dict[str, CoalescerStats] = {}
    for each in coalescers:
        stats, known = each.stats(), found.get(each.name)
        found[each.name] = stats if known is None else _together(known, stats)
    return found


def _together(one: CoalescerStats, other: CoalescerStats) -> CoalescerStats:
    return CoalescerStats(
        one.waiting + other.waiting,
        one.waiting_bytes + other.waiting_bytes,
        one.in_flight + other.in_flight,
        one.calls + other.calls,
        one.batches + other.batches,
        one.overloaded + other.overloaded,
        _merged(one.sizes, other.sizes),
        _merged(one.waits, other.waits),
    )


def _merged(*histograms: Histogram) -> Histogram:
    merged = Histogram(histograms[0].bounds)
    for each in histograms:
        merged.include(each)
    return merged
