"""Cancels a call when its client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from attrs import define, field
from starlette.types import Receive

from domain.concurrency.budget import TimerWheel

Result = TypeVar("Result")

_WATCH_AFTER_S = 0.1
"""Most calls end sooner, and need no task that watches their client."""


class ClientDisconnected(Exception):
    """The client closed the connection before its response."""


async def until_disconnect(receive: Receive, call: Coroutine[Any, Any, Result]) -> Result:
    """Await `call`. If the client disconnects first, cancel the call and raise ClientDisconnected.

    The body must have been read. A disconnect is noticed after 0.1 s at the earliest.
    """
    loop = asyncio.get_running_loop()
    caller = asyncio.current_task(loop)
    assert caller is not None
    watch = _DisconnectWatch(receive, caller)
    soon = TimerWheel.of(loop).schedule(watch, loop.time() + _WATCH_AFTER_S)
    try:
        return await call
    except asyncio.CancelledError:
        if not watch.is_disconnected:
            raise
        caller.uncancel()
        raise ClientDisconnected from None
    finally:
        soon.discard(watch)
        watch.stop()


@define(eq=False)
class _DisconnectWatch:
    """Cancels the caller when its client disconnects."""

    _receive: Receive
    _caller: "asyncio.Task[Any]"
    is_disconnected: bool = field(default=False, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)

    def expire(self) -> None:
        """Start to watch."""
        self._task = asyncio.create_task(self._watch())

    def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_disconnected = True
        self._caller.cancel()
