"""Leases of the egress process: what is accepted, judged, connected and counted."""

import asyncio
import contextlib
import errno
import os
import socket
from ipaddress import ip_address

import pytest
import pytest_asyncio

from adapters.egress.control import MESSAGE_SIZE_MAX, encode
from adapters.egress.leases import HOSTS_MAX, ConnectionLimits, Connections, ProcessLease
from adapters.egress.resolution import Refused
from domain.egress.rule import PROXY_PORT
from domain.egress.traffic import RefusalReason
from tests.unit.egress.builder import ECH, hello, record, server_name

NAME = "api.example.com"
ADDRESS = "127.1.0.1"
PROXY_ADDRESS = f"127.2.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""Of this process alone: the port of the proxy is always the same."""
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Judge:
    """Finds every name on loopback, or refuses it."""

    reason: RefusalReason | None = None

    async def addresses(self, host, port, known, guarded=()):
        self.guarded = guarded
        if self.reason is not None:
            raise Refused(self.reason)
        return [ip_address("127.0.0.1")]


class World:
    """A lease with one listener, and an upstream that echoes, on the same port of another address."""

    def __init__(self, connections_max=4, bytes_max=1 << 20):
        self.judge = Judge()
        self.shared = Connections(ConnectionLimits(connections_max, bytes_max, 1.0), self.judge)
        self.upstream = []

    async def open(self):
        self.server = await asyncio.start_server(self.echo, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        listener = socket.socket()
        listener.bind((ADDRESS, self.port))
        listener.listen(16)
        proxy = socket.create_server((PROXY_ADDRESS, PROXY_PORT))
        self.lease = ProcessLease(1, [listener, proxy], {ADDRESS: NAME}, self.shared, 16)

    async def echo(self, reader, writer):
        self.upstream.append(writer)
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
            writer.close()

    def begin(self, suffix="", name=NAME):
        self.lease.begin([f"{name}:{self.port}{suffix}"])

    async def connect(self):
        return await asyncio.open_connection(ADDRESS, self.port)

    async def ask(self, content, size=None):
        """Send this on a new connection; return what comes back, None if it was reset or closed."""
        try:
            reader, writer = await self.connect()
        except ConnectionError:
            return None
        try:
            writer.write(content)
            async with asyncio.timeout(5):
                return await reader.readexactly(size if size is not None else len(content))
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        finally:
            writer.close()

    async def close(self):
        await self.lease.close()
        self.server.close()
        for each in self.upstream:
            each.close()


@pytest_asyncio.fixture
async def world(request):
    world = World(**getattr(request, "param", {}))
    await world.open()
    yield world
    await world.close()


GREETING = hello(server_name(NAME.encode()))


async def test_the_judge_learns_what_belongs_to_the_service_with_each_execution(world):
    for guarded in ([("10.1.1.1", world.port)], []):
        world.lease.begin([f"{NAME}:{world.port}/tcp"], guarded)
        assert await world.ask(b"x") == b"x"
        assert world.judge.guarded == guarded
        await world.lease.end()


async def test_a_hello_with_the_name_of_the_rule_is_connected_and_counted(world):
    world.begin()
    assert await world.ask(GREETING) == GREETING
    traffic = await world.lease.end()
    assert traffic.hosts == [(NAME, world.port, 1, len(GREETING), len(GREETING), 0)]
    assert traffic.refusals == []


async def test_a_raw_rule_passes_any_bytes(world):
    world.begin("/tcp")
    assert await world.ask(b"SELECT 1") == b"SELECT 1"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (hello(server_name(b"other.example.com")), RefusalReason.OTHER_HOST),
        (hello(server_name(b"api.example.com.")), RefusalReason.OTHER_HOST),
        (hello(server_name(b"127.1")), RefusalReason.OTHER_HOST),
        (hello(), RefusalReason.NOT_TLS),
        (hello(server_name(b"api.example.com\0.test")), RefusalReason.NOT_TLS),
        (hello(server_name(NAME.encode()), (ECH, bytes(100))), RefusalReason.HIDDEN_HOST),
        (b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", RefusalReason.NOT_TLS),
        (b"EHLO api.example.com\r\nSTARTTLS\r\n", RefusalReason.NOT_TLS),
        (b"\x80\x2e\x01\x03\x01" + bytes(41), RefusalReason.NOT_TLS),
        (record(b"\x01\x00", kind=21) + GREETING, RefusalReason.NOT_TLS),
        (b"CONNECT 10.0.0.1:22 HTTP/1.1\r\n\r\n", RefusalReason.NOT_TLS),
        (hello(server_name(NAME.encode())) + record(b"", kind=23) * 300, RefusalReason.NOT_TLS),
    ],
)
async def test_other_first_bytes_reach_nothing(world, content, reason):
    world.begin()
    assert await world.ask(content, 1) is None
    traffic = await world.lease.end()
    assert traffic.refusals == [(NAME, world.port, reason.value)]
    assert world.upstream == []


async def test_an_address_without_a_name_reaches_nothing(world):
    world.lease.begin([f"other.example.com:{world.port}"])
    assert await world.ask(GREETING, 1) is None
    assert (await world.lease.end()).refusals == [(NAME, world.port, RefusalReason.NOT_ALLOWED.value)]


async def test_a_refused_name_reaches_nothing(world):
    world.judge.reason = RefusalReason.ADDRESS
    world.begin()
    assert await world.ask(GREETING, 1) is None
    assert (await world.lease.end()).hosts == [(NAME, world.port, 0, 0, 0, 1)]


async def test_a_host_that_does_not_listen_is_reported(world):
    world.begin("/tcp")
    world.server.close()
    await world.server.wait_closed()
    assert await world.ask(b"a") is None
    assert (await world.lease.end()).refusals == [(NAME, world.port, RefusalReason.UNREACHABLE.value)]


async def test_nothing_is_connected_outside_of_an_execution(world):
    assert await world.ask(GREETING, 1) is None
    world.begin()
    await world.lease.end()
    assert await world.ask(GREETING, 1) is None
    assert world.upstream == []


async def test_a_connection_ends_with_its_execution(world):
    world.begin("/tcp")
    reader, writer = await world.connect()
    writer.write(b"a")
    assert await reader.readexactly(1) == b"a"
    await world.lease.end()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def test_what_waits_between_executions_is_reset_before_the_next(world):
    loop = asyncio.get_running_loop()
    loop.remove_reader(world.lease.listeners[0].fileno())  # the process is busy
    reader, writer = await world.connect()
    world.begin("/tcp")
    writer.write(b"a")
    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    writer.close()
    assert (await world.lease.end()).hosts == []


@pytest.mark.parametrize("world", [{"connections_max": 2}], indirect=True)
async def test_connections_at_once_are_limited(world):
    world.begin("/tcp")
    held = [await world.connect() for _ in range(2)]
    for reader, writer in held:
        writer.write(b"a")
        await reader.readexactly(1)
    assert await world.ask(b"b") is None
    held.pop()[1].close()
    for _ in range(100):
        if await world.ask(b"c") == b"c":
            break
    traffic = await world.lease.end()
    assert traffic.refusals[0] == (NAME, world.port, RefusalReason.AT_ONCE.value)
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize("world", [{"bytes_max": 1000}], indirect=True)
async def test_bytes_of_an_execution_are_limited_over_its_connections(world):
    world.begin("/tcp")
    assert await world.ask(bytes(900)) == bytes(900)
    assert await world.ask(bytes(200)) is None
    traffic = await world.lease.end()
    assert traffic.refusals == [(NAME, world.port, RefusalReason.TOO_MUCH.value)]
    assert traffic.hosts == [(NAME, world.port, 2, 900, 900, 1)]


async def test_refusals_beyond_the_first_ones_are_only_counted(world):
    world.judge.reason = RefusalReason.ADDRESS
    world.begin("/tcp")
    for _ in range(40):
        assert await world.ask(b"a") is None
    traffic = await world.lease.end()
    assert len(traffic.refusals) == 32
    assert traffic.hosts == [(NAME, world.port, 0, 0, 0, 40)]


async def test_an_execution_has_so_many_connections_in_all(world):
    world.begin("/tcp")
    for _ in range(256):
        assert await world.ask(b"a") == b"a"
    assert await world.ask(b"a") is None
    assert (await world.lease.end()).refusals == [(NAME, world.port, RefusalReason.TOO_MANY.value)]


async def test_each_side_may_end_its_way_first(world):
    world.begin("/tcp")
    reader, writer = await world.connect()
    writer.write(b"last words")
    writer.write_eof()
    assert await reader.read() == b"last words"
    writer.close()


async def through_proxy(world, target, content=GREETING):
    """Ask the proxy for a host and send this; return the reply of the proxy, and what comes back."""
    try:
        reader, writer = await asyncio.open_connection(PROXY_ADDRESS, PROXY_PORT)
    except ConnectionError:
        return None, b""
    try:
        writer.write(b"CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
        async with asyncio.timeout(5):
            reply = await reader.readuntil(b"\r\n\r\n")
            writer.write(content)
            return reply, await reader.read(len(content))
    except (ConnectionError, asyncio.IncompleteReadError):
        return None, b""
    finally:
        writer.close()


async def test_a_host_of_a_pattern_is_reached_by_its_name_in_both_messages(world):
    world.begin(name="*.example.com")
    assert await through_proxy(world, f"{NAME}:{world.port}") == (ESTABLISHED, GREETING)
    assert (await world.lease.end()).hosts == [(NAME, world.port, 1, len(GREETING), len(GREETING), 0)]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other.test", RefusalReason.NOT_ALLOWED),
        ("example.com", RefusalReason.NOT_ALLOWED),
        ("evilexample.com", RefusalReason.NOT_ALLOWED),
    ],
)
async def test_a_host_beside_the_pattern_is_refused_with_a_reply(world, name, reason):
    world.begin(name="*.example.com")
    reply, more = await through_proxy(world, f"{name}:{world.port}")
    assert reply.startswith(b"HTTP/1.1 403 Forbidden")
    assert more == b""
    assert (await world.lease.end()).refusals == [(name, world.port, reason.value)]
    assert world.upstream == []


@pytest.mark.parametrize(
    ("target", "content", "refusal"),
    [
        ("10.0.0.1:443", GREETING, ("127.0.0.1", PROXY_PORT, RefusalReason.NO_CONNECT)),
        ("b.example.com:443", GREETING, ("b.example.com", 443, RefusalReason.OTHER_HOST)),
        ("api.example.com:443", b"GET / HTTP/1.1\r\n\r\n", (NAME, 443, RefusalReason.NOT_TLS)),
    ],
)
async def test_what_the_client_says_at_the_proxy_is_judged(world, target, content, refusal):
    world.lease.begin(["*.example.com:443"])
    await through_proxy(world, target, content)
    ((host, port, reason),) = (await world.lease.end()).refusals
    assert (host.replace(PROXY_ADDRESS, "127.0.0.1"), port, reason) == (*refusal[:2], refusal[2].value)
    assert world.upstream == []


async def test_without_a_pattern_there_is_no_proxy(world):
    world.begin()
    assert await through_proxy(world, f"{NAME}:{world.port}") == (None, b"")
    assert (await world.lease.end()).refusals == [(PROXY_ADDRESS, PROXY_PORT, RefusalReason.NOT_ALLOWED.value)]


async def test_an_execution_names_so_many_hosts_of_its_patterns(world):
    world.begin(name="*.example.com")
    for number in range(HOSTS_MAX):
        name = f"a{number}.example.com"
        greeting = hello(server_name(name.encode()))
        assert await through_proxy(world, f"{name}:{world.port}", greeting) == (ESTABLISHED, greeting)
    reply, _ = await through_proxy(world, f"b.example.com:{world.port}")
    assert reply.startswith(b"HTTP/1.1 403")
    traffic = await world.lease.end()
    assert traffic.refusals == [("b.example.com", world.port, RefusalReason.TOO_MANY_HOSTS.value)]
    assert len(encode(traffic)) < MESSAGE_SIZE_MAX


async def test_without_a_free_descriptor_connections_wait_and_the_process_rests(world):
    class Exhausted:
        """A listener that fails as often as it has failures left."""

        failures = 2
        calls = 0

        def __init__(self, listener):
            self.listener = listener
            self.fileno = listener.fileno
            self.setblocking = listener.setblocking
            self.close = lambda: None

        def accept(self):
            self.calls += 1
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.listener.accept()

    exhausted = Exhausted(world.lease.listeners[0])
    asyncio.get_running_loop().remove_reader(exhausted.fileno())
    lease = ProcessLease(2, [exhausted], {ADDRESS: NAME}, world.shared, 16)
    lease.begin([f"{NAME}:{world.port}/tcp"])
    assert await world.ask(b"a") == b"a"
    assert exhausted.failures == 0
    assert exhausted.calls <= 6
    await lease.close()


async def test_workers_of_one_owner_share_turns_of_lookups(world):
    one, other, stranger = (world.shared.lookups_of(owner) for owner in ("alice", "alice", "bob"))
    assert one.of_owner is other.of_owner
    assert one.of_owner is not stranger.of_owner
