"""The time of a request is one for all its steps, and a step may be given a share of what is left."""

import asyncio

import pytest

from domain.concurrency.budget import Budget


class Late(Exception):
    pass


async def test_a_step_ends_with_its_share_and_leaves_the_rest_to_the_next():
    budget, happened = Budget(2.0), asyncio.Event()
    with pytest.raises(Late):
        await budget.spend(asyncio.Event().wait(), Late, 0.01)
    # Later than an alarm that has no time left may ring.
    asyncio.get_running_loop().call_later(0.06, happened.set)
    assert await budget.spend(happened.wait(), Late)


async def test_without_a_share_a_step_may_take_all_that_is_left():
    budget, happened = Budget(0.01), asyncio.Event()
    with pytest.raises(Late):
        await budget.spend(asyncio.Event().wait(), Late)
    with pytest.raises(Late):
        await budget.spend(happened.wait(), Late)
