"""The frames of a stream between a controller and a runtime host: parser and writer, without input or output.

A frame is a header `!IIBB` (length of the payload, id, kind, flags) and a payload of at most PART_SIZE_MAX bytes. A
larger message is sent in parts. All parts but the last have flag 1 and the full size, so their number is bounded by the
size of the message. Messages of one id keep their order. The controller numbers runs upwards from 1; id 0 is the stream
itself.
"""

from collections import deque
from collections.abc import Mapping
from enum import IntEnum
from struct import Struct as Layout
from typing import Annotated, NamedTuple
from uuid import UUID

from attrs import define, field
from msgspec import Meta, Struct

_HEADER = Layout("!IIBB")
_MORE = 1
PART_SIZE_MAX = 65_536
MESSAGE_SIZE_MAX = 67_108_864
"""Bytes of one message, and of all incomplete messages that a reader keeps."""
INCOMPLETE_MAX = 8_192
"""Messages of one stream of which parts have arrived: more than the runs of all languages that may be in flight."""
IGNORED_FROM = 128
"""Kinds from here on may be added within a version; a reader that does not know them drops them."""
RUN_ID_MAX = 1 << 31


class Kind(IntEnum):
    """What a frame is. The controller sends the first five, the host those from 16, both the last two."""

    RUN = 1
    CANCEL = 2
    WITHDRAW = 3
    EVICT = 4
    FILE_TO_HOST = 5
    WELCOME = 16
    OUTPUT = 17
    END = 18
    CAPACITY = 19
    DRAIN = 20
    FILE_FROM_HOST = 21
    PING = 32
    PONG = 33


Languages = Annotated[list[str], Meta(max_length=16)]


class Welcome(Struct, frozen=True):
    """The first frame of a host: who it is, what it runs, how much at once, and what it cannot run now.

    `features` are what not every release of this version of the protocol has.
    """

    name: Annotated[str, Meta(max_length=128)]
    boot_id: UUID
    release: Annotated[str, Meta(max_length=64)]
    languages: Languages
    runs_max: Annotated[int, Meta(ge=0, le=1 << 31)]
    draining: bool
    unavailable: Languages = []
    features: Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)] = []


class Capacity(Struct, frozen=True):
    """How much a host has to do: the runs that run and wait, of all controllers, for each language of the welcome.

    Runs of the `unavailable` languages would start nothing now.
    """

    running: Annotated[list[Annotated[int, Meta(ge=0, le=1 << 31)]], Meta(max_length=16)]
    queued: Annotated[list[Annotated[int, Meta(ge=0, le=1 << 31)]], Meta(max_length=16)]
    unavailable: Languages = []


class BrokenStream(Exception):
    """The peer does not follow the protocol; the text says how."""


class StreamFrame(NamedTuple):
    """A complete message; `payload` is None if it was larger than the reader keeps, of `size` bytes."""

    kind: int
    id: int
    payload: bytes | None
    size: int


@define(eq=False)
class IncompleteBytes:
    """The bytes of incomplete messages of several readers: at most `size_max`."""

    size_max: int = MESSAGE_SIZE_MAX
    size: int = field(default=0, init=False)


@define(eq=False)
class _Incomplete:
    kind: int
    size: int = 0
    kept: bytearray | None = field(factory=bytearray)


@define(eq=False)
class FrameParser:
    """Parses what arrives. `sizes_max` has the kinds that may arrive, and the largest message of each that is kept."""

    _sizes_max: Mapping[int, int]
    _kept: IncompleteBytes = field(factory=IncompleteBytes)
    _rest: bytearray = field(factory=bytearray, init=False)
    _incomplete: dict[int, _Incomplete] = field(factory=dict, init=False)

    def feed(self, data: bytes) -> list[StreamFrame]:
        """Return the messages that `data` completes, in their order; raises BrokenStream."""
        received: bytes | bytearray = data
        if self._rest:
            self._rest += data
            received = self._rest
        frames: list[StreamFrame] = []
        at = self._parse(received, frames)
        if received is self._rest:
            del self._rest[:at]
        elif at < len(received):
            self._rest += received[at:]
        return frames

    @property
    def is_midway(self) -> bool:
        """Whether a part of a message has arrived, and its end has not."""
        return bool(self._incomplete)

    def close(self) -> None:
        """Drop incomplete messages."""
        for incomplete in self._incomplete.values():
            self._forget(incomplete)
        self._incomplete.clear()

    def _parse(self, received: bytes | bytearray, frames: list[StreamFrame]) -> int:
        at, end = 0, len(received)
        while end - at >= _HEADER.size:
            size, run_id, kind, flags = _HEADER.unpack_from(received, at)
            if size > PART_SIZE_MAX:
                raise BrokenStream(f"a frame of {size} bytes, and {PART_SIZE_MAX} are allowed")
            start = at + _HEADER.size
            if end - start < size:
                break
            at = start + size
            frame = self._message(kind, run_id, flags, bytes(received[start:at]))
            if frame is not None:
                frames.append(frame)
        return at

    def _message(self, kind: int, run_id: int, flags: int, part: bytes) -> StreamFrame | None:
        if kind >= IGNORED_FROM:
            return None
        if kind not in self._sizes_max or flags > _MORE:
            raise BrokenStream(f"a frame of kind {kind} with flags {flags}")
        if flags == _MORE and len(part) != PART_SIZE_MAX:
            raise BrokenStream(f"a part of {len(part)} bytes that is not the last one")
        if flags != _MORE and not self._incomplete:
            return self._complete(kind, run_id, part, len(part))
        return self._continued(kind, run_id, part, is_last=flags != _MORE)

    def _continued(self, kind: int, run_id: int, part: bytes, *, is_last: bool) -> StreamFrame | None:
        incomplete = self._incomplete.setdefault(run_id, _Incomplete(kind))
        if len(self._incomplete) > INCOMPLETE_MAX:
            raise BrokenStream(f"parts of more than {INCOMPLETE_MAX} messages at once")
        if incomplete.kind != kind:
            raise BrokenStream(f"a frame of kind {kind} within a message of kind {incomplete.kind}")
        incomplete.size += len(part)
        if incomplete.size > MESSAGE_SIZE_MAX:
            raise BrokenStream(f"a message of more than {MESSAGE_SIZE_MAX} bytes")
        self._keep(incomplete, part)
        if not is_last:
            return None
        del self._incomplete[run_id]
        kept = None if incomplete.kept is None else bytes(incomplete.kept)
        self._forget(incomplete)
        return self._complete(kind, run_id, kept, incomplete.size)

    def _keep(self, incomplete: _Incomplete, part: bytes) -> None:
        if incomplete.kept is None:
            return
        is_too_large = incomplete.size > self._sizes_max[incomplete.kind]
        if is_too_large or self._kept.size + len(part) > self._kept.size_max:
            self._forget(incomplete)
        else:
            incomplete.kept += part
            self._kept.size += len(part)

    def _forget(self, incomplete: _Incomplete) -> None:
        if incomplete.kept is not None:
            self._kept.size -= len(incomplete.kept)
            incomplete.kept = None

    def _complete(self, kind: int, run_id: int, payload: bytes | None, size: int) -> StreamFrame:
        return StreamFrame(kind, run_id, None if size > self._sizes_max[kind] else payload, size)


@define(eq=False)
class _Parts:
    """Messages of one id that wait for their turns; the first of them is partly sent."""

    id: int
    messages: deque[tuple[int, bytes]]
    sent: int = 0

    @property
    def whole(self) -> tuple[int, int | None]:
        return self.id, None if self.sent else self.messages[0][0]

    def next(self) -> bytes:
        kind, payload = self.messages[0]
        part = payload[self.sent : self.sent + PART_SIZE_MAX]
        self.sent += len(part)
        is_last = self.sent >= len(payload)
        if is_last:
            self.messages.popleft()
            self.sent = 0
        return _HEADER.pack(len(part), self.id, kind, 0 if is_last else _MORE) + part


@define(eq=False)
class FrameWriter:
    """Keeps messages until they are taken. Ids with parts left take turns, one part each."""

    unsent: int = field(default=0, init=False)
    """The bytes of payloads and headers that wait, approximately."""
    _turns: deque[bytes | _Parts] = field(factory=deque, init=False)
    _waiting: dict[int, _Parts] = field(factory=dict, init=False)

    @property
    def has_frames(self) -> bool:
        """Whether frames wait."""
        return bool(self._turns)

    def put(self, kind: int, run_id: int = 0, payload: bytes = b"") -> None:
        """Add a message, behind those of its id."""
        self.unsent += len(payload) + _HEADER.size
        waiting = self._waiting.get(run_id)
        if waiting is not None:
            waiting.messages.append((kind, payload))
        elif len(payload) <= PART_SIZE_MAX:
            self._turns.append(_HEADER.pack(len(payload), run_id, kind, 0) + payload)
        else:
            waiting = self._waiting[run_id] = _Parts(run_id, deque([(kind, payload)]))
            self._turns.append(waiting)

    def untaken(self, kind: int) -> set[int]:
        """Return the ids whose next message is of this kind, and waits whole."""
        nexts = (_HEADER.unpack_from(turn)[1:3] if isinstance(turn, bytes) else turn.whole for turn in self._turns)
        return {run_id for run_id, found in nexts if found == kind}

    def take(self, size_max: int) -> bytes:
        """Return frames to send, of `size_max` bytes and at most one more part; empty if none wait."""
        frames, size = [], 0
        while self._turns and size < size_max:
            turn = self._turns.popleft()
            frame = turn if isinstance(turn, bytes) else self._part(turn)
            frames.append(frame)
            size += len(frame)
        self.unsent = self.unsent - size if self._turns else 0
        return b"".join(frames)

    def _part(self, waiting: _Parts) -> bytes:
        part = waiting.next()
        if waiting.messages:
            self._turns.append(waiting)
        else:
            del self._waiting[waiting.id]
        return part
