"""Places are given in the order of asking, and none is lost or made."""

import asyncio

import pytest

from adapters.remote_runtime.run_limiter import RunLimiter
from domain.errors import Overloaded


async def test_places_are_given_in_the_order_of_asking():
    places, order = RunLimiter(1, 10, 5), []

    async def take(name: str) -> None:
        await places.take()
        order.append(name)
        places.give_back()

    await places.take()
    waiting = [asyncio.ensure_future(take(name)) for name in "abc"]
    await asyncio.sleep(0)
    places.give_back()
    await asyncio.gather(*waiting)
    assert order == ["a", "b", "c"]


async def test_a_newcomer_does_not_take_the_place_that_was_handed_over():
    places = RunLimiter(1, 0, 5)
    await places.take()
    with pytest.raises(Overloaded):
        await places.take()
    places.give_back()
    await places.take()


async def test_a_place_handed_to_a_waiter_that_is_cancelled_is_passed_on():
    places = RunLimiter(1, 10, 5)
    await places.take()
    first, second = (asyncio.ensure_future(places.take()) for _ in range(2))
    await asyncio.sleep(0)
    places.give_back()
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()


async def test_a_waiter_that_left_is_skipped():
    places = RunLimiter(1, 10, 5)
    await places.take()
    first, second = (asyncio.ensure_future(places.take()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    places.give_back()
    await asyncio.wait_for(second, 1)
    places.give_back()
    await asyncio.wait_for(places.take(), 1)


async def test_a_wait_ends_in_time():
    places = RunLimiter(1, 10, 0.01)
    await places.take()
    with pytest.raises(Overloaded):
        await places.take()
    places.give_back()
    await places.take()
