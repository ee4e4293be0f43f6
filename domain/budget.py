"""The time that one request may spend, over all its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class Budget:
    """A bounded time in seconds that several awaits of one request share."""

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    async def spend(self, work: Awaitable[Answer], late: Callable[[], Exception]) -> Answer:
        """Await `work` for as long as time is left; raises `late()` when it is over."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            async with asyncio.timeout(self._left_s) as limit:
                return await work
        except TimeoutError:
            if limit.expired():
                raise late() from None
            raise
        finally:
            self._left_s = max(0.0, self._left_s - (loop.time() - started_s))
