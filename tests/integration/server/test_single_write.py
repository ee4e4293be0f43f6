"""Responses that are sent by one system call, as a client sees them."""

import asyncio
from typing import Any

import pytest

from entrypoints.http.response import NDJSON, SINGLE_WRITE
from entrypoints.http.streaming_response import SendLine, StreamingResponse
from entrypoints.server.connection import BoundedConnection
from tests.integration.server.test_connection import REQUEST, connected, response_of

OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"


class SingleWriteApp:
    """Responds with the path in one call, and keeps what the server returned."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.returned: list[bool] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        body = scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(body)), *self.headers]
        write = scope["extensions"][SINGLE_WRITE]
        self.returned.append(write(200, headers, body))
        if not self.returned[-1]:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


async def test_pipelined_requests_get_their_responses_in_order():
    app = SingleWriteApp()
    async with connected(BoundedConnection, app) as (reader, writer):
        writer.write(REQUEST + OTHER + REQUEST)
        responses = [await response_of(reader) for _ in range(3)]
    assert responses == [(b"HTTP/1.1 200 OK", body) for body in (b"/", b"/other", b"/")]
    assert app.returned == [True, True, True]


async def test_a_head_request_gets_the_length_and_no_body():
    async with connected(BoundedConnection, SingleWriteApp()) as (reader, writer):
        writer.write(b"HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 5\r\n" in head
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"/")


async def test_the_connection_closes_if_the_client_waits_for_100_continue():
    async with connected(BoundedConnection, SingleWriteApp()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        everything = await reader.read()
    assert b"connection: close\r\n" in everything
    assert everything.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("request_head", "headers"),
    [(b"GET / HTTP/1.0\r\n\r\n", ()), (REQUEST, ((b"connection", b"close"),))],
    ids=["the client", "the application"],
)
async def test_the_connection_closes_if_either_side_requests_it(request_head, headers):
    async with connected(BoundedConnection, SingleWriteApp(*headers)) as (reader, writer):
        writer.write(request_head)
        everything = await reader.read()
    assert everything.endswith(b"\r\n\r\n/")
    assert b"connection: close\r\n" in everything


async def test_a_line_break_in_a_header_is_an_internal_error():
    async with connected(BoundedConnection, SingleWriteApp((b"link", b"a\r\nset-cookie: b"))) as (reader, writer):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 500 ")


async def test_a_response_to_a_slow_client_is_sent_by_asgi_messages():
    class Slow(SingleWriteApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            connection.pause_writing()
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, connection.resume_writing)
            await super().__call__(scope, receive, send)

    class Watched(BoundedConnection):
        def connection_made(self, transport: Any) -> None:
            nonlocal connection
            connection = self
            super().connection_made(transport)

    connection: Any = None
    app = Slow()
    async with connected(Watched, app) as (reader, writer):
        writer.write(REQUEST)
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"/")
    assert app.returned == [False]


async def test_a_response_is_sent_once():
    class Twice(SingleWriteApp):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            self.returned.append(scope["extensions"][SINGLE_WRITE](200, (), b"again"))

    app = Twice()
    async with connected(BoundedConnection, app) as (reader, writer):
        writer.write(REQUEST)
        assert await response_of(reader) == (b"HTTP/1.1 200 OK", b"/")
    assert app.returned == [True, False]


class StreamApp:
    """Streams two lines."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def produce(send_line: SendLine) -> None:
            for line in (b"one", b"two"):
                await send_line(line)

        response = StreamingResponse(200, content_type=NDJSON, produce=produce, on_end=lambda _: None, stall_s=5)
        await response(scope, receive, send)


@pytest.mark.parametrize("connection", [b"", b"Connection: keep-alive\r\n"])
async def test_a_stream_has_no_chunks_for_a_client_that_knows_none(connection):
    async with connected(BoundedConnection, StreamApp()) as (reader, writer):
        writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n" + connection + b"\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert body == b"one\ntwo\n"
    assert b"connection: close" in head
    assert b"x-accel-buffering: no" in head
    assert b"transfer-encoding" not in head


async def test_a_stream_has_chunks_for_other_clients():
    async with connected(BoundedConnection, StreamApp()) as (reader, writer):
        writer.write(REQUEST)
        stream = await reader.readuntil(b"0\r\n\r\n")
    assert stream.partition(b"\r\n\r\n")[2] == b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"
