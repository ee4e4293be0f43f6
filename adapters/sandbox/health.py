"""The state of this host's sandbox, as /health and `pglambda doctor` show it."""

from collections.abc import Collection, Mapping

from adapters.sandbox.environments import Environments
from adapters.sandbox.isolation.cpu_scheduling import why_none_is_free
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.stats import SandboxStats

_NOT_USED = {
    "landlock": "not needed: the root of a worker holds only the files of its interpreter, read-only",
}


def health_of(
    builder: SandboxBuilder,
    runtimes: Collection[LanguageRuntime],
    stats: SandboxStats,
    environments: Mapping[str, object],
    no_group_reason: str,
) -> Mapping[str, object]:
    """Return the state as JSON; `no_group_reason` is empty if there is a control group.

    `environments` is empty as long as no script had one.
    """
    languages = {str(runtime.language): runtime.summary() for runtime in runtimes}
    failures = [runtime.failure for runtime in runtimes]
    return {
        "status": "ok" if all(failure is None for failure in failures) else "degraded",
        "languages": languages,
        # A worker that lacks a layer is never used. So one language that runs proves that the host grants all of them.
        "layers": _layers(builder.uid, no_group_reason, are_granted=None in failures),
        "level": str(builder.options.level),
        "workers": {
            "places": stats.running + stats.idle,
            "idle": stats.idle,
            "places_max": stats.bound_max,
            "running_max": stats.running_max,
            "processes": stats.processes,
            "memory_bytes": stats.memory_bytes,
            "memory_bytes_max": stats.memory_bytes_max,
        },
        **({"environments": environments} if environments else {}),
        "queue": {"length": stats.waiting, "length_max": builder.options.queue_length_max},
    }


def stats_of(
    pool: WorkerPool[WorkerProcess],
    factory: WorkerFactory,
    runtimes: Collection[LanguageRuntime],
    environments: Environments | None,
    protocol_violations: int,
) -> SandboxStats:
    """Return the present figures."""
    table, limits = pool.table, pool.limits
    return SandboxStats(
        running=table.running_count,
        idle=len(table.idle),
        bound_max=limits.slots_max,
        running_max=limits.running_max or limits.slots_max,
        waiting=len(pool.queue),
        processes=factory.count,
        memory_bytes=table.memory_bytes,
        memory_bytes_max=limits.memory_bytes_max or 0,
        evictions=dict(table.evictions),
        protocol_violations=protocol_violations,
        environments=0 if environments is None else environments.count,
        preload_failures=0 if environments is None else environments.failures,
        languages={runtime.language: runtime.stats() for runtime in runtimes},
    )


def _layers(uid: int | None, no_group_reason: str, *, are_granted: bool) -> Mapping[str, object]:
    no_processor_reason = why_none_is_free(uid)
    reasons = {"cgroup": no_group_reason, "free_processor": no_processor_reason}
    return {
        "namespaces": are_granted,
        "seccomp": are_granted,
        "rlimits": are_granted,
        "tmpfs_limits": are_granted,
        "cgroup": not no_group_reason,
        "free_processor": not no_processor_reason,
        "landlock": False,
        "not_used": _NOT_USED | {name: reason for name, reason in reasons.items() if reason},
        "refused_calls": "fail with an error inside the script",
        "separate_uid": uid is not None,
        "uid": "workers share the service's uid" if uid is None else uid,
    }
