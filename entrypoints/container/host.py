"""The runtime host: this host's sandbox, served over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from adapters.sandbox.runner import SandboxScriptRunner
from adapters.system_clock import SystemClock
from domain.language import Language
from entrypoints.container.options import host_options, sandbox_options
from entrypoints.runtime_host import RuntimeHost
from entrypoints.settings import Settings

_CLOSE_GRACE_S = 2.0


def create_runtime_host(settings: Settings) -> Starlette:
    """Return the ASGI application that runs scripts of every language in this host's sandbox."""
    runner = SandboxScriptRunner(sandbox_options(settings, tuple(Language)))
    host = RuntimeHost(runner, SystemClock(), host_options(settings))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await runner.open()
        try:
            yield
        finally:
            await runner.close(_CLOSE_GRACE_S)

    app = host.app()
    app.router.lifespan_context = lifespan
    return app
