"""The options of what runs scripts: this host's sandbox, the client of runtime hosts, and a runtime host."""

from pathlib import Path

from attrs import evolve

from adapters.remote_runtime.options import RuntimeOptions
from adapters.sandbox.options import NodeStart, SandboxLevel, SandboxOptions
from domain.scripts.language import Language
from entrypoints.composition.checked_options import request_timeout_s
from entrypoints.composition.options import KILL_S, state_limits
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.server.descriptors import workers_within_limit
from entrypoints.settings.egress import has_egress
from entrypoints.settings.settings import Settings

_EGRESS_MB = 256
"""Memory of the egress process."""
_OUTPUT_SIZE_MAX = 256 * 1024
"""Limit of the bytes that one execution writes to stdout, and to stderr."""


def sandbox_options(settings: Settings, languages: tuple[Language, ...]) -> SandboxOptions:
    """Return the options of this host's sandbox for these languages."""
    options = SandboxOptions(
        runtimes_dir=_runtimes_dir(settings),
        languages=languages,
        level=SandboxLevel(settings.sandbox_level),
        node_start=NodeStart(settings.sandbox_node_start),
        node_path=settings.nodejs_path,
        node_env=settings.script_node_env,
        queue_timeout_s=settings.queue_timeout_ms / 1000,
        warm_workers_max=workers_within_limit(settings.max_warm_workers),
        running_max=settings.max_executions,
        owner_running_max=settings.max_executions_per_owner,
        memory_budget_mb=settings.sandbox_memory_mb,
        kill_s=KILL_S,
        memory_mb=settings.script_memory_mb,
        output_size_max=_OUTPUT_SIZE_MAX,
        result_size_max=settings.max_result_size,
        state_limits=state_limits(settings),
        environments_max=settings.max_environment_zygotes,
        preloads=settings.environment_preload,
        reserved_mb=_EGRESS_MB if has_egress(settings) else 0,
    )
    return options if settings.sandbox_uid is None else evolve(options, sandbox_uid=settings.sandbox_uid)


def runtime_options(settings: Settings) -> RuntimeOptions:
    """Return the options of the client of runtime hosts."""
    return RuntimeOptions(
        token=settings.runtime_token.reveal() if settings.runtime_token else None,
        ca_file=None if settings.runtime_ca_file is None else str(settings.runtime_ca_file),
        queue_timeout_s=settings.queue_timeout_ms / 1000,
        runtime_timeout_s=settings.runtime_timeout_seconds,
        check_timeout_s=request_timeout_s(settings),
        result_size_max=settings.max_result_size,
        output_size_max=_OUTPUT_SIZE_MAX,
        state_size_max=settings.max_state_size,
    )


def host_options(settings: Settings) -> RuntimeHostOptions:
    """Return the address, the token and the limits of a runtime host."""
    return RuntimeHostOptions(
        bind=settings.host,
        token=settings.runtime_token.reveal() if settings.runtime_token else None,
        runs_max=min(settings.max_executions, workers_within_limit(settings.max_warm_workers)),
        script_size_max=settings.max_script_size,
        params_size_max=settings.max_params_size,
        context_size_max=settings.max_context_size,
    )


def _runtimes_dir(settings: Settings) -> Path:
    return settings.data_dir / "runtimes"
