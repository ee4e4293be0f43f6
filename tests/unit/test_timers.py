"""Timers that expire at the next turn of the event loop at the earliest."""

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from domain.concurrency.budget import call_later

WHERE = ContextVar("WHERE", default="elsewhere")


@pytest.mark.parametrize("pause_s", [-1.0, 0.0, 0.0004])
async def test_a_short_timer_expires_at_the_next_turn(pause_s):
    loop, delays = asyncio.get_running_loop(), []

    class Loop:
        def call_later(self, delay_s, callback, context):
            delays.append(delay_s)
            return loop.call_later(delay_s, callback, context=context)

    called = asyncio.Event()
    call_later(Loop(), pause_s, called.set)
    await called.wait()
    assert delays == [0.001]


async def test_a_timer_calls_back_in_its_context_and_can_be_cancelled():
    loop, places = asyncio.get_running_loop(), []
    context = copy_context()
    context.run(WHERE.set, "here")
    called = asyncio.Event()
    call_later(loop, 0.0, lambda: places.append("cancelled")).cancel()
    call_later(loop, 0.002, lambda: (places.append(WHERE.get()), called.set()), context)
    await called.wait()
    assert places == ["here"]
