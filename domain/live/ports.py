"""The port to what readers of live events read from."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from domain.live.events import LiveEvent
from domain.live.position import Position

End = TypeVar("End")


class LiveSource(Protocol[End]):
    """The live events of one execution: of this process, or what another one has stored."""

    async def next(self, position: Position) -> Sequence[LiveEvent[End]]:
        """Wait for the events that follow the position, and return them as `LiveState.after` does.

        Empty if no more will come although the execution has no recorded end, as far as the source knows: an end is
        never made up. Cancelling the call loses nothing. Raises InvalidRequest.
        """
        ...

    async def over(self) -> None:
        """Wait until nothing more will be written."""
        ...
