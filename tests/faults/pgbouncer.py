"""PgBouncer in front of a server, in transaction mode."""

import contextlib
import os
import pwd
import shutil
import subprocess
import time

import psycopg

from tests.faults.server import SERVICE_ROLE
from tests.support.folders import shared_folder
from tests.support.ports import free_port

_READY_TIMEOUT_S = 10.0
_USERS = ("postgres", "nobody")


def find_pgbouncer():
    """Return the program, or None where it is not installed."""
    return shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running_pgbouncer(server, *, prepared_statements_max, pool_size=3):
    """Yield the port of a pooler that gives a server's connection to a client for one transaction at a time."""
    with shared_folder() as folder:
        port = free_port()
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": pool_size,
            # By themselves 15 s, 15 s and 120 s: longer than any caller waits.
            "server_login_retry": 0.2,
            "server_connect_timeout": 2,
            "query_wait_timeout": 2,
            "max_prepared_statements": prepared_statements_max,
        }
        target = f"host=127.0.0.1 port={server.port} user={SERVICE_ROLE}"
        lines = [
            "[databases]",
            f"* = {target}",
            "[pgbouncer]",
            *(f"{key} = {value}" for key, value in settings.items()),
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        argv = [find_pgbouncer(), str(folder / "pgbouncer.ini")]
        with (folder / "log").open("wb") as log:
            program = subprocess.Popen(argv, stdout=log, stderr=log, **_as_user())
        try:
            _await_ready(server, port, program, folder)
            yield port
        finally:
            program.kill()
            program.wait(10)


def _await_ready(server, port, program, folder):
    until_s = time.monotonic() + _READY_TIMEOUT_S
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(server.dsn("postgres", SERVICE_ROLE, port), connect_timeout=2).close()
            return
        assert program.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < until_s, (folder / "log").read_text()
        time.sleep(0.02)


def _as_user():
    """It refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    with contextlib.suppress(KeyError):
        account = pwd.getpwnam(_USERS[0])
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    account = pwd.getpwnam(_USERS[1])
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
