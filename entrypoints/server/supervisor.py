"""The one process that is started by people: it starts, watches and ends all others."""

import asyncio
import shutil
import signal
import socket
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog
from attrs import define, field
from msgspec.structs import replace

from entrypoints.server.banner import announce
from entrypoints.server.child_supervisor import ChildSupervisor
from entrypoints.server.control import SENDING_TIMEOUT_S, Assignment
from entrypoints.server.data_dir import DataDir
from entrypoints.server.database_process import DatabaseProcess
from entrypoints.server.database_server import FAST_STOP_TIMEOUT_S, IMMEDIATE_STOP_TIMEOUT_S, DatabaseServer
from entrypoints.server.descriptors import raise_limit, wanted
from entrypoints.server.listener import listen, listen_on_path, url_of
from entrypoints.server.metrics import SupervisorMetrics
from entrypoints.server.process import StartFailed
from entrypoints.server.python_process import PythonProcess, spoken
from entrypoints.server.targets import Targets
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.scrape import Siblings

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RECORDING_TIMEOUT_S = 10.0
"""What recording the ends of executions may take after the drain."""

_STOP_TIMEOUT_S = 3.0
_MIGRATION_DELAY_FIRST_S = 0.5
_MIGRATION_DELAY_MAX_S = 30.0
_RUNTIME_HOST = "runtime-host"
_SUPERVISOR = "supervisor"


@define(eq=False)
class Supervisor:
    """Runs the service until it is told to end.

    `server` is the embedded database, or None when the settings name one. `target` is what the HTTP workers load.
    `announce` is given the service's base URL once the workers accept.
    """

    settings: Settings
    target: str
    targets: Targets = field(factory=Targets)
    server: DatabaseServer | None = None
    announce: Callable[[str], Coroutine[Any, Any, None]] = announce
    _ending: asyncio.Event = field(factory=asyncio.Event, init=False)
    _hurry: asyncio.Event = field(factory=asyncio.Event, init=False)
    _workers: list[ChildSupervisor] = field(factory=list, init=False)
    _others: list[ChildSupervisor] = field(factory=list, init=False)
    _database: ChildSupervisor | None = field(default=None, init=False)
    _listener: socket.socket | None = field(default=None, init=False)
    _metrics_listener: socket.socket | None = field(default=None, init=False)
    _private: Path | None = field(default=None, init=False)
    _names: tuple[str, ...] = field(default=(), init=False)
    _figures: SupervisorMetrics | None = field(default=None, init=False)
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    async def run(self) -> None:
        """Serve until a signal; raises StartFailed, DataDirError or CannotListen when the service cannot start."""
        raise_limit(wanted(self.settings.max_connections, self.settings.max_warm_workers))
        data_dir = DataDir.hold(self.settings.data_dir) if self.server else None
        try:
            self._listener = listen(self.settings.host, self.settings.port)
            if self.settings.metrics_port is not None:
                self._metrics_listener = listen(self.settings.host, self.settings.metrics_port, "METRICS_PORT")
            self._take_signals()
            await self._serve(data_dir)
        finally:
            await self._end()
            if data_dir is not None:
                data_dir.release()

    async def _serve(self, data_dir: DataDir | None) -> None:
        if not await self._unless_ending(self._start(data_dir)):
            return
        tasks = [asyncio.create_task(task) for task in self._beside()]
        await self._ending.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _beside(self) -> list[Coroutine[Any, Any, None]]:
        assert self._listener is not None
        late = [self._migrate_when_possible()] if self.settings.auto_migrate and self.server is None else []
        return [self.announce(url_of(self._listener)), *late]

    async def _start(self, data_dir: DataDir | None) -> None:
        await self._open_figures()
        if self.server is not None and data_dir is not None:
            await self._start_database(self.server, data_dir)
        await self._start_runtime_host()
        await asyncio.gather(*(self._start_worker(number) for number in range(self.settings.web_concurrency)))

    async def _start_database(self, server: DatabaseServer, data_dir: DataDir) -> None:
        self._database = ChildSupervisor("PostgreSQL", lambda: DatabaseProcess.spawn(server, data_dir))
        await self._database.start()
        self.settings = replace(self.settings, database_url=Secret(server.url))
        if self.settings.auto_migrate and (status := await self._migrate()) != 0:
            raise StartFailed(f"The migration of the database failed ({spoken(status)}); its reason stands above.")

    async def _start_runtime_host(self) -> None:
        """Let several HTTP workers share one sandbox, through a socket that only they can reach."""
        own = self._own_languages()
        if not own:
            return
        assert self._private is not None
        path = str(self._private / "runtime")
        assignment = Assignment(self.targets.runtime_host, self.settings, siblings=self._siblings(_RUNTIME_HOST))
        keeper = self._keep_python("runtime host", assignment, listen_on_path(path))
        self._others.append(keeper)
        await keeper.start()
        self.settings = replace(self.settings, **dict.fromkeys(own, (f"unix:{path}",)))

    def _own_languages(self) -> list[str]:
        """Return the settings of the languages for which several HTTP workers share this host's sandbox."""
        if self.settings.web_concurrency == 1:
            return []
        return [name for name in ("nodejs_runtime_url", "python_runtime_url") if not getattr(self.settings, name)]

    async def _open_figures(self) -> None:
        """Let the processes tell each other their figures, in a folder that only they can enter."""
        if self.settings.web_concurrency == 1 and self._metrics_listener is None:
            return
        self._private = Path(tempfile.mkdtemp(prefix="pglambda-"))
        workers = map(str, range(self.settings.web_concurrency))
        self._names = (*workers, *([_RUNTIME_HOST] if self._own_languages() else []), _SUPERVISOR)
        siblings = self._siblings(_SUPERVISOR)
        assert siblings is not None
        self._figures = SupervisorMetrics(siblings, self._metrics_listener, self._children)
        await self._figures.open()

    def _children(self) -> list[ChildSupervisor]:
        return [*self._workers, *self._others, *([] if self._database is None else [self._database])]

    def _siblings(self, own: str) -> Siblings | None:
        return None if self._private is None else Siblings(str(self._private), own, self._names)

    async def _start_worker(self, number: int) -> None:
        assert self._listener is not None
        shared = self.settings.web_concurrency > 1
        assignment = Assignment(self.target, self.settings, shared=shared, siblings=self._siblings(str(number)))
        keeper = self._keep_python(f"HTTP worker {number}", assignment, self._listener)
        self._workers.append(keeper)
        await keeper.start()

    def _keep_python(self, name: str, assignment: Assignment, listener: socket.socket) -> ChildSupervisor:
        served = replace(assignment, listener=listener.fileno())

        async def spawn() -> PythonProcess:
            assert listener.fileno() >= 0
            return PythonProcess.spawn(name, served)

        return ChildSupervisor(name, spawn)

    async def _migrate(self) -> int:
        process = PythonProcess.spawn("migration", Assignment(self.targets.migration, self.settings))
        try:
            return await process.ended()
        finally:
            process.kill()

    async def _migrate_when_possible(self) -> None:
        """Migrate a database that may be away now, beside serving."""
        delay_s = _MIGRATION_DELAY_FIRST_S
        while (status := await self._migrate()) != 0:
            self._log.warning("migration_failed", status=spoken(status), retry_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _MIGRATION_DELAY_MAX_S)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        again = self._ending.is_set()
        self._log.info("signal_received", signal=number.name, action="stopping at once" if again else "stopping")
        (self._hurry if again else self._ending).set()

    async def _unless_ending(self, start: Awaitable[None]) -> bool:
        """Tell whether the start came to its end before a signal came; raises what it raises."""
        starting, ending = asyncio.ensure_future(start), asyncio.ensure_future(self._ending.wait())
        await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await asyncio.wait([starting])
        return False

    async def _end(self) -> None:
        """End the parts in order: those who take work, those who do it, the one who keeps it."""
        if self._listener is not None:
            self._listener.close()  # the workers have it too, and close it after their drain
        drain_s = self.settings.drain_delay_seconds + self.settings.shutdown_timeout_seconds
        drain_s += SENDING_TIMEOUT_S + _RECORDING_TIMEOUT_S
        await asyncio.gather(*(keeper.end(drain_s, _STOP_TIMEOUT_S, self._hurry) for keeper in self._workers))
        await asyncio.gather(*(keeper.end(_STOP_TIMEOUT_S, _STOP_TIMEOUT_S, self._hurry) for keeper in self._others))
        if self._database is not None and self.server is not None:
            await self._database.end(FAST_STOP_TIMEOUT_S, IMMEDIATE_STOP_TIMEOUT_S, asyncio.Event())
            self.server.forget()
        if self._figures is not None:
            await self._figures.close()
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
