"""A wall clock that is wrong by an hour has no effect, neither on a runtime host nor in a complete service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.integration.embedded.conftest import seed
from tests.integration.supervisor.conftest import TIMEOUT_S, Service, wait_until

WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
HOUR_S = 3600
CLOCKS = pytest.mark.parametrize("off_s", [HOUR_S, -HOUR_S], ids=["an hour ahead", "an hour behind"])


@pytest.fixture
def with_wrong_clock(folder: Path) -> Iterator[Callable[..., Service]]:
    """Starts programs in which every Python process has a wrong wall clock (see `wrong_clock`)."""
    started: list[Service] = []

    def begin(name: str, off_s: int, **settings: str) -> Service:
        clock = {"PYTHONPATH": str(WRONG_CLOCK), "WRONG_CLOCK_SECONDS": str(off_s)}
        started.append(Service(folder, program=("entrypoints", name), LOG_FORMAT="json", **clock, **settings))
        return started[-1]

    yield begin
    for each in started:
        each.end()


@pytest.fixture
def wrong_host(with_wrong_clock: Callable[..., Service], off_s: int) -> Service:
    host = with_wrong_clock("runtime-host", off_s)
    wait_until(lambda: host.status("/health") == 200)
    assert abs(_clock_of(host) - datetime.now(UTC) - timedelta(seconds=off_s)) < timedelta(minutes=10)
    return host


@CLOCKS
async def test_a_host_with_a_wrong_clock_runs_scripts_and_keeps_workers_while_their_sessions_live(wrong_host):
    lasting, ending = new_session(), new_session()
    async with _controller_of(wrong_host) as runner:
        nodejs = run_of("return event.params", "8", language=Language.NODEJS, session_left=timedelta(0))
        assert await result_of(runner, nodejs) == "8"
        await report_of(runner, run_of("result = 1", ref=lasting, session_left=timedelta(minutes=30)))
        await report_of(runner, run_of("result = 1", ref=ending, session_left=timedelta(0)))
        async with asyncio.timeout(TIMEOUT_S):
            while await _workers(runner) > 1:  # noqa: ASYNC110  # a host has no event for the end of an idle worker
                await asyncio.sleep(0.05)
        assert (await report_of(runner, run_of("result = 1", ref=lasting))).cold_start is False


@CLOCKS
@pytest.mark.timeout(120)
def test_a_service_of_several_processes_with_a_wrong_clock_runs_scripts(with_wrong_clock, folder, made, off_s):
    seed(made, folder)
    service = with_wrong_clock("serve", off_s, WEB_CONCURRENCY="2").ready()
    for title, script in (("python-adder", "result = params['n'] + 1"), ("nodejs-adder", "return event.params.n + 1")):
        created = _post(service, "initialize", {"script_content": script}, {"Language-Title": title})
        assert abs(datetime.fromisoformat(created["expires_at"]) - datetime.now(UTC)) < timedelta(hours=1, minutes=1)
        for count in (1, 2):
            executed = _post(service, f"execute/{created['request_id']}", {"params": {"n": count}}, {})
            assert (executed["result"], executed["execution_count"]) == (count + 1, count)
    assert abs(_clock_of(service) - datetime.now(UTC) - timedelta(seconds=off_s)) < timedelta(minutes=10)


@asynccontextmanager
async def _controller_of(host: Service) -> AsyncIterator[HttpScriptRunner]:
    """A controller's client of this host, in this process, whose clock is correct."""
    runner = HttpScriptRunner(RuntimeOptions(), {language: [host.url] for language in Language})
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
