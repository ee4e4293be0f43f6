"""A runtime host registers itself at controllers that respx plays."""

import asyncio
import json
import ssl
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import structlog
from respx import MockResponse

from adapters.host_registrar import HostRegistrar, Offer, RegistrarOptions
from domain.hosts.host import HostState
from tests.support.certificates import Authority

FIRST, SECOND = "http://first.test:8080", "https://second.test"
PATH = "/runtime-hosts/host-1:8090"
URL = "http://10.0.0.7:8090"
HAS_IPV6 = bool(Path("/proc/net/if_inet6").read_text()) if Path("/proc/net/if_inet6").exists() else False
OFFER = Offer(["python"], 32)


@pytest.fixture
def controllers(httpx2_mock):
    httpx2_mock.put(FIRST + PATH, name="first").mock(return_value=MockResponse(204))
    return httpx2_mock


@pytest.fixture
def second(controllers):
    return controllers.put(SECOND + PATH).mock(return_value=MockResponse(204))


@pytest.fixture
async def registrar():
    options = RegistrarOptions([FIRST, SECOND], "hush", "host-1:8090", URL, 8090, "0.3.0", every_s=0.001)
    registrar = HostRegistrar(options, lambda: OFFER, UUID(int=1))
    yield registrar
    await registrar.end()


def bodies(route):
    return [json.loads(call.request.content) for call in route.calls]


async def test_it_sends_what_it_is_with_the_token(controllers, registrar):
    await registrar.register()
    (call,) = controllers["first"].calls
    assert call.request.headers["authorization"] == "Bearer hush"
    assert json.loads(call.request.content) == {
        "boot_id": str(UUID(int=1)),
        "url": "http://10.0.0.7:8090",
        "languages": ["python"],
        "runs_max": 32,
        "release": "0.3.0",
        "state": "ready",
    }
    assert registrar.problem is None


@pytest.mark.parametrize(
    "failure",
    [
        {"side_effect": httpx2.ConnectError("refused")},
        {"side_effect": httpx2.ReadTimeout("silent")},
        {"return_value": MockResponse(503, json={"error": {"message": "The database did not respond."}})},
        {"return_value": MockResponse(404)},
        {"return_value": MockResponse(500, content=b"Internal Server Error")},
    ],
    ids=["unreachable", "silent", "unavailable", "without the route", "broken"],
)
async def test_it_passes_over_a_controller_that_cannot_take_it_and_stays_with_the_next(
    controllers, second, registrar, failure
):
    controllers["first"].mock(**failure)
    await registrar.register()
    await registrar.register()
    assert registrar.problem is None
    assert controllers["first"].call_count == 1
    assert second.call_count == 2


async def test_it_reports_why_no_controller_has_taken_it(controllers, second, registrar):
    controllers["first"].mock(side_effect=httpx2.ConnectError("refused"))
    second.mock(return_value=MockResponse(503, json={"error": {"message": "Too many hosts."}}))
    await registrar.register()
    assert registrar.problem == f"{FIRST}: ConnectError: refused; {SECOND}: 503 Too many hosts."


@pytest.mark.parametrize("is_known", [True, False])
async def test_it_registers_only_at_a_controller_that_its_certificates_verify(tmp_path, is_known):
    signing, other = Authority(tmp_path, "signing"), Authority(tmp_path, "other")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*signing.vouch("127.0.0.1"))
    heads = []

    async def serve(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        ca_file = (signing if is_known else other).file
        options = RegistrarOptions([f"https://127.0.0.1:{port}"], "hush", "host-1:8090", URL, 8090, "0.3.0", ca_file)
        registrar = HostRegistrar(options, lambda: OFFER)
        await registrar.register()
        problem = registrar.problem
        await registrar.end()
    assert bool(heads) is is_known, "the token goes to nobody else"
    assert (problem is None) is is_known
    assert is_known or "CERTIFICATE_VERIFY_FAILED" in problem


async def test_what_one_controller_refuses_is_not_sent_to_the_next(controllers, registrar):
    controllers["first"].mock(return_value=MockResponse(409, json={"error": {"message": "The name is held."}}))
    await registrar.register()
    assert registrar.problem == f"{FIRST}: 409 The name is held."


@pytest.mark.parametrize("content", [b"x" * 1_000_000, b'{"error": []}', b"[]", b"\xff"])
async def test_whatever_a_controller_replies_the_reason_is_short(controllers, registrar, content):
    controllers["first"].mock(return_value=MockResponse(403, content=content))
    await registrar.register()
    assert registrar.problem.startswith(f"{FIRST}: 403 ")
    assert len(registrar.problem) < 600


async def test_the_log_has_changes_and_no_repetitions_and_no_token(controllers, registrar):
    with structlog.testing.capture_logs() as lines:
        await registrar.register()
        await registrar.register()
        controllers["first"].mock(return_value=MockResponse(401, json={"error": {"message": "Set RUNTIME_TOKEN."}}))
        await registrar.register()
        await registrar.register()
        controllers["first"].mock(return_value=MockResponse(204))
        await registrar.register()
    assert [line["event"] for line in lines] == ["host_registered", "host_not_registered", "host_registered"]
    assert "hush" not in repr(lines)
    assert "hush" not in repr(registrar)


async def test_it_registers_again_and_again_until_it_drains_and_ends(controllers, registrar):
    third = asyncio.Event()

    def reply(_request):
        if controllers["first"].call_count == 2:
            third.set()
        return MockResponse(204)

    controllers["first"].mock(side_effect=reply)
    running = asyncio.create_task(registrar.run())
    await asyncio.wait_for(third.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    assert {body["state"] for body in bodies(controllers["first"])} == {"ready"}


async def test_a_drain_is_sent_at_once_and_the_end_last(controllers):
    options = RegistrarOptions([FIRST], "hush", "host-1:8090", URL, 8090, "0.3.0", every_s=3600)
    registrar, sent = HostRegistrar(options, lambda: OFFER), asyncio.Queue()

    def reply(request):
        sent.put_nowait(json.loads(request.content)["state"])
        return MockResponse(204)

    controllers["first"].mock(side_effect=reply)
    running = asyncio.create_task(registrar.run())
    assert await asyncio.wait_for(sent.get(), 5) == "ready"
    registrar.leave()
    assert await asyncio.wait_for(sent.get(), 5) == "draining"
    running.cancel()
    await asyncio.wait([running])
    await registrar.end()
    assert await sent.get() == "ended"
    assert registrar.state is HostState.ENDED


@pytest.mark.parametrize(
    ("controller", "url"),
    [("http://127.0.0.1:8080", "http://127.0.0.1:8090"), ("http://[::1]:8080", "http://[::1]:8090")],
)
async def test_without_a_url_a_host_is_where_its_packets_to_the_controller_come_from(httpx2_mock, controller, url):
    if "::1" in controller and not HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    route = httpx2_mock.put(controller + PATH).mock(return_value=MockResponse(204))
    registrar = HostRegistrar(RegistrarOptions([controller], "hush", "host-1:8090", None, 8090, "0.3.0"), lambda: OFFER)
    await registrar.register()
    assert (registrar.problem, bodies(route)[0]["url"]) == (None, url)
    await registrar.end()


async def test_a_controller_whose_name_is_unknown_is_passed_over(httpx2_mock):
    httpx2_mock.put("http://127.0.0.1:8080" + PATH).mock(return_value=MockResponse(204))
    controllers = ["http://no-such-host.invalid", "http://127.0.0.1:8080"]
    registrar = HostRegistrar(RegistrarOptions(controllers, "hush", "host-1:8090", None, 8090, "0.3.0"), lambda: OFFER)
    await registrar.register()
    assert registrar.problem is None
    await registrar.end()


async def test_a_host_that_is_not_registered_tries_again_soon(controllers):
    options = RegistrarOptions([FIRST], "hush", "host-1:8090", URL, 8090, "0.3.0", every_s=3600, again_after_s=0.001)
    registrar, taken = HostRegistrar(options, lambda: OFFER), asyncio.Event()

    def reply(_request):
        if controllers["first"].call_count < 2:
            return MockResponse(503)
        taken.set()
        return MockResponse(204)

    controllers["first"].mock(side_effect=reply)
    running = asyncio.create_task(registrar.run())
    await asyncio.wait_for(taken.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    await registrar.end()
