"""Attempts to get past the rules of a script with a network, by the numbers of record 0065: none succeeds."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import define, field

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.egress.traffic import RefusalReason
from domain.scripts.language import Language
from domain.scripts.report import ScriptReport
from tests.contracts.script_runs import new_session, run_of
from tests.unit.egress.builder import ECH, body, hello, message, record, server_name

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDRESSES = {
    1: "127.0.0.1", 2: "127.1.2.3", 3: "0.0.0.0", 4: "10.0.0.1", 5: "172.16.0.1", 6: "192.168.0.1", 7: "100.64.0.1",
    8: "169.254.169.254", 9: "100.100.100.200", 10: "168.63.129.16", 11: "192.0.0.192", 12: "224.0.0.1",
    13: "255.255.255.255", 14: "::1", 15: "::", 16: "::ffff:10.0.0.1", 17: "::10.0.0.1", 18: "64:ff9b::a00:1",
    19: "64:ff9b:1::a00:1", 20: "2002:a00:1::", 21: "2001::1", 22: "fc00::1", 23: "fd00:ec2::254", 24: "fe80::1%lo",
    25: "fec0::1", 26: "ff02::1",
}  # fmt: skip
GOOD, OWN, GUARDED = "127.0.7.1", "127.0.7.2", "127.0.7.9"

CONNECT = """
import socket
result = []
for name in params["names"]:
    try:
        with socket.create_connection((name, params["port"]), timeout=3) as connection:
            connection.sendall(b"x")
            if connection.recv(1):
                result.append(name)
    except OSError as error:
        print(name, error)
"""
SEND = """
import socket
result = []
for number, content in enumerate(params["contents"]):
    try:
        with socket.create_connection((params["name"], params["port"]), timeout=3) as connection:
            connection.sendall(bytes.fromhex(content))
            if connection.recv(1):
                result.append(number)
    except OSError as error:
        print(number, error)
"""
CALLS = """
import ctypes, errno, os, socket, ssl
libc = ctypes.CDLL(None, use_errno=True)
port, good = params["port"], params["good"]
reached = []

def attempt(number, action):
    try:
        got = action()
    except (OSError, ValueError) as error:
        print(number, type(error).__name__, error)
    else:
        if got not in (None, False, b"", -1):
            reached.append((number, repr(got)[:100]))

def spoken(address):
    with socket.create_connection(address, timeout=1) as connection:
        connection.sendall(b"x")
        return connection.recv(1)

def on_good(action):
    with socket.create_connection((good, port), timeout=1) as connection:
        return action(connection)

def made(*arguments):
    with socket.socket(*arguments):
        return "made"

def option(level, name, value):
    def set_and_tell(connection):
        connection.setsockopt(level, name, value)
        return "set"
    return lambda: on_good(set_and_tell)

attempt(36, lambda: spoken(("127.0.0.1", port)))
attempt(36, lambda: spoken((params["host"], port)))
attempt(37, lambda: spoken(("169.254.169.254", 80)))
attempt(38, lambda: spoken(("127.1.0.200", port)))
attempt(39, lambda: made(socket.AF_UNIX, socket.SOCK_STREAM))
attempt(39, lambda: made(socket.AF_UNIX, socket.SOCK_DGRAM))
attempt(40, lambda: made(socket.AF_INET, socket.SOCK_DGRAM))
attempt(41, lambda: made(socket.AF_INET, socket.SOCK_RAW, 1))
attempt(41, lambda: made(socket.AF_INET, socket.SOCK_DGRAM, 1))
attempt(42, lambda: made(socket.AF_INET6, socket.SOCK_STREAM))
attempt(43, lambda: made(socket.AF_INET, socket.SOCK_STREAM, 262))
attempt(44, lambda: made(socket.AF_NETLINK, socket.SOCK_RAW))
attempt(45, lambda: made(socket.AF_VSOCK, socket.SOCK_STREAM))
def listening():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 9999))
        own.listen()
        return "listens"
attempt(46, listening)
def only_listening():
    with socket.socket() as own:
        own.listen()
        return "listens"
attempt(46, only_listening)
attempt(47, option(6, 31, b"tls"))
attempt(47, option(1, 50, 0))
attempt(47, option(1, 25, b"lo"))
attempt(47, option(6, 19, 1))
attempt(47, option(6, 13, b"reno"))
attempt(47, option(0, 19, 1))
attempt(48, lambda: on_good(lambda connection: connection.sendmsg([b"x"])))
attempt(48, lambda: on_good(lambda connection: connection.send(b"x", 1)))
def fast_open():
    with socket.socket() as own:
        return own.sendto(b"x", 0x20000000, (good, port))
attempt(48, fast_open)
def mounted():
    return "mounted" if libc.mount(b"tmpfs", b"/etc", b"tmpfs", 0, None) == 0 else None
attempt(49, lambda: open("/etc/hosts", "a"))
attempt(49, lambda: open("/etc/new", "w"))
attempt(49, lambda: os.rename("/etc/hosts", "/tmp/hosts") or "renamed")
attempt(49, mounted)
attempt(49, lambda: open("/proc/sys/net/ipv4/ip_forward", "w"))
for number in range(3, 1024):
    def accepted(number=number):
        with socket.socket(fileno=os.dup(number)) as own:
            return own.accept()
    attempt(58, accepted)
def passed():
    first, second = socket.socketpair()
    return socket.send_fds(first, [b"x"], [0])
attempt(58, passed)
result = reached
"""
OTHER_HOST = {
    Language.PYTHON: """
import socket, ssl
context = ssl._create_unverified_context()
result = None
try:
    with socket.create_connection((params["name"], params["port"]), timeout=3) as connection:
        with context.wrap_socket(connection, server_hostname=params["sni"]) as secure:
            result = secure.version()
except OSError as error:
    print(error)
""",
    Language.NODEJS: """
module.exports = ({ params }) => new Promise((resolve) => {
  const options = { host: params.name, port: params.port, servername: params.sni ?? '', rejectUnauthorized: false };
  const socket = require('node:tls').connect(options, () => resolve(socket.getProtocol()));
  socket.on('error', () => resolve(null));
});
""",
}
KEEP = """
import socket
def keep():
    socket.kept = socket.create_connection((params["good"], params["port"]))
    socket.kept.sendall(b"x")
    return socket.kept.recv(1).decode()
def use():
    socket.kept.sendall(b"y")
    return socket.kept.recv(1).decode()
try:
    result = keep() if params["keeps"] else use()
except (AttributeError, OSError) as error:
    result = None
"""
FLOOD = """
import socket, time
opened, held, until = 0, [], time.monotonic() + 2
while time.monotonic() < until:
    try:
        held.append(socket.create_connection((params["good"], params["port"]), timeout=0.2))
        opened += 1
        held[-1].setblocking(False)
        held[-1].send(bytes(1 << 20))
    except OSError:
        if len(held) > 40:
            held.pop(0).close()
result = opened
"""


@define
class World:
    runner: SandboxScriptRunner
    client: EgressClient
    port: int
    own_port: int
    guarded_port: int
    heard: list[bytes] = field(factory=list)

    async def run(self, source: str, network: list[str], params: object, **options: object) -> ScriptReport:
        asked = run_of(source, json.dumps(params), network=tuple(network), **options)
        worker = await self.runner.acquire(asked)
        try:
            return await worker.run()
        finally:
            await worker.release()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(runtimes_dir: Path) -> AsyncIterator[World]:
    folder = runtimes_dir / "egress-attacks"
    folder.mkdir(mode=0o755, exist_ok=True)
    hosts = folder / "hosts"
    lines = [f"{address} n{number}.test" for number, address in ADDRESSES.items()]
    lines += [f"{GOOD} good.test n27.test", "10.0.0.1 n27.test", f"{OWN} own.test", f"{GUARDED} guarded.test"]
    hosts.write_text("\n".join(lines) + "\n")
    options = SandboxOptions(runtimes_dir, prewarmed=0, queue_timeout_s=10)
    builder = SandboxBuilder(options)
    (folder / "host.conf").write_text("multi on\n")  # by which a name in two lines has two addresses
    names = [(hosts, "/etc/hosts"), (folder / "host.conf", "/etc/host.conf")]
    names += [(Path("/etc/nsswitch.conf"), "/etc/nsswitch.conf")]
    uid = options.sandbox_uid + 1 if os.geteuid() == 0 else None
    sandbox = EgressSandbox(lambda: builder.spec(Language.PYTHON).programs.bwrap, uid, names=names)
    heard: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                heard.append(piece[:16])
                writer.write(piece)
                await writer.drain()
        writer.close()

    async with contextlib.AsyncExitStack() as serving:
        ports = []
        for _ in range(3):
            server = await serving.enter_async_context(await asyncio.start_server(echo, "0.0.0.0", 0))
            ports.append(server.sockets[0].getsockname()[1])
        port, own_port, guarded_port = ports
        guarded = [("guarded.test", guarded_port)]
        configuration = Configure(16, 1 << 20, 1.0, ["127.0.7.0/24"], [], [own_port], guarded, egress_filter())
        client = EgressClient(configuration, sandbox)
        runner = SandboxScriptRunner(options, builder, networks=Networks(client))
        await runner.open()
        yield World(runner, client, port, own_port, guarded_port, heard)
        await runner.close(5)
        await client.close()


async def test_the_host_of_a_rule_is_reached_so_that_the_attempts_below_can_fail(world):
    report = await world.run(CONNECT, [f"good.test:{world.port}/tcp"], {"names": ["good.test"], "port": world.port})
    assert report.result == '["good.test"]', report


@pytest.mark.parametrize("numbers", [range(1, 14), range(14, 28)], ids=["1-13", "14-27"])
async def test_1_to_27_names_with_addresses_that_are_not_public(world, numbers):
    world.heard.clear()
    names = [f"n{number}.test" for number in numbers]
    report = await world.run(
        CONNECT, [f"{name}:{world.port}/tcp" for name in names], {"names": names, "port": world.port}
    )
    assert report.result == "[]", report
    assert world.heard == []
    refused = {each.host: each.reason for each in report.traffic.refusals}
    assert refused.keys() == set(names)
    assert set(refused.values()) <= {RefusalReason.ADDRESS, RefusalReason.UNRESOLVED}
    assert sum(reason is RefusalReason.UNRESOLVED for reason in refused.values()) <= 1  # an address with a zone


@pytest.mark.parametrize(
    ("name", "port"),
    [("own.test", "own_port"), ("good.test", "own_port"), ("guarded.test", "guarded_port")],
    ids=["32-33", "34", "31"],
)
async def test_31_to_34_endpoints_of_the_service_in_an_allowed_network(world, name, port):
    world.heard.clear()
    number = getattr(world, port)
    report = await world.run(CONNECT, [f"{name}:{number}/tcp"], {"names": [name], "port": number})
    assert (report.result, world.heard) == ("[]", [])
    assert report.traffic.last_refusal.reason is RefusalReason.ADDRESS


async def test_36_to_49_and_58_calls_from_the_sandbox(world):
    params = {"port": world.port, "good": "good.test", "host": "10.0.0.1"}
    report = await world.run(CALLS, [f"good.test:{world.port}/tcp"], params)
    assert (report.failure, report.result) == (None, "[]")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("sni", ["other.test", None, "good.test.", "n1.test"])
async def test_50_and_51_another_host_or_none_in_the_handshake(world, language, sni):
    world.heard.clear()
    params = {"name": "good.test", "port": world.port, "sni": sni}
    report = await world.run(OTHER_HOST[language], [f"good.test:{world.port}"], params, language=language)
    assert report.failure is None
    assert report.result in {None, "null"}
    assert world.heard == []
    assert report.traffic.last_refusal.reason in {RefusalReason.OTHER_HOST, RefusalReason.NOT_TLS}


async def test_52_to_56_other_first_bytes(world):
    world.heard.clear()
    whole = message(body([server_name(b"other.test")]))
    contents = [
        hello(server_name(b"good.test"), (ECH, bytes(100))),
        b"".join(record(whole[at : at + 1]) for at in range(len(whole))),
        record(b"\x01\x00", kind=21) + hello(server_name(b"good.test")),
        b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n",
        b"EHLO good.test\r\nSTARTTLS\r\n",
        b"\x80\x2e\x01\x03\x01" + bytes(41),
        hello(server_name(b"good.test.")),
        hello(server_name(b"good.test\0.other.test")),
        hello(server_name("g\u043e\u043ed.test".encode())),
        hello(server_name(b"127.1")),
        hello(server_name(b"good%2etest")),
        b"CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: good.test\r\nHost: other.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    params = {"name": "good.test", "port": world.port, "contents": [each.hex() for each in contents]}
    report = await world.run(SEND, [f"good.test:{world.port}"], params)
    assert (report.failure, report.result, world.heard) == (None, "[]", [])
    assert report.traffic.hosts[0].refused == len(contents)


async def test_57_a_connection_that_is_kept_over_the_end_of_its_execution(world):
    ref, rules = new_session(), [f"good.test:{world.port}/tcp"]
    params = {"port": world.port, "good": "good.test"}
    first = await world.run(KEEP, rules, {**params, "keeps": True}, ref=ref)
    assert first.result == '"x"', first
    second = await world.run(KEEP, rules, {**params, "keeps": False}, ref=ref)
    assert second.result in {None, "null"}
    assert b"y" not in world.heard


async def test_59_a_flood_of_connections_is_limited_and_a_neighbour_is_served(world):
    rules = [f"good.test:{world.port}/tcp"]
    params = {"port": world.port, "good": "good.test", "names": ["good.test"]}
    flood = asyncio.ensure_future(world.run(FLOOD, rules, params))
    neighbour = await world.run(CONNECT, rules, params)
    assert neighbour.result == '["good.test"]'
    report = await flood
    assert report.failure is None
    (traffic,) = report.traffic.hosts
    assert traffic.connections <= 256
    assert traffic.sent_bytes <= 1 << 20
    assert traffic.refused > 0
