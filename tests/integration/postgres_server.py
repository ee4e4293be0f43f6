"""A real PostgreSQL server that the suite starts and stops by itself."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from adapters.embedded_postgres.account import Account, choose_account
from adapters.embedded_postgres.programs import PostgresPrograms, find_programs
from tests.support.folders import quick_parent, shared_folder

_READY_TIMEOUT_S = 20.0
_POLL_S = 0.01
_LOCALE = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
_OLD_LOCALE = ("--locale=C.UTF-8", "--encoding=UTF8")
_BUILTIN_SINCE = 17


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the address of a fresh server, which is gone afterwards; only this user can reach it."""
    with shared_folder(quick_parent()) as folder:
        account = choose_account(folder / "cluster")
        account.adopt(folder)
        binaries = _programs().reachable_by(account, folder)
        initdb(binaries, account, folder)
        with running_server(binaries, account, folder):
            url = f"postgresql://postgres@/postgres?host={folder}"
            await_ready(url)
            yield url


def _programs() -> PostgresPrograms:
    """Return the programs in the folder that PGLAMBDA_TEST_POSTGRES names, with `bin` in it, or the embedded ones."""
    given = os.environ.get("PGLAMBDA_TEST_POSTGRES")
    if not given:
        return find_programs()
    folder = Path(given)
    asked = subprocess.run([folder / "bin/postgres", "--version"], check=True, capture_output=True, text=True)
    return PostgresPrograms(folder, asked.stdout.split()[2])


def initdb(binaries: PostgresPrograms, account: Account, folder: Path) -> None:
    """Make the data of a new server in a folder."""
    argv = [binaries.path("initdb"), "-D", str(folder / "cluster"), "-U", "postgres", "--auth=trust", "--no-sync"]
    locale = _LOCALE if int(binaries.major) >= _BUILTIN_SINCE else _OLD_LOCALE
    subprocess.run([*argv, *locale], check=True, capture_output=True, **as_user(account))


@contextlib.contextmanager
def running_server(
    binaries: PostgresPrograms, account: Account, folder: Path, further: Sequence[str] = ("listen_addresses=",)
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a server on the data in a folder, with further settings; it is ended afterwards if it still runs."""
    settings = [
        "fsync=off",  # no test ends the machine
        f"unix_socket_directories={folder}",
        "max_connections=100",
        "max_worker_processes=4",
        "shared_buffers=64MB",
        "max_wal_size=128MB",  # the folder may lie in memory
        "jit=off",
        "timezone=UTC",
        *further,
    ]
    argv = [binaries.path("postgres"), "-D", str(folder / "cluster")]
    options = [part for setting in settings for part in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*argv, *options], stdout=log, stderr=log, **as_user(account))
    try:
        yield server
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait(10)


def await_ready(url: str) -> None:
    """Wait until the server accepts connections."""
    until = time.monotonic() + _READY_TIMEOUT_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_S)
        else:
            return


def as_user(account: Account) -> dict[str, Any]:
    """Return the options of a process that runs as an account."""
    user = {"user": account.uid, "group": account.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    return {"cwd": "/", "env": {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}, "start_new_session": True, **user}
