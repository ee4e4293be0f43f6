"""Messages are sent over real connections, to receivers that mean harm."""

import asyncio
import base64
import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from ipaddress import ip_network

import httpcore2
import pytest
from attrs import define, evolve, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.public_addresses import SystemResolver, is_own
from adapters.webhooks.network import BoundedNetwork, PublicNetwork
from adapters.webhooks.sender import HttpSender, SenderOptions
from domain.addresses import parse_address
from domain.webhooks.address import AddressPolicy

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = ip_network("127.0.0.0/8")
REFUSED = "the name hooks.example is refused: not all of its addresses are public"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@define
class Receiver:
    """A server on loopback that does to each connection what the test wants, and keeps what it was sent."""

    serve: Serve
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(factory=list)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            self.requests.append(head + await reader.readexactly(length))
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Receiver"]:
        server = await asyncio.start_server(self.handle, "127.0.0.1", 0, ssl=self.tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


def answering(response: bytes) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response)
        await writer.drain()

    return serve


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()  # until the client closes


def options_for(*receivers: Receiver, timeout_s: float = 20.0) -> SenderOptions:
    ports = frozenset(receiver.port for receiver in receivers) | {443}
    policy = AddressPolicy(ports, (LOOPBACK,), allows_http=True)
    return SenderOptions(policy, timeout_s=timeout_s, body_timeout_s=timeout_s)


def resolving(*answers: list[str]):
    """Return a resolver that gives one answer after the other, and the names that it was asked for."""
    left, asked = list(answers), []

    async def resolve(host, _):
        asked.append(host)
        return left.pop(0)

    return resolve, asked


async def send(receiver, options=None, path="/", **objects):
    sender = HttpSender(options or options_for(receiver), **objects)
    try:
        return await sender.send(f"http://127.0.0.1:{receiver.port}{path}", {"webhook-id": "1"}, b'{"a":1}')
    finally:
        await sender.close()


@pytest.fixture
async def receiving():
    """Start receivers that end with the test."""
    async with asyncio.TaskGroup() as group:
        stop = asyncio.Event()

        async def start(serve, tls=None):
            receiver, started = Receiver(serve, tls), asyncio.Event()

            async def run():
                async with receiver.running():
                    started.set()
                    await stop.wait()

            group.create_task(run())
            await started.wait()
            return receiver

        yield start
        stop.set()


async def test_a_message_arrives_as_it_was_signed(receiving):
    receiver = await receiving(answering(OK))
    reply = await send(receiver, path="/hook?x=1")
    assert (reply.status, reply.answer, reply.error) == (200, "ok", None)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{receiver.port}".encode() in head.lower()
    assert b"content-type: application/json" in head.lower()
    assert b"webhook-id: 1" in head.lower()
    assert body == b'{"a":1}'


async def test_a_redirect_is_not_followed(receiving):
    secret = await receiving(answering(OK))
    location = f"http://127.0.0.1:{secret.port}/".encode()
    receiver = await receiving(answering(b"HTTP/1.1 302 Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % location))
    reply = await send(receiver, options_for(receiver, secret))
    assert (reply.status, reply.is_success, secret.requests) == (302, False, [])


async def test_a_receiver_that_hangs_fails_at_the_time_limit(receiving):
    receiver = await receiving(hang)
    reply = await send(receiver, options_for(receiver, timeout_s=0.3))
    assert (reply.status, reply.error) == (None, "the receiver did not respond within 0.3 s")


async def test_headers_that_arrive_byte_by_byte_do_not_prolong_the_limit(receiving):
    async def slowly(_, writer):
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 10_000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    receiver = await receiving(slowly)
    reply = await send(receiver, options_for(receiver, timeout_s=0.3))
    assert (reply.status, reply.error) == (None, "the receiver did not respond within 0.3 s")


async def test_of_a_body_without_end_only_the_begin_is_read(receiving):
    written = 0

    async def flood(_, writer):
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while written < 1_000_000_000:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    reply = await send(await receiving(flood))
    assert (reply.status, reply.answer) == (200, "x" * 200)
    assert written < 20_000_000  # what the buffers of the kernel take


def endless(head: bytes, part: bytes) -> Serve:
    """Return a receiver that sends the part until its client closes."""

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()

    return flood


async def test_responses_that_are_only_preliminary_do_not_go_on_for_ever(receiving):
    receiver = await receiving(endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100))
    reply = await send(receiver, evolve(options_for(receiver), timeout_s=60.0))
    assert reply.error == "ReadError: the response has more than 131072 bytes"


async def test_the_same_bound_holds_for_the_proxy_of_the_operator(receiving):
    receiver, proxy = await receiving(answering(OK)), await receiving(endless(b"", b"HTTP/1.1 100 -\r\n\r\n" * 100))
    options = evolve(options_for(receiver), proxy=f"http://127.0.0.1:{proxy.port}", timeout_s=60.0)
    assert (await send(receiver, options)).error == "ReadError: the response has more than 131072 bytes"


async def test_a_body_in_tiny_parts_is_read_up_to_the_same_bound(receiving):
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    receiver = await receiving(endless(head, b"1\r\nx\r\n" * 5000))
    reply = await send(receiver, evolve(options_for(receiver), body_timeout_s=60.0, answer_size_max=10**9))
    assert (reply.status, reply.answer) == (200, "x" * 200)


async def test_what_a_receiver_sends_is_parsed_a_few_bytes_at_a_time():
    async with Receiver(endless(b"", b"x" * 65536)).running() as receiver:
        stream = await BoundedNetwork().connect_tcp("127.0.0.1", receiver.port)
        await stream.write(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        assert 0 < len(await stream.read(65536)) <= 4096
        await stream.aclose()


@pytest.mark.parametrize("location", [b"https://xn--..com/", b"https://[::1", b"\xff"])
async def test_where_a_redirect_leads_is_not_even_parsed(receiving, location):
    response = b"HTTP/1.1 302 Found\r\nlocation: %s\r\nset-cookie: \xff=\xff;expires=\xff\r\ncontent-length: 0\r\n\r\n"
    reply = await send(await receiving(answering(response % location)))
    assert (reply.status, reply.failure) == (302, "the receiver responded with status 302")


async def test_a_fault_in_the_sender_is_a_failed_attempt(receiving):
    class Broken(httpcore2.AnyIOBackend):
        async def connect_tcp(self, *address, **options):
            raise ValueError("of a library, with a nul \0")

    reply = await send(await receiving(answering(OK)), network=Broken())
    assert reply.error == "ValueError: of a library, with a nul \ufffd"


async def test_a_body_that_stops_does_not_make_a_success_a_failure(receiving):
    async def stop(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegin")
        await writer.drain()
        await reader.read()

    receiver = await receiving(stop)
    reply = await send(receiver, evolve(options_for(receiver), body_timeout_s=0.3))
    assert (reply.is_success, reply.answer) == (True, "begin")


@pytest.mark.parametrize("response", [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nx\r\n\r\n"])
async def test_a_connection_that_closes_early_or_speaks_nonsense_is_a_failure(receiving, response):
    reply = await send(await receiving(answering(response)))
    assert (reply.status, reply.is_success) == (None, False)
    assert reply.error


async def test_a_body_that_breaks_off_keeps_the_status(receiving):
    reply = await send(await receiving(answering(b"HTTP/1.1 500 No\r\ncontent-length: 10\r\n\r\nbroken")))
    assert (reply.status, reply.answer) == (500, "broken")


async def test_a_receiver_that_is_not_there_is_a_failure(receiving):
    receiver = evolve(await receiving(hang), port=1)
    reply = await send(receiver, options_for(receiver))
    assert reply.status is None
    assert reply.error.startswith("ConnectError")


async def test_no_cookie_is_kept(receiving):
    receiver = await receiving(answering(b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"))
    sender = HttpSender(options_for(receiver))
    for _ in range(2):
        await sender.send(f"http://127.0.0.1:{receiver.port}/", {}, b"{}")
    await sender.close()
    assert [b"cookie" in request.lower() for request in receiver.requests] == [False, False]


async def test_a_proxy_of_the_environment_is_not_used(receiving, monkeypatch):
    receiver, proxy = await receiving(answering(OK)), await receiving(answering(OK))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert (await send(receiver)).status == 200
    assert (len(receiver.requests), proxy.requests) == (1, [])


async def test_the_proxy_of_the_operator_is_used(receiving):
    receiver, proxy = await receiving(answering(OK)), await receiving(answering(OK))
    options = evolve(options_for(receiver), proxy=f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    assert (await send(receiver, options)).status == 200
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"user:p@ss") in proxy.requests[0]
    assert proxy.requests[0].startswith(b"POST http://127.0.0.1:%d/ HTTP/1.1" % receiver.port)
    assert receiver.requests == []


async def test_the_receiver_asks_for_a_pause_or_for_no_further_attempt(receiving):
    head = b"HTTP/1.1 503 Busy\r\nretry-after: %s\r\nwebhook-delivery: %s\r\ncontent-length: 0\r\n\r\n"
    busy = await send(await receiving(answering(head % (b"120", b"Abort-Message"))))
    assert (busy.retry_after, busy.aborts) == (dt.timedelta(seconds=120), True)
    date = await send(await receiving(answering(head % (b"Wed, 21 Oct 2026 07:28:00 GMT", b"other"))))
    assert (date.retry_after, date.aborts) == (None, False)


async def test_a_url_that_is_no_longer_accepted_is_not_contacted(receiving):
    receiver = await receiving(answering(OK))
    reply = await send(receiver, SenderOptions())
    assert reply.error == "the URL must begin with https://"
    assert receiver.requests == []


def named(receiver, *answers, networks=(), **objects):
    """Return options and a network where `hooks.example` resolves to these addresses, one answer for each lookup."""
    policy = AddressPolicy(frozenset({receiver.port}), networks, allows_http=True)
    resolve, asked = resolving(*answers)
    return SenderOptions(policy, timeout_s=20.0), PublicNetwork(policy, resolve, **objects), asked


async def send_named(receiver, options, network, times=1):
    sender = HttpSender(options, network)
    replies = [await sender.send(f"http://hooks.example:{receiver.port}/", {}, b"{}") for _ in range(times)]
    await sender.close()
    return replies


async def test_a_name_that_resolves_to_a_private_address_is_refused(receiving):
    receiver = await receiving(answering(OK))
    (reply,) = await send_named(receiver, *named(receiver, ["127.0.0.1"])[:2])
    assert reply.error == f"ReceiverRefused: {REFUSED}"
    assert receiver.requests == []


@pytest.mark.parametrize("addresses", [["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"], ["1.1.1.1", "::1"]])
async def test_one_bad_address_refuses_the_name(receiving, addresses):
    receiver = await receiving(answering(OK))
    (reply,) = await send_named(receiver, *named(receiver, addresses)[:2])
    assert "is refused" in reply.error
    assert receiver.requests == []


async def test_the_first_sixteen_addresses_of_a_name_are_judged_and_further_ones_are_not_used(receiving):
    receiver, ours, private = await receiving(answering(OK)), ["127.0.0.1"] * 15, "10.0.0.1"
    answers = [*ours, private, "127.0.0.1"], [*ours, "127.0.0.1", private]
    options, network, _ = named(receiver, *answers, networks=(LOOPBACK,))
    refused, sent = await send_named(receiver, options, network, times=2)
    assert refused.error.endswith(REFUSED)
    assert sent.status == 200
    assert len(receiver.requests) == 1


async def test_a_name_is_judged_anew_at_each_attempt(receiving):
    receiver = await receiving(answering(OK))
    options, network, asked = named(
        receiver, ["127.0.0.1"], ["169.254.169.254"], networks=(ip_network("127.0.0.1/32"),)
    )
    first, second = await send_named(receiver, options, network, times=2)
    assert first.status == 200
    assert second.error.endswith(REFUSED)
    assert asked == ["hooks.example"] * 2
    assert len(receiver.requests) == 1


async def test_the_address_that_was_judged_is_connected_to_and_the_name_is_kept(receiving):
    receiver = await receiving(answering(OK))
    options, network, asked = named(receiver, ["127.0.0.1"], networks=(LOOPBACK,))
    (reply,) = await send_named(receiver, options, network)
    assert reply.status == 200
    assert f"host: hooks.example:{receiver.port}".encode() in receiver.requests[0].lower()
    assert asked == ["hooks.example"]


async def test_the_second_address_is_tried_if_nobody_is_at_the_first(receiving):
    receiver = await receiving(answering(OK))
    options, network, _ = named(receiver, ["127.0.0.2", "127.0.0.1"], networks=(LOOPBACK,))
    (reply,) = await send_named(receiver, options, network)
    assert reply.status == 200


async def test_the_second_address_is_tried_in_time_if_the_first_does_not_respond(receiving):
    class Blackhole(httpcore2.AnyIOBackend):
        async def connect_tcp(self, host, port, timeout=None, *others):  # noqa: ASYNC109  # as httpcore2 has it
            if host == "127.0.0.2":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.Event().wait(), timeout)
                raise httpcore2.ConnectTimeout
            return await super().connect_tcp(host, port, timeout, *others)

    receiver = await receiving(answering(OK))
    options, network, _ = named(receiver, ["127.0.0.2", "127.0.0.1"], networks=(LOOPBACK,), backend=Blackhole())
    (reply,) = await send_named(receiver, evolve(options, timeout_s=4.0), network)
    assert reply.status == 200


async def test_an_address_of_this_machine_is_refused(receiving):
    receiver = await receiving(answering(OK))
    options, network, _ = named(receiver, ["93.184.216.34"], is_own=lambda _: True)
    (reply,) = await send_named(receiver, options, network)
    assert reply.error.endswith(REFUSED)
    assert receiver.requests == []


def test_addresses_of_this_machine_are_known():
    assert is_own(parse_address("127.0.0.1"))
    assert not is_own(parse_address("192.0.2.1"))


async def test_a_name_that_does_not_resolve_is_a_failure(receiving):
    receiver = await receiving(answering(OK))
    policy = AddressPolicy(frozenset({receiver.port}), allows_http=True)

    async def fail(host, port):
        raise OSError(-2, "Name or service not known")

    (reply,) = await send_named(receiver, SenderOptions(policy), PublicNetwork(policy, fail))
    assert "cannot be resolved: Name or service not known" in reply.error
    options, network, _ = named(receiver, [])
    (reply,) = await send_named(receiver, options, network)
    assert reply.error.endswith("the name hooks.example has no address")


async def test_a_resolver_that_hangs_fails_at_the_time_limit(receiving):
    receiver = await receiving(answering(OK))
    options = evolve(named(receiver)[0], timeout_s=0.3)

    async def never(host, port):
        await asyncio.Event().wait()

    (reply,) = await send_named(receiver, options, PublicNetwork(options.addresses, never))
    assert reply.error == "the receiver did not respond within 0.3 s"


async def test_the_network_itself_refuses_a_port():
    with pytest.raises(Exception, match="port 22 is not one of WEBHOOK_PORTS"):
        await PublicNetwork(AddressPolicy()).connect_tcp("example.com", 22)


async def test_a_name_that_hangs_takes_one_thread_of_the_resolver():
    asked, released = [], threading.Event()

    def lookup(host, _):
        asked.append(host)
        if host == "hangs.example":
            released.wait(60)
        return [host]

    resolver = SystemResolver(ThreadPoolExecutor(2), lookup)
    hanging = [asyncio.ensure_future(resolver("hangs.example", 443)) for _ in range(8)]
    assert await asyncio.wait_for(resolver("other.example", 443), 30) == ["other.example"]
    released.set()
    assert await asyncio.gather(*hanging) == [["hangs.example"]] * 8
    assert await resolver("hangs.example", 443) == ["hangs.example"]
    assert asked.count("hangs.example") == 2, "one for those at the same time, and one for each later attempt"
    resolver.close()


async def test_a_lookup_that_fails_after_its_caller_has_left_is_forgotten():
    released = threading.Event()

    def lookup(*_):
        released.wait(60)
        raise OSError(-2, "Name or service not known")

    resolver = SystemResolver(ThreadPoolExecutor(1), lookup)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(resolver("fails.example", 443), 0.01)
    released.set()
    with pytest.raises(OSError, match="Name or service"):
        await resolver("fails.example", 443)
    resolver.close()


async def test_the_system_resolver_knows_loopback():
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver("127.0.0.1", 80)
    resolver.close()


def certificate_for(name, folder):
    """Return a server's context with a certificate for the name, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    form = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context(cafile=file)
    server.load_cert_chain(file)
    return server, client


@pytest.mark.parametrize(("name", "status"), [("hooks.example", 200), ("other.example", None)])
async def test_the_certificate_is_checked_against_the_name_and_not_against_the_address(
    receiving, tmp_path, name, status
):
    server, client = certificate_for(name, tmp_path)
    asked_for = []
    server.sni_callback = lambda _, server_name, __: asked_for.append(server_name)
    receiver = await receiving(answering(OK), server)
    policy = AddressPolicy(frozenset({receiver.port}), (LOOPBACK,))
    resolve, _ = resolving(["127.0.0.1"])
    sender = HttpSender(SenderOptions(policy), PublicNetwork(policy, resolve), client)
    reply = await sender.send(f"https://hooks.example:{receiver.port}/", {}, b"{}")
    await sender.close()
    assert (reply.status, asked_for) == (status, ["hooks.example"])
    assert reply.is_success or "certificate" in reply.error
