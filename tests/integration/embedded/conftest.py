import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch

TIMEOUT_S = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that the server's user may enter, which pytest's own folders are not for root."""
    path = Path(tempfile.mkdtemp(prefix="pgl-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Life:
    """A server from start to end."""

    def __init__(self, folder: Path, **options: float) -> None:
        self.server = EmbeddedPostgres(EmbeddedPostgresOptions(folder, **options), launch)
        self.server.prepare()
        self.process = self.server.start()
        wait_until(self.server.is_ready, self.process)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.server.fast_stop)
        self.process.wait(TIMEOUT_S)
        self.server.forget()


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes] | None" = None) -> None:
    ends_at = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < ends_at, "it did not become true in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A folder with a server's files, to be copied, which is faster than making them."""
    path = Path(tempfile.mkdtemp(prefix="pgl-made-", dir="/tmp"))
    path.chmod(0o711)
    EmbeddedPostgres(EmbeddedPostgresOptions(path), launch).prepare()
    yield path
    shutil.rmtree(path, ignore_errors=True)


def seed(made: Path, folder: Path) -> None:
    if not (folder / "postgres").exists():
        subprocess.run(["cp", "-a", made / "postgres", made / "pgpass", folder], check=True)


@pytest.fixture
def start(folder: Path, made: Path) -> Iterator[Callable[..., Life]]:
    lives: list[Life] = []

    def begin(at: Path = folder, *, fresh: bool = False, **options: float) -> Life:
        if not fresh:
            seed(made, at)
        lives.append(Life(at, **options))
        return lives[-1]

    yield begin
    for life in lives:
        life.stop()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
