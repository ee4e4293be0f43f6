"""The ASGI application of a controller."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType
from uuid import UUID

import structlog
from attrs import frozen
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.access.principal import NOBODY, Principal
from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.errors import DomainError
from entrypoints.http.endpoints.asynchronous import AsynchronousEndpoints
from entrypoints.http.endpoints.audit import AuditEndpoint
from entrypoints.http.endpoints.batches import BATCH, BatchEndpoints, Charge, charge_nothing
from entrypoints.http.endpoints.documents import DocumentEndpoints
from entrypoints.http.endpoints.environments import EnvironmentEndpoints
from entrypoints.http.endpoints.events import EventEndpoints
from entrypoints.http.endpoints.executions import ExecutionEndpoints, execute_parser
from entrypoints.http.endpoints.files import FileEndpoints
from entrypoints.http.endpoints.functions import FunctionEndpoints
from entrypoints.http.endpoints.health import HealthEndpoints, MetricsEndpoint, ProbeRunner
from entrypoints.http.endpoints.history import HistoryEndpoints
from entrypoints.http.endpoints.runtime_hosts import RuntimeHostEndpoint
from entrypoints.http.endpoints.schedules import ScheduleEndpoints
from entrypoints.http.endpoints.secrets import SecretEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.endpoints.states import StateEndpoints
from entrypoints.http.endpoints.usage import UsageEndpoint
from entrypoints.http.endpoints.webhooks import WebhookEndpoints
from entrypoints.http.errors import respond_to_bug, respond_to_error
from entrypoints.http.instrumentation import AccessLog, RequestMetrics
from entrypoints.http.middleware.cors import Cors
from entrypoints.http.middleware.requests import RequestGuard
from entrypoints.http.openapi.components import Json
from entrypoints.http.openapi.document import compact, document
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.batches import BatchParser, items_parser, sessions_parser
from entrypoints.http.parsing.bodies import Examiner
from entrypoints.http.parsing.environments import environment_parser
from entrypoints.http.parsing.functions import FunctionParser, rollback_parser
from entrypoints.http.parsing.headers import IdempotencyKeys
from entrypoints.http.parsing.schedules import schedule_parser, schedule_patch_parser
from entrypoints.http.parsing.secrets import SecretParser
from entrypoints.http.parsing.sessions import initialize_parser, item_parser, patch_parser
from entrypoints.http.parsing.states import StateParsers
from entrypoints.http.parsing.webhooks import WebhookParser
from entrypoints.http.pipeline import Guard, InFlightLimiter, Pipeline, RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.response import Response
from entrypoints.http.route import Route, RouteTable
from entrypoints.http.routes import Endpoints, routes
from entrypoints.http.schemas.executions import ExecuteBody
from entrypoints.http.schemas.sessions import InitializeItemBody
from entrypoints.http.services import Services
from entrypoints.telemetry.metrics.events import EventMetrics
from entrypoints.telemetry.metrics.process import LoopLag, ProcessMetrics
from entrypoints.telemetry.metrics.scrape import Scrape

Hook = Callable[[], Awaitable[None]]
Drain = Callable[[float], Awaitable[int]]
"""Takes on no new work, waits at most so many seconds for the present work, and returns how much of it is left."""


async def _nothing() -> None:
    return


async def _nothing_left(_timeout_s: float) -> int:
    return 0


@frozen
class Hooks:
    """What the composition adds: calls at the start, the drain and the end, guards, observers, the charge of batches.

    `caller` is the caller of a request unless a guard sets another.
    """

    startup: Hook = _nothing
    shutdown: Hook = _nothing
    drain: Drain = _nothing_left
    guards: Sequence[Guard] = ()
    observers: Sequence[RequestObserver] = ()
    charge: Charge = charge_nothing
    caller: Principal = NOBODY


@frozen
class Shared:
    """What the APIs of a process share: places for requests in flight, observers, and what is examined or measured."""

    limiter: InFlightLimiter
    examiner: Examiner
    health: HealthEndpoints
    metrics: RequestMetrics
    observers: Sequence[RequestObserver]
    caller: Principal
    log: FilteringBoundLogger

    def pipeline(
        self,
        table: RouteTable,
        listed: Iterable[Route],
        guards: Sequence[Guard],
        respond: Callable[[DomainError, Request], Response] = respond_to_error,
        respond_to_bug: Callable[[UUID, Request], Response] = respond_to_bug,
    ) -> Pipeline:
        """Return the pipeline of an API; `listed` are the routes of the table."""
        self.metrics.count(listed)
        log = self.log.bind(logger="http")
        return Pipeline(table, self.limiter, log, guards, self.observers, self.caller, respond, respond_to_bug)


Api = Callable[[Shared], ASGIApp]
"""Makes the ASGI application of an API that has a listener of its own."""


class Application:
    """Serves the HTTP API. The pipeline handles requests; Starlette handles the lifespan and other protocols.

    `apis` are further ones, by the names of their listeners; `listeners` has their applications.
    """

    def __init__(
        self,
        services: Services,
        options: HttpOptions,
        hooks: Hooks | None = None,
        apis: Mapping[str, Api] = MappingProxyType({}),
    ) -> None:
        self.limiter = InFlightLimiter(options.in_flight_max)
        self._options = options
        self._version = services.process.version
        self._hooks = hooks or Hooks()
        event_metrics = EventMetrics(lambda: services.live.reader_count)
        self._events = EventEndpoints(services.events, services.live, services.queue, self.limiter, event_metrics)
        self.loop_lag = LoopLag()
        self.scrape = Scrape(services.metrics)
        shared = self._shared(services)
        for collector in (shared.metrics, self.loop_lag, ProcessMetrics(), event_metrics):
            services.metrics.register(collector)
        self.routes: tuple[Route, ...] = routes(self._endpoints(services, shared))
        pipeline = shared.pipeline(RouteTable(self.routes), self.routes, (*self._hooks.guards, RequestGuard()))
        self._http = Cors(pipeline, options.cors_origins) if options.cors_origins else pipeline
        self.listeners: Mapping[str, ASGIApp] = {name: api(shared) for name, api in apis.items()}
        self._other = Starlette(lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._http if scope["type"] == "http" else self._other)(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return the lifespan of the application, for a server without the lifespan protocol."""
        return self._lifespan(self._other)

    def document(self) -> Json:
        """Return the OpenAPI document, with the limits of the options."""
        return document(self.routes, self._options, self._version)

    def leave(self) -> None:
        """Let `/readyz` report that the server drains. Requests are still accepted."""
        self.limiter.leaving = True

    async def drain(self, timeout_s: float) -> int:
        """Reject new requests, begin no queued execution, wait for what is under way, and return how much is left.

        Streams of live events end last, so that they have the ends of what was under way.
        """
        left = sum(await asyncio.gather(self.limiter.drain(timeout_s), self._hooks.drain(timeout_s)))
        self._events.leave()
        return left

    def _shared(self, services: Services) -> Shared:
        log, options = structlog.get_logger(), self._options
        metrics = RequestMetrics(lambda: self.limiter.in_flight)
        return Shared(
            self.limiter,
            Examiner(options.examination_wait_s, options.examination_bytes_max),
            HealthEndpoints(services.process, ProbeRunner(options.probe_timeout_s), self.limiter),
            metrics,
            (metrics, AccessLog(log), *self._hooks.observers),
            self._hooks.caller,
            log,
        )

    def _endpoints(self, services: Services, shared: Shared) -> Endpoints:
        options, examiner = self._options, shared.examiner
        keys, execute = IdempotencyKeys(options.idempotency), execute_parser(options, examiner)
        initialize, patch = initialize_parser(options, examiner), patch_parser(options, examiner)
        asynchronous = AsynchronousEndpoints(
            services.queue,
            services.function_sessions,
            services.history,
            self._events,
            keeps_responses=options.idempotency,
        )
        return Endpoints(
            sessions=SessionEndpoints(services.sessions, initialize, patch, keys, services.queue),
            states=StateEndpoints(services.states, StateParsers.of(options, examiner)),
            files=FileEndpoints(services.files, options.chunk_timeout_s, options.stall_s),
            environments=EnvironmentEndpoints(services.environments, environment_parser(options, examiner)),
            executions=ExecutionEndpoints(services.executions, services.calls, asynchronous, execute, keys),
            history=HistoryEndpoints(services.history, services.calls),
            asynchronous=asynchronous,
            events=self._events,
            batches=self._batches(
                services,
                options,
                asynchronous,
                items_parser(options, execute, examiner),
                sessions_parser(options, item_parser(options, examiner), examiner),
            ),
            functions=FunctionEndpoints(
                services.functions, FunctionParser.of(options, examiner), rollback_parser(options, examiner)
            ),
            schedules=ScheduleEndpoints(
                services.schedules, schedule_parser(options, examiner), schedule_patch_parser(options, examiner), keys
            ),
            audit=AuditEndpoint(services.audit),
            usage=UsageEndpoint(services.usage),
            secrets=SecretEndpoints(services.secrets, SecretParser.of(options, examiner)),
            webhooks=WebhookEndpoints(services.webhooks, WebhookParser.of(options, examiner), keys),
            health=shared.health,
            documents=DocumentEndpoints(lambda: compact(self.document())),
            metrics=MetricsEndpoint(self.scrape),
            runtime_hosts=self._runtime_hosts(services),
        )

    def _runtime_hosts(self, services: Services) -> RuntimeHostEndpoint | None:
        registry, options = services.runtime_hosts, self._options
        if registry is None or options.runtime_token is None:
            return None
        return RuntimeHostEndpoint(registry, options.runtime_token.encode(), options.body_timeout_s)

    def _batches(
        self,
        services: Services,
        options: HttpOptions,
        asynchronous: AsynchronousEndpoints,
        items: BatchParser[ExecuteBody],
        sessions: BatchParser[InitializeItemBody],
    ) -> BatchEndpoints:
        return BatchEndpoints(
            services.executions,
            services.sessions,
            asynchronous,
            items,
            sessions,
            self.limiter,
            FairTurns(BATCH, options.batches_max, options.owner_batches_max, options.batches_waiting_max * SIZE_MIN),
            structlog.get_logger().bind(logger="http"),
            options.stall_s,
            options.examination_wait_s,
            self._hooks.charge,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._hooks.startup()
        self.loop_lag.start()
        try:
            yield
        finally:
            self.loop_lag.stop()
            await self._hooks.shutdown()
