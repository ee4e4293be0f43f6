"""The client of the origin, against peers that do every kind of harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapters.origin.http import HttpOrigin, OriginClientOptions
from domain.takeover.passing import OriginRequest, OriginUnavailable
from domain.takeover.ports import OriginReply
from tests.support.peer import Peer, PeerConnection, Serve, peer
from tests.support.ports import free_port
from tests.support.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = OriginRequest(b"GET", b"/", [(b"host", b"old")])
POST = OriginRequest(b"POST", b"/p", [(b"host", b"old"), (b"content-length", b"3")], b"abc")


@asynccontextmanager
async def client(serve: Serve, **options: float) -> AsyncIterator[tuple[HttpOrigin, Peer]]:
    async with peer(serve) as origin:
        api = HttpOrigin(OriginClientOptions(origin.url, **options))  # type: ignore[arg-type]  # the limits only
        try:
            async with asyncio.timeout(10):
                yield api, origin
        finally:
            await api.close()


async def whole(reply: OriginReply) -> bytes:
    body = reply.body if reply.body is not None else b"".join([piece async for piece in reply.pieces()])
    reply.close()
    return body


def replying(*parts: bytes) -> Serve:
    """Reply to each request with these bytes."""

    async def serve(connection: PeerConnection) -> None:
        while True:
            await connection.request()
            await connection.send(*parts)

    return serve


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_request_arrives_with_its_target_and_headers_and_body():
    received: list[bytes] = []

    async def serve(connection: PeerConnection) -> None:
        received.append(await connection.request())
        await connection.send(OK)

    headers = [(b"host", b"old:8080"), (b"x-twice", b"1"), (b"x-twice", b"2"), (b"content-length", b"3")]
    async with client(serve) as (api, _):
        reply = await api.send(OriginRequest(b"POST", b"/a%2Fb?", headers, b"abc"))
        assert await whole(reply) == b"ok"
    head = b"POST /a%2Fb? HTTP/1.1\r\nhost: old:8080\r\nx-twice: 1\r\nx-twice: 2\r\ncontent-length: 3\r\n"
    assert received == [head + b"x-pglambda-front: 1\r\n\r\nabc"]


async def test_a_reply_keeps_its_reason_and_the_spelling_and_order_of_its_headers():
    head = b"HTTP/1.1 418 I'm a teapot\r\nX-B: 1\r\nx-a: \xe9\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n"
    async with client(replying(head)) as (api, _):
        reply = await api.send(GET)
        assert (reply.status, reply.reason, reply.body) == (418, b"I'm a teapot", b"")
        assert reply.headers == [(b"X-B", b"1"), (b"x-a", b"\xe9"), (b"X-B", b"2"), (b"Content-Length", b"0")]
        reply.close()


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nx-t: 1\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
    ids=["length", "chunks", "204", "304", "no reason", "early hints", "unexpected continue"],
)
@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_connection_is_used_again_after_a_complete_reply(parts, body, is_slow):
    async def serve(connection: PeerConnection) -> None:
        while True:
            await connection.request()
            for part in [parts[i : i + 1] for i in range(len(parts))] if is_slow else [parts]:
                await connection.send(part)

    async with client(serve) as (api, origin):
        for _ in range(3):
            reply = await api.send(GET)
            assert await whole(reply) == body
            assert not any(name.lower() in {b"x-t", b"link"} for name, _ in reply.headers)
        assert origin.connections == 1


async def test_a_reply_to_head_has_no_body_although_it_has_a_length():
    async with client(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as (api, origin):
        for _ in range(2):
            reply = await api.send(OriginRequest(b"HEAD", b"/", [(b"host", b"old")]))
            assert await whole(reply) == b""
        assert origin.connections == 1


@pytest.mark.parametrize(
    "reply_bytes",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + OK,
        OK + b"HTTP/1.1 2",
    ],
    ids=["close", "HTTP/1.0", "two replies", "more bytes"],
)
async def test_a_connection_whose_next_bytes_are_not_certain_is_not_used_again(reply_bytes):
    async with client(replying(reply_bytes)) as (api, origin):
        for _ in range(2):
            assert await whole(await api.send(GET)) == b"ok"
        assert origin.connections == 2


async def test_a_body_without_a_length_ends_with_the_connection():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nhel")
        await connection.send(b"lo")
        connection.close()

    async with client(serve) as (api, _):
        assert await whole(await api.send(GET)) == b"hello"


async def test_an_idle_connection_that_the_origin_has_closed_is_not_used():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(OK)
        connection.close()

    async with client(serve) as (api, origin):
        assert await whole(await api.send(GET)) == b"ok"
        await until(lambda: not api.idle_connections)
        assert await whole(await api.send(GET)) == b"ok"
        assert origin.connections == 2


async def test_idle_connections_are_closed_after_a_time_and_beyond_a_number():
    async with client(replying(OK), keep_alive_s=0.05, idle_max=2) as (api, origin):
        replies = await asyncio.gather(*(api.send(GET) for _ in range(4)))
        for reply in replies:
            await whole(reply)
        assert (origin.connections, api.idle_connections) == (4, 2)
        await until(lambda: api.idle_connections == 0)


async def test_bodies_are_streamed_both_ways_and_pieces_arrive_before_the_end():
    turn = asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        assert await connection.chunked_body() == b"3\r\none\r\n2\r\nab\r\n0\r\n\r\n"
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await turn.wait()
        await connection.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async with client(serve) as (api, _):
        reply = await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], pieces(b"one", b"ab")))
        assert reply.body is None
        received = reply.pieces()
        assert await anext(received) == b"one"
        turn.set()
        assert [piece async for piece in received] == [b"two"]
        reply.close()


async def test_a_body_of_a_declared_length_is_not_sent_in_chunks():
    async def serve(connection: PeerConnection) -> None:
        assert (await connection.request()).endswith(b"\r\n\r\nonetwo")
        await connection.send(OK)

    async with client(serve) as (api, _):
        headers = [(b"host", b"old"), (b"content-length", b"6")]
        assert await whole(await api.send(OriginRequest(b"POST", b"/", headers, pieces(b"one", b"two")))) == b"ok"


async def test_a_whole_body_without_a_length_is_sent_as_a_chunk():
    async def serve(connection: PeerConnection) -> None:
        assert (await connection.head()).endswith(b"\r\ntransfer-encoding: chunked\r\n\r\n")
        assert await connection.chunked_body() == b"3\r\nabc\r\n0\r\n\r\n"
        await connection.send(OK)

    async with client(serve) as (api, _):
        assert await whole(await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], b"abc"))) == b"ok"


async def test_a_reply_that_comes_before_the_body_was_sent_ends_the_sending():
    sent: list[bytes] = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            sent.append(b"x" * 65_536)
            yield sent[-1]

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 5\r\n\r\nlarge")

    async with client(serve) as (api, origin):
        reply = await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], endless()))
        assert (reply.status, await whole(reply)) == (413, b"large")
        assert len(sent) < 1000
        assert api.idle_connections == 0
        assert origin.connections == 1


async def test_sending_goes_on_while_the_reply_has_begun():
    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        body = await connection.chunked_body()
        await connection.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    began = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await began.wait()
        yield b"two"

    async with client(serve) as (api, _):
        reply = await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], body()))
        began.set()
        assert await whole(reply) == b"ok3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        assert api.idle_connections == 1


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b""], ids=["continue", "silence"])
async def test_a_body_that_waits_for_100_continue_follows_it_or_a_pause(interim):
    taken: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(b"abc")
        yield b"abc"

    async def serve(connection: PeerConnection) -> None:
        head = await connection.head()
        assert b"expect: 100-continue\r\n" in head
        assert not taken
        await connection.send(interim)
        assert await connection.body(3) == b"abc"
        await connection.send(OK)

    headers = [(b"host", b"old"), (b"expect", b"100-continue"), (b"content-length", b"3")]
    async with client(serve, continue_timeout_s=0.1) as (api, _):
        assert await whole(await api.send(OriginRequest(b"POST", b"/", headers, body(), True))) == b"ok"
        assert api.idle_connections == 1


async def test_a_reply_in_place_of_100_continue_saves_the_body_and_ends_the_connection():
    headers = [(b"host", b"old"), (b"expect", b"100-continue"), (b"content-length", b"3")]

    async def body() -> AsyncIterator[bytes]:
        pytest.fail("the body was taken")
        yield b""

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await connection.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")

    async with client(serve) as (api, _):
        reply = await api.send(OriginRequest(b"POST", b"/", headers, body(), True))
        assert (reply.status, await whole(reply)) == (417, b"")
        assert api.idle_connections == 0


async def test_a_body_that_the_origin_does_not_read_is_held_back():
    taken = 0
    may_read = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(512):
            taken += 1
            yield b"x" * 65_536

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await may_read.wait()
        await connection.body(512 << 16)
        await connection.send(OK)

    headers = [(b"host", b"old"), (b"content-length", b"%d" % (512 << 16))]
    async with client(serve) as (api, _):
        call = asyncio.create_task(api.send(OriginRequest(b"POST", b"/", headers, body())))
        await until(lambda: taken)
        done, _ = await asyncio.wait([call], timeout=0.2)
        assert (len(done), taken < 512) == (0, True)
        may_read.set()
        assert (await whole(await call), taken) == (b"ok", 512)


async def test_a_reset_ends_a_body_that_is_held_back():
    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        await asyncio.sleep(0)
        connection.reset()

    async with client(serve) as (api, _):
        with pytest.raises(OriginUnavailable) as caught:
            await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], body()))
        assert caught.value.executed == "unknown"


async def test_bytes_that_nobody_asked_for_end_an_idle_connection():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(OK)
        await is_idle.wait()
        await connection.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    is_idle = asyncio.Event()
    async with client(serve) as (api, _):
        assert await whole(await api.send(GET)) == b"ok"
        assert api.idle_connections == 1
        is_idle.set()
        await until(lambda: api.idle_connections == 0)


async def test_bytes_behind_a_complete_reply_end_the_connection():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(OK)
        await may_send.wait()
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        is_sent.set()

    may_send, is_sent = asyncio.Event(), asyncio.Event()
    async with client(serve) as (api, _):
        reply = await api.send(GET)
        may_send.set()
        await is_sent.wait()
        await until(lambda: not reply.debug_snapshot()["is_reusable"])  # type: ignore[attr-defined]  # of the class
        assert await whole(reply) == b"ok"
        assert api.idle_connections == 0


async def test_an_origin_without_the_expected_tls_gets_nothing():
    async with peer(replying(OK)) as origin:
        api = HttpOrigin(OriginClientOptions(origin.url.replace("http:", "https:"), connect_timeout_s=0.2))
        with pytest.raises(OriginUnavailable) as caught:
            await api.send(POST)
        assert caught.value.executed == "no"


async def test_a_refused_connection_says_that_nothing_ran():
    api = HttpOrigin(OriginClientOptions(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(OriginUnavailable) as caught:
        await api.send(POST)
    assert caught.value.executed == "no"
    assert "nothing was done" in caught.value.message


async def test_a_connection_that_is_not_made_in_time_says_that_nothing_ran():
    # An address of a network for documents, which drops packets.
    api = HttpOrigin(OriginClientOptions("http://192.0.2.1:8080", connect_timeout_s=0.05))
    with pytest.raises(OriginUnavailable) as caught:
        await api.send(POST)
    assert caught.value.executed == "no"


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "no HTTP": b"hello\r\n\r\n",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 5\r\n\r\nhel",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "a chunk of no size": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a status of no meaning": b"HTTP/1.1 999 What\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a line break in a header": HEAD + b"x: a\rb\r\nContent-Length: 0\r\n\r\n",
    "a large header": HEAD + b"x: " + b"a" * 70_000,
    "a large head in one piece with its body": HEAD + b"x: " + b"a" * 65_536 + b"\r\nContent-Length: 2\r\n\r\nok",
    "large headers after interim replies": b"HTTP/1.1 103 Early Hints\r\nx: %b\r\n\r\n" % (b"a" * 40_000)
    + HEAD
    + b"x: %b\r\nContent-Length: 2\r\n\r\nok" % (b"a" * 30_000),
    "a large reason": b"HTTP/1.1 200 %b\r\nContent-Length: 2\r\n\r\nok" % (b"a" * 70_000),
    "compressed chunks": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n",
    "compressed up to the end": HEAD + b"Transfer-Encoding: gzip\r\n\r\n\x1f\x8b",
    "many headers": HEAD + b"x: a\r\n" * 257 + b"\r\n",
    "endless interim replies": b"HTTP/1.1 102 Processing\r\n\r\n" * 4000,
    "endless trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: a\r\n" * 12_000,
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
async def test_a_reply_that_is_broken_says_that_the_script_may_have_run(sent):
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(sent)
        connection.close()

    async with client(serve) as (api, origin):
        with pytest.raises(OriginUnavailable) as caught:
            await whole(await api.send(POST))
        assert caught.value.executed == "unknown"
        assert "retry_after_ms" not in caught.value.details
        assert (origin.connections, api.idle_connections) == (1, 0)


async def test_a_reset_says_that_the_script_may_have_run_and_the_call_is_not_repeated():
    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        connection.reset()

    async with client(serve) as (api, origin):
        with pytest.raises(OriginUnavailable) as caught:
            await api.send(GET)
        assert (caught.value.executed, origin.connections) == ("unknown", 1)


async def test_a_cancelled_call_ends_the_origins_connection():
    arrived, ended = asyncio.Event(), asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        arrived.set()
        await connection.ended()
        ended.set()

    async with client(serve) as (api, _):
        call = asyncio.create_task(api.send(POST))
        await arrived.wait()
        call.cancel()
        await ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_closing_a_reply_that_is_not_complete_ends_the_origins_connection():
    ended = asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(HEAD + b"Content-Length: 5\r\n\r\nhel")
        await connection.ended()
        ended.set()

    async with client(serve) as (api, _):
        reply = await api.send(GET)
        reply.close()
        reply.close()
        await ended.wait()


class Failing(Exception):
    pass


@pytest.mark.parametrize("is_begun", [False, True], ids=["before the reply", "in the reply"])
async def test_an_error_of_the_requests_body_is_raised_and_ends_the_connection(is_begun):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.head()
        if is_begun:
            await connection.send(HEAD + b"Content-Length: 5\r\n\r\nhel")
        await connection.ended()
        ended.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        if is_begun:
            await begun.wait()
        raise Failing

    async def pass_on(api: HttpOrigin) -> None:
        reply = await api.send(OriginRequest(b"POST", b"/", [(b"host", b"old")], body()))
        try:
            received = reply.pieces()
            assert await anext(received) == b"hel"
            begun.set()
            await anext(received)
        finally:
            reply.close()

    async with client(serve) as (api, _):
        with pytest.raises(Failing):
            await pass_on(api)
        await ended.wait()


async def test_an_origin_that_sends_faster_than_its_reader_reads_is_held_back():
    blocked = asyncio.Event()

    async def serve(connection: PeerConnection) -> None:
        await connection.request()
        await connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % (64 << 20))
        sending = asyncio.create_task(connection.send(b"x" * (64 << 20)))
        await asyncio.wait([sending], timeout=0.2)
        blocked.set()
        assert not sending.done()
        await sending

    async with client(serve) as (api, _):
        reply = await api.send(GET)
        received = reply.pieces()
        size = len(await anext(received))
        await blocked.wait()
        async for piece in received:
            size += len(piece)
        reply.close()
        assert (size, api.idle_connections) == (64 << 20, 1)
