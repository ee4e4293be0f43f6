"""One stream of a controller, on a connection that the test plays."""

import asyncio
from uuid import uuid4

import pytest
from attrs import define, field

from adapters.remote_runtime.connection import HostSilent, HostUnreached
from adapters.remote_runtime.fleet import Condition, HostView, ignore_change
from adapters.remote_runtime.messages import MessageRate
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.stream import HostStream
from adapters.runtime_frames import BrokenStream, FrameParser, Kind
from tests.contracts.raw_streams import SIZES_MAX, frame, welcome

END = b'{"status": 200, "reply": {}}'


@define(eq=False)
class PlayedTransport(asyncio.Transport):
    """Keeps what is written, and takes note of its end."""

    frames: FrameParser = field(factory=lambda: FrameParser(SIZES_MAX))
    written: list[tuple[int, int]] = field(factory=list)
    is_closed: bool = False
    is_aborted: bool = False

    def set_write_buffer_limits(self, high=None, low=None):
        """Keep all."""

    def get_write_buffer_size(self):
        return 0

    def write(self, data):
        self.written += [(each.kind, each.id) for each in self.frames.feed(data)]

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_aborted = True


def opened(**options) -> tuple[HostStream, PlayedTransport]:
    stream, transport = HostStream(HostView(), RuntimeOptions(), ignore_change, **options), PlayedTransport()
    stream.link.connection_made(transport)
    stream.link.data_received(welcome())
    return stream, transport


async def sent(stream: HostStream) -> asyncio.Future:
    """Send a run, and let the loop write what it can."""
    run = asyncio.ensure_future(stream.run(uuid4(), b"{}", asyncio.get_running_loop().time() + 60))
    for _ in range(3):
        await asyncio.sleep(0)
    return run


async def test_a_run_of_which_no_byte_was_written_has_not_reached_a_host_that_is_lost():
    stream, transport = opened()
    written = await sent(stream)
    stream.link.pause_writing()
    waiting = await sent(stream)
    stream.link.connection_lost(None)
    with pytest.raises(HostSilent):
        await written
    with pytest.raises(HostUnreached):
        await waiting
    assert transport.written == [(Kind.RUN, 1)]


async def test_a_stream_without_ids_left_takes_no_run_and_closes_after_its_last_one():
    stream, transport = opened(run_id_max=2)
    runs = [await sent(stream), await sent(stream)]
    with pytest.raises(HostUnreached):
        await (await sent(stream))
    stream.link.data_received(frame(Kind.END, 2, END))
    assert not transport.is_closed
    stream.link.data_received(frame(Kind.END, 1, END))
    assert transport.is_closed
    assert [reply.status for reply in await asyncio.gather(*runs)] == [200, 200]
    stream.link.connection_lost(None)


async def test_a_stream_without_ids_left_is_no_choice():
    view = HostView()
    stream = HostStream(view, RuntimeOptions(), ignore_change, run_id_max=1)
    stream.link.connection_made(PlayedTransport())
    stream.link.data_received(welcome())
    assert view.condition is Condition.READY
    run = await sent(stream)
    assert view.condition is Condition.DRAINING
    stream.link.connection_lost(None)
    with pytest.raises(HostSilent):
        await run


async def test_a_stop_concerns_runs_of_this_stream_alone():
    stream, transport = opened()
    execution_id = uuid4()
    run = asyncio.ensure_future(stream.run(execution_id, b"{}", asyncio.get_running_loop().time() + 60))
    await asyncio.sleep(0)
    assert stream.cancel(execution_id)
    assert stream.cancel(execution_id), "and sends nothing more"
    assert not stream.cancel(uuid4()), "one that was sent over HTTP, or on a stream before"
    await asyncio.sleep(0)
    assert transport.written == [(Kind.RUN, 1), (Kind.CANCEL, 1)]
    stream.link.connection_lost(None)
    with pytest.raises(HostSilent):
        await run


async def test_pings_of_a_host_that_takes_nothing_pile_up_no_replies():
    stream, transport = opened()
    stream.link.pause_writing()
    for _ in range(100):
        stream.link.data_received(frame(Kind.PING, 0, bytes(8)))
    assert stream.link.unsent == 0
    stream.link.resume_writing()
    stream.link.data_received(frame(Kind.PING, 0, bytes(8)))
    await asyncio.sleep(0)
    assert transport.written == [(Kind.PONG, 0)]
    stream.link.connection_lost(None)


async def test_a_run_whose_time_ended_while_the_controller_was_frozen_ends_as_the_host_has_sent_it():
    stream, _ = opened()
    run = asyncio.ensure_future(stream.run(uuid4(), b"{}", asyncio.get_running_loop().time() - 1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not run.done(), "its timer is late, and what the host has sent is not read yet"
    stream.link.data_received(frame(Kind.END, 1, END))
    assert (await run).status == 200
    stream.link.connection_lost(None)


async def test_runs_that_the_host_did_not_end_while_the_controller_was_frozen_are_unknown():
    stream, _ = opened()
    with pytest.raises(HostSilent):
        await stream.run(uuid4(), b"{}", asyncio.get_running_loop().time() - 1)
    stream.link.connection_lost(None)


def lines(text: str, number: int) -> bytes:
    """Return output of run 1, as frames."""
    return frame(Kind.OUTPUT, 1, b'{"stdout": "%s"}' % text.encode()) * number


CAPACITIES = [
    frame(Kind.CAPACITY, 0, b'{"running": [1], "queued": [0], "unavailable": %s}' % each)
    for each in (b"[]", b'["nodejs"]')
]


@pytest.mark.parametrize(
    ("sent_by_host", "reason"),
    [
        (b"".join(CAPACITIES) * 500, "more than 20 frames of kind 19 in a second"),
        (frame(Kind.DRAIN) * 1000, "more than 20 frames of kind 20 in a second"),
        (lines("", 5000), "more than 100 frames of kind 17 in a second"),
        (lines("x" * 65_000, 13), "more than 786432 characters that a run has written"),
    ],
    ids=["capacities", "drains", "lines", "text"],
)
async def test_a_host_that_sends_more_than_its_limits_loses_its_stream(sent_by_host, reason):
    stream, transport = opened()
    run = await sent(stream)
    stream.link.data_received(sent_by_host)
    assert transport.is_aborted
    stream.link.connection_lost(None)
    with pytest.raises(HostSilent, match=reason):
        await run


async def test_a_host_within_its_limits_keeps_its_stream():
    stream, transport = opened()
    run = await sent(stream)
    stream.link.data_received(b"".join(CAPACITIES) * 200 + lines("x" * 65_000, 12))
    stream.link.data_received(frame(Kind.END, 1, END))
    assert (await run).status == 200
    assert not transport.is_aborted
    stream.link.connection_lost(None)


def test_a_rate_allows_what_a_host_sends_at_its_pace_and_what_waited_while_the_controller_was_frozen():
    rate, now_s = MessageRate(0.05), 1000.0
    for _ in range(36_000):
        now_s += 0.1
        rate.note(Kind.CAPACITY, now_s)
    now_s += 29
    noted_at_once(rate, now_s, 290)
    with pytest.raises(BrokenStream):
        noted_at_once(rate, now_s, 312)


def noted_at_once(rate: MessageRate, now_s: float, number: int) -> None:
    for _ in range(number):
        rate.note(Kind.CAPACITY, now_s)
