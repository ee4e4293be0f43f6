"""A child of the supervisor: one HTTP server, or one task, on orders that come through its channel."""

import asyncio
import contextlib
import gc
import importlib
import logging
import math
import os
import socket
import sys
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import uvicorn
import uvloop
from attrs import define
from typing_extensions import override

from entrypoints.server.acceptor import Acceptor
from entrypoints.server.connection import BoundedConnection
from entrypoints.server.control import SENDING_TIMEOUT_S, UP, Assignment, Order, receive
from entrypoints.server.descriptors import room_for_connections
from entrypoints.server.open_connections import OpenConnections
from entrypoints.server.process import WRONG_SETTING_STATUS
from entrypoints.settings.environment import SettingsError
from entrypoints.telemetry.logs import configure_service_logs
from entrypoints.telemetry.metrics.connections import ConnectionMetrics
from entrypoints.telemetry.metrics.scrape import MetricsServer

_ORPHAN_TIMEOUT_S = 3
_STOPPING_TIMEOUT_S = 1
_ORPHANED_STATUS = 70
_KEEP_ALIVE_S = 75
_COLLECTION_THRESHOLDS = (10_000, 20, 20)


def main(descriptor: int) -> int:
    """Do what the channel on this descriptor says; return the exit status."""
    with socket.socket(fileno=descriptor) as channel:
        try:
            return _follow(receive(channel), channel)
        except EOFError:
            return _ORPHANED_STATUS
        except SettingsError as error:
            sys.stderr.write(f"{error}\n")
            return WRONG_SETTING_STATUS


def _follow(assignment: Assignment, channel: socket.socket) -> int:
    configure_service_logs(assignment.settings.log_level, assignment.settings.log_format)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its starts and ends are the supervisor's to tell
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_perform(assignment, channel))


async def _perform(assignment: Assignment, channel: socket.socket) -> int:
    target = _load(assignment.target)
    if assignment.listener is None:
        return int(await target(assignment.settings))
    server = ChildServer(target(assignment.settings), assignment, channel, socket.socket(fileno=assignment.listener))
    await server.serve(sockets=[])
    return 0


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]  # named by the supervisor


class ChildServer(uvicorn.Server):
    """A uvicorn server that listens to its supervisor instead of signals."""

    def __init__(self, app: Any, assignment: Assignment, channel: socket.socket, listener: socket.socket) -> None:
        self._app = app
        self._settings = assignment.settings
        self._channel = channel
        self._drainable = hasattr(app, "drain")
        self._figures = _figures(app, assignment)
        connections = OpenConnections(
            room_for_connections(self._settings.max_connections, self._settings.max_warm_workers)
        )
        metrics = ConnectionMetrics(
            lambda: len(self.server_state.connections), connections.kept_max, lambda: connections.evicted
        )
        if hasattr(app, "scrape"):
            app.scrape.registry.register(metrics)
        self._doorway = Acceptor(listener, self._connected, connections, is_shared=assignment.shared)
        shutdown_s = SENDING_TIMEOUT_S if self._drainable else math.ceil(self._settings.shutdown_timeout_seconds)
        super().__init__(
            uvicorn.Config(
                app,
                http=_connection(connections, metrics.rejected),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(self._settings.trusted_proxies),
                forwarded_allow_ips=list(self._settings.trusted_proxies),
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=shutdown_s,
            )
        )

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the supervisor takes them for all."""
        yield

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then say so and wait for orders."""
        await super().startup(sockets)
        await self._doorway.open()
        self.servers = self._doorway.servers
        if self._figures is not None:
            await self._figures.open()
        _settle_memory()
        reader, self._writer = await asyncio.open_connection(sock=self._channel.dup())
        self._writer.write(UP)
        self._orders = asyncio.create_task(Orders(self).follow(reader))

    @override
    async def on_tick(self, counter: int) -> bool:
        """Do as uvicorn does, ten times a second, and look who wants to connect."""
        await self._doorway.look()
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close connections and the application, and tell figures to the last."""
        self._doorway.close()
        await super().shutdown(sockets)
        if self._figures is not None:
            await self._figures.close()

    async def drain(self) -> None:
        """Refuse new work while running work ends within its time; only then stop listening."""
        if hasattr(self._app, "leave"):
            self._app.leave()
        await asyncio.sleep(self._settings.drain_delay_seconds)
        if self._drainable:
            await self._app.drain(self._settings.shutdown_timeout_seconds)
        self.should_exit = True

    def stop(self) -> None:
        """Drop every connection and end; the application is closed all the same."""
        self.config.timeout_graceful_shutdown = _STOPPING_TIMEOUT_S
        self.should_exit = True
        for task in self.server_state.tasks:
            task.cancel()
        for connection in self.server_state.connections:
            connection.transport.abort()

    def _connected(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn itself does
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _figures(app: Any, assignment: Assignment) -> MetricsServer | None:
    """Return what tells the application's figures, where there is anybody to tell and something to be told."""
    if assignment.siblings is None or not hasattr(app, "scrape"):
        return None
    app.scrape.siblings = assignment.siblings
    return MetricsServer(assignment.siblings, app.scrape.registry)


def _connection(connections: OpenConnections, refused: Callable[[HTTPStatus], None]) -> type[BoundedConnection]:
    """Return the class of connections that are counted among these, and report refusals."""
    return type("Connection", (BoundedConnection,), {"open_connections": connections, "refused": staticmethod(refused)})


_SWITCH_INTERVAL_S = 0.0001
"""How long a thread that reads a large body keeps the event loop waiting; the default is ten times this."""


def _settle_memory() -> None:
    """Spare the collector what lives as long as the process: walking it stops every request for tens of ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


@define
class Orders:
    """Follows the orders of the supervisor, and ends the server when there is no supervisor."""

    server: ChildServer
    _draining: asyncio.Task[None] | None = None

    async def follow(self, reader: asyncio.StreamReader) -> None:
        """Obey until the channel closes."""
        while line := await reader.readline():
            self._obey(Order(line.decode().strip()))
        self.server.stop()
        asyncio.get_running_loop().call_later(_ORPHAN_TIMEOUT_S, os._exit, _ORPHANED_STATUS)

    def _obey(self, order: Order) -> None:
        if order is Order.STOP:
            self.server.stop()
        elif self._draining is None:
            self._draining = asyncio.create_task(self.server.drain())


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
