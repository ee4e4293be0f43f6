"""The live executions of one process, and the readers of all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar
from uuid import UUID

from attrs import Factory, define, field, frozen

from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.identity import Owner
from domain.live.buffer import STREAM_SIZE_MAX, LiveBuffer
from domain.live.ports import LiveSource
from domain.live.position import Position
from domain.live.reader import LiveReader

READERS = "an event stream"
"""What the limit of readers limits, in errors."""
_BUFFER_BYTES = 4096
"""What a buffer counts for beside its text."""

End = TypeVar("End")


@frozen
class _Live(Generic[End]):
    owner: Owner
    buffer: LiveBuffer[End]


@define(eq=False)
class LiveHub(Generic[End]):
    """Finds the buffer of an execution that runs in this process, or has just ended there.

    An owner may have `owner_readers_max` readers, and all together `readers_max`. Ended executions are kept as long as
    they take `ended_bytes_max` together, so that a reader whose connection broke at the end still finds its rest.
    """

    readers_max: int = 1000
    owner_readers_max: int = 64
    ended_bytes_max: int = 32 << 20
    stream_size_max: int = STREAM_SIZE_MAX
    _running: dict[UUID, _Live[End]] = field(factory=dict, init=False)
    _ended: BoundedCache[UUID, _Live[End]] = field(
        default=Factory(lambda self: BoundedCache(self.ended_bytes_max, _size), takes_self=True), init=False
    )
    _readers: CapacityLimiter = field(
        default=Factory(
            lambda self: CapacityLimiter(READERS, self.readers_max, self.owner_readers_max), takes_self=True
        ),
        init=False,
    )

    @contextmanager
    def live(self, execution_id: UUID, owner: Owner) -> Iterator[LiveBuffer[End]]:
        """Keep a buffer for an execution while it runs. It breaks off if it was not ended in here."""
        buffer: LiveBuffer[End] = LiveBuffer(self.stream_size_max)
        self._running[execution_id] = live = _Live(owner, buffer)
        try:
            yield buffer
        finally:
            buffer.break_off()
            del self._running[execution_id]
            self._ended.put(execution_id, live)

    def find(self, execution_id: UUID, owner: Owner) -> LiveBuffer[End] | None:
        """Return the buffer of an execution of this owner; None if this process has none."""
        live = self._running.get(execution_id) or self._ended.get(execution_id)
        return live.buffer if live is not None and live.owner == owner else None

    @contextmanager
    def reader(self, owner: Owner, source: LiveSource[End], position: Position) -> Iterator[LiveReader[End]]:
        """Provide a reader while there may be one more; raises Overloaded, or QuotaReached for its owner."""
        with self._readers.hold(owner):
            yield LiveReader(source, position)

    @property
    def reader_count(self) -> int:
        """The number of readers."""
        return self._readers.in_use


def _size(live: _Live[End]) -> int:
    return live.buffer.kept_bytes + _BUFFER_BYTES
