"""The runtime host: this host's sandbox, served over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from entrypoints.composition.options import host_options, sandbox_options
from entrypoints.composition.sandbox_metrics import SandboxMetrics
from entrypoints.composition.tracing import tracing_of
from entrypoints.runtime_host.application import RuntimeHost
from entrypoints.runtime_host.telemetry import HostCall, HostMetrics, ObservedHost
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.executions import ExecutionMetrics
from entrypoints.telemetry.metrics.process import LoopLag, ProcessMetrics
from entrypoints.telemetry.metrics.scrape import Scrape, metrics_registry
from entrypoints.telemetry.observed_runner import ObservedRunner

_CLOSE_GRACE_S = 2.0
_METRICS_PREFIX = "pglambda_runtime_host"
"""Controllers count the same executions, which a sum must not count twice."""


class HostApplication:
    """The ASGI application that runs scripts of every language in this host's sandbox."""

    def __init__(self, settings: Settings) -> None:
        call: ContextVar[HostCall | None] = ContextVar("call", default=None)
        executions = ExecutionMetrics(_METRICS_PREFIX)
        self._runner = SandboxScriptRunner(sandbox_options(settings, tuple(Language)))
        observed = ObservedRunner(self._runner, executions, call.get)
        self._host = RuntimeHost(observed, host_options(settings))
        self._lag = LoopLag()
        self._tracing = tracing_of(settings)
        metrics = Route("/metrics", self._metrics, methods=["GET"])
        figures = HostMetrics(frozenset(route.path for route in (*self._host.routes(), metrics)))
        self.scrape = Scrape(
            metrics_registry(executions, figures, SandboxMetrics(self._runner), self._lag, ProcessMetrics())
        )
        log = structlog.get_logger().bind(logger="host.access")
        around = Middleware(ObservedHost, figures, self._tracing, log, call.set)
        self._app = self._host.app([around], [metrics])
        self._app.router.lifespan_context = self._lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def drain(self, timeout_s: float) -> int:
        """Refuse new work, wait for what is under way, and return how many runs have not ended."""
        return await self._host.drain(timeout_s)

    async def _metrics(self, request: Request) -> Response:
        exposition = await self.scrape.exposition(request.headers.get("accept", ""))
        return Response(exposition.body, headers={"content-type": exposition.content_type})

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
