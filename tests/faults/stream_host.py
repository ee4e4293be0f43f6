"""A runtime host as a process: it writes the id of each execution that it runs to a file, and drains at SIGTERM."""

import asyncio
import os
import signal
import sys

import uvicorn
import uvloop
from typing_extensions import override

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.server.connection import BoundedConnection

DRAIN_S = 10.0


class RecordingRunner(MemoryScriptRunner):
    """Appends each execution to a file before it runs."""

    path = ""

    @override
    async def execute(self, run, function, stop):
        recorded = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(recorded, f"{run.execution_id}\n".encode())
        os.close(recorded)
        return await super().execute(run, function, stop)


class DrainingServer(uvicorn.Server):
    """Drains the host at SIGTERM, and then ends."""

    def __init__(self, host: HostApi, port: int) -> None:
        options = {"http": BoundedConnection, "ws": "none", "lifespan": "off", "log_level": "warning"}
        super().__init__(uvicorn.Config(host.app(), port=port, **options))
        self._host = host

    @override
    def handle_exit(self, sig, frame):
        asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        await self._host.drain(DRAIN_S)
        self.should_exit = True


async def main(port: int, path: str) -> None:
    runner = RecordingRunner(MemoryRunnerOptions(workers_max=16, queue_max=256))
    runner.path = path
    server = DrainingServer(HostApi(runner, RuntimeHostOptions()), port)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.handle_exit, signal.SIGTERM, None)
    await server.serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
