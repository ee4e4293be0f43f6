"""Metrics of the supervisor, and the port that serves the metrics of all processes."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Iterator

import uvicorn
from attrs import define, field
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import override

from entrypoints.server.child_supervisor import ChildSupervisor
from entrypoints.server.connection import BoundedConnection
from entrypoints.server.open_connections import OpenConnections
from entrypoints.telemetry.metrics.instruments import counter
from entrypoints.telemetry.metrics.process import ProcessMetrics
from entrypoints.telemetry.metrics.scrape import MetricsServer, Scrape, metrics_registry
from entrypoints.telemetry.siblings import Siblings

_RESTARTS = counter(
    "pglambda_child_restarts_total", "Child processes that ended by themselves and were restarted.", "child"
)

_KEEP_ALIVE_S = 75
_CONNECTIONS_MAX = 32
"""The limit of connections to the port: one for each Prometheus, and some for people."""
_CLOSE_TIMEOUT_S = 1


@define(eq=False)
class ChildMetrics(Collector):
    """Counts the restarts of child processes; `children` are those of the moment."""

    children: Callable[[], Iterable[ChildSupervisor]]

    @override
    def collect(self) -> Iterable[Metric]:
        yield _RESTARTS.metric(((child.name,), child.restarts) for child in self.children())


@define(eq=False)
class SupervisorMetrics:
    """Serves the metrics of all processes on the listener, if it is given, and the supervisor's own to its siblings."""

    siblings: Siblings
    listener: socket.socket | None
    children: Callable[[], Iterable[ChildSupervisor]]
    registry: CollectorRegistry = field(init=False)
    _server: MetricsServer = field(init=False)
    _port: "_PortServer | None" = field(default=None, init=False)
    _serving: asyncio.Task[None] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.registry = metrics_registry(ChildMetrics(self.children), ProcessMetrics())
        self._server = MetricsServer(self.siblings, self.registry)
        if self.listener is not None:
            self._port = _PortServer(Scrape(self.registry, self.siblings))

    async def open(self) -> None:
        """Start to serve."""
        await self._server.open()
        if self._port is not None and self.listener is not None:
            self._serving = asyncio.create_task(self._port.serve(sockets=[self.listener]))

    async def close(self) -> None:
        """Stop serving; requests in flight have a second to end."""
        if self._port is not None and self._serving is not None:
            self._port.should_exit = True
            await asyncio.wait([self._serving])
        await self._server.close()


class _PortServer(uvicorn.Server):
    """Serves `GET /metrics`, and nothing else."""

    def __init__(self, scrape: Scrape) -> None:
        async def metrics(request: Request) -> Response:
            exposition = await scrape.exposition(request.headers.get("accept", ""))
            return Response(exposition.body, headers={"content-type": exposition.content_type})

        logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the supervisor reports starts and ends
        super().__init__(
            uvicorn.Config(
                Starlette(routes=[Route("/metrics", metrics)]),
                http=type("Connection", (BoundedConnection,), {"open_connections": OpenConnections(_CONNECTIONS_MAX)}),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
            )
        )

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ignore signals: the supervisor handles them."""
        yield
