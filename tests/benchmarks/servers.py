"""HTTP servers under test, each on the server's core, one at a time."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from tests.benchmarks.machine import pinned
from tests.benchmarks.names import BARE, EXPRESS, PGLAMBDA, PLAIN
from tests.support.ports import free_port

_ROOT = Path(__file__).parents[2]
_EXPRESS = Path(__file__).with_name("express")
_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
_INSTALL_TIMEOUT_S = 180.0
_ASK_TIMEOUT_S = 2.0
_SCRAPE_TIMEOUT_S = 10.0
_POLL_S = 0.05
_LOG_SHOWN = 2000


class NotServing(Exception):
    """A server did not come up; the text says why."""


@frozen
class Server:
    """A server that responds: where, and the process that is the root of its tree."""

    url: str
    pid: int


@frozen
class Program:
    """How a server is started, and the path that responds once it serves; `{port}` stands for its port."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready_path: str
    folder: Path = _ROOT


def bare() -> Program:
    """Return bare Starlette."""
    return _uvicorn(BARE, "bare_app", {})


def plain(database_url: str) -> Program:
    """Return the implementation that takes a connection for each request."""
    return _uvicorn(PLAIN, "plain_app", {"DATABASE_URL": database_url})


def pglambda(database_url: str, data_dir: Path, **settings: str) -> Program:
    """Return the service with its default settings, unless others are given."""
    environment = {"DATABASE_URL": database_url, "DATA_DIR": str(data_dir), "PORT": "{port}"}
    return Program(PGLAMBDA, (sys.executable, "-m", "entrypoints", "serve"), environment | settings, "/readyz")


def runtime_host(data_dir: Path, **settings: str) -> Program:
    """Return a runtime host, whose sandbox is the only one that its controllers use."""
    environment = {"DATA_DIR": str(data_dir), "PORT": "{port}"}
    arguments = (sys.executable, "-m", "entrypoints", "runtime-host")
    return Program("runtime host", arguments, environment | settings, "/health")


@contextmanager
def express(environment: Mapping[str, str]) -> Iterator[Program]:
    """Install the peer in a folder of its own and return it; raises NotServing when that cannot be done."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise NotServing("express-session is left out: npm and node are not installed.")
    with tempfile.TemporaryDirectory(prefix="pgl-express-") as name:
        folder = Path(name)
        shutil.copytree(_EXPRESS, folder, dirs_exist_ok=True)
        _install(npm, folder)
        yield Program(EXPRESS, (node, "server.js"), {**environment, "PORT": "{port}"}, "/ready", folder)


@contextmanager
def serving(program: Program, core: int | None, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Run a server for the duration, on one core or on all of them; `tls` verifies it. Raises NotServing."""
    port = free_port()
    url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as log:
        with pinned(core):
            process = subprocess.Popen(
                [part.format(port=port) for part in program.arguments],
                cwd=program.folder,
                env=dict(os.environ) | {name: value.format(port=port) for name, value in program.environment.items()},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            if not _comes_up(process, url + program.ready_path, tls):
                log.seek(0)
                raise NotServing(f"{program.name} does not serve: {log.read().decode(errors='replace')[-_LOG_SHOWN:]}")
            yield Server(url, process.pid)
        finally:
            _stop(process)


def metric(server: Server, name: str) -> float:
    """Return the sum of the samples of a metric."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=_SCRAPE_TIMEOUT_S) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.partition("{")[0].partition(" ")[0] == name)


def _uvicorn(name: str, module: str, environment: Mapping[str, str]) -> Program:
    options = ("--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    arguments = (sys.executable, "-m", "uvicorn", f"tests.benchmarks.{module}:app", *options)
    return Program(name, arguments, environment, "/api/v1/sessions/00000000-0000-0000-0000-000000000000")


def _install(npm: str, folder: Path) -> None:
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_INSTALL_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise NotServing(f"express-session is left out: npm install failed ({error}).") from error


def _comes_up(process: "subprocess.Popen[bytes]", url: str, tls: ssl.SSLContext | None) -> bool:
    until_s = time.monotonic() + _READY_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until_s:
        if _responds(url, tls):
            return True
        time.sleep(_POLL_S)
    return False


def _responds(url: str, tls: ssl.SSLContext | None) -> bool:
    """Return whether a response comes that is no server error."""
    try:
        with urllib.request.urlopen(url, timeout=_ASK_TIMEOUT_S, context=tls):
            return True
    except urllib.error.HTTPError as response:
        return response.code < 500
    except OSError:
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
