"""Timers that may come early."""

import asyncio
from collections.abc import Callable
from contextvars import Context

_TICK_S = 0.001
"""uvloop counts in these, and less than half of one is no pause but the next turn of the loop."""


def call_later(
    loop: asyncio.AbstractEventLoop, pause_s: float, callback: Callable[[], None], context: Context | None = None
) -> asyncio.TimerHandle:
    """Call back after `pause_s`, one turn of the loop later at the least, for a look whether it is time.

    Loops whose clock stands still during a turn, as uvloop's, call early by as much as the turn took until now.
    """
    return loop.call_later(max(pause_s, _TICK_S), callback, context=context)
