"""A limit of time that is set anew with every request, at the price of a number and not of a timer."""

import asyncio
from collections.abc import Callable


class RearmableTimer:
    """Calls `lost` once when the time that was set last is over; a timer of the loop follows behind."""

    __slots__ = ("_loop", "_lost", "_rings_at_s", "_timer", "_until_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._loop = loop
        self._lost = lost
        self._until_s: float | None = None
        self._rings_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def last(self, timeout_s: float) -> None:
        """Be lost after so many seconds, unless set anew or put at rest before."""
        until_s = self._until_s = self._loop.time() + timeout_s
        if self._timer is None or self._rings_at_s > until_s:
            self._set(until_s)

    def rest(self) -> None:
        """Never be lost, until set anew."""
        self._until_s = None

    def close(self) -> None:
        """Leave nothing behind in the loop."""
        self._until_s = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at_s = at_s
        self._timer = self._loop.call_at(at_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._until_s is None:
            return
        if self._loop.time() < self._until_s:
            self._set(self._until_s)
        else:
            self._until_s = None
            self._lost()
