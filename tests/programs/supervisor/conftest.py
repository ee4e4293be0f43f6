"""Services that run as programs of their own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.embedded.conftest import seed
from tests.programs.supervisor import minimal
from tests.support.folders import quick_parent, shared_folder
from tests.support.ports import free_port
from tests.support.programs import unmeasured

TIMEOUT_S = 30.0
START_S = 50.0
"""A start takes 6 s of processor time, and a test 60 s of time at most."""
ROOT = Path(__file__).parents[3]
RUNTIMES_ELSEWHERE = {f"{language}_RUNTIME_URL": "http://127.0.0.1:9" for language in ("NODEJS", "PYTHON")}
"""Settings of a service without a sandbox, which would only make the start slower."""
NO_DATABASE = {"DATABASE_URL": "postgresql:///nothing"}
"""Settings of a service that neither starts PostgreSQL nor migrates, for tests of its other processes."""


def wait_until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    ends_at = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < ends_at, "the condition did not become true in time"
        time.sleep(0.02)
    return found


def processes() -> dict[int, tuple[int, str]]:
    """Return every running process by id: its parent, and its start time, which distinguishes two with one id."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                facts = (entry / "stat").read_text().rpartition(")")[2].split()
                if facts[0] != "Z":
                    found[int(entry.name)] = (int(facts[1]), facts[19])
    return found


AS_SYSTEMD = """
import fcntl, os, sys
passed = [fcntl.fcntl(int(each), fcntl.F_DUPFD, 64) for each in sys.argv[1].split(",")]
for descriptor, given in enumerate(passed, 3):
    os.dup2(given, descriptor)
names = ":".join(["pglambda.socket", "origin"][: len(passed)])
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(passed)), LISTEN_FDNAMES=names)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""A program that passes listening sockets to another one, as systemd does."""


class Service:
    """A supervisor that runs as a program.

    With `activated` it gets its listening socket from this process, and with `origin` that for clients of the origin.
    `host` is a command that runs it on another host. Coverage counts the lines of a program that is `measured`.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        program: tuple[str, ...] = (minimal.HERE,),
        root: Path = ROOT,
        stderr: int | None = None,
        activated: socket.socket | None = None,
        origin: socket.socket | None = None,
        host: tuple[str, ...] = (),
        measured: bool = False,
        **settings: str,
    ) -> None:
        given = tuple(each.fileno() for each in (activated, origin) if each is not None)
        self.port = activated.getsockname()[1] if activated else int(settings.get("PORT") or free_port())
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.mkstemp(prefix="pgl-log-")[1])
        inherited = os.environ if measured else unmeasured()
        environ = {**inherited, "DATA_DIR": str(data_dir), **settings, "PORT": str(self.port)}
        launcher = [sys.executable, "-c", AS_SYSTEMD, ",".join(map(str, given))] if given else []
        with self.log.open("wb") as log:
            self.program = subprocess.Popen(
                [*host, *launcher, sys.executable, "-m", *program],
                env=environ,
                cwd=root,
                stdout=log,
                stderr=stderr or log,
                pass_fds=given,
            )

    def get(self, path: str) -> httpx2.Response:
        # To load certificates takes longer than a request, and starts are polled.
        return httpx2.get(self.url + path, timeout=5, verify=False)

    def status(self, path: str) -> int:
        try:
            return self.get(path).status_code
        except httpx2.TransportError:
            return 0

    def ready(self, timeout_s: float = START_S) -> "Service":
        wait_until(lambda: self.status("/readyz") == 200 or self.program.poll() is not None, timeout_s)
        assert self.program.poll() is None, self.output
        wait_until(lambda: "serves on" in self.output)
        return self

    def facts(self) -> Any:
        return self.get("/facts").json()

    def count(self) -> int:
        return self.get("/count").json()[0]

    def counts(self) -> bool:
        try:
            return self.status("/count") == 200
        except httpx2.HTTPError:
            return False

    def family(self) -> set[tuple[int, str]]:
        """Return the supervisor and its descendants, each as (id, start)."""
        everyone = processes()
        members = {self.program.pid}
        while more := {pid for pid, (parent, _) in everyone.items() if parent in members} - members:
            members |= more
        return {(pid, everyone[pid][1]) for pid in members if pid in everyone}

    def child(self, of: str) -> int:
        """Return the id of the supervisor's child whose command line contains a text."""
        for pid, (parent, _) in processes().items():
            if parent == self.program.pid and of in Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        raise LookupError(of)

    def send_signal(self, number: signal.Signals) -> None:
        self.program.send_signal(number)

    def ended(self) -> int:
        return self.program.wait(TIMEOUT_S)

    def end(self) -> None:
        """End it by signals, so that it can write its coverage, and by force if it does not end."""
        family = self.family()
        if self.program.poll() is None:
            self.send_signal(signal.SIGTERM)
            self.send_signal(signal.SIGTERM)
        try:
            self.ended()
        finally:
            self.program.kill()
            self.log.unlink()
        wait_until(lambda: gone(family))

    @property
    def output(self) -> str:
        return self.log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]

    def failures(self) -> list[dict[str, Any]]:
        """Return the lines of the log that need attention; those about a slow machine do not."""
        return [
            line
            for line in self.lines()
            if line["level"] not in {"debug", "info"} and line["event"] not in {"slow_statement", "node_fork_unchecked"}
        ]


def gone(family: set[tuple[int, str]]) -> bool:
    everyone = processes()
    return not any(pid in everyone and everyone[pid][1] == start for pid, start in family)


@pytest.fixture
def service(folder: Path, made: Path) -> Iterator[Callable[..., Service]]:
    """Starts minimal services; coverage, which takes 0.7 s of a start, is for those whose lines no other start runs."""
    services: list[Service] = []

    def begin(at: Path = folder, *, measured: bool = False, **settings: str) -> Service:
        if "DATABASE_URL" not in settings:
            seed(made, at)
        services.append(Service(at, measured=measured, **settings))
        return services[-1]

    yield begin
    for each in services:
        each.end()


@pytest.fixture
def other_folder() -> Iterator[Path]:
    with shared_folder(quick_parent()) as path:
        yield path
