"""Live events as a response: exact bytes in both formats, no invented end, and bounds for its readers."""

import asyncio
import json
import weakref
from collections.abc import Callable, Mapping

import pytest

from domain.live.buffer import LiveBuffer
from domain.live.events import LiveEvent, OutputPiece
from domain.live.ports import LiveSource
from domain.live.position import OutputStream, Position
from domain.scripts.output import ScriptProgress
from entrypoints.http.event_stream import (
    EVENTS_CONTENT,
    EventFormat,
    EventStream,
    NdjsonEvents,
    ServerSentEvents,
)
from entrypoints.http.parsing.preferences import accepted_format
from entrypoints.http.response import NDJSON, embedded
from entrypoints.http.streaming_response import StreamEnd, StreamingResponse
from tests.support.waiting import until

START = Position()
FIRST = {"execution_id": "e", "status": "running"}


def end_data(end: str) -> Mapping[str, object]:
    return {"status": 200, "result": embedded(end)}


def stream_of(buffer: LiveBuffer[str], form: EventFormat, position: Position = START, **changes) -> EventStream[str]:
    return EventStream(buffer, form, FIRST, end_data, position, **changes)


async def written(stream: EventStream[str]) -> str:
    """Return what the stream sends, to its end."""
    lines: list[bytes] = []

    async def send_line(line: bytes) -> None:
        lines.append(line + b"\n")

    async with asyncio.timeout(5):
        await stream.produce(send_line)
    return b"".join(lines).decode()


def ended_buffer() -> LiveBuffer[str]:
    buffer: LiveBuffer[str] = LiveBuffer(size_max=12)
    buffer.on_stdout("a\nlong é\r\n".encode())
    buffer.on_stderr(b"x" * 20)
    buffer.on_progress(ScriptProgress(0.4, "page 2"))
    buffer.end('{\n"n": 1}')
    return buffer


async def test_server_sent_events():
    assert await written(stream_of(ended_buffer(), ServerSentEvents())) == (
        "retry: 1000\n"
        'id: 0.0.0\nevent: execution\ndata: {"execution_id":"e","status":"running"}\n\n'
        'id: 11.0.0\nevent: stdout\ndata: {"text":"a\\nlong é\\r\\n","offset":0}\n\n'
        'id: 11.8.0\nevent: gap\ndata: {"stream":"stderr","start":0,"end":8}\n\n'
        'id: 11.20.0\nevent: stderr\ndata: {"text":"xxxxxxxxxxxx","offset":8}\n\n'
        'id: 11.20.1\nevent: progress\ndata: {"value":0.4,"message":"page 2"}\n\n'
        'id: 11.20.1.end\nevent: end\ndata: {"status":200,"result":{ "n": 1}}\n\n'
    )


async def test_lines_of_json_are_the_same_objects():
    lines = (await written(stream_of(ended_buffer(), NdjsonEvents()))).splitlines()
    found = [json.loads(line) for line in lines]
    assert [(each["id"], each["event"]) for each in found] == [
        ("0.0.0", "execution"),
        ("11.0.0", "stdout"),
        ("11.8.0", "gap"),
        ("11.20.0", "stderr"),
        ("11.20.1", "progress"),
        ("11.20.1.end", "end"),
    ]
    assert found[-1]["data"] == {"status": 200, "result": {"n": 1}}


async def test_a_resumed_stream_begins_at_its_position():
    text = await written(stream_of(ended_buffer(), ServerSentEvents(), Position(2, 20, 1)))
    assert "id: 2.20.1\nevent: execution\n" in text
    assert 'data: {"text":"long é\\r\\n","offset":2}' in text
    assert text.count("event:") == 3


async def test_a_source_that_breaks_off_ends_the_stream_without_an_end():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.on_stdout(b"so far")
    buffer.break_off()
    text = await written(stream_of(buffer, ServerSentEvents()))
    assert "so far" in text
    assert "event: end" not in text
    assert text.rpartition("id: ")[2].startswith("6.0.0\nevent: reconnect\n")


async def test_a_position_within_a_character_ends_the_stream_without_an_end():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.on_stdout("é".encode())
    buffer.end("end")
    text = await written(stream_of(buffer, ServerSentEvents(), Position(1)))
    assert "event: end" not in text
    assert "event: reconnect" in text


@pytest.mark.parametrize(
    ("form", "keep_alive"), [(ServerSentEvents(), ": keep-alive\n\n"), (NdjsonEvents(), '"keep-alive"')]
)
async def test_a_quiet_stream_is_kept_alive_and_ends_after_its_lifetime(form, keep_alive):
    text = await written(stream_of(LiveBuffer(), form, keep_alive_s=0.01, lifetime_s=0.1))
    assert text.count(keep_alive) >= 2
    assert "reconnect" in text
    assert "0.0.0" in text.rpartition("reconnect")[0]


class OneEvent(LiveSource[str]):
    """Gives one event, and looks at the next call whether the reader still keeps it."""

    def __init__(self) -> None:
        self.events = [LiveEvent(Position(3), OutputPiece(OutputStream.STDOUT, 0, "abc"))]
        self.given = weakref.ref(self.events[0])
        self.is_kept = False

    async def next(self, position: Position) -> list[LiveEvent[str]]:
        self.is_kept = position != START and self.given() is not None
        return [self.events.pop()] if self.events else []


async def test_a_stream_keeps_no_event_that_it_has_sent():
    source = OneEvent()
    assert '"abc"' in await written(EventStream(source, ServerSentEvents(), FIRST, end_data, START))
    assert not source.is_kept


class Client:
    """An ASGI client that takes messages while the test lets it."""

    def __init__(self) -> None:
        self.messages: list[dict] = []
        self.takes = asyncio.Event()
        self.gone = asyncio.Event()

    async def send(self, message: dict) -> None:
        await self.takes.wait()
        self.messages.append(message)

    async def receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}


def response_of(buffer: LiveBuffer[str], on_end: Callable[[StreamEnd], None], stall_s: float) -> StreamingResponse:
    produce = stream_of(buffer, ServerSentEvents()).produce
    return StreamingResponse(200, content_type=EVENTS_CONTENT, produce=produce, on_end=on_end, stall_s=stall_s)


async def test_the_response_is_neither_stored_nor_buffered_nor_compressed():
    client, ends = Client(), []
    client.takes.set()
    await response_of(ended_buffer(), ends.append, 5)({"type": "http"}, client.receive, client.send)
    headers = dict(client.messages[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert (headers[b"cache-control"], headers[b"x-accel-buffering"]) == (b"no-store", b"no")
    assert b"content-encoding" not in headers
    assert ends == [StreamEnd.COMPLETE]


async def test_a_reader_that_takes_nothing_is_broken_off():
    client, ends = Client(), []
    responding = asyncio.ensure_future(
        response_of(LiveBuffer(), ends.append, 0.02)({"type": "http"}, client.receive, client.send)
    )
    await until(lambda: ends)
    await asyncio.wait([responding])
    assert ends == [StreamEnd.STALLED]
    assert client.messages == []


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (b"text/event-stream", EVENTS_CONTENT),
        (b"application/x-ndjson, text/event-stream", EVENTS_CONTENT),
        (b"application/x-ndjson", NDJSON),
        (b"Text/Event-Stream; charset=utf-8", EVENTS_CONTENT),
        (b"application/x-ndjson, text/event-stream;q=0.9", NDJSON),
        (b"text/event-stream, application/json;q=0.9, */*;q=0.1", EVENTS_CONTENT),
        (b"text/event-stream, */*", EVENTS_CONTENT),
        (b"text/*", EVENTS_CONTENT),
        (b"application/json, text/event-stream", None),
        (b"text/event-stream;q=0.1, application/json", None),
        (b"text/event-stream;q=0", None),
        (b"text/event-stream; Q=0.000, */*", None),
        (b"application/json", None),
        (b"text/html", None),
        (b"text/event-streams", None),
        (b"*/*", None),
        (b"", None),
        (None, None),
    ],
)
def test_the_caller_chooses_the_format(accept, content_type):
    form = accepted_format(accept)
    assert (form and form.content_type) == content_type
