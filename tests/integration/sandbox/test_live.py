"""Output and progress of sandboxed scripts while they run, and the end of those that are stopped or killed."""

import asyncio
import os
import signal

import pytest

from domain.live.buffer import LiveBuffer
from domain.live.events import OutputPiece
from domain.live.position import Position
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRunner
from domain.scripts.report import ExecutionUnknown, FailureCode, ScriptReport
from tests.contracts.script_runs import Heard, new_session, report_of, result_of, run_of, stopped_report

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

PYTHON, NODEJS = Language.PYTHON, Language.NODEJS
SPEAKS = {
    PYTHON: "import time\nprint('first é')\ntime.sleep(60)",
    NODEJS: "console.log('first é'); for (;;);",
}
LARGE = """
import threading
done = threading.Event()
def report():
    while not done.is_set():
        progress(0.5, "from another thread")

def handler():
    threads = [threading.Thread(target=report) for _ in range(2)]
    for thread in threads:
        thread.start()
    threading.Timer(0.1, done.set).start()
    return "x" * 900_000
"""

LATE = """
import threading
def late():
    while True:
        progress(0.5, "late")

threading.Thread(target=late, daemon=True).start()
"""


async def _running(runner: ScriptRunner, language: Language, heard: Heard):
    """Start a script that has written something, and return its worker and its run."""
    worker = await runner.acquire(run_of(SPEAKS[language], language=language, listener=heard))
    running = asyncio.ensure_future(worker.run())
    async with asyncio.timeout(10):
        await heard.first.wait()
    return worker, running


@pytest.mark.parametrize("language", list(Language))
async def test_output_is_heard_while_the_script_runs(shared, language):
    heard = Heard()
    worker, running = await _running(shared, language, heard)
    assert (heard.stdout, running.done()) == ("first é\n".encode(), False)
    await worker.stop()
    await running
    await worker.release()


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("isolation", list(Isolation))
async def test_a_stopped_script_is_gone_and_its_slot_is_free(shared, language, isolation):
    ref, heard = new_session(), Heard()
    limits = Limits(timeout_ms=60_000, memory_mb=128, isolation=isolation)
    run = run_of(SPEAKS[language], language=language, ref=ref, limits=limits, listener=heard)
    report = await stopped_report(shared, run, heard)
    _require_cancelled(report)
    assert report.stdout == "first é\n"
    assert shared.stats().running == 0
    source = "return 1;" if language is NODEJS else "result = 1"
    following = await report_of(shared, run_of(source, language=language, ref=ref, limits=limits))
    assert (following.result, following.cold_start) == ("1", True)


def _require_cancelled(report: ScriptReport) -> None:
    assert report.failure is not None
    assert report.failure.code is FailureCode.EXECUTION_CANCELLED
    assert report.cpu_time_ms is not None
    assert report.memory_usage_bytes is not None


@pytest.mark.parametrize("language", list(Language))
async def test_a_worker_that_is_killed_leaves_its_output_and_no_end(shared, language):
    buffer: LiveBuffer[str] = LiveBuffer()
    worker = await shared.acquire(run_of(SPEAKS[language], language=language, listener=buffer))
    running = asyncio.ensure_future(worker.run())
    async with asyncio.timeout(10):
        (event,) = await buffer.next(Position())
    os.kill(worker.process.launched.pid, signal.SIGKILL)
    with pytest.raises(ExecutionUnknown):
        await running
    await worker.release()
    buffer.break_off()
    assert event.what.text == "first é\n"
    assert await buffer.next(event.position) == []


async def test_a_stop_and_a_kill_at_once_end_once(shared):
    heard = Heard()
    worker, running = await _running(shared, PYTHON, heard)
    await worker.stop()
    os.kill(worker.process.launched.pid, signal.SIGKILL)
    report = await running
    assert report.failure is not None
    assert report.failure.code is FailureCode.EXECUTION_CANCELLED
    await worker.release()


async def test_a_listener_hears_as_much_as_the_report_keeps(opened):
    async with opened(languages=[PYTHON], output_size_max=1000) as runner:
        heard = Heard()
        report = await report_of(runner, run_of("while True: print('x' * 99)", listener=heard))
    assert report.failure is not None
    assert report.failure.code is FailureCode.OUTPUT_LIMIT
    assert (len(heard.stdout), heard.stdout.decode()) == (1000, report.stdout)


async def test_progress_of_other_threads_leaves_a_large_result_whole(shared):
    heard = Heard()
    assert await result_of(shared, run_of(LARGE, listener=heard)) == f'"{"x" * 900_000}"'
    assert heard.progress


@pytest.mark.parametrize(
    ("language", "source"),
    [
        (PYTHON, "for n in range(20_000): progress(n / 19_999, str(n))\nresult = 1"),
        (NODEJS, "for (let n = 0; n < 20_000; n++) event.progress(n / 19_999, String(n)); return 1;"),
    ],
)
async def test_of_many_reports_the_last_one_arrives_and_few_others(shared, language, source):
    heard = Heard()
    assert await result_of(shared, run_of(source, language=language, listener=heard)) == "1"
    assert (heard.progress[-1].value, heard.progress[-1].message) == (1, "19999")
    assert len(heard.progress) < 100


async def test_a_thread_that_outlives_its_execution_reports_nothing_to_the_next(shared):
    ref, heard = new_session(), Heard()
    await report_of(shared, run_of(LATE, ref=ref))
    await result_of(shared, run_of("import time\ntime.sleep(0.05)\nresult = 1", ref=ref, listener=heard))
    assert heard.progress == []


async def test_many_readers_of_one_execution_each_get_every_byte_once(shared):
    buffer: LiveBuffer[str] = LiveBuffer()
    source = "for n in range(2000): print('line é', n)"
    readers = [asyncio.ensure_future(_text_of(buffer)) for _ in range(20)]
    report = await report_of(shared, run_of(source, listener=buffer))
    buffer.end("end")
    assert set(await asyncio.gather(*readers)) == {report.stdout}


async def _text_of(buffer: LiveBuffer[str]) -> str:
    """Return what a reader gets that resumes at each event, by the event's id alone."""
    text, event_id = "", "0.0.0"
    while events := await buffer.next(Position.of(event_id)):
        text += "".join(each.what.text for each in events if isinstance(each.what, OutputPiece))
        event_id = str(events[-1].position)
    return text
