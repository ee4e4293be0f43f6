"""The channel assembles frames, sends what fits, and reports everything that it reads."""

import asyncio
import itertools
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sandbox.workers.channel import (
    HEADER_SIZE_MAX,
    Channel,
    Ending,
    Frame,
    FrameReader,
    Outbox,
    ProtocolBroken,
    encode_frame,
)
from tests.support.waiting import until


@given(header=st.binary(max_size=50), body=st.binary(max_size=50), cuts=st.lists(st.integers(0, 110), max_size=5))
def test_a_frame_arrives_whole_in_any_pieces(header, body, cuts):
    encoded, reader = encode_frame(header, body), FrameReader(50)
    edges = [0, *sorted(min(cut, len(encoded)) for cut in cuts), len(encoded)]
    pieces = [encoded[start:end] for start, end in itertools.pairwise(edges) if start < end]
    frames = [reader.feed(piece) for piece in pieces]
    assert frames == [None] * (len(pieces) - 1) + [Frame(header, body)]


def test_after_a_frame_the_reader_starts_anew():
    reader = FrameReader(10)
    assert reader.feed(encode_frame(b"a", b"1")) == Frame(b"a", b"1")
    assert reader.feed(encode_frame(b"b")) == Frame(b"b", b"")


@pytest.mark.parametrize(
    "bytes_sent",
    [
        struct.pack("<II", 2, 11),
        struct.pack("<II", HEADER_SIZE_MAX + 1, 0),
        b"\xff" * 8,
        encode_frame(b"{}") + b"x",
        encode_frame(b"{}") + encode_frame(b"{}"),
    ],
)
def test_a_frame_that_is_too_large_or_followed_by_bytes_breaks_the_protocol_at_once(bytes_sent):
    with pytest.raises(ProtocolBroken):
        FrameReader(10).feed(bytes_sent)


@pytest.fixture
async def ends():
    """The channel, what it reported, and the worker's end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    reports: list[tuple[Ending, Frame | None, str]] = []
    channel = Channel(ours, FrameReader(100), lambda *report: reports.append(report), Outbox())
    channel.listen()
    yield channel, reports, theirs
    channel.close()
    ours.close()
    channel.close()
    theirs.close()


async def test_parts_of_a_frame_are_reported_and_then_the_frame(ends):
    _, reports, worker = ends
    encoded = encode_frame(b"header", b"body")
    worker.send(encoded[:5])
    await until(lambda: reports)
    worker.send(encoded[5:])
    await until(lambda: len(reports) == 2)
    assert reports == [(Ending.REPLIED, None, ""), (Ending.REPLIED, Frame(b"header", b"body"), "")]


async def test_a_frame_that_is_too_large_is_reported_as_a_violation(ends):
    _, reports, worker = ends
    worker.send(struct.pack("<II", 0, 101))
    await until(lambda: reports)
    assert reports == [(Ending.PROTOCOL_BROKEN, None, "a frame with a header of 0 bytes and a body of 101 bytes")]


async def test_the_end_of_the_worker_is_reported_once(ends):
    _, reports, worker = ends
    worker.close()
    await until(lambda: reports)
    await asyncio.sleep(0)
    assert reports == [(Ending.DIED, None, "")]


async def test_what_does_not_fit_at_once_is_sent_later(ends):
    channel, _, worker = ends
    content = bytes(range(256)) * 8192
    channel.send(content)
    received = bytearray()
    async with asyncio.timeout(5):
        while len(received) < len(content):
            received += await asyncio.get_running_loop().sock_recv(worker, 1 << 20)
    assert received == content


async def test_operations_for_a_dead_worker_are_dropped(ends):
    channel, reports, worker = ends
    worker.close()
    channel.send(b"operation")
    await until(lambda: reports)
    assert reports[-1][0] is Ending.DIED


async def test_operations_of_one_turn_of_the_loop_leave_at_its_end_and_in_order():
    outbox, left = Outbox(), []
    outbox.add(lambda: left.append("first"))
    outbox.add(lambda: left.append("second"))
    assert left == []
    await asyncio.sleep(0)
    assert left == ["first", "second"]
    outbox.add(lambda: left.append("of the next turn"))
    await asyncio.sleep(0)
    assert left[2:] == ["of the next turn"]


async def test_an_operation_is_not_sent_after_the_channel_was_closed(ends):
    channel, reports, worker = ends
    channel.send(b"operation")
    channel.close()
    channel.connection.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert worker.recv(100) == b""
    assert reports == []
