"""Metrics of this host's sandbox."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.scripts.language import Language
from domain.stats import Eviction, SandboxStats, StartStats
from entrypoints.telemetry.metrics.instruments import Family, counter, gauge, histogram

_BOUND = gauge(
    "pglambda_sandbox_bound_workers", "Workers that are bound to a session, by state: running or idle.", "state"
)
_SINGLE_STATS: Sequence[tuple[Family, Callable[[SandboxStats], float]]] = (
    (
        gauge("pglambda_sandbox_bound_workers_max", "Limit of workers that are bound to a session."),
        lambda stats: stats.bound_max,
    ),
    (
        gauge("pglambda_sandbox_running_workers_max", "Limit of workers that run a script at the same time."),
        lambda stats: stats.running_max,
    ),
    (gauge("pglambda_sandbox_queue_length", "Executions that wait for a worker."), lambda stats: stats.waiting),
    (
        gauge("pglambda_sandbox_processes", "Live worker processes, including prewarmed workers and syntax checks."),
        lambda stats: stats.processes,
    ),
    (
        gauge("pglambda_sandbox_memory_bytes", "Memory that is reserved for bound workers."),
        lambda stats: stats.memory_bytes,
    ),
    (
        gauge("pglambda_sandbox_memory_max_bytes", "Limit of the memory that is reserved for bound workers."),
        lambda stats: stats.memory_bytes_max,
    ),
    (
        counter(
            "pglambda_sandbox_protocol_violations_total", "Scripts that wrote to the control channel of their worker."
        ),
        lambda stats: stats.protocol_violations,
    ),
    (gauge("pglambda_sandbox_environments", "Environments that have a zygote."), lambda stats: stats.environments),
    (
        counter(
            "pglambda_sandbox_preload_failures_total", "Zygotes that could not import the packages of an environment."
        ),
        lambda stats: stats.preload_failures,
    ),
)
_EVICTIONS = counter(
    "pglambda_sandbox_evictions_total", "Workers that were ended and taken from their session, by reason.", "reason"
)
_LANGUAGE_STATS: Sequence[tuple[Family, Callable[[StartStats], float]]] = (
    (
        gauge("pglambda_sandbox_available", "1 if scripts of the language can run, else 0.", "language"),
        lambda each: each.available,
    ),
    (
        gauge(
            "pglambda_sandbox_prewarmed_workers",
            "Workers that were started ahead of need and wait for a session.",
            "language",
        ),
        lambda each: each.prewarmed,
    ),
    (
        counter("pglambda_sandbox_worker_starts_total", "Workers that were started.", "language"),
        lambda each: each.starts,
    ),
    (
        counter("pglambda_sandbox_worker_start_failures_total", "Workers that failed to start.", "language"),
        lambda each: each.start_failures,
    ),
)
_START_DURATIONS = (
    "pglambda_sandbox_worker_start_duration_seconds",
    "Time from the start of a worker until it was ready.",
)


@define(eq=False)
class SandboxMetrics(Collector):
    """Exposes the numbers of this host's sandbox; without a sandbox there are none."""

    _read: Callable[[], SandboxStats | None]

    @override
    def collect(self) -> Iterable[Metric]:
        stats = self._read()
        if stats is None:
            return
        yield _BOUND.metric([(("running",), stats.running), (("idle",), stats.idle)])
        for family, value in _SINGLE_STATS:
            yield family.single(value(stats))
        yield _EVICTIONS.metric(((reason,), stats.evictions.get(reason, 0)) for reason in Eviction)
        yield from _of_languages(stats.languages)


def _of_languages(stats: Mapping[Language, StartStats]) -> Iterable[Metric]:
    for family, value in _LANGUAGE_STATS:
        yield family.metric(((language,), float(value(each))) for language, each in stats.items())
    bounds = next(iter(stats.values())).durations.bounds if stats else ()
    durations = (((language,), each.durations) for language, each in stats.items())
    yield histogram(*_START_DURATIONS, "language", bounds=bounds).buckets(durations)
