"""Runtime hosts register themselves over HTTP, with the token that they share with controllers."""

import asyncio
from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.runtime_hosts import MemoryHostDirectory
from domain.access.principal import NOBODY
from domain.errors import StorageUnavailable
from domain.hosts.host import STALE_AFTER, HostState
from domain.hosts.networks import HostNetworks
from domain.hosts.service import HostRegistry, HostWatch
from entrypoints.http.endpoints.runtime_hosts import RuntimeHostHealth
from entrypoints.telemetry.metrics.runtime_hosts import RuntimeHostMetrics
from tests.contracts.host_directory import NOW, host
from tests.unit.http.world import OPTIONS, World

NETWORKS = HostNetworks((ip_network("10.0.0.0/8"),))
TOKEN = {"Authorization": "Bearer hush"}
BODY = {
    "boot_id": str(UUID(int=1)),
    "url": "http://10.0.0.7:8090",
    "languages": ["nodejs", "python"],
    "runs_max": 32,
    "release": "0.3.0",
    "state": "ready",
}


async def no_names(_host, _port):
    raise OSError(-2, "Name or service not known")


@pytest.fixture
def directory():
    return MemoryHostDirectory(hosts_max=1)


@pytest.fixture
def world(log_lines, directory):
    registry = HostRegistry(ManualClock(), directory, NETWORKS, no_names)
    return World.of(evolve(OPTIONS, runtime_token="hush"), caller=NOBODY, registry=registry)


async def put(client, name="host-1:8090", headers=TOKEN, **changed):
    return await client.put(f"/runtime-hosts/{name}", headers=headers, json=BODY | changed)


async def test_a_host_with_the_token_is_registered(client, directory):
    replied = await put(client)
    assert (replied.status_code, replied.content) == (204, b"")
    registered = host("host-1:8090", url=BODY["url"], address=ip_address("10.0.0.7"))
    assert await directory.hosts() == [registered]
    assert (await put(client, state="draining")).status_code == 204
    assert await directory.hosts() == [evolve(registered, state=HostState.DRAINING)]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic hush"}, {"Authorization": "Bearer"}],
    ids=["no token", "another token", "another scheme", "an empty token"],
)
async def test_without_the_token_nothing_is_registered(client, directory, headers):
    replied = await put(client, headers=headers)
    assert replied.status_code == 401
    assert replied.json()["error"]["code"] == "UNAUTHORIZED"
    assert "RUNTIME_TOKEN" in replied.json()["error"]["message"]
    assert replied.headers["www-authenticate"].startswith("Bearer")
    assert directory.rows == {}


async def test_the_token_of_hosts_opens_no_other_route(client):
    replied = await client.get("/api/v1/sessions", headers=TOKEN)
    assert replied.status_code == 401


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"runs_max": 0}, "/runs_max"),
        ({"runs_max": 2**31}, "/runs_max"),
        ({"languages": ["a"] * 9}, "/languages"),
        ({"languages": ["Python\n"]}, "/languages"),
        ({"release": "0.3.0 "}, "/release"),
        ({"state": "stale"}, "/state"),
        ({"boot_id": "x"}, "/boot_id"),
        ({"url": "http://10.0.0.7/" + "a" * 512}, "/url"),
        ({"url": "unix:/run/host"}, "/url"),
        ({"url": "http://none.example"}, "/url"),
    ],
)
async def test_a_registration_that_is_not_valid_names_the_field(client, directory, changed, pointer):
    replied = await put(client, **changed)
    assert replied.status_code == 400, replied.text
    assert [each["pointer"] for each in replied.json()["error"]["details"]["problems"]] == [pointer]
    assert directory.rows == {}


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "%00", "h\u00f6st", "a" * 129])
async def test_a_name_that_is_not_plain_is_refused(client, directory, name):
    assert (await put(client, name)).status_code in {400, 404}
    assert directory.rows == {}


async def test_a_registration_that_is_too_large_is_refused_before_it_is_read(client):
    replied = await put(client, url="a" * 5000)
    assert replied.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_host_outside_the_networks_is_forbidden(client):
    replied = await put(client, url="http://169.254.169.254")
    assert replied.status_code == 403
    error = replied.json()["error"]
    assert error["code"] == "FORBIDDEN"
    assert error["details"] == {"address": "169.254.169.254", "allowed": ["10.0.0.0/8"]}


async def test_a_name_that_is_held_is_a_conflict(client):
    await put(client)
    replied = await put(client, boot_id=str(UUID(int=2)), url="http://10.0.0.8:8090")
    assert replied.status_code == 409
    error = replied.json()["error"]
    assert error["code"] == "CONFLICT"
    assert error["details"] == {"name": "host-1:8090", "url": BODY["url"]}


async def test_a_host_too_many_is_told_when_to_come_back(client):
    await put(client)
    replied = await put(client, "host-2", boot_id=str(UUID(int=2)), url="http://10.0.0.8:8090")
    assert replied.status_code == 503
    assert replied.json()["error"]["code"] == "OVERLOADED"
    assert replied.headers["retry-after"] == "5"


async def test_an_unreachable_database_is_reported(client, directory):
    directory.failure = StorageUnavailable()
    replied = await put(client)
    assert replied.status_code == 503
    assert replied.json()["error"]["code"] == "STORAGE_UNAVAILABLE"


async def test_registrations_pass_while_the_service_is_overloaded_or_drains(client, world):
    await world.app.drain(0)
    assert (await put(client)).status_code == 204


async def test_without_networks_of_hosts_there_is_no_such_route(log_lines):
    async with World.of(evolve(OPTIONS, runtime_token="hush")).client() as client:
        assert (await put(client)).status_code == 404


async def test_health_and_metrics_show_the_hosts_that_were_read_last():
    directory, clock = MemoryHostDirectory(), ManualClock()
    watch = HostWatch(clock, directory, NETWORKS, Ignoring())
    probe = RuntimeHostHealth(watch).probe
    assert await probe() == {
        "status": "degraded",
        "reason": "the directory cannot be read: not read yet",
        "hosts": [],
    }
    await directory.register(host("a"))
    await directory.register(host("b", at=NOW - STALE_AFTER))
    await directory.register(host("c", state=HostState.ENDED))
    await watch.read()
    facts = await probe()
    assert facts["status"] == "ok"
    assert facts["hosts"][0] == {
        "name": "a",
        "url": "http://a.example:8090",
        "address": "10.0.0.7",
        "state": "ready",
        "languages": ("nodejs", "python"),
        "runs_max": 32,
        "release": "0.3.0",
        "registered_at": NOW,
        "seen_at": NOW,
    }
    (family,) = RuntimeHostMetrics(watch).collect()
    assert {sample.labels["state"]: sample.value for sample in family.samples} == {
        "ready": 1,
        "draining": 0,
        "stale": 1,
    }
    directory.failure = StorageUnavailable()
    await watch.read()
    assert (await probe())["status"] == "degraded"
    assert len((await probe())["hosts"]) == 3


def test_without_hosts_that_register_there_are_no_samples():
    (family,) = RuntimeHostMetrics(None).collect()
    assert family.samples == []


class Ignoring:
    """Runs nothing on any host."""

    async def serve(self, hosts, silent=()):
        return

    async def wanted(self):
        await asyncio.Event().wait()
