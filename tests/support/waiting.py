"""Waits of tests, each with a limit."""

import asyncio
import contextlib
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

SLACK_S = 3.0
_TURNS = 100
"""So many turns of the event loop come first: most conditions need no more."""

_PAUSE_S = 0.005


@contextlib.contextmanager
def within(limit_s: float) -> Iterator[None]:
    """Fail unless the block ends within `limit_s` and the suite's slack."""
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    assert took_s <= limit_s + SLACK_S, f"took {took_s:.2f} s, and the limit is {limit_s} s"


async def until(holds: Callable[[], Any | Awaitable[Any]], timeout_s: float = 5.0) -> None:
    """Poll until `holds()` is true; it may be a coroutine function. Fails after `timeout_s`."""
    ends_at_s, turns = time.monotonic() + timeout_s, 0
    while True:
        found = holds()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < ends_at_s, f"the condition did not hold within {timeout_s} s"
        turns += 1
        await asyncio.sleep(0 if turns < _TURNS else _PAUSE_S)
