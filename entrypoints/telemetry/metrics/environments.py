"""Metrics of environments: their builds, and the trees of packages on this host."""

from collections.abc import Callable, Iterable, Sequence

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.environments.builder import BuildStats
from domain.environments.ports import WaitingBuilds
from domain.environments.tree import TreeStats
from entrypoints.telemetry.metrics.instruments import Family, counter, gauge

_QUEUED = gauge("pglambda_environment_builds_queued", "Versions of environments that wait for a builder.")
_OLDEST = gauge(
    "pglambda_environment_builds_oldest_queued_timestamp_seconds",
    "Since when the version that waits longest for a builder does, as Unix time. Absent without one.",
)
_RUNNING = gauge("pglambda_environment_builds_running", "Builds of environments that this process runs: 0 or 1.")
_BUILDS = counter(
    "pglambda_environment_builds_total",
    "Builds that this process has ended, by result: ready, failed, or lost to another builder.",
    "result",
)
_SECONDS = counter("pglambda_environment_build_seconds_total", "Time that builds of this process took.")
_TREES: Sequence[tuple[Family, Callable[[TreeStats], float]]] = (
    (
        gauge("pglambda_trees_bytes", "Size of the packages of environments on this host, as of the last fetch."),
        lambda stats: stats.bytes,
    ),
    (
        counter("pglambda_trees_changed_total", "Packages on this host that had changed, and were fetched again."),
        lambda stats: stats.changed,
    ),
    (
        counter("pglambda_trees_evicted_total", "Packages that made way for others on this host."),
        lambda stats: stats.evicted,
    ),
)
_FETCHES = counter(
    "pglambda_tree_fetches_total",
    "Packages that this host has got, by result: fetched, or refused for their digest, their limits or a full disk.",
    "result",
)


@define(eq=False)
class BuildMetrics(Collector):
    """Reads what the builder of this process has counted, if it has one, and what waits for any builder."""

    _stats: Callable[[], BuildStats]
    _waiting: Callable[[], WaitingBuilds]

    @override
    def collect(self) -> Iterable[Metric]:
        stats, waiting = self._stats(), self._waiting()
        yield _QUEUED.single(waiting.count)
        yield _OLDEST.single(None if waiting.since is None else waiting.since.timestamp())
        yield _RUNNING.single(stats.is_building)
        results = (("ready", stats.ready), ("failed", stats.failed), ("lost", stats.lost))
        yield _BUILDS.metric(((result,), count) for result, count in results)
        yield _SECONDS.single(stats.seconds)


@define(eq=False)
class TreeMetrics(Collector):
    """Reads what the trees of this host have counted; they stay 0 without a sandbox."""

    _stats: Callable[[], TreeStats]

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for family, value in _TREES:
            yield family.single(value(stats))
        yield _FETCHES.metric([(("fetched",), stats.fetched), (("refused",), stats.refused)])
