"""The options of the use cases and of the database, from the settings; no other part is imported for them."""

from datetime import timedelta

from adapters.postgres.clock.disciplined import ClockOptions
from adapters.postgres.repositories.executions import ExecutionRepositoryOptions
from adapters.postgres.repositories.functions import FunctionRepositoryOptions
from adapters.postgres.repositories.history import HistoryOptions
from adapters.postgres.retention.cleanup import Retention
from domain.access.authentication import KeyCacheOptions
from domain.audit import AuditRetention
from domain.executions.call import ExecutionPolicy
from domain.functions.examples import ExamplePolicy
from domain.functions.ports import FunctionRepository
from domain.functions.quota import FunctionQuota
from domain.functions.service import FunctionPolicy
from domain.queue.dispatcher import DispatchPolicy
from domain.queue.quota import QueueMaxima
from domain.queue.service import QueuePolicy
from domain.schedules.dispatcher import SchedulePolicy
from domain.scripts.limits import Limits, LimitsPolicy
from domain.sessions.requests import SessionPolicy
from domain.sessions.session import LifetimePolicy
from domain.states.limits import StateLimits
from domain.storage.storage import StorageBudget
from domain.timeline import RetentionTimes
from domain.usage import OwnerPolicy, UsageBounds
from entrypoints.composition.checked_options import request_timeout_s
from entrypoints.settings.choices import HistoryMode, Idempotency
from entrypoints.settings.edge import rate_policies
from entrypoints.settings.settings import Settings

KILL_S = 0.5
"""The time for ending a sandbox, beyond the script's own limit."""

_EXAMPLES_S = 10.0
"""The time limit of all examples of a function together."""

_LOOKUP_SHARE = 0.25
_PROBE_SHARE = 0.5
_PROBE_TIMEOUT_MIN_S = 1.0
_PROBE_TIMEOUT_MAX_S = 5.0
_MIBI = 1024**2
_GIBI = 1024**3


def clock_options(settings: Settings) -> ClockOptions:
    """Return the options of the clock; a probe may take half of a request's budget, within 1 to 5 s."""
    timeout_s = request_timeout_s(settings) * _PROBE_SHARE
    return ClockOptions(probe_timeout_s=min(max(timeout_s, _PROBE_TIMEOUT_MIN_S), _PROBE_TIMEOUT_MAX_S))


def key_cache_options(settings: Settings) -> KeyCacheOptions:
    """Return the options of the cache of API keys."""
    return KeyCacheOptions(lookup_timeout_s=lookup_timeout_s(settings))


def lookup_timeout_s(settings: Settings) -> float:
    """Return how long a lookup of the caller's key, or of a session's language, may take before a call begins."""
    return request_timeout_s(settings) * _LOOKUP_SHARE


def retention(settings: Settings) -> Retention:
    """Return how long ended sessions and the history are kept."""
    return Retention(
        sessions=timedelta(seconds=settings.session_retention_seconds),
        history=timedelta(days=settings.history_retention_days),
        versions=settings.function_versions_kept,
        audit=AuditRetention(timedelta(days=settings.audit_retention_days)),
    )


def retention_times(settings: Settings) -> RetentionTimes:
    """Return how long ended sessions and the history are kept, and how long a session may live."""
    return RetentionTimes(
        sessions=timedelta(seconds=settings.session_retention_seconds),
        history_days=settings.history_retention_days,
        lifetime_max=timedelta(seconds=settings.session_max_lifetime_seconds),
    )


def storage_budget(settings: Settings) -> StorageBudget:
    """Return the limit of the storage, and how long the history is kept within it."""
    size_max_gb = settings.storage_max_gb
    return StorageBudget(
        size_max_bytes=None if size_max_gb is None else int(size_max_gb * _GIBI),
        history_days=settings.history_retention_days,
    )


def execution_options(settings: Settings) -> ExecutionRepositoryOptions:
    """Return what the history stores of executions."""
    return ExecutionRepositoryOptions(history=HistoryOptions(full=settings.history is HistoryMode.FULL))


def function_options(settings: Settings) -> FunctionRepositoryOptions:
    """Return how many versions of a function are kept."""
    return FunctionRepositoryOptions(versions_kept=settings.function_versions_kept)


def limits_policy(settings: Settings) -> LimitsPolicy:
    """Return the default limits of an execution, and their maxima."""
    return LimitsPolicy(
        default=Limits(settings.script_timeout_ms, settings.script_memory_mb, settings.isolation),
        timeout_ms_max=settings.script_timeout_max_ms,
        memory_mb_max=settings.script_memory_max_mb,
    )


def session_policy(settings: Settings) -> SessionPolicy:
    """Return the limits of sessions."""
    return SessionPolicy(
        lifetime=LifetimePolicy(settings.session_expiry_seconds, settings.session_max_lifetime_seconds),
        limits=limits_policy(settings),
        script_size_max=settings.max_script_size,
        request_timeout_s=request_timeout_s(settings),
        history_days=settings.history_retention_days,
    )


def state_limits(settings: Settings) -> StateLimits:
    """Return the limits of the state of a session."""
    return StateLimits(size_max=settings.max_state_size)


def state_wait_s(settings: Settings) -> float:
    """Return how long a call waits while another one writes the state of its session."""
    return settings.queue_timeout_ms / 1000


def execution_policy(settings: Settings) -> ExecutionPolicy:
    """Return the times of an execute; with runtime hosts their overhead counts if it is larger than the sandbox's."""
    local_s = settings.queue_timeout_ms / 1000 + KILL_S
    overhead_s = max(local_s, settings.runtime_timeout_seconds) if settings.has_runtime_hosts else local_s
    return ExecutionPolicy(request_timeout_s=request_timeout_s(settings), run_overhead_s=overhead_s)


def queue_policy(settings: Settings, executions: ExecutionPolicy) -> QueuePolicy:
    """Return the times of executions that run later."""
    return QueuePolicy(
        request_timeout_s=executions.request_timeout_s,
        allowance=executions.allowance,
        retention=timedelta(seconds=settings.async_retention_seconds),
        keeps_responses=settings.idempotency is Idempotency.ON,
    )


def schedule_policy(settings: Settings, executions: ExecutionPolicy) -> SchedulePolicy:
    """Return the limits of schedules; what they accept is kept as other executions that run later."""
    queue = queue_policy(settings, executions)
    return SchedulePolicy(
        queue.request_timeout_s,
        queue.allowance,
        queue.retention,
        settings.max_schedules_per_owner,
        keeps_responses=queue.keeps_responses,
    )


def queue_bounds(settings: Settings) -> QueueMaxima:
    """Return the limits of the queue."""
    return QueueMaxima(settings.max_queued_per_owner, settings.max_queued)


def dispatch_policy(settings: Settings, executions: ExecutionPolicy) -> DispatchPolicy:
    """Return how many queued executions a process runs; with authentication, one owner gets four fifths at most."""
    half = max(1, settings.max_executions // (2 * settings.web_concurrency))
    running_max = half if settings.max_async_executions is None else settings.max_async_executions
    share = max(1, running_max * 4 // 5) if settings.authenticated else running_max
    of_owner = min(share, settings.max_executions_per_owner or share)
    return DispatchPolicy(running_max, of_owner, executions.allowance)


def function_policy(settings: Settings) -> FunctionPolicy:
    """Return the limits of functions."""
    return FunctionPolicy(settings.max_script_size, request_timeout_s(settings))


def function_quota(settings: Settings, functions: FunctionRepository) -> FunctionQuota:
    """Return the quotas of an owner's functions."""
    stored_mb = settings.max_functions_mb_per_owner
    return FunctionQuota(functions, settings.max_functions_per_owner, stored_mb and stored_mb * _MIBI)


def owner_policy(settings: Settings) -> OwnerPolicy:
    """Return the quotas and rates of each owner, as reports of usage show them."""
    stored_mb, functions_mb = settings.max_stored_mb_per_owner, settings.max_functions_mb_per_owner
    return OwnerPolicy(
        quotas={
            "live_sessions": settings.max_sessions_per_owner,
            "stored_bytes": stored_mb and stored_mb * _MIBI,
            "functions": settings.max_functions_per_owner,
            "function_bytes": functions_mb and functions_mb * _MIBI,
            "concurrent_calls": settings.max_concurrent_per_owner,
            "queued_executions": settings.max_queued_per_owner if settings.authenticated else None,
            "schedules": settings.max_schedules_per_owner,
            "webhooks": settings.max_webhooks_per_owner,
            "stored_file_bytes": settings.max_files_mb_per_owner * _MIBI,
            "secrets": settings.max_secrets_per_owner,
        },
        rates=rate_policies(settings.rate_limits),
        history_days=settings.history_retention_days,
    )


def usage_bounds(settings: Settings) -> UsageBounds:
    """Return the bounds of a call for usage."""
    return UsageBounds(request_timeout_s(settings))


def example_policy(settings: Settings) -> ExamplePolicy:
    """Return the limits of the examples of functions."""
    overhead_s = execution_policy(settings).run_overhead_s
    return ExamplePolicy(limits_policy(settings).default, _EXAMPLES_S, overhead_s)
