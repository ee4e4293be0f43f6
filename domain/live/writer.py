"""Stores what executions of this process write, for readers in other processes."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Unavailable
from domain.live.events import KeptText, OutputPart, OutputPiece
from domain.live.hub import Live, LiveHub
from domain.live.ports import LiveOutputStore
from domain.live.position import OutputStream, Position

End = TypeVar("End")


@frozen
class _Stored:
    """What is stored of an execution: up to this position, in so many parts with text.

    A part that has progress alone takes the place of the one before it: only the newest progress counts.
    """

    session_id: UUID
    position: Position = field(factory=Position)
    parts: int = 0


@define(eq=False)
class LiveWriter(Generic[End]):
    """Stores parts of executions that have run for longer than `age_s`, every `pause_s`, and drops them with the end.

    Of each stream a part has one piece at most. What the database does not take is tried again with the next part.
    """

    _hub: LiveHub[End]
    _output: LiveOutputStore
    pause_s: float = 0.5
    age_s: float = 1.0
    _stored: dict[UUID, _Stored] = field(factory=dict, init=False)

    @property
    def written(self) -> Mapping[UUID, object]:
        """The executions of which parts may be stored."""
        return self._stored

    async def run(self) -> None:
        """Write for ever; a database that is away is tried again after the pause."""
        while True:
            await asyncio.sleep(self.pause_s)
            with contextlib.suppress(Unavailable):
                await self.run_once()

    async def run_once(self) -> None:
        """Store what is new, and drop what has ended; raises StorageUnavailable or Overloaded."""
        writing = [self._write(live) for live in self._hub.longer_than(self.age_s)]
        results = await asyncio.gather(*writing, return_exceptions=True)
        await self._drop_ended()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _write(self, live: Live[End]) -> None:
        stored = self._stored.get(live.execution_id, _Stored(live.session_id))
        part = _next_part(live, stored)
        if part is None:
            return
        self._stored[live.execution_id] = stored  # it is dropped also if the response is lost
        if await self._output.append(part):
            position = Position(_end(part.stdout), _end(part.stderr), part.progress_count)
            parts = part.number if part.stdout.text or part.stderr.text else stored.parts
            self._stored[live.execution_id] = _Stored(live.session_id, position, parts)

    async def _drop_ended(self) -> None:
        ended = [(each.session_id, name) for name, each in self._stored.items() if not self._hub.runs(name)]
        if ended:
            await self._output.drop(ended)
            for _, name in ended:
                del self._stored[name]


def _next_part(live: Live[End], stored: _Stored) -> OutputPart | None:
    state, position = live.buffer.state, stored.position
    stdout = _piece(OutputStream.STDOUT, state.stdout, position.stdout)
    stderr = _piece(OutputStream.STDERR, state.stderr, position.stderr)
    part = OutputPart(
        live.session_id, live.execution_id, stored.parts + 1, stdout, stderr, state.progress, state.progress_count
    )
    is_new = stdout.text or stderr.text or state.progress_count > position.progress
    return part if is_new else None


def _piece(stream: OutputStream, kept: KeptText, offset: int) -> OutputPiece:
    offset = kept.gap_at(offset) or offset  # of more than is kept, readers elsewhere wait for the record
    return OutputPiece(stream, offset, kept.piece(offset).decode())


def _end(piece: OutputPiece) -> int:
    return piece.offset + len(piece.text.encode())
