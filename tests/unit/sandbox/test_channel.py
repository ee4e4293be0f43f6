"""The channel sends what there is room for, and tells of everything that it reads."""

import asyncio
import socket
import struct

import pytest

from adapters.sandbox.workers.channel import Channel
from adapters.sandbox.workers.exchange import Ending, Exchange
from adapters.sandbox.workers.frames import Frame, FrameReader, encode_frame
from adapters.sandbox.workers.outbox import Outbox
from tests.support.waiting import until


@pytest.fixture
async def ends():
    """The channel, what it told, and the worker's end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    told: list[Exchange] = []
    channel = Channel(ours, FrameReader(100), told.append, Outbox())
    channel.listen()
    yield channel, told, theirs
    channel.close()
    ours.close()
    channel.close()
    theirs.close()


async def test_a_frame_is_told_when_it_is_whole_and_its_parts_are_told_as_parts(ends):
    _, told, worker = ends
    encoded = encode_frame(b"header", b"body")
    worker.send(encoded[:5])
    await until(lambda: told)
    worker.send(encoded[5:])
    await until(lambda: len(told) == 2)
    assert told == [Exchange(Ending.REPLIED), Exchange(Ending.REPLIED, Frame(b"header", b"body"))]


async def test_a_frame_that_is_too_large_is_told_as_a_breach(ends):
    _, told, worker = ends
    worker.send(struct.pack("<II", 0, 101))
    await until(lambda: told)
    assert told[0].ending is Ending.PROTOCOL_BROKEN


async def test_the_end_is_told_once(ends):
    _, told, worker = ends
    worker.close()
    await until(lambda: told)
    await asyncio.sleep(0)
    assert told == [Exchange(Ending.DIED)]


async def test_what_does_not_fit_at_once_is_sent_as_zygote_comes(ends):
    channel, _, worker = ends
    content = bytes(range(256)) * 8192
    channel.send(content)
    received = bytearray()
    async with asyncio.timeout(5):
        while len(received) < len(content):
            received += await asyncio.get_running_loop().sock_recv(worker, 1 << 20)
    assert received == content


async def test_what_is_sent_to_a_dead_worker_is_dropped(ends):
    channel, told, worker = ends
    worker.close()
    channel.send(b"operation")
    await until(lambda: told)
    assert told[-1].ending is Ending.DIED


async def test_what_is_sent_in_one_turn_leaves_at_its_end_and_in_order():
    outbox, left = Outbox(), []
    outbox.add(lambda: left.append("first"))
    outbox.add(lambda: left.append("second"))
    assert left == []
    await asyncio.sleep(0)
    assert left == ["first", "second"]
    outbox.add(lambda: left.append("of the next turn"))
    await asyncio.sleep(0)
    assert left[2:] == ["of the next turn"]


async def test_what_was_sent_before_the_channel_was_closed_by_its_process_goes_nowhere(ends):
    channel, told, worker = ends
    channel.send(b"operation")
    channel.close()
    channel.connection.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert worker.recv(100) == b""
    assert told == []
