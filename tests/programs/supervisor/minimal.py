"""A minimal service: an application, a migration, and a program that supervises them."""

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from attrs import evolve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.control import Targets
from entrypoints.server.data_dir import DataDirError
from entrypoints.server.listener import CannotListen
from entrypoints.server.process import StartFailed, launch
from entrypoints.server.supervisor import Supervisor
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.loading import load_settings
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs

HERE = "tests.programs.supervisor.minimal"
TARGETS = Targets(
    controller=f"{HERE}:create",
    runtime_host=f"{HERE}:create_runtime_host",
    shared_runtime_host=f"{HERE}:create_runtime_host",
    migration=f"{HERE}:migrate",
)


class Drainable:
    """Responds until it is drained; `/slow` responds when the file at `?until=` exists."""

    def __init__(self, app: Starlette) -> None:
        self.app = app
        self.draining = False
        self.has_left = False
        self.running = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["drainable"] = self
            if self.draining:
                await PlainTextResponse("shutting down", 503)(scope, receive, send)
                return
            self.running += 1
            self.idle.clear()
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= scope["type"] == "http"
            if not self.running:
                self.idle.set()

    def leave(self) -> None:
        self.has_left = True

    async def drain(self, timeout_s: float) -> None:
        self.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self.idle.wait(), timeout_s)


def create(settings: Settings) -> Any:
    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready", 503 if request.scope["drainable"].has_left else 200)

    async def facts(request: Request) -> Response:
        return JSONResponse(
            {"pid": os.getpid(), "python": settings.python_runtime_url, "nodejs": settings.nodejs_runtime_url}
        )

    async def count(request: Request) -> Response:
        url = settings.database_url.reveal()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            cursor = await connection.execute("INSERT INTO visits DEFAULT VALUES RETURNING n")
            return JSONResponse(await cursor.fetchone())

    async def slow(request: Request) -> Response:
        Path(request.query_params["until"]).with_suffix(".begun").touch()
        while not Path(request.query_params["until"]).exists():  # noqa: ASYNC110, ASYNC240  # another process's file
            await asyncio.sleep(0.01)
        return PlainTextResponse("done")

    routes = [Route("/readyz", ready), Route("/facts", facts), Route("/count", count), Route("/slow", slow)]
    return Drainable(Starlette(routes=routes))


def create_plain(settings: Settings) -> Any:
    """An application without drain."""

    async def ready(request: Request) -> Response:
        return PlainTextResponse("ready")

    slow = next(route for route in create(settings).app.routes if route.path == "/slow")
    return Starlette(routes=[Route("/readyz", ready), slow])


def create_mirror(settings: Settings) -> Any:
    """An application that responds with what it knows about its caller."""

    async def mirror(request: Request) -> Response:
        return JSONResponse({"client": request.client and request.client.host, "scheme": request.url.scheme})

    return Starlette(routes=[Route("/", mirror)])


def create_unready(settings: Settings) -> Any:
    async def ready(request: Request) -> Response:
        return PlainTextResponse("no database", 503)

    return Starlette(routes=[Route("/readyz", ready)])


def create_once(settings: Settings) -> Any:
    """An application that can be created a second time only after a repair."""
    made, repaired = settings.data_dir / "made", settings.data_dir / "repaired"
    if made.exists() and not repaired.exists():
        raise SettingsError(["it needs a repair"])
    made.touch()
    return create(settings)


class Stubborn(Drainable):
    async def drain(self, timeout_s: float) -> None:
        self.draining = True
        Path(os.environ["STUBBORN"]).touch()  # noqa: ASYNC240  # one file
        time.sleep(600)  # noqa: ASYNC251  # the point of it


def create_stubborn(settings: Settings) -> Any:
    return Stubborn(create(settings).app)


def create_stuck(settings: Settings) -> Any:
    @asynccontextmanager
    async def forever(app: Starlette) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    return Starlette(lifespan=forever)


def misconfigured(settings: Settings) -> Any:
    raise SettingsError(["PORT: it is not to be"])


async def refuse(settings: Settings) -> int:
    return 1


async def hang(settings: Settings) -> int:
    """A migration that does not end."""
    settings.data_dir.joinpath("hangs").write_text(str(os.getpid()))
    await asyncio.Event().wait()
    return 0


async def refuse_once(settings: Settings) -> int:
    try:
        settings.data_dir.joinpath("refused").touch(exist_ok=False)
    except FileExistsError:
        return 0
    return 1


def create_runtime_host(settings: Settings) -> Any:
    async def health(request: Request) -> Response:
        return JSONResponse({"pid": os.getpid()})

    return Starlette(routes=[Route("/health", health)])


def broken(settings: Settings) -> Any:
    raise SystemExit(f"no application for port {settings.port}")


async def migrate(settings: Settings) -> int:
    url = settings.database_url.reveal()
    try:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS visits (n int GENERATED ALWAYS AS IDENTITY)")
    except psycopg.OperationalError:
        return 75
    return 0


def main() -> None:
    settings = load_settings(os.environ)
    configure_logs(settings.log_level, settings.log_format)
    options = EmbeddedPostgresOptions(settings.data_dir, settings.database_connections)
    server = EmbeddedPostgres(options, launch) if settings.embedded else None
    target = os.environ.get("TARGET", TARGETS.controller)
    if descriptors := os.environ.get("DESCRIPTORS_MAX"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(descriptors), int(descriptors)))
    targets = evolve(TARGETS, migration=os.environ.get("MIGRATION", TARGETS.migration))
    try:
        asyncio.run(Supervisor(settings, target, targets, server).run())
    except (DataDirError, CannotListen, StartFailed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
