"""The fake origin and its Redis as processes that tests start, kill and start again."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests.support.folders import shared_folder
from tests.support.ports import free_port
from tests.support.programs import unmeasured

_ROOT = Path(__file__).parents[2]
_READY_S = 30.0
_STOP_S = 10.0
REDIS = shutil.which("redis-server")


class Origin:
    """A controller of the origin on `url`, with the options of `python -m tests.origin`; it keeps its port."""

    def __init__(self, database_url: str, **options: Any) -> None:
        self.port = options.pop("port", None) or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        given = {"port": self.port, "database_url": database_url, **options}
        self._argv = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        self._log = Path(tempfile.mkstemp(prefix="origin-log-")[1])
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = [sys.executable, "-m", "tests.origin", *self._argv]
        with self._log.open("ab") as log:
            self._program = subprocess.Popen(argv, cwd=_ROOT, env=unmeasured(), stdout=log, stderr=log)
        _await(self._answers, self._program)

    def kill(self) -> None:
        """Kill it and its runtimes, which die with it; calls under way are lost."""
        self._program.kill()
        self._program.wait(_STOP_S)

    def stop(self) -> None:
        """End it after the calls under way."""
        if self._program.poll() is None:
            self._program.send_signal(signal.SIGTERM)
            try:
                self._program.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def log(self) -> str:
        """What it has written; read it before `remove`."""
        return self._log.read_text()

    def remove(self) -> None:
        """Stop it for good."""
        self.stop()
        self._log.unlink()

    def _answers(self) -> bool:
        with contextlib.suppress(httpx2.TransportError):
            # To load certificates takes longer than a request.
            return httpx2.get(f"{self.url}/health", timeout=5, verify=False).status_code == 200
        return False


class Redis:
    """A Redis server on loopback, which keeps nothing on disk."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder, self.port, self.tls_port = folder, free_port(), free_port()
        self._settings = {"tls-port": str(self.tls_port), **settings} if settings else {}
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        """Start it empty, and wait until it answers."""
        settings = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        settings |= self._settings
        argv = [REDIS, *[part for name, value in settings.items() for part in (f"--{name}", str(value))]]
        self._program = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _await(self._answers, self._program)

    def kill(self) -> None:
        self._program.kill()
        self._program.wait(_STOP_S)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False


@contextlib.contextmanager
def running_origin(database_url: str, **options: Any) -> Iterator[Origin]:
    """Yield an origin that is gone afterwards."""
    origin = Origin(database_url, **options)
    try:
        yield origin
    finally:
        origin.remove()


@contextlib.contextmanager
def running_redis(**settings: str) -> Iterator[Redis]:
    """Yield a Redis server that is gone afterwards, with settings about TLS; skips where none is installed."""
    if REDIS is None:
        pytest.skip("redis-server is not installed")
    with shared_folder() as folder:
        redis = Redis(folder, **settings)
        try:
            yield redis
        finally:
            redis.kill()


def _await(holds: Any, program: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + _READY_S
    while not holds():
        assert program.poll() is None, f"it ended with status {program.returncode}"
        assert time.monotonic() < ends_s, "it does not answer"
        time.sleep(0.01)
