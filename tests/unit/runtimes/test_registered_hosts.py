"""Languages that run on hosts which come and go, played by respx."""

import asyncio
import json
from ipaddress import ip_address

import httpx2
import pytest
from respx import MockResponse

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.ranks import ranked
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from tests.contracts.host_directory import host
from tests.contracts.script_runs import new_session, result_of, run_of
from tests.unit.runtimes.conftest import over_http
from tests.unit.runtimes.replies import own

LISTED = "http://listed.test"
A, B = "http://10.0.0.1:8090", "http://10.0.0.2:8090"


def at(number, **changed):
    url = f"http://10.0.0.{number}:8090"
    return host(f"h{number}", number, **{"url": url, "address": ip_address(f"10.0.0.{number}")} | changed)


@pytest.fixture
async def runner():
    """Node.js on a listed host, Python on those that register."""
    runner = HttpScriptRunner(
        RuntimeOptions(queue_timeout_s=0.1), {Language.NODEJS: [LISTED]}, registering=[Language.PYTHON], dial=over_http
    )
    await runner.open()
    yield runner
    await runner.close()


def called(httpx2_mock):
    return [str(call.request.url.copy_with(path="")) for call in httpx2_mock.calls]


async def test_without_a_registered_host_a_language_cannot_run(runner):
    with pytest.raises(RuntimeUnavailable, match="no runtime host is registered"):
        await result_of(runner, run_of("result = 1"))
    health = (await runner.health())["languages"]["python"]
    assert health["status"] == "failing"
    assert "no runtime host is registered" in health["reason"]
    assert await runner.readiness(Language.PYTHON) == {"status": "failing", "reason": health["reason"]}


async def test_scripts_run_on_the_hosts_that_are_served_for_their_language(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    await runner.serve([at(1), at(2, languages=("nodejs",))])
    for _ in range(20):
        await result_of(runner, run_of("result = 1"))
    assert set(called(httpx2_mock)) == {A}, "hosts without the language, and languages with a list, are left alone"


async def test_a_host_that_is_no_longer_served_gets_no_run_and_a_new_one_does(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    await runner.serve([at(1)])
    await result_of(runner, run_of("result = 1"))
    await runner.serve([at(2)])
    await result_of(runner, run_of("result = 1"))
    await runner.serve([])
    with pytest.raises(RuntimeUnavailable):
        await result_of(runner, run_of("result = 1"))
    assert called(httpx2_mock) == [A, B]


async def test_what_runs_on_a_host_that_is_no_longer_served_ends_as_it_does(runner, httpx2_mock):
    started, may_end = asyncio.Event(), asyncio.Event()

    async def reply(_request):
        started.set()
        await may_end.wait()
        return MockResponse(200, content=own())

    httpx2_mock.route().mock(side_effect=reply)
    await runner.serve([at(1)])
    running = asyncio.create_task(result_of(runner, run_of("result = 1")))
    await started.wait()
    for _ in range(3):
        await runner.serve([])
    may_end.set()
    assert await running == "8"
    assert (await runner.health())["languages"]["python"]["hosts"] == []


async def test_a_run_that_waits_for_a_host_that_has_left_goes_to_the_next(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    await runner.serve([at(1), at(2)])
    ref = new_session()
    first = ranked(ref.session_id.bytes, [A, B])[0]
    worker = await runner.acquire(run_of("result = 1", ref=ref))
    await runner.serve([at(2) if first == A else at(1)])
    assert (await worker.run()).result == "8"
    await worker.release()
    assert called(httpx2_mock) == [B if first == A else A]


async def test_a_host_that_stays_keeps_its_connections_and_what_it_was_sent(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    await runner.serve([at(1)])
    await result_of(runner, run_of("result = 1"))
    await runner.serve([at(1, runs_max=8), at(2, languages=())])
    await result_of(runner, run_of("result = 1"))
    sent = [json.loads(call.request.content) for call in httpx2_mock.calls]
    assert ["script_content" in each for each in sent] == [True, False]


async def test_the_stored_address_is_connected_to_and_the_name_is_for_the_certificate(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    for url, location, authority in (
        ("https://host.example", "https://10.0.0.1", "host.example"),
        ("https://host.example:8443", "https://10.0.0.1:8443", "host.example:8443"),
    ):
        await runner.serve([at(1, url=url)])
        await result_of(runner, run_of("result = 1"))
        request = httpx2_mock.calls.last.request
        assert str(request.url) == f"{location}/execute"
        assert request.headers["host"] == authority
        assert request.extensions["sni_hostname"] == "host.example"
    await runner.serve([at(1, url="http://[fd00::1]:1", address=ip_address("fd00::1"))])
    await result_of(runner, run_of("result = 1"))
    assert str(httpx2_mock.calls.last.request.url) == "http://[fd00::1]:1/execute"


async def test_a_host_at_another_address_is_another_host(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    for number in (1, 2):
        await runner.serve([at(1, url="http://host.example:1", address=ip_address(f"10.0.0.{number}"))])
        await result_of(runner, run_of("result = 1"))
    assert called(httpx2_mock) == ["http://10.0.0.1:1", "http://10.0.0.2:1"]


async def test_a_listed_host_that_registers_stays_as_it_is_listed(runner, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    await runner.serve([at(1, url=LISTED), at(2)])
    await runner.serve([])
    await result_of(runner, run_of("1", language=Language.NODEJS))
    assert called(httpx2_mock) == [LISTED]


async def test_evictions_and_health_reach_the_hosts_that_are_served(runner, httpx2_mock):
    httpx2_mock.route(path="/health").mock(side_effect=httpx2.ConnectError("refused"))
    await runner.serve([at(1)])
    hosts = (await runner.health())["languages"]["python"]["hosts"]
    assert [each["url"] for each in hosts] == [A]
