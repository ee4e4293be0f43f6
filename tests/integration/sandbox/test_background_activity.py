"""A worker in which code of a script continues after its result is ended."""

import os

import pytest

from domain.scripts.language import Language
from domain.stats import Eviction
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.integration.sandbox.processes import exists
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


BUSY_AFTER_ITS_RESULT = """
import os
def take_no_operation(*_):
    while True: pass
os.read = take_no_operation
result = 1
"""
ALLOCATES_AFTER_ITS_RESULT = """
import os, time
def take_no_operation(*_):
    held = b"x" * (80 << 20)
    time.sleep(3600)
os.read = take_no_operation
result = 1
"""
BUSY_AFTER_ITS_RESULT_IN_NODE = "require('fs').readSync = () => { for (;;); }; return 1"


@pytest.mark.parametrize(
    ("source", "language"),
    [
        (BUSY_AFTER_ITS_RESULT, Language.PYTHON),
        (ALLOCATES_AFTER_ITS_RESULT, Language.PYTHON),
        (BUSY_AFTER_ITS_RESULT_IN_NODE, Language.NODEJS),
    ],
    ids=["processor", "memory", "processor (nodejs)"],
)
async def test_a_worker_with_background_activity_after_its_result_is_ended(opened, source, language):
    async with opened(languages=[language], prewarmed=0) as runner:
        assert await result_of(runner, run_of(source, language=language)) == "1"
        (pid,) = runner.debug_snapshot().workers
        await until(lambda: not exists(pid) and runner.stats().processes == 0)
        assert runner.stats().evictions == {Eviction.BACKGROUND_ACTIVITY: 1}


async def test_a_worker_without_background_activity_is_kept(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        ref = new_session()
        await report_of(runner, run_of("held = 'x' * (60 << 20)\nresult = 1", ref=ref))
        snapshot = runner.debug_snapshot()
        assert (len(snapshot.idle_workers), snapshot.active_idle_workers) == (1, [])
        assert (await report_of(runner, run_of("result = 1", ref=ref))).cold_start is False


LEAVES_ITS_FIRST_THREAD = """
import ctypes, sys, threading
frame = sys._getframe()
while "nonce" not in frame.f_locals:
    frame = frame.f_back
def stay(serve=frame.f_globals["serve"], known=frame.f_locals):
    main.join(0.2)
    known["channel"].write_frame({"nonce": known["nonce"], "kind": "result", "reusable": True}, b'"stayed"')
    serve(known["channel"])
main = threading.main_thread()
threading.Thread(target=stay).start()
exit_of_one_thread = params
ctypes.CDLL(None).syscall(ctypes.c_long(exit_of_one_thread), ctypes.c_long(0))
"""


async def test_threads_that_cannot_be_counted_end_with_the_execution(opened):
    number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        ref = new_session()
        report = await report_of(runner, run_of(LEAVES_ITS_FIRST_THREAD, str(number), ref=ref))
        assert report.result == '"stayed"'
        await until(lambda: runner.stats().processes == 0)
        assert (await report_of(runner, run_of("result = 1", ref=ref))).cold_start is True
