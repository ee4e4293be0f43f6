"""The live executions of one process, and places for the readers of all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar
from uuid import UUID

from attrs import Factory, define, field, frozen

from domain.concurrency.budget import Expiring, Timeout
from domain.concurrency.capacity_limiter import CapacityLimiter, Permit
from domain.concurrency.waiters import Waiters
from domain.identity import Owner
from domain.live.buffer import STREAM_SIZE_MAX, LiveBuffer

READERS = "an event stream"
"""What the limit of readers limits, in errors."""

End = TypeVar("End")
Result = TypeVar("Result")


@frozen
class Live(Generic[End]):
    """An execution that runs in this process; `began_at_s` is on the clock of the event loop."""

    session_id: UUID
    execution_id: UUID
    buffer: LiveBuffer[End]
    began_at_s: float


@define(eq=False)
class LiveHub(Generic[End]):
    """Finds the buffer of an execution that runs in this process.

    An owner may have `owner_readers_max` readers, and all together `readers_max`. `begins` wakes those who wait for an
    execution to begin here.
    """

    readers_max: int = 1000
    owner_readers_max: int = 64
    stream_size_max: int = STREAM_SIZE_MAX
    begins: Waiters[UUID] = field(factory=Waiters, init=False)
    is_closed: bool = field(default=False, init=False)
    _running: dict[UUID, Live[End]] = field(factory=dict, init=False)
    _reads: set[Expiring] = field(factory=set, init=False)
    _readers: CapacityLimiter = field(
        default=Factory(
            lambda self: CapacityLimiter(READERS, self.readers_max, self.owner_readers_max), takes_self=True
        ),
        init=False,
    )

    @contextmanager
    def live(self, session_id: UUID, execution_id: UUID) -> Iterator[LiveBuffer[End]]:
        """Keep a buffer for an execution while it runs. It breaks off if it was not ended in here."""
        buffer: LiveBuffer[End] = LiveBuffer(self.stream_size_max)
        began_at_s = asyncio.get_running_loop().time()
        self._running[execution_id] = Live(session_id, execution_id, buffer, began_at_s)
        self.begins.notify(execution_id)
        try:
            yield buffer
        finally:
            del self._running[execution_id]
            buffer.break_off()

    def find(self, execution_id: UUID) -> LiveBuffer[End] | None:
        """Return the buffer of an execution; None if it does not run here. The caller judges who may read it."""
        live = self._running.get(execution_id)
        return None if live is None else live.buffer

    def longer_than(self, time_s: float) -> Sequence[Live[End]]:
        """Return the executions that have run for longer than that."""
        before_s = asyncio.get_running_loop().time() - time_s
        return [live for live in self._running.values() if live.began_at_s < before_s]

    def runs(self, execution_id: UUID) -> bool:
        """Return whether the execution runs here."""
        return execution_id in self._running

    def place(self, owner: Owner) -> Permit:
        """Return a context that is a place for a reader; entering it raises Overloaded, or QuotaReached."""
        return self._readers.hold(owner)

    @property
    def reader_count(self) -> int:
        """The number of readers."""
        return self._readers.in_use

    async def until_closed(self, read: Callable[[], Awaitable[Result]], closed: Result) -> Result:
        """Return what is read for a reader; `closed` if the process stops before: its database may be frozen."""
        if self.is_closed:
            return closed
        timeout = Timeout(asyncio.current_task())
        self._reads.add(timeout)
        try:
            return await read()
        except asyncio.CancelledError:
            if timeout.caused_cancellation():
                return closed
            raise
        finally:
            self._reads.discard(timeout)

    def close(self) -> None:
        """Let all readers end: the process stops."""
        self.is_closed = True
        for read in self._reads:
            read.expire()
        for live in self._running.values():
            live.buffer.release()
        self.begins.notify_all()
