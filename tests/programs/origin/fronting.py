"""A service in front of the fake origin: what serves old clients, and the stage of its takeover."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import uvicorn
from uvicorn.server import ServerState

from domain.takeover.stages import Stage
from entrypoints.composition.controller import create_controller
from entrypoints.server.connection import BoundedConnection
from entrypoints.server.control import ORIGIN
from tests.integration.application.conftest import NODEJS_HERE, settings_for

Fronting = Callable[..., AbstractAsyncContextManager[int]]


def fronting_of(database_url: str, data_dir: Path, origin_url: str) -> Fronting:
    """Return what serves old clients in front of the origin; it yields the port. Further settings are by name."""

    @asynccontextmanager
    async def serve(**settings: str) -> AsyncIterator[int]:
        given = {"ORIGIN_PORT": "1", "ORIGIN_URL": origin_url, "ALLOWED_HOSTS": "*", **NODEJS_HERE, **settings}
        application = create_controller(settings_for(database_url, data_dir, **given))
        state = ServerState()
        config = uvicorn.Config(application.listeners[ORIGIN], log_config=None, access_log=False)
        async with application.running():
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: BoundedConnection(config=config, server_state=state, app_state={}), "127.0.0.1"
            )
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                server.close()

    return serve


def store_stage(database_url: str, stage: Stage) -> None:
    """Store a takeover at a stage, or change the stage of the one that is stored."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO meta.takeover AS t (takeover_id, source, options, stage, stage_at)"
            " VALUES (%s, '{}', '{}', %s, now()) ON CONFLICT (only_row) DO UPDATE SET stage = excluded.stage",
            (uuid4(), stage),
        )
