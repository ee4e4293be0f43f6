"""A turn that one caller holds at a time, shared out fairly among owners."""

import asyncio

import pytest

from domain.fair_turn import FairTurn


class Callers:
    """Callers of one turn, and the order in which they got it."""

    def __init__(self) -> None:
        self.turn = FairTurn()
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def arrive(self, *names: str) -> None:
        """Let callers wait; the first letter of a name is its owner."""
        for name in names:
            self.tasks[name] = asyncio.create_task(self._wait(name))
        await asyncio.sleep(0)

    async def _wait(self, name: str) -> None:
        await self.turn.acquire(name[0])
        self.order.append(name)

    async def release(self) -> None:
        self.turn.release()
        await asyncio.sleep(0)


@pytest.fixture
def callers():
    return Callers()


async def test_one_caller_at_a_time_has_the_turn_and_owners_follow_each_other(callers):
    await callers.arrive("a1", "a2", "a3", "b1", "b2", "c1")
    for _ in range(6):
        await callers.release()
    assert callers.order == ["a1", "a2", "b1", "c1", "a3", "b2"]
    await callers.arrive("d1")
    assert callers.order[-1] == "d1"


async def test_a_caller_that_leaves_the_queue_is_passed_over(callers):
    await callers.arrive("a1", "a2", "b1")
    callers.tasks["a2"].cancel()
    await callers.release()
    assert callers.order == ["a1", "b1"]


async def test_a_turn_that_comes_to_a_caller_that_leaves_at_that_moment_goes_on_to_the_next(callers):
    await callers.arrive("a1", "a2", "b1")
    callers.turn.release()
    callers.tasks["a2"].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert callers.order == ["a1", "b1"]
