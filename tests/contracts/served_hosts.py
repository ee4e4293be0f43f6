"""Runtime hosts for tests, served by uvicorn on sockets of their own."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from entrypoints.server.connection import BoundedConnection
from entrypoints.server.open_connections import OpenConnections
from tests.support.waiting import until


@asynccontextmanager
async def served(
    app: ASGIApp, listening: socket.socket, *, has_streams: bool = True, tls: tuple[Path, Path] | None = None
) -> AsyncIterator[None]:
    """Serve the application on this socket, in this loop; without uvicorn's own loop, which ends in tenths of seconds.

    Without streams it is served as by an earlier release: the server does not give connections away. `tls` are the files
    of a certificate and its key.
    """
    http = type("Connection", (BoundedConnection,), {"open_connections": OpenConnections()}) if has_streams else "auto"
    cert, key = tls or (None, None)
    config = uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    try:
        yield
    finally:
        await _stop(server)


async def _stop(server: uvicorn.Server) -> None:
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.shutdown()
    for task in list(server.server_state.tasks):
        task.cancel()
    await until(lambda: not server.server_state.connections and not server.server_state.tasks)
