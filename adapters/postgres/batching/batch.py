"""Calls that wait for one statement, and those who wait for their answers."""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define, field

Call = TypeVar("Call")
Answer = TypeVar("Answer")


@define(eq=False)
class PendingCall(Generic[Call, Answer]):
    """A call of `size` bytes, the futures of those who wait for its answer, and since when the first of them does."""

    call: Call
    size: int
    futures: list[asyncio.Future[Answer]]
    asked_s: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        for future in self.futures:  # noqa: SIM110  # in the way of every call: a generator costs twice as much
            if not future.done():
                return True
        return False

    def settle(self, outcome: Answer | Exception) -> None:
        """Answer, or raise, to all who still wait."""
        for future in self.futures:
            if future.done():
                continue
            # One instance may go to many callers: a future resets the traceback whenever it raises.
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def cancel(self) -> None:
        """Cancel all who still wait."""
        for future in self.futures:
            future.cancel()


@define(eq=False)
class StatementBatch(Generic[Call, Answer]):
    """Slots that leave together, bounded in calls and bytes, and the keys that are held for them."""

    calls_max: int
    bytes_max: int
    slots: list[PendingCall[Call, Answer]] = field(factory=list)
    keys: list[Hashable] = field(factory=list)
    size: int = 0

    def takes(self, slot: PendingCall[Call, Answer]) -> bool:
        """Whether the slot fits; the first always does."""
        if not self.slots:
            return True
        return len(self.slots) < self.calls_max and self.size + slot.size <= self.bytes_max

    def add(self, slot: PendingCall[Call, Answer]) -> None:
        """Take the slot along."""
        self.slots.append(slot)
        self.size += slot.size
