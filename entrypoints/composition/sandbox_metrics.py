"""What the sandbox tells of itself, as Prometheus names it."""

from collections.abc import Callable, Iterator

from attrs import define

from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.stats import Eviction, SandboxStats, StartStats
from adapters.sandbox.workers.prewarm_pool import STARTS_S
from entrypoints.telemetry.metrics.samples import Family, Reading, Sample, counter, gauge, histogram, single

BOUND = gauge(
    "pglambda_sandbox_bound_workers", "Workers that are bound to a session, by state: running or idle.", "state"
)
BOUND_MAX = gauge("pglambda_sandbox_bound_workers_max", "Limit of workers that are bound to a session.")
RUNNING_MAX = gauge("pglambda_sandbox_running_workers_max", "Limit of workers that run a script at the same time.")
QUEUE = gauge("pglambda_sandbox_queue_length", "Executions that wait for a worker.")
PROCESSES = gauge("pglambda_sandbox_processes", "Live worker processes, including prewarmed workers and syntax checks.")
MEMORY = gauge("pglambda_sandbox_memory_bytes", "Memory that is reserved for bound workers.")
MEMORY_MAX = gauge("pglambda_sandbox_memory_max_bytes", "Limit of the memory that is reserved for bound workers.")
EVICTIONS = counter(
    "pglambda_sandbox_evictions_total", "Workers that were ended and taken from their session, by reason.", "reason"
)
VIOLATIONS = counter(
    "pglambda_sandbox_protocol_violations_total", "Scripts that wrote to the control channel of their worker."
)
AVAILABLE = gauge("pglambda_sandbox_available", "1 if scripts of the language can run, else 0.", "language")
PREWARMED = gauge(
    "pglambda_sandbox_prewarmed_workers", "Workers that were started ahead of need and wait for a session.", "language"
)
STARTS = counter("pglambda_sandbox_worker_starts_total", "Workers that were started.", "language")
START_FAILURES = counter("pglambda_sandbox_worker_start_failures_total", "Workers that failed to start.", "language")
START_DURATIONS = histogram(
    "pglambda_sandbox_worker_start_duration_seconds",
    "Time from the start of a worker until it was ready.",
    "language",
    bounds=STARTS_S,
)


@define(eq=False)
class SandboxMetrics:
    """Reads this host's sandbox, if it has one."""

    _runner: SandboxScriptRunner | None

    def read(self) -> Iterator[Reading]:
        """Yield the present figures."""
        if self._runner is None:
            return
        stats = self._runner.stats()
        yield Reading(BOUND, [Sample(("running",), stats.running), Sample(("idle",), stats.idle)])
        yield single(BOUND_MAX, stats.bound_max)
        yield single(RUNNING_MAX, stats.running_max)
        yield single(QUEUE, stats.waiting)
        yield single(PROCESSES, stats.processes)
        yield single(MEMORY, stats.memory_bytes)
        yield single(MEMORY_MAX, stats.memory_bytes_max)
        yield Reading(EVICTIONS, [Sample((reason,), stats.evictions.get(reason, 0)) for reason in Eviction])
        yield single(VIOLATIONS, stats.protocol_breaks)
        yield from _of_languages(stats)


def _of_languages(stats: SandboxStats) -> Iterator[Reading]:
    def reading(family: Family, figure: Callable[[StartStats], float]) -> Reading:
        return Reading(family, [Sample((language,), float(figure(each))) for language, each in stats.languages.items()])

    yield reading(AVAILABLE, lambda each: each.available)
    yield reading(PREWARMED, lambda each: each.prewarmed)
    yield reading(STARTS, lambda each: each.starts)
    yield reading(START_FAILURES, lambda each: each.start_failures)
    yield Reading(
        START_DURATIONS,
        [
            Sample((language,), each.durations.total, tuple(each.durations.counts))
            for language, each in stats.languages.items()
        ],
    )
