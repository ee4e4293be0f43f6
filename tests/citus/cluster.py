"""A Citus cluster of one coordinator and two workers, which the suite starts and stops by itself."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from attrs import define, field
from psycopg import sql

from adapters.embedded_postgres.account import Account, choose_account
from adapters.embedded_postgres.programs import PostgresPrograms
from tests.faults.server import kill_server, signal_server
from tests.integration.postgres_server import as_user, await_ready, initdb, running_server
from tests.support.folders import quick_parent, shared_folder
from tests.support.ports import free_port

_USUAL_FOLDER = "/usr/lib/postgresql/17"
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "shared_preload_libraries=citus",
    "wal_level=logical",
    "max_prepared_transactions=200",
    "max_worker_processes=32",
    "citus.node_conninfo=sslmode=prefer",
    "citus.max_background_task_executors_per_node=1",
)


def citus_programs() -> PostgresPrograms | None:
    """Return the programs of a PostgreSQL with Citus; None if there is none.

    PGLAMBDA_TEST_CITUS names its folder, with `bin` in it, if it is not Debian's.
    """
    programs = PostgresPrograms(Path(os.environ.get("PGLAMBDA_TEST_CITUS", _USUAL_FOLDER)), "17")
    if not Path(programs.path("initdb")).exists():
        return None
    asked = subprocess.run([programs.path("pg_config"), "--pkglibdir"], check=False, capture_output=True, text=True)
    return programs if (Path(asked.stdout.strip()) / "citus.so").exists() else None


@define(eq=False)
class Cluster:
    """The servers of a cluster by their ports: the coordinator, which has no buckets, and two workers."""

    ports: Sequence[int]
    _programs: PostgresPrograms
    _account: Account
    _folders: Sequence[Path]
    _stack: ExitStack
    _connections_max: int
    _servers: dict[int, subprocess.Popen[bytes]] = field(factory=dict)

    def url(self, database: str, port: int | None = None) -> str:
        """Return the address of a database at a server (default: the coordinator)."""
        return f"postgresql://postgres@127.0.0.1:{port or self.ports[0]}/{database}"

    def start(self, port: int) -> None:
        """Start one server on its data."""
        folder = self._folders[self.ports.index(port)]
        settings = [f"port={port}", f"max_connections={self._connections_max}", *_SETTINGS]
        self._servers[port] = self._stack.enter_context(running_server(self._programs, self._account, folder, settings))
        await_ready(self.url("postgres", port))

    def kill(self, port: int) -> None:
        """End one server and its backends without a word."""
        kill_server(self._servers[port])

    def freeze(self, port: int) -> None:
        """Stop all processes of one server; its connections stay."""
        signal_server(self._servers[port], signal.SIGSTOP)

    def thaw(self, port: int) -> None:
        """Let a server that was frozen go on."""
        signal_server(self._servers[port], signal.SIGCONT)

    @contextmanager
    def frozen(self, port: int) -> Iterator[None]:
        """Let one server make no more backends, so that clients connect and wait."""
        server = self._servers[port]
        os.killpg(server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGCONT)

    @contextmanager
    def standby_of(self, port: int) -> Iterator[int]:
        """Yield the port of a server that follows another one."""
        own_port, folder = free_port(), self._folders[self.ports.index(port)] / "standby"
        folder.mkdir()
        self._account.adopt(folder)
        source = f"host=127.0.0.1 port={port} user=postgres"
        argv = [self._programs.path("pg_basebackup"), "-D", str(folder / "cluster"), "-d", source, "-R", "-c", "fast"]
        subprocess.run(argv, check=True, capture_output=True, **as_user(self._account))
        settings = [f"port={own_port}", f"max_connections={self._connections_max}", *_SETTINGS]
        with running_server(self._programs, self._account, folder, settings):
            await_ready(self.url("postgres", own_port))
            yield own_port

    def database(self) -> str:
        """Make an empty database on all servers, with Citus, and return its name."""
        name = f"test_{uuid4().hex}"
        for port in self.ports:
            _create(self.url("postgres", port), name)
        for port in self.ports:
            _run(self.url(name, port), "CREATE EXTENSION citus")
        _run(self.url(name), f"SELECT citus_set_coordinator_host('127.0.0.1', {self.ports[0]})")
        for port in self.ports[1:]:
            _run(self.url(name), f"SELECT citus_add_node('127.0.0.1', {port})")
        return name

    def give_buckets_to(self, database: str, port: int) -> None:
        """Let one worker have all buckets that are made from now on."""
        for each in self.ports[1:]:
            takes = "true" if each == port else "false"
            _run(
                self.url(database), f"SELECT citus_set_node_property('127.0.0.1', {each}, 'shouldhaveshards', {takes})"
            )

    def plain_database(self, port: int) -> str:
        """Make an empty database without Citus on one server, and return its name."""
        name = f"plain_{uuid4().hex}"
        _create(self.url("postgres", port), name)
        return name


def _create(url: str, name: str) -> None:
    _run(url, sql.SQL("CREATE DATABASE {} STRATEGY FILE_COPY").format(sql.Identifier(name)))


def _run(url: str, statement: str | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=error") as connection:
        connection.execute(statement)


@contextmanager
def citus_cluster(programs: PostgresPrograms, connections_max: int = 200) -> Iterator[Cluster]:
    """Yield a fresh cluster, which is gone afterwards; only this machine can reach it."""
    with shared_folder(quick_parent()) as folder, ExitStack() as stack:
        account = choose_account(folder / "cluster")
        account.adopt(folder)
        folders = [folder / name for name in ("coordinator", "worker-1", "worker-2")]
        for each in folders:
            each.mkdir()
            account.adopt(each)
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda each: initdb(programs, account, each), folders))
        cluster = Cluster([free_port() for _ in folders], programs, account, folders, stack, connections_max)
        for port in cluster.ports:
            cluster.start(port)
        yield cluster
