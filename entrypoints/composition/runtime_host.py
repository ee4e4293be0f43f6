"""The runtime host: this host's sandbox, served over HTTP."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import structlog
from dependency_injector import containers, providers

from adapters.host_registrar import HostRegistrar, Offer, RegistrarOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from entrypoints.composition.egress import HostEgress
from entrypoints.composition.environments import ReceivedTrees
from entrypoints.composition.host_options import host_options, sandbox_options
from entrypoints.composition.runners import CLOSE_GRACE_S
from entrypoints.composition.telemetry import tracing_of
from entrypoints.http.instrumentation import AccessLog, RequestTraces
from entrypoints.http.request import Request
from entrypoints.runtime_host.application import HostApi, HostApplication
from entrypoints.runtime_host.telemetry import HostMetrics
from entrypoints.server.lifespan import Lifespan, bounded
from entrypoints.settings.runtime_hosts import host_tls, runtime_host_name, runtime_host_url
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.egress import EgressMetrics
from entrypoints.telemetry.metrics.environments import TreeMetrics
from entrypoints.telemetry.metrics.process import LoopLag, ProcessMetrics
from entrypoints.telemetry.metrics.sandbox import SandboxMetrics
from entrypoints.telemetry.metrics.scrape import Scrape, metrics_registry
from entrypoints.telemetry.observed_runner import ExecutionMetrics, ObservedRunner
from entrypoints.telemetry.tracing.trace import Tracing
from entrypoints.version import VERSION

_METRICS_PREFIX = "pglambda_runtime_host"
"""Controllers count the same executions under another name, so that no sum counts one twice."""

_REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)


_END_WITHIN_S = 4.0
"""To tell controllers of the end: they also notice it when they use the host."""


def _registrar(settings: Settings, runner: SandboxScriptRunner) -> HostRegistrar | None:
    token = settings.runtime_token
    if not settings.controller_url or token is None:
        return None
    name, url = runtime_host_name(settings), runtime_host_url(settings)
    options = RegistrarOptions(
        settings.controller_url, token.reveal(), name, url, settings.port, VERSION, settings.controller_ca_file
    )
    return HostRegistrar(options, partial(_offer, runner))


def _offer(runner: SandboxScriptRunner) -> Offer:
    stats = runner.stats()
    return Offer(
        [str(language) for language, started in stats.languages.items() if started.available], stats.running_max
    )


def _lifespan(
    runner: SandboxScriptRunner,
    egress: HostEgress,
    trees: ReceivedTrees,
    tracing: Tracing,
    registrar: HostRegistrar | None = None,
) -> Lifespan:
    return Lifespan(
        startup=[egress.open, trees.open, runner.open],
        background=[] if registrar is None else [registrar.run],
        shutdown=[partial(runner.close, CLOSE_GRACE_S), egress.close, trees.copies.close],
        close=[
            *([] if registrar is None else [bounded(registrar.end, _END_WITHIN_S)]),
            partial(asyncio.to_thread, tracing.close),
        ],
    )


def _leaving(registrar: HostRegistrar | None) -> Callable[[], None]:
    return _stay if registrar is None else registrar.leave


def _stay() -> None:
    return


class RuntimeHost(containers.DeclarativeContainer):
    """What a runtime host is made of; tests override its providers."""

    settings = providers.Dependency(instance_of=Settings)

    runner = providers.Singleton(SandboxScriptRunner, providers.Callable(sandbox_options, settings, tuple(Language)))
    egress = providers.Singleton(HostEgress, settings, runner)
    trees = providers.Singleton(ReceivedTrees.of, settings, runner)
    executions = providers.Singleton(ExecutionMetrics, _METRICS_PREFIX)
    api = providers.Singleton(
        HostApi,
        providers.Singleton(ObservedRunner, runner, executions, providers.Object(_REQUEST.get)),
        providers.Callable(host_options, settings),
        receiver=trees.provided.copies,
        parts=providers.Dict(egress=egress.provided.health, trees=trees.provided.health),
    )
    registrar = providers.Singleton(_registrar, settings, runner)
    tls = providers.Callable(host_tls, settings)
    requests = providers.Singleton(HostMetrics)
    access_log = providers.Singleton(
        AccessLog, providers.Callable(structlog.get_logger), "host.access", has_owners=False
    )
    tracing = providers.Singleton(tracing_of, settings)
    traces = providers.Singleton(RequestTraces, tracing, providers.Object(_REQUEST.set))
    observers = providers.List(requests, access_log, traces)
    loop_lag = providers.Singleton(LoopLag)
    metrics = providers.Singleton(
        metrics_registry,
        executions,
        requests,
        providers.Singleton(SandboxMetrics, runner.provided.stats),
        providers.Singleton(EgressMetrics, egress.provided.stats),
        providers.Singleton(TreeMetrics, trees.provided.stats),
        loop_lag,
        providers.Singleton(ProcessMetrics),
    )
    application = providers.Singleton(
        HostApplication,
        api,
        providers.Singleton(Scrape, metrics),
        observers,
        loop_lag,
        providers.Singleton(_lifespan, runner, egress, trees, tracing, registrar),
        providers.Callable(_leaving, registrar),
        tls,
    )


def create_runtime_host(settings: Settings) -> HostApplication:
    """Return the ASGI application of a runtime host."""
    application: HostApplication = RuntimeHost(settings=settings).application()
    return application


def create_shared_runtime_host(settings: Settings) -> HostApplication:
    """Return that of the runtime host of one controller: its HTTP workers already log each call."""
    container = RuntimeHost(settings=settings)
    container.observers.override(providers.List(container.requests, container.traces))
    container.registrar.override(providers.Object(None))
    container.tls.override(providers.Object(None))  # it listens on a Unix socket
    application: HostApplication = container.application()
    return application
