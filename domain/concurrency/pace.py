"""Keeps work to a rate."""

import asyncio
from collections.abc import Awaitable, Callable

from attrs import define, field


def _loop_time_s() -> float:
    return asyncio.get_running_loop().time()


@define(eq=False)
class Pace:
    """Lets pass at most `per_s` units in a second on average; None lets all pass."""

    per_s: float | None
    _time_s: Callable[[], float] = _loop_time_s
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _due_s: float = field(default=float("-inf"), init=False)

    async def wait(self, units: int) -> None:
        """Return when these units may pass; those that follow wait until their share of time is over.

        Time in which nothing passed is not made up for.
        """
        if self.per_s is None:
            return
        now_s = self._time_s()
        due_s = max(self._due_s, now_s)
        self._due_s = due_s + units / self.per_s
        if due_s > now_s:
            await self._sleep(due_s - now_s)
