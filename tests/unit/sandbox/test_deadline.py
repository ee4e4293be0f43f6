"""An execution ends at its wall time, or once its CPU time is used."""

import asyncio
import time

import pytest

from adapters.sandbox.workers.deadline import ExecutionDeadline
from adapters.sandbox.workers.exchange import Ending


async def ending_of(cpu_s, timeout_s=0.02, cpu_s_max=1.0):
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    started_s = loop.time()
    deadline = ExecutionDeadline(loop, timeout_s, cpu_s_max, cpu_s, ended.set_result, cpu_before_s=5.0)
    deadline.start()
    return (await ended).ending, loop.time() - started_s


async def test_at_its_wall_time_it_ends():
    ending, elapsed_s = await ending_of(lambda: 5.0)
    assert ending is Ending.TIMED_OUT
    assert elapsed_s >= 0.02


@pytest.mark.parametrize("quarters", [1, 2, 3])
async def test_it_ends_at_the_first_quarter_at_which_its_cpu_time_is_used(quarters):
    readings = iter([5.5] * (quarters - 1) + [6.5])
    ending, elapsed_s = await ending_of(lambda: next(readings))
    assert ending is Ending.CPU_LIMIT
    assert elapsed_s >= 0.02 * quarters / 4


async def test_a_clock_that_cannot_be_read_ends_nothing_early():
    assert (await ending_of(lambda: None))[0] is Ending.TIMED_OUT


class EarlyLoop:
    """Its timers come at once, as those of a loop do whose clock has fallen behind."""

    def call_later(self, _delay_s, callback, context):
        return asyncio.get_running_loop().call_soon(callback)


async def test_a_timer_that_comes_early_ends_nothing():
    ended = asyncio.get_running_loop().create_future()
    started_s = time.monotonic()
    ExecutionDeadline(EarlyLoop(), 0.02, 1.0, lambda: 0.0, ended.set_result).start()
    assert (await ended).ending is Ending.TIMED_OUT
    assert time.monotonic() - started_s >= 0.02


async def test_after_it_is_called_off_nothing_ends():
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    deadline = ExecutionDeadline(loop, 0.0, 1.0, lambda: 0.0, ended.set_result)
    deadline.cancel()
    deadline.start()
    deadline.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ended.done()


@pytest.mark.parametrize(("used_s", "told"), [(0.001, 0), (40.0, 1)])
async def test_who_computes_is_told_early_to_wait_behind_others(used_s, told):
    loop = asyncio.get_running_loop()
    ended, calls = loop.create_future(), []
    deadline = ExecutionDeadline(loop, 0.1, 50.0, lambda: 1.0 + used_s, ended.set_result, 1.0, lambda: calls.append(1))
    deadline.start()
    assert (await ended).ending is Ending.TIMED_OUT
    assert bool(calls) == bool(told)


async def test_who_had_no_processor_at_the_first_look_is_looked_at_again_soon():
    loop = asyncio.get_running_loop()
    ended, readings, told_s = loop.create_future(), iter([1.0]), []
    started_s = loop.time()

    def cpu_s():
        return next(readings, 100.0)

    def tell():
        told_s.append(loop.time() - started_s)
        ended.set_result(None)

    deadline = ExecutionDeadline(loop, 60.0, 1000.0, cpu_s, ended.set_result, 1.0, tell)
    deadline.start()
    await ended
    deadline.cancel()
    # The first of the quarters would be after 15 s.
    assert told_s[0] < 5


async def test_what_is_over_at_the_next_look_ends_with_it():
    timers, endings = [], []

    class LateLoop:
        def call_later(self, _delay_s, callback, context):
            timers.append(callback)

    ExecutionDeadline(LateLoop(), 0.0, 1.0, lambda: 0.0, endings.append).start()
    timers.pop()()
    assert [each.ending for each in endings] == [Ending.TIMED_OUT]
    assert not timers


class ManualTime:
    """Timers of a loop whose time the test advances."""

    def __init__(self):
        self.now_s = 0.0
        self.timer = None

    def now(self):
        return self.now_s

    def call_later(self, delay_s, callback, context):
        self.timer = delay_s, callback

    def pass_time(self):
        (delay_s, callback), self.timer = self.timer, None
        self.now_s += delay_s
        callback()


@pytest.mark.parametrize("part", [1.0, 0.5, 0.9])
def test_a_worker_that_computes_all_the_time_ends_within_5_ms_of_its_cpu_time(part):
    times, endings = ManualTime(), []
    # The early looks are 0.16, 0.32 and 0.64 s after the start, and the first quarter comes after 15 minutes.
    deadline = ExecutionDeadline(
        times, 3600.0, 0.2, lambda: 1.0 + part * times.now(), endings.append, 1.0, now=times.now
    )
    deadline.start()
    while times.timer:
        times.pass_time()
    assert [each.ending for each in endings] == [Ending.CPU_LIMIT]
    assert 0.2 < part * times.now() < 0.2 + 0.0055


def test_a_worker_that_stops_computing_just_before_its_limit_has_its_wall_time():
    times, endings, looks = ManualTime(), [], []

    def cpu_s():
        looks.append(times.now())
        return 0.199

    ExecutionDeadline(times, 1.0, 0.2, cpu_s, endings.append, now=times.now).start()
    while times.timer:
        times.pass_time()
    assert [each.ending for each in endings] == [Ending.TIMED_OUT]
    assert times.now() == pytest.approx(1.0)
    assert len(looks) <= 1.0 / 0.005 + 10
