"""A PostgreSQL server on loopback that can be killed, frozen and filled."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from adapters.embedded_postgres.account import choose_account
from adapters.embedded_postgres.programs import find_programs
from tests.programs.supervisor.conftest import gone, processes, wait_until
from tests.support.ports import free_port

_READY_TIMEOUT_S = 20.0
_LOCALE = ("--no-locale", "--encoding=UTF8")
_BUILTIN_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_BUILTIN_SINCE, _JIT_SINCE = 17, 11
SERVICE_ROLE = "service"
STANDBY = "standby"
CONNECTIONS_MAX = 40


class Server:
    """A server of the suite's own, new or a standby of another; durable against kills, not against the machine.

    Without `programs` it is that of the installed wheel.
    """

    def __init__(self, folder, account, primary=None, settings=(), programs=None):
        self._folder, self._account, self._settings = folder, account, settings
        self._binaries = (programs or find_programs()).reachable_by(account, folder)
        self.port = free_port()
        self._program = None
        if primary is None:
            locale = (*_LOCALE, *(_BUILTIN_LOCALE if int(self._binaries.major) >= _BUILTIN_SINCE else ()))
            self._run("initdb", "-U", "postgres", "--auth=trust", *locale)
        else:
            dsn = f"{primary.dsn()}&application_name={STANDBY}"
            self._run("pg_basebackup", "-d", dsn, "--write-recovery-conf", "--checkpoint=fast")
        self.start()
        if primary is None:
            execute(self, "postgres", f"CREATE ROLE {SERVICE_ROLE} LOGIN")

    def dsn(self, database="postgres", role="postgres", port=None):
        return f"postgresql://{role}@127.0.0.1:{port or self.port}/{database}?sslmode=disable&gssencmode=disable"

    def admin(self, database="postgres"):
        return psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=5)

    def start(self):
        """Start it, and wait until it takes connections."""
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "fsync=off",  # no test ends the machine
            f"unix_socket_directories={self._folder}",
            f"max_connections={CONNECTIONS_MAX}",
            "max_worker_processes=4",
            "shared_buffers=64MB",
            *(("jit=off",) if int(self._binaries.major) >= _JIT_SINCE else ()),
            "timezone=UTC",
            *self._settings,
        ]
        argv = [self._binaries.path("postgres"), "-D", str(self._folder / "cluster")]
        options = [part for setting in settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._program = subprocess.Popen([*argv, *options], stdout=log, stderr=log, **self._as_user())
        self._await_ready()

    def kill(self):
        kill_server(self._program)

    def freeze(self):
        signal_server(self._program, signal.SIGSTOP)

    def thaw(self):
        signal_server(self._program, signal.SIGCONT)

    def stop(self):
        if self.is_running:
            self.thaw()
            self._program.send_signal(signal.SIGINT)
            try:
                self._program.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def create_database(self, name, template="template1", tablespace="pg_default"):
        create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} TABLESPACE {} STRATEGY FILE_COPY")
        parts = (sql.Identifier(part) for part in (name, SERVICE_ROLE, template, tablespace))
        with self.admin() as admin:
            admin.execute(create.format(*parts))
        return name

    def drop_database(self, name):
        with self.admin() as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def adopt(self, path):
        """Let the server's user own a folder."""
        self._account.adopt(path)

    @property
    def is_running(self):
        return self._program.poll() is None

    def _run(self, program, *options):
        argv = [self._binaries.path(program), "-D", str(self._folder / "cluster"), "--no-sync", *options]
        subprocess.run(argv, check=True, capture_output=True, **self._as_user())

    def _await_ready(self):
        until_s = time.monotonic() + _READY_TIMEOUT_S
        while True:
            try:
                self.admin().close()
            except psycopg.OperationalError:
                assert self._program.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < until_s, "the server does not get ready"
                time.sleep(0.01)
            else:
                return

    def _as_user(self):
        account = self._account
        root = os.geteuid() == 0
        user = {"user": account.uid, "group": account.gid, "extra_groups": []} if root else {}
        environment = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
        return {"cwd": "/", "env": environment, "start_new_session": True, **user}


def fill_disk(path):
    """Write a file until the file system is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


def execute(server, database, *statements):
    with server.admin(database) as admin:
        for statement in statements:
            admin.execute(statement)


@contextlib.contextmanager
def running_server(primary=None, settings=(), programs=None):
    """Yield a fresh server, or a standby of `primary`, which is gone afterwards; `settings` replace those of tests."""
    with tempfile.TemporaryDirectory(prefix="pgl-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        account = choose_account(folder / "cluster")
        account.adopt(folder)
        server = Server(folder, account, primary, settings, programs)
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def awaited_standby(primary):
    """Yield a standby that `primary` waits for before it acknowledges; `primary` runs afterwards, and waits for no standby."""
    with running_server(primary) as standby:
        _wait_for(primary, STANDBY)
        try:
            yield standby
        finally:
            if not primary.is_running:
                primary.start()
            _wait_for(primary, "")


def _wait_for(primary, name):
    execute(primary, "postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{name}'", "SELECT pg_reload_conf()")


def kill_server(program):
    """Kill a postmaster and all that it has started, and see them gone: while one has its memory, none starts."""
    family = signal_server(program, signal.SIGKILL)
    program.wait(10)
    wait_until(lambda: gone(family))


def signal_server(program, number):
    """Signal a postmaster and all that it has started; return these processes, each as (id, start)."""
    family = _family(program.pid)
    for pid, _ in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return family


def _family(pid):
    """Stop the postmaster, so that it starts no more processes, and return it and its children."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return {(each, start) for each, (parent, start) in processes().items() if pid in (each, parent)}
