"""Timers that may come early."""

import asyncio
from contextvars import ContextVar, copy_context

import pytest

from adapters.timers import call_later

WHERE = ContextVar("WHERE", default="elsewhere")


@pytest.mark.parametrize("pause_s", [-1.0, 0.0, 0.0004])
async def test_what_is_nearly_due_is_called_a_turn_later(pause_s):
    loop, asked = asyncio.get_running_loop(), []

    class Loop:
        def call_later(self, delay_s, callback, context):
            asked.append(delay_s)
            return loop.call_later(delay_s, callback, context=context)

    called = asyncio.Event()
    call_later(Loop(), pause_s, called.set)
    await called.wait()
    assert asked == [0.001]


async def test_it_is_called_in_its_context_and_can_be_cancelled():
    loop, places = asyncio.get_running_loop(), []
    context = copy_context()
    context.run(WHERE.set, "here")
    called = asyncio.Event()
    call_later(loop, 0.0, lambda: places.append("cancelled")).cancel()
    call_later(loop, 0.002, lambda: (places.append(WHERE.get()), called.set()), context)
    await called.wait()
    assert places == ["here"]
