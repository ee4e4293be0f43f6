"""Live events as a response: Server-Sent Events, or the same objects as lines of JSON."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from attrs import define
from typing_extensions import override

from domain.concurrency.budget import Budget
from domain.errors import DomainError
from domain.live.events import ExecutionEnded, Gap, LiveEvent, OutputPiece, What
from domain.live.ports import LiveSource
from domain.live.position import Position
from domain.scripts.output import ScriptProgress
from entrypoints.http.response import EVENT_STREAM, NDJSON, in_one_line
from entrypoints.http.schemas.live_events import GapData, OutputData, ProgressData, ReconnectData
from entrypoints.http.streaming_response import SendLine

EVENTS_CONTENT = EVENT_STREAM + b"; charset=utf-8"
STALL_S = 30.0
"""How long a reader may take nothing before its connection is broken off."""
_KEEP_ALIVE_S = 15.0
_LIFETIME_S = 600.0
_RECONNECT = ReconnectData("This stream ends before its execution. Reconnect with the id of your last event.")

End = TypeVar("End")


class EventFormat(Protocol):
    """How events are written: as one or several lines without the last line break."""

    @property
    def content_type(self) -> bytes:
        """The media type."""
        ...

    @property
    def head(self) -> Sequence[bytes]:
        """What comes before the first event."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """What keeps a connection open while there is no event."""
        ...

    def event(self, position: Position, name: str, data: object) -> bytes:
        """Return an event. `data` becomes JSON."""
        ...


class ServerSentEvents(EventFormat):
    """The format of browsers' EventSource (WHATWG HTML, server-sent events)."""

    content_type = EVENTS_CONTENT
    head = (b"retry: 1000",)
    keep_alive = b": keep-alive\n"

    @override
    def event(self, position: Position, name: str, data: object) -> bytes:
        """Return an event with its id, its name and its data, and the line break before the blank line."""
        return b"id: %s\nevent: %s\ndata: %s\n" % (str(position).encode(), name.encode(), in_one_line(data))


class NdjsonEvents(EventFormat):
    """One object in each line, with the members `id`, `event` and `data`."""

    content_type = NDJSON
    head = ()
    keep_alive = b'{"event":"keep-alive"}'

    @override
    def event(self, position: Position, name: str, data: object) -> bytes:
        """Return an event as an object."""
        return b'{"id":"%s","event":"%s","data":%s}' % (str(position).encode(), name.encode(), in_one_line(data))


@define(eq=False)
class EventStream(Generic[End]):
    """Writes the events of a source: the first one has the data `first`, the end what `end_data` makes of it.

    It ends after the end of the execution. If the source breaks off, and after `lifetime_s`, it ends without one, and
    advises to reconnect. An event is written once for all streams that have the same format and the same source.
    """

    source: LiveSource[End]
    form: EventFormat
    first: object
    end_data: Callable[[End], object]
    position: Position
    """What its client has received."""
    keep_alive_s: float = _KEEP_ALIVE_S
    lifetime_s: float = _LIFETIME_S

    async def produce(self, send_line: SendLine) -> None:
        """Send all events."""
        for line in (*self.form.head, self.form.event(self.position, "execution", self.first)):
            await send_line(line)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.lifetime_s
        while (left_s := ends_at - loop.time()) > 0:
            try:
                reading = self.source.next(self.position)
                events = await Budget(min(left_s, self.keep_alive_s)).spend(reading, TimeoutError)
            except TimeoutError:
                await send_line(self.form.keep_alive)
                continue
            except DomainError:  # the position is within a character, which only a forged one can be
                break
            if not events:
                break
            await self._send(events, send_line)
            del events  # what was written of them is large, and the next ones may come in minutes
            if self.position.is_end:
                return
        await send_line(self.form.event(self.position, "reconnect", _RECONNECT))

    async def _send(self, events: Sequence[LiveEvent[End]], send_line: SendLine) -> None:
        for event in events:
            await send_line(self._written(event))
            self.position = event.position

    def _written(self, event: LiveEvent[End]) -> bytes:
        written = event.written.get(self.form.content_type)
        if written is None:
            written = event.written[self.form.content_type] = self.form.event(event.position, *self._named(event.what))
        return written

    def _named(self, what: What[End]) -> tuple[str, object]:
        match what:
            case OutputPiece():
                return what.stream, OutputData(what.text, what.offset)
            case ScriptProgress():
                return "progress", ProgressData(what.value, what.message)
            case Gap():
                return "gap", GapData(what.stream, what.start, what.end)
            case ExecutionEnded():
                return "end", self.end_data(what.end)
