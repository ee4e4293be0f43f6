"""The time that one request may spend, over all its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.concurrency.timer_wheel import Timeout, TimerWheel

Answer = TypeVar("Answer")


class Budget:
    """A bounded time in seconds that several awaits of one request share; it ends up to `Alarms.PERIOD_S` late."""

    __slots__ = ("_left_s",)

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    async def spend(self, work: Awaitable[Answer], late: Callable[[], Exception], share: float = 1.0) -> Answer:
        """Await `work` for as long as time is left, or for a share of that; raises `late()` when it is over."""
        loop = asyncio.get_running_loop()
        alarm = Timeout(asyncio.current_task(loop))
        started_s = loop.time()
        others = TimerWheel.of(loop).set(alarm, started_s + share * self._left_s)
        try:
            return await work
        except asyncio.CancelledError:
            if alarm.was_the_reason():
                raise late() from None
            raise
        finally:
            others.discard(alarm)
            self._left_s = max(0.0, self._left_s - (loop.time() - started_s))
