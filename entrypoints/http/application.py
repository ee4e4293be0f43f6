"""The ASGI application of the controller."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
from attrs import frozen
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from domain.execution_service import ExecutionService
from domain.session_service import SessionService
from entrypoints.http.dispatch import Dispatch, RouteTable
from entrypoints.http.endpoints.executions import ExecutionEndpoints
from entrypoints.http.endpoints.operations import OperationsEndpoints
from entrypoints.http.endpoints.sessions import SessionEndpoints
from entrypoints.http.middleware.admission import Admission, Gate
from entrypoints.http.middleware.tracing import Tracing
from entrypoints.http.operations import Inquiry, Operations
from entrypoints.http.options import HttpOptions
from entrypoints.http.routes import Operation, operations
from entrypoints.http.rules import BodyForms

Hook = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


@frozen
class Hooks:
    """What is awaited before the first request and after the last."""

    startup: Hook = _nothing
    shutdown: Hook = _nothing


class Application:
    """Serves the HTTP API."""

    def __init__(
        self,
        sessions: SessionService,
        executions: ExecutionService,
        process: Operations,
        options: HttpOptions,
        hooks: Hooks | None = None,
    ) -> None:
        forms = BodyForms.of(options)
        self._gate = Gate(options.inside_max)
        self._hooks = hooks or Hooks()
        self.operations: tuple[Operation, ...] = operations(
            SessionEndpoints(sessions, forms),
            ExecutionEndpoints(executions, sessions, forms),
            OperationsEndpoints(process, Inquiry(options.probe_timeout_s), self._gate),
        )
        self._app = self._starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Return the application's life, for a server that speaks no lifespan protocol."""
        return self._lifespan(self._app)

    def leave(self) -> None:
        """Tell `/readyz` to send work elsewhere; what comes all the same is still taken."""
        self._gate.leaving = True

    async def drain(self, timeout_s: float) -> int:
        """Refuse new work, wait for what is under way, and return how many requests are still inside."""
        return await self._gate.drain(timeout_s)

    def _starlette(self) -> Starlette:
        log = structlog.get_logger()
        exempt = frozenset(operation.path for operation in self.operations if operation.exempt)
        middleware = [
            Middleware(Tracing, log.bind(logger="http.access")),
            Middleware(Admission, self._gate, exempt),
            Middleware(Dispatch, RouteTable(self.operations), log.bind(logger="http")),
        ]
        return Starlette(middleware=middleware, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._hooks.startup()
        try:
            yield
        finally:
            await self._hooks.shutdown()
