"""Turns at a key: one caller at a time, in the order of arrival."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Hashable

from attrs import define, field

from domain.errors import Overloaded


@define
class _Waiter:
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    callers: int = 0


class KeyedLock:
    """Locks by key within this process, kept only while somebody uses them."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._callers = 0
        self._turns: dict[Hashable, _Waiter] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @contextlib.asynccontextmanager
    async def take(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the turn and have it; raises Overloaded when too many callers are here already."""
        if self._callers >= self._size_max:
            raise Overloaded("the database")
        turn = self._turns.setdefault(key, _Waiter())
        self._enter(turn, 1)
        try:
            async with turn.lock:
                yield
        finally:
            self._enter(turn, -1)
            if not turn.callers:
                del self._turns[key]

    def _enter(self, turn: _Waiter, callers: int) -> None:
        turn.callers += callers
        self._callers += callers
