"""The runtime host: this host's sandbox, served over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import structlog
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from entrypoints.composition.options import host_options, sandbox_options
from entrypoints.composition.telemetry import tracing_of
from entrypoints.http.endpoints.health import MetricsEndpoint
from entrypoints.http.instrumentation.access_log import AccessLog
from entrypoints.http.instrumentation.tracing import RequestTraces
from entrypoints.http.request import Request
from entrypoints.http.route import Route
from entrypoints.runtime_host.application import RuntimeHost
from entrypoints.runtime_host.telemetry import HostMetrics
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.executions import ExecutionMetrics
from entrypoints.telemetry.metrics.process import LoopLag, ProcessMetrics
from entrypoints.telemetry.metrics.sandbox import SandboxMetrics
from entrypoints.telemetry.metrics.scrape import Scrape, metrics_registry
from entrypoints.telemetry.observed_runner import ObservedRunner

_CLOSE_GRACE_S = 2.0
_METRICS_PREFIX = "pglambda_runtime_host"
"""Controllers count the same executions under another name, so that no sum counts one twice."""


class HostApplication:
    """The ASGI application that runs scripts of every language in this host's sandbox."""

    def __init__(self, settings: Settings) -> None:
        request: ContextVar[Request | None] = ContextVar("request", default=None)
        executions, metrics = ExecutionMetrics(_METRICS_PREFIX), HostMetrics()
        self._runner = SandboxScriptRunner(sandbox_options(settings, tuple(Language)))
        self._host = RuntimeHost(ObservedRunner(self._runner, executions, request.get), host_options(settings))
        self._lag = LoopLag()
        self._tracing = tracing_of(settings)
        self.scrape = Scrape(
            metrics_registry(executions, metrics, SandboxMetrics(self._runner.stats), self._lag, ProcessMetrics())
        )
        scrape = Route("GET", "/metrics", MetricsEndpoint(self.scrape).metrics, name="metrics")
        access_log = AccessLog(structlog.get_logger(), "host.access", has_owners=False)
        self._http = self._host.app([metrics, access_log, RequestTraces(self._tracing, request.set)], [scrape])
        self._other = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._http if scope["type"] == "http" else self._other)(scope, receive, send)

    async def drain(self, timeout_s: float) -> int:
        """Reject new executions, wait for those that are queued or running, and return how many are left."""
        return await self._host.drain(timeout_s)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._runner.open()
        self._lag.start()
        try:
            yield
        finally:
            self._lag.stop()
            await self._runner.close(_CLOSE_GRACE_S)
            await asyncio.to_thread(self._tracing.close)


def create_runtime_host(settings: Settings) -> HostApplication:
    """Return the application of a runtime host."""
    return HostApplication(settings)
