"""What the network does to the service."""

import asyncio
import contextlib
import time
from uuid import uuid4

import pytest

from tests.faults import report
from tests.faults.conftest import serving
from tests.faults.proxy import Mode
from tests.faults.server import SERVICE_ROLE
from tests.faults.trial import RECOVERY_S, Trial
from tests.support.waiting import within

pytestmark = pytest.mark.timeout(120)

TITLED = {"Language-Title": "python-counting"}
AWAY_S = 1.0
POLL_S = 0.02
MOVING_S = 2.0
WARM_S = 2.0


@pytest.fixture
def through_proxy(server, database, proxy, settings_for):
    return settings_for(server.dsn(database, SERVICE_ROLE, proxy.port))


@pytest.fixture
def misbehaving(proxy):
    """Return a fault: the proxy has these properties while it lasts."""

    def fault(**properties):
        @contextlib.asynccontextmanager
        async def lasting():
            before = {name: getattr(proxy, name) for name in properties}
            for name, value in properties.items():
                setattr(proxy, name, value)
            yield
            for name, value in before.items():
                setattr(proxy, name, value)

        return lasting

    return fault


@pytest.mark.parametrize("clients", [16, 64])
async def test_a_server_that_falls_silent(through_proxy, misbehaving, stored, clients):
    async with serving(through_proxy) as client:
        trial = Trial(f"silent server, {clients} clients", clients=clients, away=True)
        await trial.run(client, misbehaving(mode=Mode.SILENT), stored)


async def test_a_server_that_does_not_greet_and_loses_its_connections(through_proxy, proxy, misbehaving, stored):
    @contextlib.asynccontextmanager
    async def fault():
        async with misbehaving(mode=Mode.SILENT_ON_CONNECT)():
            for link in list(proxy.links):
                link.reset()
            yield

    async with serving(through_proxy) as client:
        await Trial("silent on connect", away=True).run(client, fault, stored)


async def test_callers_that_disconnect_from_a_server_that_ignores_cancels(through_proxy, proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        trial = Trial("silent on cancel, callers disconnect", disconnects=0.3, away=True)
        await trial.run(client, misbehaving(mode=Mode.SILENT, swallow_cancels=True), stored)
    assert proxy.cancels == 0, "a cancel is waited for, so none may be sent"


async def test_connections_that_are_reset_in_the_middle_of_a_query(through_proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        await Trial("reset mid-query").run(client, misbehaving(mode=Mode.RESET), stored)


async def test_commits_that_are_acknowledged_late(through_proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        trial = Trial("commits acknowledged 500 ms late", bites=False)
        await trial.run(client, misbehaving(hold_s=0.5), stored)


async def test_commits_that_are_acknowledged_too_late(through_proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        await Trial("commits acknowledged 1500 ms late").run(client, misbehaving(hold_s=1.5), stored)


async def test_commits_that_are_never_acknowledged(through_proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        trial = Trial("commits never acknowledged")
        await trial.run(client, misbehaving(mode=Mode.CUT, hold_s=0.3), stored)


@pytest.fixture
def many_connections(server, database, proxy, settings_for):
    """As many as there are kinds of statements to be under way, which are long at such a distance."""
    return settings_for(server.dsn(database, SERVICE_ROLE, proxy.port), DB_POOL_MAX="16")


async def test_a_network_of_200_ms_each_way(many_connections, misbehaving, stored):
    def tells(callers, during_s):
        within = [call for call in callers.calls if during_s[0] + WARM_S <= call.began_s <= during_s[1]]
        assert sum(call.failed for call in within) <= 0.1 * len(within)

    async with serving(many_connections) as client:
        name = "slow network, 200 ms each way (DB_POOL_MAX=16)"
        trial = Trial(name, clients=16, sessions=64, lasting_s=6.0, bites=False, tells=tells)
        await trial.run(client, misbehaving(delay_s=0.2), stored)


@pytest.mark.parametrize("away", [Mode.SILENT, Mode.REFUSE], ids=["silent", "refusing"])
async def test_a_server_that_is_away_at_the_start(through_proxy, proxy, away):
    proxy.mode = away
    async with serving(through_proxy) as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        for path, method in ((f"/api/v1/sessions/{uuid4()}", "DELETE"), ("/api/v1/initialize", "POST")):
            asked = client.request(method, path, json={"script_content": "result = 1"}, headers=TITLED)
            error = (await asked).json()["error"]
            assert (error["code"], error["details"]["stored"]) == ("STORAGE_UNAVAILABLE", "no")
        await asyncio.sleep(AWAY_S)
        proxy.mode = Mode.PASS
        began_s = time.monotonic()
        with within(RECOVERY_S):
            while (await client.get("/readyz")).status_code != 200:  # noqa: ASYNC110  # there is no event to await
                await asyncio.sleep(POLL_S)
    report.ROWS.append(
        report.row_of(f"server away at the start, {away.name.lower()}", [], None, time.monotonic() - began_s)
    )


@pytest.fixture
def over_two_hosts(server, database, proxy, settings_for):
    """The same server by two addresses; the first leads through the proxy."""
    hosts = f"127.0.0.1:{proxy.port},127.0.0.1:{server.port}"
    return settings_for(f"postgresql://{SERVICE_ROLE}@{hosts}/{database}?sslmode=disable&gssencmode=disable")


async def test_the_first_of_two_hosts_that_falls_silent(over_two_hosts, misbehaving, stored):
    def tells(callers, during_s):
        moved = [call for call in callers.calls if during_s[0] + MOVING_S <= call.began_s <= during_s[1]]
        assert moved
        assert sum(call.failed for call in moved) <= 0.02 * len(moved)

    async with serving(over_two_hosts) as client:
        trial = Trial("first of two hosts silent", lasting_s=8.0, bites=False, tells=tells)
        await trial.run(client, misbehaving(mode=Mode.SILENT), stored)
