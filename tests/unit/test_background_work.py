"""Work beside requests, with a bug in it."""

import asyncio

from structlog.testing import capture_logs

from entrypoints.composition.background import keep_going


class Work:
    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun = 0

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise ZeroDivisionError("a bug")


async def test_a_bug_is_told_and_the_work_begins_anew():
    work = Work(failures=2)
    with capture_logs() as lines:
        await keep_going(work.run, pause_s=0)
    assert work.begun == 3
    assert [(line["event"], line["work"], line["log_level"]) for line in lines] == [
        ("background_work_failed", "Work.run", "error")
    ] * 2


async def test_work_that_is_cancelled_ends():
    task = asyncio.create_task(keep_going(asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
