"""The ASGI application of the controller."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from attrs import field, frozen
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.access.principal import NOBODY, Principal
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.batches import BatchService
from domain.executions.history import HistoryService
from domain.executions.service import ExecutionService
from domain.functions.service import FunctionService
from domain.sessions.service import SessionService
from entrypoints.http.bodies.batch_form import BatchForm
from entrypoints.http.bodies.forms import BodyForms
from entrypoints.http.bodies.function_form import FunctionForm
from entrypoints.http.endpoints.batches import BatchEndpoints, Charge, charge_nothing
from entrypoints.http.endpoints.documents import DocumentEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.health import HealthEndpoints
from entrypoints.http.endpoints.metrics import MetricsEndpoint
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.health_checks import HealthChecks, HealthInquiry
from entrypoints.http.instrumentation.access_log import AccessLog
from entrypoints.http.instrumentation.metrics import RequestMetrics
from entrypoints.http.instrumentation.observer import RequestObserver
from entrypoints.http.middleware.cors import Cors
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.middleware.in_flight_limiter import InFlightLimiter
from entrypoints.http.openapi.components import Json
from entrypoints.http.openapi.document import compact, document
from entrypoints.http.options import HttpOptions
from entrypoints.http.parameters.idempotency import IdempotencyKeys
from entrypoints.http.pipeline import Pipeline
from entrypoints.http.route import Route
from entrypoints.http.route_table import RouteTable
from entrypoints.http.routes import Endpoints, operations
from entrypoints.telemetry.metrics.loop_lag import LoopLag
from entrypoints.telemetry.metrics.process import ProcessMetrics
from entrypoints.telemetry.metrics.registry import Registry
from entrypoints.telemetry.metrics.scrape import Scrape

Hook = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


@frozen
class Services:
    """The use cases that are served, and what the process tells of its parts."""

    sessions: SessionService
    executions: ExecutionService
    history: HistoryService
    functions: FunctionService
    process: HealthChecks
    figures: Registry = field(factory=Registry)
    """What else is told to Prometheus."""


@frozen
class Hooks:
    """What is awaited before the first request and after the last; what is asked before each, and told after it."""

    startup: Hook = _nothing
    shutdown: Hook = _nothing
    guards: Sequence[Guard] = ()
    observers: Sequence[RequestObserver] = ()
    charge: Charge = charge_nothing
    caller: Principal = NOBODY
    """Who calls where no guard says otherwise."""


class Application:
    """Serves the HTTP API: a pipeline for requests; Starlette keeps the rest of the protocol, which is its life."""

    def __init__(self, services: Services, options: HttpOptions, hooks: Hooks | None = None) -> None:
        self._gate = InFlightLimiter(options.inside_max)
        self._options = options
        self._version = services.process.version
        self._hooks = hooks or Hooks()
        self._lag = LoopLag()
        self.scrape = Scrape(services.figures)
        self.operations: tuple[Route, ...] = operations(self._endpoints(services, options))
        self._requests = RequestMetrics(self.operations, lambda: self._gate.inside)
        for source in (self._requests.read, self._lag.read, ProcessMetrics().read):
            services.figures.add(source)
        pipeline = self._piped(structlog.get_logger())
        self._pipeline = Cors(pipeline, options.cors_origins) if options.cors_origins else pipeline
        self._app = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._pipeline if scope["type"] == "http" else self._app)(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return the application's life, for a server that speaks no lifespan protocol."""
        return self._lifespan(self._app)

    def document(self) -> Json:
        """Return the OpenAPI document of the operations, with the bounds of the options."""
        return document(self.operations, self._options, self._version)

    def leave(self) -> None:
        """Tell `/readyz` to send work elsewhere; what comes all the same is still taken."""
        self._gate.leaving = True

    async def drain(self, timeout_s: float) -> int:
        """Refuse new work, wait for what is under way, and return how many requests are still inside."""
        return await self._gate.drain(timeout_s)

    def _endpoints(self, services: Services, options: HttpOptions) -> Endpoints:
        forms, keys = BodyForms.of(options), IdempotencyKeys(options.idempotency)
        return Endpoints(
            sessions=SessionEndpoints(services.sessions, forms, keys),
            executions=ExecutionEndpoints(services.executions, services.history, forms, keys),
            batches=self._batches(services, options, forms),
            functions=FunctionEndpoints(services.functions, FunctionForm.of(options, forms.examiner)),
            process=HealthEndpoints(services.process, HealthInquiry(options.probe_timeout_s), self._gate),
            documents=DocumentEndpoints(lambda: compact(self.document())),
            metrics=MetricsEndpoint(self.scrape),
        )

    def _batches(self, services: Services, options: HttpOptions, forms: BodyForms) -> BatchEndpoints:
        form, log = BatchForm.of(options, forms), structlog.get_logger().bind(logger="http")
        service = BatchService(services.executions)
        return BatchEndpoints(
            service,
            services.sessions,
            form,
            self._gate,
            CapacityLimiter("a batch", options.batches_max),
            log,
            options.stall_s,
            self._hooks.charge,
        )

    def _piped(self, log: FilteringBoundLogger) -> Pipeline:
        observers = (self._requests, AccessLog(log), *self._hooks.observers)
        table = RouteTable(self.operations)
        hooks = self._hooks
        return Pipeline(table, self._gate, log.bind(logger="http"), hooks.guards, observers, hooks.caller)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._hooks.startup()
        self._lag.start()
        try:
            yield
        finally:
            self._lag.stop()
            await self._hooks.shutdown()
