"""Runtime hosts for tests, served by uvicorn on sockets of their own."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tests.contracts.script_runs import until


@asynccontextmanager
async def served(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve the application on this socket, in this loop; without uvicorn's own loop, which ends in tenths of seconds."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1)
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


def unix_socket(path: Path) -> socket.socket:
    """Return a socket that is bound to this path."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    return listening


def loopback_socket() -> tuple[socket.socket, str]:
    """Return a socket on a free port of 127.0.0.1, and its URL."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no delay only then
    listening.bind(("127.0.0.1", 0))
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"
