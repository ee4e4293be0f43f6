"""The one process that people start: it starts, supervises and ends all others."""

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

from entrypoints.server.acceptor import LEAVING_TIMEOUT_S
from entrypoints.server.banner import print_banner
from entrypoints.server.child_supervisor import ChildSupervisor
from entrypoints.server.control import ORIGIN, SENDING_TIMEOUT_S, Assignment, Targets
from entrypoints.server.data_dir import DataDir
from entrypoints.server.database import FAST_STOP_TIMEOUT_S, IMMEDIATE_STOP_TIMEOUT_S, DatabaseProcess, DatabaseServer
from entrypoints.server.descriptors import (
    attainable,
    connections_within_limit,
    descriptors_needed,
    raise_limit,
    workers_within_limit,
)
from entrypoints.server.listener import listen, listen_on_path, url_of
from entrypoints.server.metrics import SupervisorMetrics
from entrypoints.server.migration import DatabaseMigration
from entrypoints.server.process import PythonProcess, StartFailed, status_text
from entrypoints.server.systemd import ServiceManager
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.siblings import Siblings

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RECORDING_TIMEOUT_S = 10.0
"""The time to record the ends of executions after the drain."""

_STOP_TIMEOUT_S = 3.0
_RUNTIME_HOST = "runtime-host"
_SUPERVISOR = "supervisor"


@define(eq=False)
class Supervisor:
    """Runs the service until a signal.

    `server` is the embedded database, or None if the settings name a database. `target` is what the HTTP workers load.
    `announce` receives the base URLs of the service and of the origin's API, if that is served, when the HTTP workers
    accept connections. If `manager` has no listener, the supervisor listens on HOST and PORT, or ORIGIN_PORT.
    `scheme` is that of the base URL.
    """

    settings: Settings
    target: str
    targets: Targets = field(factory=Targets)
    server: DatabaseServer | None = None
    announce: Callable[[str, str | None], Coroutine[Any, Any, None]] = print_banner
    manager: ServiceManager = field(factory=ServiceManager)
    scheme: str = "http"
    _ending: asyncio.Event = field(factory=asyncio.Event, init=False)
    _hurry: asyncio.Event = field(factory=asyncio.Event, init=False)
    _workers: list[ChildSupervisor] = field(factory=list, init=False)
    _others: list[ChildSupervisor] = field(factory=list, init=False)
    _database: ChildSupervisor | None = field(default=None, init=False)
    _migration: DatabaseMigration | None = field(default=None, init=False)
    _listener: socket.socket | None = field(default=None, init=False)
    _origin_listener: socket.socket | None = field(default=None, init=False)
    _metrics_listener: socket.socket | None = field(default=None, init=False)
    _private_folder: Path | None = field(default=None, init=False)
    _process_names: tuple[str, ...] = field(default=(), init=False)
    _metrics: SupervisorMetrics | None = field(default=None, init=False)
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    async def run(self) -> None:
        """Serve until a signal; raises StartFailed, DataDirError or CannotListen if the service cannot start."""
        self._raise_limit_of_descriptors()
        data_dir = DataDir.hold(self.settings.data_dir) if self.server else None
        try:
            self._listener = self.manager.listener or listen(self.settings.host, self.settings.port)
            if self.settings.origin_port is not None:
                given, host, port = self.manager.origin_listener, self.settings.host, self.settings.origin_port
                self._origin_listener = given or listen(host, port, "ORIGIN_PORT")
            if self.settings.metrics_port is not None:
                self._metrics_listener = listen(self.settings.host, self.settings.metrics_port, "METRICS_PORT")
            self._handle_signals()
            await self._serve(data_dir)
        finally:
            await self._end()
            if data_dir is not None:
                data_dir.release()

    def _raise_limit_of_descriptors(self) -> None:
        connections, workers = self.settings.max_connections, self.settings.max_warm_workers
        needed = descriptors_needed(connections + self.settings.origin_connections, workers)
        raise_limit(needed)
        granted = attainable(needed)
        if granted is not None and granted < needed:
            self._log.warning(
                "few_descriptors",
                descriptors=granted,
                descriptors_needed=needed,
                warm_workers_max=workers_within_limit(workers),
                connections_max=connections_within_limit(connections, workers),
            )

    async def _serve(self, data_dir: DataDir | None) -> None:
        if not await self._unless_ending(self._start(data_dir)):
            return
        assert self._listener is not None
        self.manager.ready(url_of(self._listener, self.scheme))
        tasks = [asyncio.create_task(task) for task in self._background_tasks()]
        await self._ending.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _background_tasks(self) -> list[Coroutine[Any, Any, None]]:
        assert self._listener is not None
        late = [] if self._migration is None else [self._migration.complete()]
        origin_url = None if self._origin_listener is None else url_of(self._origin_listener)
        return [self.announce(url_of(self._listener, self.scheme), origin_url), self.manager.keep_alive(), *late]

    async def _start(self, data_dir: DataDir | None) -> None:
        await self._open_metrics()
        if self.server is not None and data_dir is not None:
            await self._start_database(self.server, data_dir)
        elif self.settings.auto_migrate:
            self._migration = DatabaseMigration(self.targets.migration, self.settings)
            await self._migration.begin()
        await self._start_runtime_host()
        await asyncio.gather(*(self._start_worker(number) for number in range(self.settings.web_concurrency)))

    async def _start_database(self, server: DatabaseServer, data_dir: DataDir) -> None:
        self._database = ChildSupervisor("PostgreSQL", lambda: DatabaseProcess.spawn(server, data_dir))
        await self._database.start()
        webhook_key = self.settings.webhook_key or Secret(data_dir.key("webhook"))
        secrets_key = self.settings.secrets_key or Secret(data_dir.key("secrets"))
        self.settings = replace(
            self.settings, database_url=Secret(server.url), webhook_key=webhook_key, secrets_key=secrets_key
        )
        migration = DatabaseMigration(self.targets.migration, self.settings)
        if self.settings.auto_migrate and (status := await migration.run()) != 0:
            raise StartFailed(
                f"The migration of the database failed ({status_text(status)}). Its log above has the reason."
            )

    async def _start_runtime_host(self) -> None:
        """Let several HTTP workers share one sandbox, through a socket that only they can reach."""
        languages = self._local_languages()
        if not languages:
            return
        assert self._private_folder is not None
        path = str(self._private_folder / "runtime")
        assignment = Assignment(self.targets.shared_runtime_host, self.settings, siblings=self._siblings(_RUNTIME_HOST))
        child = self._python_child("runtime host", assignment, listen_on_path(path))
        self._others.append(child)
        await child.start()
        self.settings = replace(self.settings, **dict.fromkeys(languages, (f"unix:{path}",)))

    def _local_languages(self) -> list[str]:
        """Return the settings of the languages for which several HTTP workers share the sandbox of this host."""
        return [] if self.settings.web_concurrency == 1 else list(self.settings.local_languages)

    async def _open_metrics(self) -> None:
        """Let the processes exchange metrics, in a folder that only they can enter."""
        if self.settings.web_concurrency == 1 and self._metrics_listener is None:
            return
        self._private_folder = Path(tempfile.mkdtemp(prefix="pglambda-"))
        workers = map(str, range(self.settings.web_concurrency))
        self._process_names = (*workers, *([_RUNTIME_HOST] if self._local_languages() else []), _SUPERVISOR)
        siblings = self._siblings(_SUPERVISOR)
        assert siblings is not None
        self._metrics = SupervisorMetrics(siblings, self._metrics_listener, self._children)
        await self._metrics.open()

    def _children(self) -> list[ChildSupervisor]:
        return [*self._workers, *self._others, *([] if self._database is None else [self._database])]

    def _siblings(self, own: str) -> Siblings | None:
        return None if self._private_folder is None else Siblings(str(self._private_folder), own, self._process_names)

    async def _start_worker(self, number: int) -> None:
        assert self._listener is not None
        shared = self.settings.web_concurrency > 1
        outlived, siblings = self.manager.listener is not None, self._siblings(str(number))
        further = {} if self._origin_listener is None else {ORIGIN: self._origin_listener.fileno()}
        assignment = Assignment(
            self.target, self.settings, further=further, shared=shared, outlived=outlived, siblings=siblings
        )
        child = self._python_child(f"HTTP worker {number}", assignment, self._listener)
        self._workers.append(child)
        await child.start()

    def _python_child(self, name: str, assignment: Assignment, listener: socket.socket) -> ChildSupervisor:
        served = replace(assignment, listener=listener.fileno())

        async def spawn() -> PythonProcess:
            assert listener.fileno() >= 0
            return PythonProcess.spawn(name, served)

        return ChildSupervisor(name, spawn)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        again = self._ending.is_set()
        self._log.info("signal_received", signal=number.name, action="stopping at once" if again else "stopping")
        self.manager.stopping(self._drain_s + _STOP_TIMEOUT_S * 3 + FAST_STOP_TIMEOUT_S + IMMEDIATE_STOP_TIMEOUT_S)
        (self._hurry if again else self._ending).set()

    async def _unless_ending(self, start: Awaitable[None]) -> bool:
        """Return whether the start completed before a signal; raises what it raises."""
        starting, ending = asyncio.ensure_future(start), asyncio.ensure_future(self._ending.wait())
        await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await asyncio.wait([starting])
        return False

    @property
    def _drain_s(self) -> float:
        """The limit of the drain of an HTTP worker."""
        leaving_s = 0 if self.manager.listener is None else LEAVING_TIMEOUT_S
        work_s = self.settings.drain_delay_seconds + self.settings.shutdown_timeout_seconds
        return leaving_s + work_s + SENDING_TIMEOUT_S + _RECORDING_TIMEOUT_S

    async def _end(self) -> None:
        """End the HTTP workers first, then the runtime host, then the database."""
        if self._migration is not None:
            self._migration.cancel()
        for listener in filter(None, (self._listener, self._origin_listener)):
            listener.close()  # the workers have it too, and close it after their drain
        await asyncio.gather(*(child.end(self._drain_s, _STOP_TIMEOUT_S, self._hurry) for child in self._workers))
        await asyncio.gather(*(child.end(_STOP_TIMEOUT_S, _STOP_TIMEOUT_S, self._hurry) for child in self._others))
        if self._database is not None and self.server is not None:
            await self._database.end(FAST_STOP_TIMEOUT_S, IMMEDIATE_STOP_TIMEOUT_S, asyncio.Event())
            self.server.forget()
        if self._metrics is not None:
            await self._metrics.close()
        if self._private_folder is not None:
            shutil.rmtree(self._private_folder, ignore_errors=True)
