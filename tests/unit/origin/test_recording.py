"""A sample of the executions that are passed on is recorded, and each call passes unchanged."""

import gzip
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import define, evolve, field
from typing_extensions import override

from domain.json_text import DEPTH_MAX
from domain.takeover.passing import Header, OriginRequest
from domain.takeover.ports import OriginClient, OriginReply
from domain.takeover.recording import BODY_SIZE_MAX, Unrecorded
from entrypoints.origin.recording import RecordingOrigin
from tests.unit.takeover.test_recorder import World

FAILED = b'{"error":"Failed to execute function: Runtime error: HTTP client error: error decoding response body"}'
RETURNED = b'{"result": [1.50],"request_id":"x","execution_time_ms":3,"memory_usage_bytes":null}'


@define
class ManualReply(OriginReply):
    """A reply whose body arrived with its head, or follows in pieces."""

    status: int = 200
    reason: bytes = b"OK"
    headers: Sequence[Header] = ()
    body: bytes | None = None
    parts: Sequence[bytes] = ()
    closed: int = 0

    @override
    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self.parts:
            yield piece

    @override
    def close(self) -> None:
        self.closed += 1


@define
class ManualOrigin(OriginClient):
    """Replies once for all, and keeps what it received."""

    reply: ManualReply
    received: list[tuple[OriginRequest, bytes]] = field(factory=list)

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        body = request.body if isinstance(request.body, bytes) else b"".join([piece async for piece in request.body])
        self.received.append((request, body))
        return self.reply


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def request(session_id: object, body: Any = b'{"params": {"a": 1}, "b": 2}', **facts: Any) -> OriginRequest:
    return evolve(OriginRequest(b"POST", f"/api/v1/execute/{session_id}".encode(), (), body), **facts)


async def recorded(reply: ManualReply, **facts: Any) -> tuple[list[tuple[str, str | None]], dict[Unrecorded, int]]:
    """Pass a call on while a recording is going on; return what is stored, and why not."""
    world, origin = World(), ManualOrigin(reply)
    session_id = await world.begin()
    passed = await RecordingOrigin(origin, world.recorder).send(request(session_id, **facts))
    if passed.body is None:
        assert [piece async for piece in passed.pieces()] == list(reply.parts)
    assert (passed.status, passed.reason, passed.headers) == (reply.status, reply.reason, reply.headers)
    passed.close()
    assert reply.closed == 1
    await world.recorder.flush()
    recording = await world.store.recording()
    calls = [(call.params, call.result) for call in await world.stored()]
    return calls, {reason: number for reason, number in recording.unrecorded.items() if number}


STORED = ([('{"a": 1}', "[1.50]")], {})


async def test_params_and_result_are_recorded_as_they_were_sent():
    assert await recorded(ManualReply(body=RETURNED)) == STORED


async def test_bodies_in_pieces_are_recorded_as_well():
    body = in_pieces(b'{"params":', b' {"a": 1}}')
    assert await recorded(ManualReply(parts=[RETURNED[:20], RETURNED[20:]]), body=body) == STORED


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
async def test_a_compressed_result_is_recorded(compress):
    headers = [(b"Content-Encoding", b"gzip" if compress is gzip.compress else b"deflate")]
    assert await recorded(ManualReply(body=compress(RETURNED), headers=headers)) == STORED


async def test_a_script_that_failed_at_the_origin_is_recorded_without_a_result():
    assert await recorded(ManualReply(500, body=FAILED)) == ([('{"a": 1}', None)], {})


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"error":"Session not found or expired"}'),
        (500, b'{"error":"Failed to update session: Database error"}'),
        (500, b'{"error":"Failed to execute function: Validation error: Unsupported language title: x"}'),
        (503, b"away"),
    ],
)
async def test_a_reply_that_says_nothing_of_the_script_is_not_recorded(status, body):
    assert await recorded(ManualReply(status, body=body)) == ([], {})


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        (ManualReply(body=b"x" * (BODY_SIZE_MAX + 1)), {}),
        (ManualReply(parts=[b"x" * BODY_SIZE_MAX, b"x", b"x"]), {}),
        (ManualReply(body=RETURNED), {"body": b"x" * (BODY_SIZE_MAX + 1)}),
        (ManualReply(body=gzip.compress(b" " * BODY_SIZE_MAX + b"1"), headers=[(b"content-encoding", b"gzip")]), {}),
    ],
)
async def test_a_large_call_is_counted(reply, facts):
    assert await recorded(reply, **facts) == ([], {Unrecorded.TOO_LARGE: 1})


DEEP = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        (ManualReply(body=b"\xff"), {}),
        (ManualReply(body=b'{"result": "\xff"}'), {}),
        (ManualReply(body=b'{"no_result": 1}'), {}),
        (ManualReply(body=RETURNED), {"body": b'{"params": "\0"}'}),
        (ManualReply(body=b'{"result": %b}' % DEEP), {}),
        (ManualReply(body=b'{"result": %b}' % (b"1" * 5000)), {}),
        (ManualReply(body=RETURNED), {"body": b"{}"}),
        (ManualReply(body=RETURNED), {"headers": [(b"content-encoding", b"br")]}),
        (ManualReply(body=RETURNED, headers=[(b"content-encoding", b"zstd")]), {}),
        (ManualReply(body=gzip.compress(RETURNED)[:-9], headers=[(b"content-encoding", b"gzip, gzip")]), {}),
        (ManualReply(body=rb'{"result": "\ud800"}'), {}),
        (ManualReply(body=RETURNED, headers=[(b"content-encoding", b"br")]), {}),
        (ManualReply(body=RETURNED, headers=[(b"content-encoding", b"gzip")]), {}),
        (ManualReply(500, body=b"away"), {}),
    ],
)
async def test_a_call_that_cannot_be_read_is_counted(reply, facts):
    assert await recorded(reply, **facts) == ([], {Unrecorded.UNREADABLE: 1})


@pytest.mark.parametrize(
    "facts",
    [
        {"method": b"GET"},
        {"target": b"/api/v1/initialize"},
        {"target": b"/api/v1/execute/" + b"x" * 36},
        {"target": b"/api/v1/execute/1"},
    ],
)
async def test_what_is_no_execution_passes_by(facts):
    assert await recorded(ManualReply(body=RETURNED), **facts) == ([], {})


async def test_the_request_passes_unchanged_whether_it_is_recorded_or_not():
    world, origin = World(), ManualOrigin(ManualReply(body=RETURNED))
    recording = RecordingOrigin(origin, world.recorder)
    sent = request(uuid4(), headers=[(b"a", b"b")])
    assert await recording.send(sent) is origin.reply
    await world.begin()
    assert await recording.send(sent) is origin.reply
    assert await recording.send(sent) is origin.reply
    assert origin.received == [(sent, sent.body)] * 3


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        (b"gzip, deflate, br, zstd", b"gzip, deflate"),
        (b"br;q=1.0, GZIP;q=0.5", b"GZIP;q=0.5"),
        (b"br", b"identity"),
        (b"*", b"identity"),
        (b"gzip, deflate", b"gzip, deflate"),
    ],
)
async def test_a_sampled_call_accepts_only_codings_that_are_read_here(accepted, sent):
    world, origin = World(), ManualOrigin(ManualReply(body=RETURNED))
    session_id = await world.begin()
    asked = request(session_id, headers=[(b"accept-encoding", accepted), (b"a", b"b")])
    await RecordingOrigin(origin, world.recorder).send(asked)
    await RecordingOrigin(origin, world.recorder).send(asked)
    (sampled, _), (passed, _) = origin.received
    assert dict(sampled.headers) == {b"accept-encoding": sent, b"a": b"b"}
    assert passed == asked


async def test_no_header_of_a_call_is_recorded():
    world, secret = World(), b"Bearer secret-of-a-caller"
    session_id = await world.begin()
    origin = ManualOrigin(ManualReply(body=RETURNED, headers=[(b"set-cookie", secret)]))
    await RecordingOrigin(origin, world.recorder).send(request(session_id, headers=[(b"authorization", secret)]))
    await world.recorder.flush()
    assert [(call.params, call.result) for call in await world.stored()] == STORED[0]


async def test_a_body_that_arrives_byte_by_byte_is_recorded():
    text = b'{"params": "%b"}' % (b"x" * (BODY_SIZE_MAX - 14))
    body = in_pieces(*(text[number : number + 1] for number in range(len(text))))
    (call,), unrecorded = await recorded(ManualReply(body=RETURNED), body=body)
    assert (len(call[0]), unrecorded) == (BODY_SIZE_MAX - 12, {})


async def test_a_client_that_leaves_makes_room_for_another_call():
    world = World()
    session_id = await world.begin()
    recording = RecordingOrigin(ManualOrigin(ManualReply(parts=[RETURNED])), world.recorder)
    left = [await recording.send(request(UUID(int=number))) for number in range(64)]
    await world.recorder.flush()
    assert not world.recorder.is_sampling
    left.clear()
    await world.recorder.flush()
    assert world.recorder.sample(session_id) is not None


async def test_a_call_that_fails_is_not_recorded():
    world = World()
    session_id = await world.begin()

    class Away(OriginClient):
        @override
        async def send(self, request: OriginRequest) -> OriginReply:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await RecordingOrigin(Away(), world.recorder).send(request(session_id))
    await world.recorder.flush()
    assert await world.stored() == []
