"""Embedded servers, started and stopped by the tests."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from tests.support.folders import quick_parent, shared_folder

TIMEOUT_S = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that the user of the server may enter. For root it may not enter pytest's own folders."""
    with shared_folder(quick_parent()) as folder:
        yield folder


class RunningServer:
    """A server from its start to its end."""

    def __init__(self, folder: Path, server: EmbeddedPostgres | None = None, **options: float) -> None:
        self.server = server or EmbeddedPostgres(EmbeddedPostgresOptions(folder, **options), launch)
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
        assert time.monotonic() < ends_at, "the condition did not become true in time"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def made() -> Iterator[Path]:
    """A folder with the files of a server. To copy them is faster than to create them."""
    with shared_folder(quick_parent()) as folder:
        EmbeddedPostgres(EmbeddedPostgresOptions(folder), launch).prepare()
        yield folder


def seed(made: Path, folder: Path) -> None:
    if not (folder / "postgres").exists():
        subprocess.run(["cp", "-a", made / "postgres", made / "pgpass", folder], check=True)


@pytest.fixture
def start(folder: Path, made: Path) -> Iterator[Callable[..., RunningServer]]:
    servers: list[RunningServer] = []

    def begin(at: Path = folder, *, fresh: bool = False, **options: float) -> RunningServer:
        if not fresh:
            seed(made, at)
        servers.append(RunningServer(at, **options))
        return servers[-1]

    yield begin
    for server in servers:
        server.stop()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes users")
