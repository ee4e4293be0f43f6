"""The runtime host: this host's sandbox, served over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from adapters.sandbox.runner import SandboxScriptRunner
from adapters.system_clock import SystemClock
from domain.language import Language
from entrypoints.container.options import host_options, sandbox_options
from entrypoints.runtime_host import RuntimeHost
from entrypoints.settings import Settings

_CLOSE_GRACE_S = 2.0


class HostApplication:
    """The ASGI application that runs scripts of every language in this host's sandbox."""

    def __init__(self, settings: Settings) -> None:
        self._runner = SandboxScriptRunner(sandbox_options(settings, tuple(Language)))
        self._host = RuntimeHost(self._runner, SystemClock(), host_options(settings))
        self._app = self._host.app()
        self._app.router.lifespan_context = self._lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def drain(self, timeout_s: float) -> int:
        """Refuse new work, wait for what is under way, and return how many runs have not ended."""
        return await self._host.drain(timeout_s)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._runner.open()
        try:
            yield
        finally:
            await self._runner.close(_CLOSE_GRACE_S)


def create_runtime_host(settings: Settings) -> HostApplication:
    """Return the application of a runtime host."""
    return HostApplication(settings)
