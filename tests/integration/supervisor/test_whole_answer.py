"""Answers that are sent in one piece, as a client sees them on the wire."""

import asyncio
from typing import Any

import pytest

from entrypoints.http.response import SINGLE_WRITE
from entrypoints.server.connection import BoundedConnection
from tests.integration.supervisor.test_connection import REQUEST, answered, connected

OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"


class Whole:
    """Answers with the path at once, and remembers what the server said to that."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.said: list[bool] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        body = scope["path"].encode()
        headers = [(b"content-length", b"%d" % len(body)), *self.headers]
        whole = scope["extensions"][SINGLE_WRITE]
        self.said.append(whole(200, headers, body))
        if not self.said[-1]:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})


async def test_requests_of_one_connection_are_answered_in_their_order():
    app = Whole()
    async with connected(BoundedConnection, app) as (reader, writer):
        writer.write(REQUEST + OTHER + REQUEST)
        answers = [await answered(reader) for _ in range(3)]
    assert answers == [(b"HTTP/1.1 200 OK", body) for body in (b"/", b"/other", b"/")]
    assert app.said == [True, True, True]


async def test_head_gets_the_length_and_no_body():
    async with connected(BoundedConnection, Whole()) as (reader, writer):
        writer.write(b"HEAD /long HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 5\r\n" in head
        assert await answered(reader) == (b"HTTP/1.1 200 OK", b"/")


async def test_after_a_body_that_was_not_asked_for_nothing_is_read():
    async with connected(BoundedConnection, Whole()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        everything = await reader.read()
    assert b"connection: close\r\n" in everything
    assert everything.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("request_head", "headers"),
    [(b"GET / HTTP/1.0\r\n\r\n", ()), (REQUEST, ((b"connection", b"close"),))],
    ids=["the client", "the application"],
)
async def test_the_connection_is_closed_when_either_side_says_so(request_head, headers):
    async with connected(BoundedConnection, Whole(*headers)) as (reader, writer):
        writer.write(request_head)
        everything = await reader.read()
    assert everything.endswith(b"\r\n\r\n/")
    assert b"connection: close\r\n" in everything


async def test_a_line_break_in_a_header_reaches_nobody():
    async with connected(BoundedConnection, Whole((b"link", b"a\r\nset-cookie: b"))) as (reader, writer):
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 500 ")


async def test_an_answer_that_must_wait_for_its_client_goes_the_ordinary_way():
    class Slow(Whole):
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
        assert await answered(reader) == (b"HTTP/1.1 200 OK", b"/")
    assert app.said == [False]


async def test_an_answer_is_sent_once():
    class Twice(Whole):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            self.said.append(scope["extensions"][SINGLE_WRITE](200, (), b"again"))

    app = Twice()
    async with connected(BoundedConnection, app) as (reader, writer):
        writer.write(REQUEST)
        assert await answered(reader) == (b"HTTP/1.1 200 OK", b"/")
    assert app.said == [True, False]
