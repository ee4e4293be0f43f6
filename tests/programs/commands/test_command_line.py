"""The command among other programs: signals, pipes, and a service that it measures."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from attrs import frozen
from msgspec.structs import replace

from domain.errors import StorageUnavailable
from entrypoints.composition.commands import Commands
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import settings_for
from tests.integration.commands.conftest import QUIET, ROOT, Run
from tests.integration.conftest import NewDatabase
from tests.support.ports import free_port
from tests.support.programs import unmeasured

COMMAND = [sys.executable, "-m", "entrypoints"]
SERVICE_S = 40.0


@frozen
class Measured:
    """A service that the command measures."""

    url: str
    database_url: str

    def sessions(self) -> tuple[int, int]:
        """Return how many sessions there are, and how many of them are closed."""
        with psycopg.connect(self.database_url) as connection:
            (counts,) = connection.execute("SELECT count(*), count(closed_at) FROM meta.sessions").fetchall()
        return counts[0], counts[1]


@pytest.fixture(scope="module")
def service(new_database: NewDatabase, template: str, data_dir: Path) -> Iterator[Measured]:
    """One service for the tests that measure, because it takes seconds of processor time to start."""
    port = free_port()
    with new_database(template) as database_url:
        settings = settings_for(database_url, data_dir)
        assert settings.database_url is not None
        given = {"DATABASE_URL": settings.database_url.reveal(), "DATA_DIR": str(data_dir), "PORT": str(port)}
        server = subprocess.Popen(
            [*COMMAND, "serve"],
            env={**unmeasured(), **QUIET, **given, "REQUEST_TIMEOUT_MS": "10000"},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            _await_ready(f"{url}/readyz")
            yield Measured(url, database_url)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(SERVICE_S)


def _await_ready(url: str) -> None:
    until_s = time.monotonic() + SERVICE_S
    while time.monotonic() < until_s:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} was not ready")


def test_a_benchmark_measures_a_service_and_closes_its_sessions(run: Run, service: Measured) -> None:
    before = service.sessions()
    result = run("bench", "--url", service.url, "--seconds", "0.5", "--connections", "2", "--output", "json")
    assert result.returncode == 0, result.stdout + result.stderr
    calls = {each["name"]: each for each in json.loads(result.stdout)["calls"]}
    assert list(calls) == ["initialize", "get", "execute nodejs", "execute python"]
    for each in calls.values():
        assert each["answered"] > 0
        assert 0 < each["p50_ms"] <= each["p99_ms"]
    begun, closed = (after - count for after, count in zip(service.sessions(), before, strict=True))
    assert begun == closed >= calls["initialize"]["answered"]
    table = run("bench", "--url", service.url, "--seconds", "0.2", "--connections", "1", "--language", "python")
    assert "execute python" in table.stdout
    assert "execute nodejs" not in table.stdout


@pytest.fixture
def _attended() -> Iterator[None]:
    """As in the foreground of a terminal: a suite that was started in the background ignores Ctrl-C, and so would its
    children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_attended")
def test_ctrl_c_ends_a_benchmark_and_closes_its_sessions(service: Measured) -> None:
    before = service.sessions()
    measuring = subprocess.Popen(
        [*COMMAND, "bench", "--url", service.url, "--seconds", "60", "--connections", "1", "--language", "python"],
        env={**unmeasured(), **QUIET},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert measuring.stderr is not None
    assert measuring.stderr.readline() == "initialize ...\n"
    measuring.send_signal(signal.SIGINT)
    output, errors = measuring.communicate(timeout=40)
    assert (measuring.returncode, output) == (130, "")
    assert errors.endswith("Interrupted.\n")
    assert "Traceback" not in errors
    begun, closed = (after - count for after, count in zip(service.sessions(), before, strict=True))
    # The session whose response the client no longer read expires in ten minutes.
    assert begun - closed <= 1 < begun


def test_a_closed_pipe_is_not_an_error(run: Run) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            [*COMMAND, "config", "show", "--describe"],
            env={**unmeasured(), **QUIET},
            cwd=ROOT,
            stdout=write_end,
            stderr=subprocess.PIPE,
            timeout=50,
            check=False,
        )
    finally:
        os.close(write_end)
    assert result.stderr == b""


@pytest.mark.parametrize("command", ["serve", "storage"])
def test_an_invalid_address_is_a_wrong_setting(run: Run, command: str) -> None:
    result = run(*command.split(), DATABASE_URL="postgresql://u:sesame@127.0.0.1:1/d?sslmod=require", PORT="0")
    assert (result.returncode, result.stdout) == (2, "")
    assert "DATABASE_URL: it is not valid. " in result.stderr
    assert "Traceback" not in result.stderr
    assert "sesame" not in result.stderr


async def test_an_unreachable_database_is_an_error_long_before_the_time_limit_of_the_task(settings: Settings) -> None:
    url = Secret(f"postgresql://u@127.0.0.1:{free_port()}/d")
    away = Commands(settings=replace(settings, database_url=url, request_timeout_ms=120_000))
    async with asyncio.timeout(30):
        with pytest.raises(StorageUnavailable):
            async with away.database_access().opened(reach_timeout_s=0.2):
                raise AssertionError("there is no database")
