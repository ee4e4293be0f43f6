"""Timers that may fire early."""

import asyncio
from collections.abc import Callable
from contextvars import Context

_TICK_S = 0.001
"""The resolution of uvloop; a pause of less than half of it ends in the next turn of the loop."""


def call_later(
    loop: asyncio.AbstractEventLoop, pause_s: float, callback: Callable[[], None], context: Context | None = None
) -> asyncio.TimerHandle:
    """Call back after `pause_s`, at least one turn of the loop later. The callback must check whether it is time.

    A loop whose clock stands still during a turn, like uvloop's, calls early by the time that the turn has taken.
    """
    return loop.call_later(max(pause_s, _TICK_S), callback, context=context)
