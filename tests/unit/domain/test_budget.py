"""The steps of a request share one budget, and a step may get a share of the rest."""

import asyncio
import socket
import time

import pytest

from domain.concurrency.budget import Budget, TimerWheel


class Late(Exception):
    pass


async def test_a_step_ends_with_its_share_and_leaves_the_rest_to_the_next():
    budget, happened = Budget(2.0), asyncio.Event()
    with pytest.raises(Late):
        await budget.spend(asyncio.Event().wait(), Late, 0.01)
    # Later than a timeout without any time left may expire.
    asyncio.get_running_loop().call_later(0.06, happened.set)
    assert await budget.spend(happened.wait(), Late)


async def test_without_a_share_a_step_may_use_all_the_time_that_is_left():
    budget, happened = Budget(0.01), asyncio.Event()
    with pytest.raises(Late):
        await budget.spend(asyncio.Event().wait(), Late)
    with pytest.raises(Late):
        await budget.spend(happened.wait(), Late)


async def test_what_arrived_while_the_process_stood_still_is_in_time():
    loop, happened = asyncio.get_running_loop(), asyncio.Event()
    here, there = socket.socketpair()
    with here, there:
        loop.add_reader(here, happened.set)

        def stand_still():
            there.send(b"1")
            until_s = time.monotonic() + 0.05 + 3 * TimerWheel.LATE_S
            while time.monotonic() < until_s:
                """Serve neither timers nor sockets."""

        loop.call_soon(stand_still)
        assert await Budget(0.05).spend(happened.wait(), Late)
        loop.remove_reader(here)
