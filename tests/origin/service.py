"""pglambda itself as a process, with a listener for clients of the origin."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx2

from tests.origin.process import Origin, Redis
from tests.support.commands import run_command
from tests.support.ports import free_port
from tests.support.programs import unmeasured
from tests.support.waiting import until

_ROOT = Path(__file__).parents[2]
_START_S = 60.0
_STOP_S = 20.0


class Service:
    """`pglambda serve` with these settings; `url` is that of ORIGIN_PORT. It keeps its ports."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        self.url = f"http://127.0.0.1:{variables['ORIGIN_PORT']}"
        self._settings, self._log = variables, folder / "serve.log"
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "entrypoints", "serve"]
        with self._log.open("ab") as log:
            self._program = subprocess.Popen(
                argv, cwd=_ROOT, env={**unmeasured(), **self._settings}, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Kill the supervisor; its processes die with it."""
        self._program.kill()
        self._program.wait()

    def stop(self) -> None:
        if self._program.poll() is None:
            self._program.send_signal(signal.SIGTERM)
            try:
                self._program.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def run(self, *command: str) -> None:
        """Run a command of `pglambda` with the settings of this service."""
        ended = run_command(*command, **self._settings)
        assert ended.returncode == 0, ended.stderr

    async def ready(self) -> None:
        await until(self._answers, _START_S)

    async def _answers(self) -> bool:
        assert self._program.poll() is None, self._log.read_text()
        async with httpx2.AsyncClient(verify=False) as client:  # to load certificates takes longer than a request
            with contextlib.suppress(httpx2.TransportError):
                return (await client.get(f"{self.url}/health", timeout=5)).status_code == 200
        return False


def variables_for(
    folder: Path, database_url: str, *, origin: Origin | None = None, source_url: str = "", redis: Redis | None = None
) -> dict[str, str]:
    """Return settings of a service with ORIGIN_PORT; with an origin it is the front of that."""
    data = folder / "data"
    data.mkdir(mode=0o755, exist_ok=True)
    ports = {"PORT": str(free_port()), "ORIGIN_PORT": str(free_port())}
    settings = {"DATABASE_URL": database_url, "DATA_DIR": str(data), "LOG_LEVEL": "error", **ports}
    if origin is not None:
        settings |= {"ORIGIN_URL": origin.url, "TAKEOVER_SOURCE_URL": source_url}
    return settings | ({} if redis is None else {"TAKEOVER_REDIS_URL": redis.url})
