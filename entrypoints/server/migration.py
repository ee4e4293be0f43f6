"""The migration of the database, in a child process: once, or until it succeeds."""

import asyncio

import structlog
from attrs import define, field

from entrypoints.server.control import Assignment
from entrypoints.server.process import PythonProcess, status_text
from entrypoints.settings.settings import Settings

_DELAY_FIRST_S = 0.5
_DELAY_MAX_S = 30.0


@define(eq=False)
class DatabaseMigration:
    """Migrates the database of the settings; `target` is what its child processes load."""

    target: str
    settings: Settings
    first_timeout_s: float = 10.0
    _attempt: asyncio.Task[int] | None = field(default=None, init=False)
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    async def run(self) -> int:
        """Migrate, and return the exit status."""
        process = PythonProcess.spawn("migration", Assignment(self.target, self.settings))
        try:
            return await process.ended()
        finally:
            process.kill()
            process.channel.close()

    async def begin(self) -> None:
        """Wait for the end of a first attempt, for `first_timeout_s` at most: what reads the database starts next."""
        self._attempt = asyncio.create_task(self.run())
        await asyncio.wait([self._attempt], timeout=self.first_timeout_s)

    async def complete(self) -> None:
        """Repeat the attempts until one succeeds, because the database may be away."""
        delay_s = _DELAY_FIRST_S
        attempt = self._attempt or asyncio.create_task(self.run())
        while (status := await attempt) != 0:
            self._log.warning("migration_failed", status=status_text(status), retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _DELAY_MAX_S)
            attempt = asyncio.create_task(self.run())

    def cancel(self) -> None:
        """End the attempt of `begin`."""
        if self._attempt is not None:
            self._attempt.cancel()
