"""A child of the supervisor: one HTTP server, or one task, with commands from its control channel."""

import asyncio
import contextlib
import gc
import importlib
import logging
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import uvicorn
import uvloop
from attrs import define
from starlette.types import ASGIApp
from typing_extensions import override

from entrypoints.server.acceptor import Acceptor
from entrypoints.server.client_addresses import with_addresses_only
from entrypoints.server.connection import BoundedConnection
from entrypoints.server.control import SENDING_TIMEOUT_S, UP, Assignment, Command, receive
from entrypoints.server.descriptors import connections_within_limit
from entrypoints.server.open_connections import OpenConnections
from entrypoints.server.process import WRONG_SETTING_STATUS
from entrypoints.server.writing import own_error
from entrypoints.settings.environment import SettingsError
from entrypoints.telemetry.logs import configure_service_logs
from entrypoints.telemetry.metrics.connections import ConnectionMetrics
from entrypoints.telemetry.metrics.scrape import MetricsServer

MAIN = "main"
"""The name of the listener that serves the application itself."""

_ORPHAN_TIMEOUT_S = 3
_STOPPING_TIMEOUT_S = 1
_ORPHANED_STATUS = 70
_KEEP_ALIVE_S = 75
_COLLECTION_THRESHOLDS = (10_000, 20, 20)
_IMPORTING_THRESHOLD = 200_000
"""Allocations between two garbage collections before the application serves: what imports make is kept."""
_SWITCH_INTERVAL_S = 0.0001
"""How long a thread that parses a large body keeps the event loop waiting; the default is fifty times this."""


def main(descriptor: int) -> int:
    """Follow the control channel on this descriptor; return the exit status."""
    with socket.socket(fileno=descriptor) as channel:
        try:
            return _run(receive(channel), channel)
        except EOFError:
            return _ORPHANED_STATUS
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            return WRONG_SETTING_STATUS


def _run(assignment: Assignment, channel: socket.socket) -> int:
    configure_service_logs(assignment.settings.log_level, assignment.settings.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the supervisor reports starts and ends
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_perform(assignment, channel))


async def _perform(assignment: Assignment, channel: socket.socket) -> int:
    target = _load(assignment.target)
    if assignment.listener is None:
        return int(await target(assignment.settings))
    listeners = {name: socket.socket(fileno=descriptor) for name, descriptor in assignment.further.items()}
    listeners[MAIN] = socket.socket(fileno=assignment.listener)
    server = ChildServer(target(assignment.settings), assignment, channel, listeners)
    await server.serve(sockets=[])
    return 0


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]  # named by the supervisor


class ChildServer(uvicorn.Server):
    """A uvicorn server that follows its supervisor instead of signals.

    Connections of all listeners count together. `app.listeners` has the applications of further ones.
    """

    def __init__(
        self, app: Any, assignment: Assignment, channel: socket.socket, listeners: Mapping[str, socket.socket]
    ) -> None:
        self._app = app
        self._settings = assignment.settings
        self._channel = channel
        self._is_drainable = hasattr(app, "drain")
        self._is_outlived = assignment.outlived
        self._metrics_server = _metrics_server(app, assignment)
        to_origin, workers = self._settings.origin_connections, self._settings.max_warm_workers
        within_limit = connections_within_limit(self._settings.max_connections + to_origin, workers)
        connections = OpenConnections(max(1, within_limit - to_origin))
        metrics = ConnectionMetrics(
            lambda: len(self.server_state.connections), connections.count_max, lambda: connections.evicted
        )
        if hasattr(app, "scrape"):
            app.scrape.registry.register(metrics)
        apps = {name: app if name == MAIN else app.listeners[name] for name in listeners}
        configs = {
            name: self._config(each, _protocol(connections, metrics.rejected, each)) for name, each in apps.items()
        }
        for config in configs.values():
            config.load()
        super().__init__(configs[MAIN])
        self._acceptors = [
            Acceptor(
                listener,
                partial(self._new_protocol, configs[name]),
                connections,
                is_shared=assignment.shared,
                tls=getattr(apps[name], "tls", None),
            )
            for name, listener in listeners.items()
        ]

    def _config(self, app: ASGIApp, protocol: type[BoundedConnection]) -> uvicorn.Config:
        settings = self._settings
        shutdown_s = SENDING_TIMEOUT_S if self._is_drainable else math.ceil(settings.shutdown_timeout_seconds)
        return uvicorn.Config(
            with_addresses_only(app) if settings.trusted_proxies else app,
            http=protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=shutdown_s,
        )

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ignore signals: the supervisor handles them for all processes."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, report that, and read commands from then on."""
        await super().startup(sockets)
        for acceptor in self._acceptors:
            await acceptor.open()
        if self._metrics_server is not None:
            await self._metrics_server.open()
        tune_interpreter()
        reader, self._writer = await asyncio.open_connection(sock=self._channel.dup())
        self._writer.write(UP)
        self._commands = asyncio.create_task(CommandReader(self).follow(reader))

    @override
    async def on_tick(self, counter: int) -> bool:
        """Do the same as uvicorn, ten times a second, and check for new connections."""
        for acceptor in self._acceptors:
            await acceptor.check()
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close connections and the application; metrics are served to the end."""
        for acceptor in self._acceptors:
            acceptor.close()
        await super().shutdown(sockets)
        if self._metrics_server is not None:
            await self._metrics_server.close()

    async def drain(self) -> None:
        """Reject new work and let running work finish in its time. Stop listening only after that.

        If the socket outlives the service, stop listening first: clients then wait there, and none is rejected.
        """
        if hasattr(self._app, "leave"):
            self._app.leave()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        if self._is_outlived:
            await asyncio.gather(*(acceptor.leave_clients() for acceptor in self._acceptors))
        if self._is_drainable:
            await self._app.drain(self._settings.shutdown_timeout_seconds)
        self.should_exit = True

    def stop(self) -> None:
        """Abort every connection and end; the application still closes."""
        self.config.timeout_graceful_shutdown = _STOPPING_TIMEOUT_S
        self.should_exit = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in self.server_state.connections:
            connection.transport.abort()

    def _new_protocol(self, config: uvicorn.Config) -> asyncio.Protocol:
        return config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn itself does
            config=config, server_state=self.server_state, app_state=self.lifespan.state
        )


@define
class CommandReader:
    """Follows the commands of the supervisor, and stops the server if the supervisor has ended."""

    server: ChildServer
    _draining: asyncio.Task[None] | None = None

    async def follow(self, reader: asyncio.StreamReader) -> None:
        """Follow commands until the channel closes."""
        while line := await reader.readline():
            self._follow(Command(line.decode().strip()))
        self.server.stop()
        asyncio.get_running_loop().call_later(_ORPHAN_TIMEOUT_S, os._exit, _ORPHANED_STATUS)

    def _follow(self, command: Command) -> None:
        if command is Command.STOP:
            self.server.stop()
        elif self._draining is None:
            self._draining = asyncio.create_task(self.server.drain())


def _metrics_server(app: Any, assignment: Assignment) -> MetricsServer | None:
    """Return a server of the application's metrics, if it has metrics and siblings to read them."""
    if assignment.siblings is None or not hasattr(app, "scrape"):
        return None
    app.scrape.siblings = assignment.siblings
    return MetricsServer(assignment.siblings, app.scrape.registry)


def _protocol(
    connections: OpenConnections, rejected: Callable[[HTTPStatus], None], app: ASGIApp
) -> type[BoundedConnection]:
    """Return the class of connections that count among these, and report rejections, in the form of the application."""
    error_body = getattr(app, "error_body", own_error)
    members = {
        "open_connections": connections,
        "on_rejection": staticmethod(rejected),
        "error_body": staticmethod(error_body),
        "half_close_s": getattr(app, "half_close_s", BoundedConnection.half_close_s),
    }
    return type("Connection", (BoundedConnection,), members)


def tune_interpreter() -> None:
    """Exclude long-lived objects from garbage collection: a walk over them stops every request for tens of ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


if __name__ == "__main__":
    gc.set_threshold(_IMPORTING_THRESHOLD)
    sys.exit(main(int(sys.argv[1])))
