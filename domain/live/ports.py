"""The port to what readers of live events read from."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar
from uuid import UUID

from domain.live.events import LiveEvent, LiveState, OutputPart
from domain.live.position import Position

End = TypeVar("End")


class LiveOutputStore(Protocol):
    """Stores what running executions have written, for readers in other processes.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def append(self, part: OutputPart) -> bool:
        """Store a part; storing its number again replaces it.

        Return False, and store nothing, if the execution has no open record, or another transaction removes it.
        """
        ...

    async def read(self, session_id: UUID, execution_id: UUID, position: Position) -> LiveState[Any]:
        """Return what continues the position without a gap, of a bounded number of parts; the state has no end."""
        ...

    async def drop(self, executions: Collection[tuple[UUID, UUID]]) -> None:
        """Remove the parts of executions (session, execution)."""
        ...


class LiveSource(Protocol[End]):
    """The live events of one execution: of this process, or what another one has stored.

    Until nothing more is written, each reader gets at most one piece of each stream in 0.1 s.
    """

    async def next(self, position: Position) -> Sequence[LiveEvent[End]]:
        """Wait for the events that follow the position, and return them as `LiveState.after` does.

        Empty if no more will come although the execution has no recorded end, as far as the source knows: an end is
        never made up. Cancelling the call loses nothing. Raises InvalidRequest.
        """
        ...
