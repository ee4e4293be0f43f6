"""Where runtime hosts may be, how they are registered, and which ones the processes of a controller use."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network
from uuid import UUID

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.manual_clock import ManualClock
from adapters.memory.runtime_hosts import MemoryHostDirectory
from domain.errors import InvalidRequest, StorageUnavailable
from domain.hosts.host import (
    HELD_FOR,
    HOSTS_MAX,
    STALE_AFTER,
    HostConflict,
    HostState,
    RegisteredHost,
    Registration,
    TooManyHosts,
)
from domain.hosts.networks import URL_SIZE_MAX, HostLocation, HostNetworks, NetworkForbidden
from domain.hosts.service import HostRegistry, HostWatch
from tests.contracts.host_directory import host
from tests.support.waiting import until

NETWORKS = HostNetworks((ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
SECOND = timedelta(seconds=1)


def registration(**changed: object) -> Registration:
    known = Registration(
        name="a",
        boot_id=UUID(int=1),
        url="http://host.example:8090",
        languages=("python",),
        runs_max=32,
        release="0.3.0",
        state=HostState.READY,
    )
    return evolve(known, **changed)


@define
class Names:
    """Resolves any name to these addresses, or fails."""

    addresses: Sequence[str] = ("10.0.0.7",)
    failure: Exception | None = None
    asked: list[tuple[str, int]] = field(factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        if self.failure is not None:
            raise self.failure
        return self.addresses


@define
class Client:
    """Keeps the names of the hosts that it was given last."""

    served: list[str] | None = None
    silent: list[str] | None = None
    waiting: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self, hosts: Sequence[RegisteredHost], silent: Sequence[RegisteredHost] = ()) -> None:
        self.served = [each.name for each in hosts]
        self.silent = [each.name for each in silent]

    async def wanted(self) -> None:
        await self.waiting.wait()


def registry(names: Names | None = None, directory: MemoryHostDirectory | None = None) -> HostRegistry:
    return HostRegistry(ManualClock(), directory or MemoryHostDirectory(), NETWORKS, names or Names())


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://host.example:8090", HostLocation("host.example", 8090)),
        ("http://host.example", HostLocation("host.example", 80)),
        ("https://HOST.example", HostLocation("host.example", 443)),
        ("https://[fd00::7]:1", HostLocation("fd00::7", 1)),
    ],
)
def test_a_url_has_a_host_and_a_port(url, place):
    assert HostLocation.of(url) == place


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"http://{'a' * URL_SIZE_MAX}", "must have at most 512 characters"),
        ("http://a b", "must be a URL of printable ASCII characters"),
        ("http://h\u00f6st", "must be a URL of printable ASCII characters"),
        ("http://host:99999", "must be a URL with a host and a port between 1 and 65535"),
        ("http://host:0", "must have a host and a port between 1 and 65535"),
        ("http://[10.0.0.1", "must be a URL with a host and a port between 1 and 65535"),
        ("unix:/run/host.sock", "must begin with http:// or https://"),
        ("http://:80", "must have a host and a port between 1 and 65535"),
        ("http://user:password@host", "must not contain a user name or a password"),
        ("http://host/", "must end with the host or the port, without a path"),
        ("http://host?a", "must end with the host or the port, without a path"),
        ("http://host#a", "must end with the host or the port, without a path"),
    ],
)
def test_another_url_is_refused_with_the_reason(url, problem):
    with pytest.raises(InvalidRequest) as refused:
        HostLocation.of(url)
    assert [(each.pointer, each.message) for each in refused.value.problems] == [("/url", problem)]


@given(st.text(max_size=40))
def test_every_text_is_a_place_or_is_refused(text):
    try:
        place = HostLocation.of(f"http://{text}")
    except InvalidRequest:
        return
    assert place.host
    assert 1 <= place.port <= 65535


def test_controllers_connect_to_addresses_in_the_networks_of_hosts_only():
    assert NETWORKS.accepts(ip_address("10.1.2.3"))
    assert NETWORKS.accepts(ip_address("fd00::1"))
    assert not NETWORKS.accepts(ip_address("169.254.169.254"))
    assert not NETWORKS.accepts(ip_address("::ffff:10.1.2.3")), "an address in another form is another address"
    assert not HostNetworks().accepts(ip_address("10.1.2.3"))


async def test_a_name_is_resolved_and_its_address_stored():
    names, directory = Names(["10.0.0.8", "fd00::8"]), MemoryHostDirectory()
    await registry(names, directory).register(registration())
    now = ManualClock().now()
    assert names.asked == [("host.example", 8090)]
    assert await directory.hosts() == [RegisteredHost.of(registration(), ip_address("10.0.0.8"), now)]


async def test_an_address_in_a_url_is_judged_and_not_resolved():
    names, directory = Names(), MemoryHostDirectory()
    await registry(names, directory).register(registration(url="http://10.0.0.9:1"))
    assert names.asked == []
    assert [each.address for each in await directory.hosts()] == [ip_address("10.0.0.9")]
    with pytest.raises(NetworkForbidden):
        await registry(names, directory).register(registration(url="http://127.0.0.1:1"))


async def test_a_name_with_one_address_elsewhere_is_refused_as_a_whole():
    directory = MemoryHostDirectory()
    with pytest.raises(NetworkForbidden) as refused:
        await registry(Names(["10.0.0.8", "192.0.2.1"]), directory).register(registration())
    assert refused.value.details == {"address": "192.0.2.1", "allowed": ["10.0.0.0/8", "fd00::/8"]}
    assert "RUNTIME_HOST_NETWORKS" in refused.value.message
    assert await directory.hosts() == []


async def test_a_name_that_is_bound_to_another_address_later_leads_nowhere_else():
    names, directory, client = Names(["10.0.0.8"]), MemoryHostDirectory(), Client()
    await registry(names, directory).register(registration())
    names.addresses = ["169.254.169.254"]
    with pytest.raises(NetworkForbidden):
        await registry(names, directory).register(registration())
    await HostWatch(ManualClock(), directory, NETWORKS, client).read()
    assert client.served == ["a"]
    assert [each.address for each in await directory.hosts()] == [ip_address("10.0.0.8")]
    assert len(names.asked) == 2, "a read resolves nothing"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (Names([]), "it has no address"),
        (Names(failure=OSError(-2, "Name or service not known")), "Name or service not known"),
        (Names(failure=UnicodeError("label too long")), "a part of it is empty, or longer than 63 characters"),
        (Names(failure=TimeoutError()), "no reply within 2 s"),
    ],
)
async def test_a_name_without_addresses_is_a_problem_of_the_url(names, reason):
    with pytest.raises(InvalidRequest, match=reason) as refused:
        await registry(names).register(registration())
    assert [each.pointer for each in refused.value.problems] == ["/url"]


async def test_a_name_that_never_resolves_holds_up_a_registration_for_a_bounded_time():
    async def silent(_host: str, _port: int) -> Sequence[str]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(InvalidRequest, match="no reply within"):
        await HostRegistry(ManualClock(), MemoryHostDirectory(), NETWORKS, silent, 0.01).register(registration())


def test_errors_say_what_to_do():
    conflict = HostConflict("a", "http://10.0.0.7:1")
    assert "RUNTIME_HOST_NAME" in conflict.message
    assert f"{HELD_FOR.total_seconds():g} s" in conflict.message
    full = TooManyHosts()
    assert str(HOSTS_MAX) in full.message
    assert full.details == {"stored": "no", "retry_after_ms": 5000}


@define
class Watched:
    """A watch over a directory in memory, and what its client was given."""

    clock: ManualClock = field(factory=ManualClock)
    directory: MemoryHostDirectory = field(factory=MemoryHostDirectory)
    client: Client = field(factory=Client)
    watch: HostWatch = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.watch = HostWatch(self.clock, self.directory, NETWORKS, self.client)

    async def read_after(self, passed: timedelta = timedelta()) -> list[str] | None:
        self.clock.advance(passed)
        await self.watch.read()
        return self.client.served


async def test_ready_hosts_that_were_seen_lately_get_executions():
    watched = Watched()
    for name, changed in {
        "ready": {},
        "draining": {"state": HostState.DRAINING},
        "ended": {"state": HostState.ENDED},
        "stale": {"at": watched.clock.now() - STALE_AFTER},
        "elsewhere": {"address": ip_address("192.0.2.1")},
    }.items():
        await watched.directory.register(host(name, **changed))
    assert await watched.read_after() == ["ready"]
    assert watched.client.silent == ["stale"]
    found = zip(watched.watch.state.hosts, watched.watch.state.standings, strict=True)
    assert {each.name: standing for each, standing in found} == {
        "ready": "ready",
        "draining": "draining",
        "ended": "ended",
        "stale": "stale",
        "elsewhere": "ready",
    }
    assert await watched.read_after(STALE_AFTER - SECOND) == ["ready"]
    assert await watched.read_after(SECOND) == []


async def test_the_endpoints_are_those_of_hosts_that_have_not_ended_also_of_silent_ones():
    watched = Watched()
    assert watched.watch.endpoints() == []
    for name, changed in {
        "ready": {},
        "ended": {"state": HostState.ENDED},
        "draining": {"state": HostState.DRAINING},
    }.items():
        await watched.directory.register(host(name, **changed))
    await watched.read_after(2 * STALE_AFTER)
    known = {each.name: (str(each.address), int(each.url.rpartition(":")[2])) for each in watched.watch.state.hosts}
    assert sorted(watched.watch.endpoints()) == sorted([known["ready"], known["draining"]])


async def test_while_the_directory_cannot_be_read_the_client_keeps_its_hosts():
    watched = Watched()
    await watched.directory.register(host())
    await watched.read_after()
    watched.directory.failure = StorageUnavailable()
    assert await watched.read_after(10 * STALE_AFTER) == ["a"]
    assert [each.name for each in watched.watch.state.hosts] == ["a"]
    assert "database did not respond" in watched.watch.state.failure


async def test_hosts_that_a_failover_has_forgotten_stay_until_they_are_stale():
    watched = Watched()
    await watched.directory.register(host("a"))
    await watched.directory.register(host("b", 2, state=HostState.DRAINING))
    await watched.read_after()
    watched.directory.rows.clear()
    assert await watched.read_after(STALE_AFTER - SECOND) == ["a"]
    assert await watched.read_after(SECOND) == []
    assert watched.watch.state.hosts == []


async def test_a_host_that_is_stored_replaces_those_that_had_its_name_or_its_url():
    watched = Watched()
    await watched.directory.register(host("a"))
    await watched.directory.register(host("b"))
    await watched.read_after()
    watched.directory.rows.clear()
    await watched.directory.register(host("a", url=host("b").url))
    assert await watched.read_after() == ["a"]
    assert len(watched.watch.state.hosts) == 1


@define
class Pauses:
    """Pauses that end when the test lets them, so the test decides when the directory is read."""

    begun: list[float] = field(factory=list)
    ends: list[asyncio.Event] = field(factory=list)

    async def __call__(self, pause_s: float) -> None:
        self.begun.append(pause_s)
        self.ends.append(asyncio.Event())
        await self.ends[-1].wait()


async def test_the_directory_is_read_again_after_a_pause_and_at_once_if_a_caller_waits_for_a_host():
    watched, pauses = Watched(), Pauses()
    watch = HostWatch(watched.clock, watched.directory, NETWORKS, watched.client, pauses)
    assert watch.state.failure == "not read yet"
    running = asyncio.create_task(watch.run())
    await until(lambda: pauses.begun == [0.1])
    await watched.directory.register(host())
    pauses.ends[0].set()
    await until(lambda: pauses.begun == [0.1, 1.9])
    pauses.ends[1].set()
    await until(lambda: watched.client.served == ["a"])
    await watched.directory.register(host("b", 2))
    watched.client.waiting.set()
    pauses.ends[2].set()
    await until(lambda: watched.client.served == ["a", "b"])
    await until(lambda: len(pauses.begun) == 5)
    assert pauses.begun == [0.1, 1.9, 0.1, 1.9, 0.1], "not sooner than after the least pause"
    running.cancel()
    await asyncio.wait([running])
