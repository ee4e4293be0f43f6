"""Stages of a pipeline work at the same time, in order, and end together."""

import asyncio
from contextlib import aclosing

import pytest

from domain.concurrency.pace import Pace
from domain.concurrency.pipeline import ahead, overlapped


class Source:
    """Yields numbers, and notes how many it was asked for and whether it was ended."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.count, self.fails_at, self.begun, self.ended = count, fails_at, 0, False
        self.open = asyncio.Event()
        self.open.set()
        self.second = asyncio.Event()

    async def items(self):
        try:
            for number in range(self.count):
                self.begun = number + 1
                if number == 1:
                    self.second.set()
                await self.open.wait()
                if number == self.fails_at:
                    raise LookupError
                yield number
        finally:
            self.ended = True


async def test_the_next_item_is_fetched_while_the_caller_works():
    source = Source(3)
    async with aclosing(ahead(source.items())) as items:
        assert await anext(items) == 0
        assert source.begun == 2
        assert [each async for each in items] == [1, 2]
    assert source.ended


async def test_a_fetch_in_progress_is_cancelled_when_no_more_items_are_taken():
    source = Source(3)
    async with aclosing(ahead(source.items())) as items:
        await anext(items)
        source.open.clear()
        await anext(items)
    assert source.ended


async def test_an_error_of_the_source_is_raised_after_its_items():
    async with aclosing(ahead(Source(3, fails_at=1).items())) as items:
        assert await anext(items) == 0
        with pytest.raises(LookupError):
            await anext(items)


async def test_no_items_give_none():
    assert [each async for each in ahead(Source(0).items())] == []
    assert [each async for each in overlapped(Source(0).items(), asyncio.sleep)] == []


async def test_the_next_item_is_taken_while_a_step_is_in_progress():
    source, release, begun = Source(3), asyncio.Event(), []

    async def step(number: int) -> int:
        begun.append((number, source.begun))
        await release.wait()
        return number * 10

    async with aclosing(overlapped(source.items(), step)) as results:
        taking = asyncio.ensure_future(anext(results))
        await source.second.wait()
        assert begun == [(0, 1)]
        release.set()
        assert await taking == 0
        assert [each async for each in results] == [10, 20]
    assert [number for number, _ in begun] == [0, 1, 2]


async def test_a_step_in_progress_is_cancelled_when_no_more_results_are_taken():
    cancelled = []

    async def step(number: int) -> int:
        if number == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(number)
                raise
        return number

    async with aclosing(overlapped(Source(3).items(), step)) as results:
        assert await anext(results) == 0
        taking = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    assert cancelled == [1]


async def test_an_error_of_a_step_is_raised():
    async def step(number: int) -> int:
        raise LookupError(number)

    async with aclosing(overlapped(Source(2).items(), step)) as results:
        with pytest.raises(LookupError):
            await anext(results)


class Time:
    """Time that passes only while something sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept: list[float] = []

    def time_s(self) -> float:
        return self.now_s

    async def sleep(self, span_s: float) -> None:
        self.slept.append(span_s)
        self.now_s += span_s


async def test_without_a_rate_nothing_waits():
    time = Time()
    await Pace(None, time.time_s, time.sleep).wait(10**9)
    assert time.slept == []


async def test_units_pass_at_the_rate_on_average():
    time = Time()
    pace = Pace(50, time.time_s, time.sleep)
    for units in (100, 25, 75, 1):
        await pace.wait(units)
    assert time.slept == [2.0, 0.5, 1.5]


async def test_the_first_units_pass_at_once_by_the_time_of_the_loop():
    async with asyncio.timeout(5):
        await Pace(0.001).wait(1)


async def test_time_without_work_is_not_made_up_for():
    time = Time()
    pace = Pace(50, time.time_s, time.sleep)
    await pace.wait(50)
    time.now_s += 60
    await pace.wait(50)
    await pace.wait(50)
    assert time.slept == [1.0]
