"""The phases of a lifespan, and background work with a bug in it."""

import asyncio

import pytest
from structlog.testing import capture_logs

from entrypoints.server.lifespan import Lifespan, bounded, keep_running, together


class Work:
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.starts = 0

    async def run(self) -> None:
        self.starts += 1
        if self.starts <= self.failures:
            raise ZeroDivisionError("a bug")


async def test_an_error_is_logged_and_the_work_starts_again():
    work = Work(failures=2)
    with capture_logs() as lines:
        await keep_running(work.run, pause_s=0)
    assert work.starts == 3
    assert [(line["event"], line["work"], line["log_level"]) for line in lines] == [
        ("background_work_failed", "Work.run", "error")
    ] * 2


async def test_cancelled_work_ends():
    task = asyncio.create_task(keep_running(asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_background_work_runs_from_the_end_of_the_startup_until_the_end_of_the_shutdown():
    events = []

    def step(name):
        async def run():
            events.append(name)
            await asyncio.sleep(0)

        return run

    async def work():
        events.append("work begins")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("work ends")

    phases = [step("open"), step("connect")], [work], [step("drain"), step("stop")], [step("close")]
    lifespan = Lifespan(*phases)
    await lifespan.start()
    await asyncio.sleep(0)
    await lifespan.end()
    assert events == ["open", "connect", "work begins", "drain", "stop", "work ends", "close"]


async def test_a_bounded_step_does_not_hold_up_the_next():
    await bounded(asyncio.Event().wait, timeout_s=0.001)()


async def test_steps_together_run_at_the_same_time():
    reached = asyncio.Event()

    async def first():
        await reached.wait()

    async def second():
        reached.set()

    await asyncio.wait_for(together(first, second)(), timeout=5)


async def test_an_error_of_one_of_the_steps_together_is_raised():
    with pytest.raises(ZeroDivisionError):
        await together(Work(failures=1).run)()
