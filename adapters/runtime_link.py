"""One end of a stream between a controller and a runtime host: frames on a connection, within bounds."""

import asyncio
from typing import Protocol, cast

from attrs import define, field
from typing_extensions import override

from adapters.runtime_frames import BrokenStream, FrameParser, FrameWriter, Kind, StreamFrame

PATH = "/stream"
PROTOCOL = "pglambda-runtime/1"
"""What a controller asks for in `Upgrade`. A host that knows no version of the list replies with 426."""
PING_SIZE = 8
_WRITE_SIZE_MAX = 262_144
"""A link takes no frame from its queues while so much is unsent by the system."""
_ROOM = 1_048_576
"""With so much unsent, no further piece of a file is read."""
STALL_S = 5.0
TAKEN_MIN = 65_536
"""The bytes that a peer must take in STALL_S, or it is disconnected: 13 kB/s. Under TLS 256 KiB may leave unseen."""


class FrameReceiver(Protocol):
    """What a link gives its frames to. The methods return at once."""

    def on_frame(self, frame: StreamFrame) -> None:
        """Take a message; raises BrokenStream."""
        ...

    def on_lost(self, reason: str) -> None:
        """Take note of the end of the connection; called once."""
        ...


@define(eq=False)
class FrameLink(asyncio.Protocol):
    """Reads and writes frames. All frames of one turn of the loop leave in one write. It answers pings itself."""

    _reader: FrameParser
    _receiver: FrameReceiver
    _stall_s: float = STALL_S
    heard_at_s: float = field(default=0.0, init=False)
    """When the last bytes arrived, in the loop's time."""
    is_broken: bool = field(default=False, init=False)
    """Whether the peer broke the protocol."""
    _writer: FrameWriter = field(factory=FrameWriter, init=False)
    _transport: asyncio.Transport | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)
    _is_flush_planned: bool = field(default=False, init=False)
    _is_paused: bool = field(default=False, init=False)
    _is_closing: bool = field(default=False, init=False)
    _has_room: asyncio.Event = field(factory=asyncio.Event, init=False)
    _stall: asyncio.TimerHandle | None = field(default=None, init=False)
    _reason: str | None = field(default=None, init=False)

    @property
    def unsent(self) -> int:
        """The bytes that wait for the peer."""
        return self._writer.unsent

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self._transport is not None and not self._is_closing

    @property
    def is_midway(self) -> bool:
        """Whether a part of a message has arrived, and its end has not."""
        return self._reader.is_midway

    def unwritten(self, kind: Kind) -> set[int]:
        """Return the ids of messages of this kind of which no byte was given to the system."""
        return self._writer.untaken(kind)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to use the connection."""
        self._transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        self._transport.set_write_buffer_limits(high=_WRITE_SIZE_MAX)
        self.heard_at_s = self._loop.time()
        self._plan_flush()

    @override
    def data_received(self, data: bytes) -> None:
        """Give away the messages that are complete; a peer that breaks the protocol is disconnected."""
        self.heard_at_s = self._loop.time()
        try:
            for frame in self._reader.feed(data):
                self._give(frame)
        except BrokenStream as error:
            self.is_broken = True
            self.abort(f"it broke the protocol: {error}")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the connection."""
        self._transport = None
        self._reader.close()
        self.resume_writing()
        self._has_room.set()
        self._receiver.on_lost(self._reason or ("its stream ended" if exc is None else f"its stream broke ({exc})"))

    def send(self, kind: Kind, run_id: int = 0, payload: bytes = b"") -> None:
        """Send a message soon; one for a connection that is lost, or that `close` ends, is dropped."""
        if self._transport is not None and not self._is_closing:
            self._writer.put(kind, run_id, payload)
            self._plan_flush()

    async def room(self) -> None:
        """Wait until so little is unsent that a piece of a file may follow, or the connection is lost."""
        while self._transport is not None and self.unsent >= _ROOM:
            self._has_room.clear()
            await self._has_room.wait()

    def close(self) -> None:
        """Close the connection after what is unsent."""
        self._is_closing = True
        self._flush()

    def abort(self, reason: str) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._reason = self._reason or reason
            self._transport.abort()

    @override
    def pause_writing(self) -> None:
        """Keep frames until the system has room, for a time."""
        self._is_paused = True
        assert self._transport is not None
        self._watch_stall(self._transport)

    @override
    def resume_writing(self) -> None:
        """Write on."""
        self._is_paused = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._plan_flush()

    def _give(self, frame: StreamFrame) -> None:
        if frame.kind != Kind.PING:
            self._receiver.on_frame(frame)
        elif not self._is_paused:  # a peer that takes what waits hears that, and one that does not needs no pong
            self.send(Kind.PONG, 0, _ping_of(frame))

    def _plan_flush(self) -> None:
        if not self._is_flush_planned and self._transport is not None:
            self._is_flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_planned = False
        while self._transport is not None and not self._is_paused and self._writer.has_frames:
            self._transport.write(self._writer.take(_WRITE_SIZE_MAX))
        if self.unsent < _ROOM:
            self._has_room.set()
        if self._is_closing and self._transport is not None and not self._writer.has_frames:
            self._transport.close()

    def _watch_stall(self, transport: asyncio.Transport) -> None:
        unsent = transport.get_write_buffer_size()

        def judge() -> None:
            taken = unsent - transport.get_write_buffer_size()
            if taken < TAKEN_MIN:
                self.abort(f"it took {taken} bytes in {self._stall_s:g} s, and {TAKEN_MIN} are the least")
            else:
                self._watch_stall(transport)

        self._stall = self._loop.call_later(self._stall_s, judge)


def _ping_of(frame: StreamFrame) -> bytes:
    if frame.payload is None or frame.id or len(frame.payload) != PING_SIZE:
        raise BrokenStream("a ping without its 8 bytes")
    return frame.payload
