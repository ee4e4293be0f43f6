"""Calls passed on to the origin, byte by byte on both sides."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import structlog
from attrs import define, field
from typing_extensions import override

from adapters.origin.http import HttpOrigin, OriginClientOptions
from domain.access.principal import ANYBODY
from domain.concurrency.capacity_limiter import CapacityLimiter
from entrypoints.http.pipeline import InFlightLimiter, Pipeline, RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.route import Access, Route, RouteTable
from entrypoints.origin.passing import PassedCalls
from entrypoints.server.connection import BoundedConnection
from tests.integration.server.test_connection import connected
from tests.support.peer import PeerConnection, Serve, peer
from tests.support.waiting import until

GET = b"GET /test HTTP/1.1\r\nHost: old:8080\r\n\r\n"
POST = b"POST /api/v1/initialize HTTP/1.1\r\nhost: old:8080\r\ncontent-length: 3\r\n\r\nabc"


class Every(RouteTable):
    """One route for all requests."""

    def __init__(self, route: Route) -> None:
        super().__init__([])
        self._route = route

    @override
    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        return self._route, {}


@define
class Seen(RequestObserver):
    """The status and the error code of each request that has ended."""

    ended: list[tuple[int, str | None]] = field(factory=list)

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        self.ended.append((status, request.error_code))


@define
class FrontedClient:
    """A client of the front, the places of passed-on calls, and what the front has observed."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    places: CapacityLimiter
    seen: Seen

    async def head(self) -> bytes:
        """Return the head of the next response without `Date`."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert sum(line.lower().startswith(b"date:") for line in lines) <= 1
        return b"\r\n".join(line for line in lines if not line.lower().startswith(b"date:"))

    async def rest(self) -> bytes:
        """Return everything until the front closes the connection, without `Date`."""
        return await self.head() + await self.reader.read()


@asynccontextmanager
async def fronted(serve: Serve, places_max: int = 8, timeout_s: float = 10.0) -> AsyncIterator[FrontedClient]:
    async with peer(serve) as origin:
        api = HttpOrigin(OriginClientOptions(origin.url))
        places, seen = CapacityLimiter("a call to the origin", places_max), Seen()
        calls = PassedCalls(api, places, timeout_s)

        route = Route("", "every", calls.pass_on, name="every", access=Access.OPEN)
        log = structlog.get_logger()
        pipeline = Pipeline(Every(route), InFlightLimiter(64), log, observers=[seen], caller=ANYBODY)
        async with connected(BoundedConnection, pipeline) as (reader, writer):
            yield FrontedClient(reader, writer, places, seen)
            writer.close()
            await until(lambda: places.in_use == 0)
        await api.close()


@define
class Origin:
    """Sends a reply for each request, and keeps the requests."""

    reply: bytes
    requests: list[bytes] = field(factory=list)

    async def __call__(self, connection: PeerConnection) -> None:
        while True:
            self.requests.append(await connection.request())
            await connection.send(self.reply)


REQUESTS = {
    "get": (GET, b"GET /test HTTP/1.1\r\nhost: old:8080\r\n\r\n"),
    "unknown path": (
        b"DELETE /%7Euser//a;b?x=%20&y HTTP/1.1\r\nHost: o\r\n\r\n",
        b"DELETE /%7Euser//a;b?x=%20&y HTTP/1.1\r\nhost: o\r\n\r\n",
    ),
    "empty query": (b"GET /test? HTTP/1.1\r\nHost: o\r\n\r\n", b"GET /test? HTTP/1.1\r\nhost: o\r\n\r\n"),
    "rare method": (b"PROPFIND / HTTP/1.1\r\nHost: o\r\n\r\n", b"PROPFIND / HTTP/1.1\r\nhost: o\r\n\r\n"),
    "preflight": (
        b"OPTIONS /api/v1/execute/1 HTTP/1.1\r\nHost: o\r\nOrigin: https://a\r\nAccess-Control-Request-Method: POST\r\n\r\n",
        b"OPTIONS /api/v1/execute/1 HTTP/1.1\r\nhost: o\r\norigin: https://a\r\naccess-control-request-method: POST\r\n\r\n",
    ),
    "body": (POST, POST),
    "a body that is no JSON": (
        b"POST / HTTP/1.1\r\nhost: o\r\ncontent-length: 4\r\n\r\n\x00\xff\r\n",
        b"POST / HTTP/1.1\r\nhost: o\r\ncontent-length: 4\r\n\r\n\x00\xff\r\n",
    ),
    "about the connection": (
        b"GET / HTTP/1.1\r\nHost: o\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: o\r\nx-end: 2\r\n\r\n",
    ),
    "a length that is called one of the connection": (POST[:-7] + b"\r\nConnection: content-length\r\n\r\nabc", POST),
    "another protocol": (POST[:-7] + b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nabc", POST),
    "header bytes": (
        b"GET / HTTP/1.1\r\nHost: o\r\nX-A:  \xe9 \r\nX-A: 2\r\nAuthorization: Bearer x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: o\r\nx-a: \xe9 \r\nx-a: 2\r\nauthorization: Bearer x\r\n\r\n",
    ),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", None),
}


def marked(request: bytes) -> bytes:
    """Return a request with the header that the front adds."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\nx-pglambda-front: 1\r\n\r\n" + body


@pytest.mark.parametrize(("sent", "received"), REQUESTS.values(), ids=REQUESTS)
async def test_a_request_arrives_as_it_was_sent(sent, received):
    origin = Origin(b"HTTP/1.1 204 No Content\r\n\r\n")
    async with fronted(origin) as client:
        client.writer.write(sent)
        assert (await client.head()).startswith(b"HTTP/1.1 204 No Content\r\n")
    (request,) = origin.requests
    if received is None:
        assert request.startswith(b"GET / HTTP/1.1\r\nhost: 127.0.0.1:")
    else:
        assert request == marked(received)


REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: o\r\nx-a: 1\r\nX-A: 2\r\n\r\nok",
    "reason": b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n",
    "error without a body": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "text": b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n\r\n\xff\x00\n",
    "compressed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nvary: accept-encoding\r\ncontent-length: 2\r\n\r\n\x1f\x8b",
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_a_reply_arrives_as_it_was_sent_and_the_connection_serves_the_next_request(reply):
    async with fronted(Origin(reply)) as client:
        for _ in range(2):
            client.writer.write(GET)
            head = await client.head()
            body = reply[reply.index(b"\r\n\r\n") + 4 :]
            assert head + await client.reader.readexactly(len(body)) == reply
        assert client.seen.ended == [(int(reply[9:12]), None)] * 2


async def test_date_and_what_is_about_the_connection_is_replaced():
    reply = (
        b"HTTP/1.1 200 OK\r\nDate: x\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\ncontent-length: 0\r\n\r\n"
    )
    async with fronted(Origin(reply)) as client:
        client.writer.write(GET)
        assert await client.head() == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def test_a_reply_to_head_has_the_length_and_no_body():
    async with fronted(Origin(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")) as client:
        for _ in range(2):
            client.writer.write(GET.replace(b"GET", b"HEAD"))
            assert await client.head() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


@pytest.mark.parametrize("reply", [REPLIES["chunks"], b"HTTP/1.1 200 OK\r\n\r\nhello"], ids=["chunks", "end"])
async def test_a_client_of_http_1_0_gets_a_body_without_chunks_that_ends_with_the_connection(reply):
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(reply)
        connection.close()

    async with fronted(serve) as client:
        client.writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert await client.rest() == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello"


async def test_a_reply_that_ends_with_its_connection_is_sent_in_chunks():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        connection.close()

    async with fronted(serve) as client:
        client.writer.write(GET)
        assert await client.head() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        assert (await client.reader.readuntil(b"0\r\n\r\n")).replace(b"\r\n", b"").strip(b"05") == b"hello"


async def test_bodies_of_any_size_are_streamed_both_ways():
    size = 8 << 20

    async def serve(connection: PeerConnection) -> None:
        body = (await connection.request())[-size:]
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (2 * size), body, body)

    body = bytes(range(256)) * (size // 256)
    async with fronted(serve) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: %d\r\n\r\n" % size + body)
        await client.head()
        assert await client.reader.readexactly(2 * size) == body + body


async def test_a_body_in_chunks_is_passed_on_in_chunks():
    async def serve(connection: PeerConnection) -> None:
        head = await connection.head()
        assert b"transfer-encoding: chunked\r\n" in head
        body = await connection.chunked_body()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body)

    async with fronted(serve) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await client.writer.drain()
        client.writer.write(b"2;x=y\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n")
        await client.head()
        received = await client.reader.readuntil(b"0\r\n\r\n")
        assert received in {b"3\r\none\r\n2\r\nab\r\n0\r\n\r\n", b"5\r\noneab\r\n0\r\n\r\n"}


async def test_a_body_with_another_coding_is_refused_instead_of_passed_on_without_its_name():
    origin = Origin(REPLIES["length"])
    async with fronted(origin) as client:
        client.writer.write(
            b"POST / HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n"
        )
        assert (await client.rest()).startswith(b"HTTP/1.1 501 Not Implemented\r\n")
        assert origin.requests == []


async def test_a_client_that_waits_for_100_continue_gets_it_when_the_origin_wants_the_body():
    async def serve(connection: PeerConnection) -> None:
        assert b"expect: 100-continue\r\n" in await connection.head()
        await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await connection.body(3) == b"abc"
        await connection.send(REPLIES["length"])

    async with fronted(serve) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.writer.write(b"abc")
        assert (await client.head()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_expectation_without_a_body_adds_none():
    origin = Origin(REPLIES["no content"])
    async with fronted(origin) as client:
        client.writer.write(GET[:-2] + b"Expect: 100-continue\r\n\r\n")
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.head()).startswith(b"HTTP/1.1 204 No Content\r\n")
    assert origin.requests == [marked(GET[:-2].replace(b"Host", b"host") + b"expect: 100-continue\r\n\r\n")]


async def test_a_body_that_declares_too_many_bytes_is_refused_before_any_is_sent():
    origin = Origin(REPLIES["length"])
    async with fronted(origin) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 67108865\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 413 ")
        assert origin.requests == []


async def test_a_refusal_in_place_of_100_continue_closes_the_connection():
    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n")

    async with fronted(serve) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        head = await client.rest()
        assert head == b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def test_a_reply_before_the_body_was_read_reaches_a_client_that_still_sends():
    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 5\r\n\r\nlarge")
        connection.close()

    async with fronted(serve) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 4194304\r\n\r\n")
        client.writer.write(b"x" * (2 << 20))
        await client.writer.drain()
        assert (await client.head()).startswith(b"HTTP/1.1 413 Payload Too Large\r\n")
        assert await client.reader.readexactly(5) == b"large"
        client.writer.write(b"x" * (2 << 20))
        await client.writer.drain()
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    "request_bytes",
    [POST, b"POST / HTTP/1.1\r\nHost: o\r\nContent-Length: 30\r\n\r\nabc"],
    ids=["after its body", "within its body"],
)
async def test_a_client_that_disconnects_ends_the_call_to_the_origin(request_bytes):
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.body(3)
        arrived.set()
        await connection.ended()
        ended.set()

    async with fronted(serve) as client:
        client.writer.write(request_bytes)
        await arrived.wait()
        client.writer.close()
        await ended.wait()
        await until(lambda: client.seen.ended)
        assert client.seen.ended == [(499, None)]


async def test_a_client_that_disconnects_within_the_reply_ends_the_call_to_the_origin():
    ended = asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel")
        await connection.ended()
        ended.set()

    async with fronted(serve) as client:
        client.writer.write(GET)
        await client.head()
        client.writer.close()
        await ended.wait()


@pytest.mark.parametrize(
    "framing", [b"content-length: 5\r\n\r\nhel", b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n"]
)
async def test_a_reply_that_breaks_off_breaks_off_for_the_client_too(framing):
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + framing)
        await client_has_head.wait()
        connection.reset()

    client_has_head = asyncio.Event()
    async with fronted(serve) as client:
        client.writer.write(GET)
        await client.head()
        client_has_head.set()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await until(lambda: client.seen.ended)
        assert client.seen.ended == [(200, "ORIGIN_UNAVAILABLE")]


async def test_an_origin_that_does_not_reply_in_time_ends_the_call():
    ended = asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.ended()
        ended.set()

    async with fronted(serve, timeout_s=0.1) as client:
        client.writer.write(GET)
        await client.head()
        await ended.wait()
        await until(lambda: client.seen.ended)
        assert client.seen.ended[0][1] == "ORIGIN_TIMEOUT"


async def test_a_call_without_a_free_place_is_refused_and_nothing_reaches_the_origin():
    origin = Origin(REPLIES["length"])
    async with fronted(origin, places_max=1) as client:
        with client.places.hold():
            client.writer.write(GET)
            assert (await client.head()).startswith(b"HTTP/1.1 503 ")
        assert client.seen.ended == [(503, "OVERLOADED")]
        assert origin.requests == []
