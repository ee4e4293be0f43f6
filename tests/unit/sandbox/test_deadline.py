"""An execution ends at its wall limit, or after it has used its CPU time."""

import asyncio
import time

import pytest

from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.workers.deadline import ExecutionDeadline


async def ending_of(cpu_s, timeout_s=0.02, cpu_s_max=1.0):
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    started_s = loop.time()
    deadline = ExecutionDeadline(loop, timeout_s, cpu_s_max, cpu_s, ended.set_result, cpu_before_s=5.0)
    deadline.start()
    return await ended, loop.time() - started_s


async def test_an_execution_ends_at_its_wall_limit():
    ending, elapsed_s = await ending_of(lambda: 5.0)
    assert ending is Ending.TIMED_OUT
    assert elapsed_s >= 0.02


@pytest.mark.parametrize("quarters", [1, 2, 3])
async def test_an_execution_ends_at_the_first_quarter_at_which_its_cpu_time_is_used_up(quarters):
    readings = iter([5.5] * (quarters - 1) + [6.5])
    ending, elapsed_s = await ending_of(lambda: next(readings))
    assert ending is Ending.CPU_LIMIT
    assert elapsed_s >= 0.02 * quarters / 4


async def test_a_cpu_clock_that_cannot_be_read_ends_no_execution_early():
    assert (await ending_of(lambda: None))[0] is Ending.TIMED_OUT


class EarlyLoop:
    """Its timers come at once, as if the clock of the loop were late."""

    def call_later(self, _delay_s, callback, context):
        return asyncio.get_running_loop().call_soon(callback)


async def test_a_timer_that_comes_early_ends_no_execution():
    ended = asyncio.get_running_loop().create_future()
    started_s = time.monotonic()
    ExecutionDeadline(EarlyLoop(), 0.02, 1.0, lambda: 0.0, ended.set_result).start()
    assert await ended is Ending.TIMED_OUT
    assert time.monotonic() - started_s >= 0.02


async def test_a_deadline_that_was_cancelled_ends_no_execution():
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    deadline = ExecutionDeadline(loop, 0.0, 1.0, lambda: 0.0, ended.set_result)
    deadline.cancel()
    deadline.start()
    deadline.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not ended.done()


@pytest.mark.parametrize(("used_s", "is_lowered"), [(0.001, False), (40.0, True)])
async def test_a_script_that_computes_has_its_priority_lowered_early(used_s, is_lowered):
    loop = asyncio.get_running_loop()
    ended, calls = loop.create_future(), []
    deadline = ExecutionDeadline(loop, 0.1, 50.0, lambda: 1.0 + used_s, ended.set_result, 1.0, lambda: calls.append(1))
    deadline.start()
    assert await ended is Ending.TIMED_OUT
    assert bool(calls) == is_lowered


async def test_a_script_without_a_processor_at_the_first_check_is_checked_again_soon():
    loop = asyncio.get_running_loop()
    ended, readings, lowered_s = loop.create_future(), iter([1.0]), []
    started_s = loop.time()

    def cpu_s():
        return next(readings, 100.0)

    def lower():
        lowered_s.append(loop.time() - started_s)
        ended.set_result(None)

    deadline = ExecutionDeadline(loop, 60.0, 1000.0, cpu_s, ended.set_result, 1.0, lower)
    deadline.start()
    await ended
    deadline.cancel()
    # The first of the quarters would be after 15 s.
    assert lowered_s[0] < 5


async def test_an_execution_that_is_over_at_a_late_check_ends_with_it():
    timers, endings = [], []

    class LateLoop:
        def call_later(self, _delay_s, callback, context):
            timers.append(callback)

    ExecutionDeadline(LateLoop(), 0.0, 1.0, lambda: 0.0, endings.append).start()
    timers.pop()()
    assert endings == [Ending.TIMED_OUT]
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
def test_a_script_that_computes_all_the_time_ends_within_5_ms_of_its_cpu_time(part):
    times, endings = ManualTime(), []
    # The early checks are 0.16, 0.32 and 0.64 s after the start, and the first quarter comes after 15 minutes.
    deadline = ExecutionDeadline(
        times, 3600.0, 0.2, lambda: 1.0 + part * times.now(), endings.append, 1.0, now=times.now
    )
    deadline.start()
    while times.timer:
        times.pass_time()
    assert endings == [Ending.CPU_LIMIT]
    assert 0.2 < part * times.now() < 0.2 + 0.0055


def test_a_script_that_stops_computing_just_before_its_cpu_limit_has_its_wall_time():
    times, endings, checks = ManualTime(), [], []

    def cpu_s():
        checks.append(times.now())
        return 0.199

    ExecutionDeadline(times, 1.0, 0.2, cpu_s, endings.append, now=times.now).start()
    while times.timer:
        times.pass_time()
    assert endings == [Ending.TIMED_OUT]
    assert times.now() == pytest.approx(1.0)
    assert len(checks) <= 1.0 / 0.005 + 10
