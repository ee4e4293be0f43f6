"""A call that ends when its client hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import define, field
from starlette.types import Receive

from domain.concurrency.budget import TimerWheel
from entrypoints.http.errors import ClientDisconnected

Reply = TypeVar("Reply")

_LATE_S = 0.1
"""When a call is late enough for its client to lose patience; most are over by then, and need no task that watches."""


async def until_hang_up(receive: Receive, call: Coroutine[Any, Any, Reply]) -> Reply:
    """Await `call`, and cancel it when the client is gone; then raises ClientDisconnected. The body must have been read.

    Who hangs up at once is noticed after `_LATE_S` and up to `TimerWheel.PERIOD_S`.
    """
    loop = asyncio.get_running_loop()
    caller = asyncio.current_task(loop)
    assert caller is not None
    watch = _DisconnectWatch(receive, caller)
    soon = TimerWheel.of(loop).schedule(watch, loop.time() + _LATE_S)
    try:
        return await call
    except asyncio.CancelledError:
        if not watch.gone:
            raise
        caller.uncancel()
        raise ClientDisconnected from None
    finally:
        soon.discard(watch)
        watch.end()


@define(eq=False)
class _DisconnectWatch:
    """Cancels the caller when its client is gone."""

    _receive: Receive
    _caller: "asyncio.Task[Any]"
    gone: bool = field(default=False, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def expire(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._follow())

    def end(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()

    async def _follow(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._caller.cancel()
