"""Connections with clients that are slow, endless, or speak another protocol."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, ClassVar

import pytest
import uvicorn
from attrs import define, field
from uvicorn.server import ServerState

from entrypoints.server.connection import BoundedConnection
from entrypoints.server.open_connections import OpenConnections
from entrypoints.server.writing import WriteLimits

TIMEOUT_S = 5.0
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hurried(BoundedConnection):
    head_bytes_max = 1000
    head_timeout_s = 0.05


class Patient(BoundedConnection):
    head_bytes_max = 1000


class HalfOpen(BoundedConnection):
    half_close_s = 60.0


async def length(_scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Respond with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected(
    protocol: type[BoundedConnection], app: Any = length, idle_timeout_s: float = 60.0
) -> AsyncIterator[Client]:
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=idle_timeout_s)  # type: ignore[arg-type]  # seconds in pieces
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield reader, writer
    finally:
        writer.close()
        server.close()


async def response_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the status line and the body of a response."""
    head = await reader.readuntil(b"\r\n\r\n")
    (size,) = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
    return head.split(b"\r\n", 1)[0], await reader.readexactly(size)


def message_of(body: bytes) -> str:
    """Return the message of an error, which must have the one shape of the API."""
    error = json.loads(body)["error"]
    assert (set(error), error["code"], error["details"]) == ({"code", "message", "details"}, "INVALID_REQUEST", {})
    return error["message"]


@pytest.mark.parametrize(
    ("first", "piece", "expected"),
    [
        (b"GET / HTTP/1.1\r\nx: ", b"a" * 100, 431),
        (b"GET / HTTP/1.1\r\nx: ", b"a: b\r\n" * 20, 431),
        (b"GET /", b"a" * 100, 414),
    ],
    ids=["one header", "many headers", "path"],
)
async def test_a_head_without_an_end_is_rejected(first, piece, expected):
    async with connected(Patient) as (reader, writer):
        writer.write(first)
        for _ in range(11):
            writer.write(piece)
            await writer.drain()
        status, body = await response_of(reader)
        assert status.startswith(b"HTTP/1.1 %d " % expected)
        assert "the 1000 bytes" in message_of(body)
        assert await reader.read() == b""


LARGE = {
    "one header": (b"GET / HTTP/1.1\r\nx: " + b"a" * 1001, 431),
    "many headers": (b"GET / HTTP/1.1" + b"\r\nab: cde" * 99 + b"\r\nx: " + b"a" * 200, 431),
    "path": (b"GET /" + b"a" * 1001 + b" HTTP/1.1", 414),
    "path beyond what can be parsed": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", 414),
    "query": (b"GET /?" + b"a" * 1001 + b" HTTP/1.1\r\nHost: x", 414),
}


@pytest.mark.parametrize("kind", LARGE)
@pytest.mark.parametrize("ahead", [b"", REQUEST], ids=["alone", "behind another"])
async def test_a_complete_head_that_is_too_large_is_rejected_by_its_largest_part(kind, ahead):
    head, expected = LARGE[kind]
    async with connected(Patient) as (reader, writer):
        writer.write(ahead)
        if ahead:
            assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")
        writer.write(head + b"\r\n\r\n")
        status, body = await response_of(reader)
        assert status.startswith(b"HTTP/1.1 %d " % expected)
        assert "the 1000 bytes" in message_of(body)
        assert await reader.read() == b""


async def test_a_large_head_in_the_same_read_as_another_request_is_not_accepted():
    async with connected(Patient) as (reader, writer):
        writer.write(REQUEST + LARGE["one header"][0] + b"\r\n\r\n")
        assert REQUEST not in await reader.read()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "half a head"])
async def test_a_client_whose_head_does_not_end_in_time_is_disconnected(sent):
    async with connected(Hurried) as (reader, writer):
        writer.write(sent)
        assert await reader.read() == b""


async def test_a_client_with_a_response_has_the_timeout_of_an_idle_connection():
    async with connected(Patient, idle_timeout_s=0.05) as (reader, writer):
        writer.write(REQUEST)
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")
        assert await reader.read() == b""


async def test_a_head_that_began_before_the_response_keeps_the_timeout_of_a_head():
    begun, may_respond = asyncio.Event(), asyncio.Event()

    class Noting(Hurried):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not data.endswith(b"\r\n\r\n"):
                may_respond.set()

    async def app(scope, receive, send):
        begun.set()
        await may_respond.wait()
        await length(scope, receive, send)

    async with connected(Noting, app) as (reader, writer):
        writer.write(REQUEST)
        await begun.wait()
        writer.write(REQUEST[:10])
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")
        assert await reader.read() == b""


async def test_the_timeout_of_a_head_does_not_limit_the_response():
    async def slow(scope, receive, send):
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(2 * Hurried.head_timeout_s, passed.set)
        await passed.wait()
        await length(scope, receive, send)

    async with connected(Hurried, slow) as (reader, writer):
        writer.write(REQUEST)
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")


async def test_bodies_do_not_count_as_heads_and_each_head_counts_separately():
    async with connected(Patient) as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 5000\r\nx: " + b"a" * 900 + b"\r\n\r\n")
            await writer.drain()
            writer.write(b"b" * 5000)
            assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"5000")


async def test_bytes_that_are_not_http_get_an_error_in_the_shape_of_the_api():
    async with connected(Patient) as (reader, writer):
        writer.write(b"\x00\x01\r\n\r\n")
        status, body = await response_of(reader)
        assert status == b"HTTP/1.1 400 Bad Request"
        assert message_of(body).startswith("The request is not valid HTTP/1.1")
        assert await reader.read() == b""


async def test_a_target_with_a_fragment_is_malformed():
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET /livez#x HTTP/1.1\r\nHost: x\r\n\r\n")
        status, body = await response_of(reader)
        assert status == b"HTTP/1.1 400 Bad Request"
        assert message_of(body).startswith("The request is not valid HTTP/1.1")


async def target(scope: Any, _receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Respond with the path, the query and the `Host` headers."""
    hosts = [value.decode() for name, value in scope["headers"] if name == b"host"]
    body = json.dumps([scope["path"], scope["query_string"].decode(), *hosts]).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_the_host_of_an_absolute_target_counts():
    async with connected(Patient, target) as (reader, writer):
        for sent, seen in ((b"/a?b", ["/a", "b", "x"]), (b"http://evil.example:1/a?b", ["/a", "b", "evil.example:1"])):
            writer.write(b"GET " + sent + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            _, body = await response_of(reader)
            assert json.loads(body) == seen


async def test_a_body_that_breaks_its_framing_is_response_of():
    async with connected(Patient) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        status, body = await response_of(reader)
        assert status == b"HTTP/1.1 400 Bad Request"
        assert message_of(body)


async def test_a_response_of_the_application_after_a_rejection_is_not_sent():
    ended = asyncio.Event()

    async def late(_scope, receive, send):
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        ended.set()

    async with connected(Patient, late) as (reader, writer):
        writer.write(CHUNKED + b"zz\r\n")
        assert (await response_of(reader))[0] == b"HTTP/1.1 400 Bad Request"
        await ended.wait()
        assert await reader.read() == b""


async def test_a_client_that_still_sends_gets_its_rejection_before_the_connection_closes():
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET /" + b"a" * 2000)
        status, _ = await response_of(reader)
        assert status.startswith(b"HTTP/1.1 414 ")
        assert await reader.read() == b""
        with pytest.raises(ConnectionError):  # noqa: PT012  # the connection lingers for a second only
            while True:
                writer.write(b"a" * 1000)
                await writer.drain()
                await asyncio.sleep(0.05)


async def test_malformed_bytes_behind_a_request_get_no_response_in_its_place():
    begun = asyncio.Event()

    async def stuck(_scope, _receive, _send):
        begun.set()
        await asyncio.get_running_loop().create_future()

    async with connected(Patient, stuck) as (reader, writer):
        writer.write(REQUEST)
        await begun.wait()
        writer.write(b"\x00\x01\r\n\r\n")
        assert await reader.read() == b""


async def test_more_headers_than_the_limit_are_rejected():
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 101 + b"\r\n")
        status, body = await response_of(reader)
        assert status.startswith(b"HTTP/1.1 431 ")
        assert "more than the 100 headers" in message_of(body)
        assert await reader.read() == b""


async def test_as_many_headers_as_the_limit_are_accepted():
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 100 + b"\r\n")
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")


CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_do_not_become_headers():
    seen: list[Any] = []

    async def noting(scope, receive, send):
        await length(scope, receive, send)
        seen.extend(scope["headers"])

    async with connected(Patient, noting) as (reader, writer):
        for _ in range(2):
            writer.write(CHUNKED + b"3\r\nabc\r\n0\r\nAuthorization: Bearer x\r\nHost: y\r\n\r\n")
            assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"3")
        assert seen == [(b"transfer-encoding", b"chunked")] * 2


ENDLESS = {
    "one trailer": (b"0\r\nx: ", b"a" * 100),
    "many trailers": (b"0\r\n", b"a: b\r\n" * 20),
    "an extension of a chunk": (b"5;x=", b"a" * 100),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_endless_framing_or_trailers_are_rejected(kind):
    first, piece = ENDLESS[kind]
    begun = asyncio.Event()

    async def reading(_scope, receive, _send):
        await receive()
        begun.set()
        assert (await receive())["type"] == "http.disconnect"

    async with connected(Patient, reading) as (reader, writer):
        writer.write(CHUNKED + b"3\r\nabc\r\n")
        await begun.wait()
        writer.write(first)
        for _ in range(15):
            writer.write(piece)
            await writer.drain()
        status, body = await response_of(reader)
        assert status.startswith(b"HTTP/1.1 431 ")
        assert "more than the 1000 bytes" in message_of(body)
        assert await reader.read() == b""


@pytest.mark.parametrize("rest", [b"zz\r\n", b"0\r\nx: " + b"a" * 2000], ids=["not framed", "without an end"])
async def test_a_request_with_an_early_response_gets_no_second_one(rest):
    async def early(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with connected(Patient, early) as (reader, writer):
        writer.write(CHUNKED)
        assert await response_of(reader) == (b"HTTP/1.1 401 Unauthorized", b"")
        writer.write(rest)
        assert await reader.read() == b""


async def test_many_small_chunks_are_an_ordinary_body():
    async with connected(Patient) as (reader, writer):
        writer.write(CHUNKED)
        for _ in range(500):
            writer.write(b"1;x=y\r\na\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"500")


async def test_a_request_for_another_protocol_gets_http_and_logs_nothing(caplog):
    async with connected(Patient) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")
    assert not caplog.records


UPGRADE = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
UPGRADED = {
    "no body": (b"GET / HTTP/1.1\r\n" + UPGRADE + b"\r\n", b"0"),
    "a length": (b"POST / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 3\r\n\r\nabc", b"3"),
    "chunks": (
        b"POST / HTTP/1.1\r\n"
        + UPGRADE
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2;x=y\r\ncd\r\n0\r\nX: y\r\n\r\n",
        b"4",
    ),
    "a body that looks like a request": (
        b"POST / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: %d\r\n\r\n%b" % (len(REQUEST), REQUEST),
        b"%d" % len(REQUEST),
    ),
}


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize(("request_", "size"), UPGRADED.values(), ids=UPGRADED)
async def test_a_request_for_another_protocol_keeps_its_body_and_the_requests_behind_it(request_, size, is_split):
    async with connected(Patient) as (reader, writer):
        for piece in request_.partition(b"\r\n\r\n") if is_split else [request_]:
            writer.write(piece)
            await writer.drain()
        writer.write(REQUEST + request_)
        for expected in (size, b"0", size):
            assert await response_of(reader) == (b"HTTP/1.1 200 OK", expected)


async def test_a_malformed_body_behind_a_request_for_another_protocol_is_rejected():
    async with connected(Patient) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\n" + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\nno\r\n")
        assert (await response_of(reader))[0] == b"HTTP/1.1 400 Bad Request"


@pytest.mark.parametrize("target", [b"/", b"x:80"])
async def test_a_request_for_a_tunnel_is_rejected(target):
    async with connected(Patient) as (reader, writer):
        writer.write(b"CONNECT %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert (await response_of(reader))[0] == (
            b"HTTP/1.1 501 Not Implemented" if target == b"/" else b"HTTP/1.1 400 Bad Request"
        )
        assert await reader.read() == b""


class Ahead(BoundedConnection):
    pipelined_max = 3


async def test_as_many_pipelined_requests_as_the_limit_get_responses():
    async with connected(Ahead) as (reader, writer):
        writer.write(REQUEST * 4)
        for _ in range(4):
            assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"0")


async def test_a_client_with_too_many_pipelined_requests_is_disconnected():
    async def stuck(_scope, receive, _send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async with connected(Ahead, stuck) as (reader, writer):
        writer.write(REQUEST * 5)
        assert await reader.read() == b""


OK = (b"HTTP/1.1 200 OK", b"0")


async def exchange(client: Client) -> tuple[bytes, bytes]:
    """Send a request and return the response."""
    reader, writer = client
    writer.write(REQUEST)
    return await response_of(reader)


class Clients:
    """Clients of one server, and the events that the server has seen."""

    def __init__(
        self,
        first: Client,
        rejections: list[int],
        accepted: list[BoundedConnection],
        received: asyncio.Queue[bytes],
        lost: asyncio.Queue[None],
    ) -> None:
        self.first = first
        self.rejections = rejections
        self.accepted = accepted
        self.received = received
        self.lost = lost
        self._address = first[1].get_extra_info("peername")
        self._opened: list[asyncio.StreamWriter] = []

    async def another(self) -> Client:
        reader, writer = await asyncio.open_connection(*self._address)
        self._opened.append(writer)
        return reader, writer

    def close(self) -> None:
        for writer in self._opened:
            writer.close()


@asynccontextmanager
async def crowded(app: Any = length, count_max: int = 2) -> AsyncIterator[Clients]:
    """Yield the first client of a server with this limit of connections; no timeout ends one during the test."""
    rejections: list[int] = []
    accepted: list[BoundedConnection] = []
    received = asyncio.Queue[bytes]()
    lost = asyncio.Queue[None]()

    class Crowded(BoundedConnection):
        head_timeout_s = 60.0
        open_connections = OpenConnections(count_max)

        def connection_made(self, transport: asyncio.Transport) -> None:
            accepted.append(self)
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            received.put_nowait(data)

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            lost.put_nowait(None)

        @staticmethod
        def on_rejection(status: HTTPStatus) -> None:
            rejections.append(status.value)

    async with connected(Crowded, app) as first:
        clients = Clients(first, rejections, accepted, received, lost)
        try:
            yield clients
        finally:
            clients.close()


@pytest.mark.parametrize("sent", [b"", b"G"], ids=["nothing", "one byte"])
async def test_clients_without_a_request_that_reconnect_keep_no_others_out(sent):
    async with crowded() as clients:
        for _ in range(10):
            for _ in range(3):
                _, writer = await clients.another()
                writer.write(sent)
            assert await exchange(await clients.another()) == OK
        assert not clients.rejections


async def test_the_first_bytes_of_a_head_renew_the_idle_time():
    async with crowded() as clients:
        second = await clients.another()
        clients.first[1].write(REQUEST[:1])
        await clients.received.get()
        assert await exchange(await clients.another()) == OK
        assert await second[0].read() == b""
        clients.first[1].write(REQUEST[1:])
        assert await response_of(clients.first[0]) == OK


async def test_further_bytes_of_a_head_do_not_renew_the_idle_time():
    async with crowded() as clients:
        clients.first[1].write(REQUEST[:1])
        await clients.received.get()
        second = await clients.another()
        clients.first[1].write(REQUEST[1:2])
        await clients.received.get()
        assert await exchange(await clients.another()) == OK
        assert await clients.first[0].read() == b""
        assert await exchange(second) == OK


async def test_a_response_renews_the_idle_time():
    async with crowded() as clients:
        assert await exchange(clients.first) == OK
        second = await clients.another()
        assert await exchange(second) == OK
        assert await exchange(clients.first) == OK
        assert await exchange(await clients.another()) == OK
        assert await second[0].read() == b""
        assert await exchange(clients.first) == OK


async def test_busy_connections_stay_and_a_further_one_is_rejected():
    begun, may_respond = asyncio.Queue[None](), asyncio.Event()

    async def slow(scope, receive, send):
        begun.put_nowait(None)
        await may_respond.wait()
        await length(scope, receive, send)

    async with crowded(slow) as clients:
        held = [clients.first, await clients.another()]
        for _, writer in held:
            writer.write(REQUEST)
            await begun.get()
        surplus = await clients.another()
        status, body = await exchange(surplus)
        assert status == b"HTTP/1.1 503 Service Unavailable"
        error = json.loads(body)["error"]
        assert error["code"] == "OVERLOADED"
        assert error["message"].startswith("All 2 connections of this process (MAX_CONNECTIONS) have a request")
        assert error["details"] == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
        assert await surplus[0].read() == b"", "it is closed"
        assert clients.rejections == [503]
        may_respond.set()
        for reader, _ in held:
            assert await response_of(reader) == OK
        assert await exchange(held[1]) == OK


async def test_a_connection_with_a_further_head_stays_until_its_response():
    begun, may_respond = asyncio.Queue[None](), asyncio.Event()

    async def slow(scope, receive, send):
        begun.put_nowait(None)
        await may_respond.wait()
        await length(scope, receive, send)

    async with crowded(slow, count_max=1) as clients:
        reader, writer = clients.first
        for sent in (REQUEST, REQUEST[:1]):
            writer.write(sent)
            assert await clients.received.get() == sent
        await begun.get()
        assert (await exchange(await clients.another()))[0] == b"HTTP/1.1 503 Service Unavailable"
        may_respond.set()
        assert await response_of(reader) == OK


async def test_a_client_that_disconnects_during_its_request_no_longer_counts():
    begun = asyncio.Queue[None]()

    async def endless(_scope, _receive, _send):
        begun.put_nowait(None)
        await asyncio.Event().wait()

    async with crowded(endless) as clients:
        for _, writer in [clients.first, await clients.another()]:
            writer.write(REQUEST)
            await begun.get()
        connections = clients.accepted[0].open_connections
        assert (connections.count, connections.busy) == (2, 2)
        clients.first[1].close()
        await clients.lost.get()
        assert (connections.count, connections.busy, connections.evicted) == (1, 1, 0)


async def test_a_rejected_connection_does_not_count_while_it_lingers():
    async with crowded() as clients:
        assert await exchange(clients.first) == OK
        rejected_reader, rejected = await clients.another()
        rejected.write(b"nonsense\r\n\r\n")
        assert (await response_of(rejected_reader))[0] == b"HTTP/1.1 400 Bad Request"
        assert await exchange(await clients.another()) == OK
        assert await exchange(clients.first) == OK
        assert clients.rejections == [400]


async def test_unread_bytes_of_a_head_that_has_begun_do_not_protect_the_connection():
    async with crowded() as clients:
        clients.first[1].write(REQUEST[:1])
        await clients.received.get()
        clients.accepted[0].transport.pause_reading()
        clients.first[1].write(REQUEST[1:2])
        second = await clients.another()
        assert await exchange(await clients.another()) == OK
        assert await exchange(second) == OK


async def test_a_connection_with_an_unread_request_is_not_replaced():
    async with crowded() as clients:
        assert await exchange(clients.first) == OK
        clients.accepted[0].transport.pause_reading()
        clients.first[1].write(REQUEST)
        second = await clients.another()
        assert await exchange(second) == OK
        assert await exchange(await clients.another()) == OK
        assert await second[0].read() == b""
        clients.accepted[0].transport.resume_reading()
        assert await response_of(clients.first[0]) == OK


async def test_a_connection_with_an_unread_response_is_not_replaced():
    async with crowded(huge) as clients:
        reader, writer = clients.first
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        second = await clients.another()
        third = await clients.another()
        third[1].write(REQUEST)
        assert (await third[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        assert await second[0].read() == b""
        writer.transport.resume_reading()
        assert len(await reader.readexactly(SIZE)) == SIZE


SIZE = 64 * 1024 * 1024
"""More than the kernel buffers for a connection."""


class Watchful(BoundedConnection):
    write_limits = WriteLimits(span_s=0.1)
    lost: ClassVar[asyncio.Event]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set()


async def huge(scope: Any, _receive: Any, send: Any) -> None:
    """Respond with more than the kernel buffers."""
    headers = [(b"content-length", str(SIZE).encode()), *((b"connection", b"close") for _ in scope["query_string"][:1])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * SIZE})


@pytest.mark.parametrize("path", [b"/", b"/?close"], ids=["kept alive", "closed after it"])
async def test_a_client_that_does_not_read_its_response_is_disconnected(path):
    Watchful.lost = asyncio.Event()
    async with connected(Watchful, huge) as (reader, writer):
        writer.transport.pause_reading()
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        await Watchful.lost.wait()
        writer.transport.resume_reading()
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read(2 * SIZE)) < SIZE


async def test_a_client_that_reads_slowly_gets_the_complete_response():
    Watchful.lost = asyncio.Event()
    async with connected(Watchful, huge) as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        left = SIZE
        while left:
            left -= len(await reader.read(1024 * 1024))
            await asyncio.sleep(0)
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


async def test_a_disconnect_reaches_the_request_in_progress_though_others_are_pipelined():
    begun, disconnected = asyncio.Event(), asyncio.Event()

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        begun.set()
        if (await receive())["type"] == "http.disconnect":
            disconnected.set()

    async with connected(BoundedConnection, app) as (_, writer):
        writer.write(REQUEST + REQUEST)
        await begun.wait()
        writer.close()
        await disconnected.wait()


@define
class Slow:
    """An application that responds when it is let, and knows whose client has gone."""

    begun: asyncio.Event = field(factory=asyncio.Event)
    responds: asyncio.Event = field(factory=asyncio.Event)
    disconnected: asyncio.Event = field(factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(receive))
            await self.responds.wait()
            watch.cancel()
        await length(scope, empty, send)

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.disconnected.set()
        self.responds.set()


async def empty() -> dict[str, Any]:
    return {"body": b"", "more_body": False}


async def test_a_client_that_has_ended_its_side_gets_the_responses_that_are_due():
    app = Slow()
    async with connected(HalfOpen, app) as (reader, writer):
        writer.write(REQUEST + REQUEST)
        writer.write_eof()
        await app.begun.wait()
        app.responds.set()
        for _ in range(2):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            assert await reader.readexactly(1) == b"0"
        assert await reader.read() == b""
    assert not app.disconnected.is_set()


class Briefly(BoundedConnection):
    half_close_s = 0.05


@pytest.mark.parametrize(
    ("protocol", "sent"),
    [(BoundedConnection, REQUEST), (Briefly, REQUEST), (HalfOpen, b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc")],
    ids=["without the time for it", "after that time", "within a body"],
)
async def test_a_client_that_has_ended_its_side_is_taken_for_gone(protocol, sent):
    app = Slow()
    async with connected(protocol, app) as (reader, writer):
        writer.write(sent)
        await app.begun.wait()
        writer.write_eof()
        await app.disconnected.wait()
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\n", REQUEST], ids=["nothing", "half a head", "a served request"]
)
async def test_a_connection_without_a_response_that_is_due_ends_with_its_client(sent):
    async with connected(HalfOpen) as (reader, writer):
        writer.write(sent)
        if sent == REQUEST:
            await response_of(reader)
        writer.write_eof()
        assert await reader.read() == b""
