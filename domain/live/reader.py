"""A reader of live events, at its own pace."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from attrs import define, field

from domain.live.events import LiveEvent
from domain.live.ports import LiveSource
from domain.live.position import Position

PAUSE_S = 0.1
"""Between pieces of one stream, while the script runs."""

End = TypeVar("End")


@define(eq=False)
class LiveReader(Generic[End]):
    """Reads a source from a position on: at most one piece of each stream in `pause_s` until nothing more is written.

    Nothing is queued for a reader. A slow one gets larger pieces, and of several progress events the newest.
    """

    _source: LiveSource[End]
    position: Position = field(factory=Position)
    pause_s: float = PAUSE_S
    _ready_at: float = field(default=0.0, init=False)

    async def next(self) -> Sequence[LiveEvent[End]]:
        """Wait for the next events; empty if the source broke off. Cancelling loses nothing; raises InvalidRequest."""
        loop = asyncio.get_running_loop()
        if self._ready_at > loop.time():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._ready_at):
                    await self._source.over()
        events = await self._source.next(self.position)
        if events:
            self.position = events[-1].position
            self._ready_at = loop.time() + self.pause_s
        return events
