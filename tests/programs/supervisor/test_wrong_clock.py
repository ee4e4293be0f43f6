"""A wall clock that is wrong by an hour, and that steps, has no effect on a complete service and its runtime host for others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from attrs import frozen

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import TIMEOUT_S, Service, wait_until

WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
HOUR_S = 3600


@frozen
class Clock:
    """The file by which the wall clock of every Python process is wrong."""

    file: Path

    def set(self, off_s: int) -> None:
        self.file.touch()
        with self.file.open("r+b") as file:
            file.write(off_s.to_bytes(8, "little", signed=True))


@pytest.fixture
def clock(other_folder: Path) -> Clock:
    return Clock(other_folder / "clock")


@pytest.fixture
def service(folder: Path, made: Path, other_folder: Path, clock: Clock) -> Iterator[Service]:
    """A service of several processes, in which every Python process has a wrong wall clock (see `wrong_clock`)."""
    seed(made, folder)
    clock.set(HOUR_S)
    wrong = {"PYTHONPATH": str(WRONG_CLOCK), "WRONG_CLOCK_FILE": str(clock.file)}
    settings = {"LOG_FORMAT": "json", "WEB_CONCURRENCY": "2", "TMPDIR": str(other_folder)}
    started = Service(folder, program=("entrypoints", "serve"), **wrong, **settings)
    yield started
    started.end()


@pytest.mark.timeout(180)
async def test_scripts_run_and_workers_are_kept_while_their_sessions_live(service, other_folder, clock):
    service.ready()
    (shared_host,) = other_folder.glob("pglambda-*/runtime")
    for off_s in (HOUR_S, -HOUR_S):  # the second time the clock steps back by two hours
        clock.set(off_s)
        await _host_keeps_workers(f"unix:{shared_host}")
        _sessions_live(service)
        assert abs(_clock_of(service) - datetime.now(UTC) - timedelta(seconds=off_s)) < timedelta(minutes=10)


def _sessions_live(service: Service) -> None:
    for title, script in (("python-adder", "result = params['n'] + 1"), ("nodejs-adder", "return event.params.n + 1")):
        created = _post(service, "initialize", {"script_content": script}, {"Language-Title": title})
        assert abs(datetime.fromisoformat(created["expires_at"]) - datetime.now(UTC)) < timedelta(hours=1, minutes=1)
        for count in (1, 2):
            executed = _post(service, f"execute/{created['request_id']}", {"params": {"n": count}}, {})
            assert (executed["result"], executed["execution_count"]) == (count + 1, count)


async def _host_keeps_workers(url: str) -> None:
    lasting, ending = new_session(), new_session()
    async with _controller_of(url) as runner:
        nodejs = run_of("return event.params", "8", language=Language.NODEJS, session_left=timedelta(0))
        assert await result_of(runner, nodejs) == "8"
        before = await _workers(runner)
        await report_of(runner, run_of("result = 1", ref=lasting, session_left=timedelta(minutes=30)))
        await report_of(runner, run_of("result = 1", ref=ending, session_left=timedelta(0)))
        async with asyncio.timeout(TIMEOUT_S):
            while await _workers(runner) > before + 1:  # noqa: ASYNC110  # a host has no event for the end of an idle worker
                await asyncio.sleep(0.05)
        assert (await report_of(runner, run_of("result = 1", ref=lasting))).cold_start is False


@asynccontextmanager
async def _controller_of(url: str) -> AsyncIterator[HttpScriptRunner]:
    """A controller's client of a host, in this process, whose clock is correct."""
    runner = HttpScriptRunner(RuntimeOptions(), {language: [url] for language in Language})
    await runner.open()
    try:
        yield runner
    finally:
        await runner.close()


async def _workers(runner: HttpScriptRunner) -> int:
    (host,) = (await runner.health())["languages"][Language.PYTHON]["hosts"]
    return host["workers"]["places"]


def _clock_of(service: Service) -> datetime:
    """The wall clock of the program, as its log shows it."""
    return datetime.fromisoformat(wait_until(service.lines)[-1]["timestamp"])


def _post(service: Service, path: str, body: dict, headers: dict) -> dict:
    response = httpx2.post(f"{service.url}/api/v1/{path}", json=body, headers=headers, timeout=20)
    assert response.status_code == 200, response.text
    return response.json()
