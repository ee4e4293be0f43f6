"""What the network does to the service."""

import contextlib

import pytest

from tests.faults.conftest import serving
from tests.faults.proxy import Mode
from tests.faults.server import SERVICE_ROLE
from tests.faults.trial import Trial

pytestmark = pytest.mark.timeout(120)


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


async def test_callers_that_hang_up_on_a_server_that_ignores_cancels(through_proxy, proxy, misbehaving, stored):
    async with serving(through_proxy) as client:
        trial = Trial("silent on cancel, callers hang up", hang_ups=0.3, away=True)
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


async def test_a_network_of_200_ms_each_way(through_proxy, misbehaving, stored):
    def tells(callers, during_s):
        within = [call for call in callers.calls if during_s[0] + 2.0 <= call.began_s <= during_s[1]]
        assert sum(call.failed for call in within) <= 0.1 * len(within)

    async with serving(through_proxy) as client:
        trial = Trial("slow network, 200 ms each way", clients=16, sessions=64, lasting_s=6.0, bites=False, tells=tells)
        await trial.run(client, misbehaving(delay_s=0.2), stored)
