"""The database server as a kept child."""

import asyncio

from attrs import define
from typing_extensions import override

from entrypoints.server.data_dir import DataDir
from entrypoints.server.database_server import POLL_S, READY_TIMEOUT_S, DatabaseServer, failure
from entrypoints.server.process import Process, StartFailed
from entrypoints.server.python_process import spoken


@define(eq=False)
class DatabaseProcess(Process):
    """A database server that runs; others learn of it through the data folder."""

    server: DatabaseServer
    data_dir: DataDir

    @classmethod
    async def spawn(cls, server: DatabaseServer, data_dir: DataDir) -> "DatabaseProcess":
        """Prepare the server beside the event loop and start it from the main thread; raises StartFailed."""
        data_dir.withdraw()
        try:
            await _to_its_end(asyncio.create_task(asyncio.to_thread(server.prepare)))
        except RuntimeError as error:
            raise StartFailed(str(error)) from error
        return cls(server.start(), server, data_dir)

    @override
    async def up(self) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._ready()
        except TimeoutError:
            raise StartFailed(failure(self.server, f"PostgreSQL was not ready in {READY_TIMEOUT_S:.0f} s.")) from None
        self.data_dir.publish(self.server.url)

    @override
    def drain(self) -> None:
        self.data_dir.withdraw()
        self.signal(self.server.fast_stop)

    @override
    def stop(self) -> None:
        self.signal(self.server.immediate_stop)

    async def _ready(self) -> None:
        while not self.server.is_ready():
            if await self.ended_within(POLL_S):
                raise StartFailed(failure(self.server, f"PostgreSQL ended ({spoken(await self.ended())})."))


async def _to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for work in a thread, which cannot be cancelled, before a cancellation goes on."""
    try:
        await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task])
