"""Waits of tests, each with a limit."""

import asyncio
import contextlib
import time

SLACK_S = 3.0


@contextlib.contextmanager
def within(limit_s):
    """Fail unless the block ends within so many seconds and the suite's slack."""
    started_s = time.monotonic()
    yield
    took_s = time.monotonic() - started_s
    assert took_s <= limit_s + SLACK_S, f"took {took_s:.2f} s where {limit_s} s are allowed"


async def eventually(holds, limit_s=5.0):
    """Poll until `holds()`; it may be a coroutine function."""
    deadline_s = time.monotonic() + limit_s
    while True:
        answer = holds()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline_s, f"not within {limit_s} s"
        await asyncio.sleep(0.01)
