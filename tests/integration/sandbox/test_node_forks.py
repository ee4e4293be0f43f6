"""Workers for Node.js that are forks of a zygote: what each has for itself, and when workers are executed instead."""

import json
import os
import platform
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import evolve, frozen
from structlog.testing import capture_logs

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.workers.fork_check import SCRIPT
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import ForkUnchecked
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import report_of, result_of, run_of
from tests.integration.sandbox.node_scripts import SAME
from tests.integration.sandbox.processes import pid_of
from tests.support.waiting import until

MEASURES_GUEST = True
IS_EXECUTED = "return require('fs').existsSync('/usr/bin/node')"
NODEJS = {"languages": [Language.NODEJS], "prewarmed": 0}


def node(source, *given, **named):
    return run_of(source, *given, language=Language.NODEJS, **named)


async def drawn(runner, source, count=3):
    return [json.loads(await result_of(runner, node(source))) for _ in range(count)]


@pytest.fixture
async def forking(opened):
    async with opened(**NODEJS, node_start=NodeStart.FORK, queue_timeout_s=20) as runner:
        yield runner


async def test_forks_have_random_numbers_of_their_own(forking):
    source = """
    const crypto = require('crypto'), fs = require('fs');
    const keys = crypto.createECDH('prime256v1');
    keys.generateKeys();
    return [Math.random(), require('vm').runInNewContext('Math.random()'),
        crypto.randomBytes(8).toString('hex'), crypto.randomUUID(), crypto.randomInt(2 ** 40), fs.mkdtempSync('/tmp/x'),
        Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(8))).toString('hex'), keys.getPublicKey('hex')];
    """
    for numbers in zip(*await drawn(forking, source, 20), strict=True):
        assert len(set(numbers)) == 20


async def test_executions_of_one_fork_draw_other_numbers_in_contexts_of_their_own(forking):
    source = "return [Math.random(), require('vm').runInNewContext('Math.random()')]"
    assert len({number for pair in await drawn(forking, source) for number in pair}) == 6


async def test_the_clocks_of_a_fork_start_with_it(forking):
    source = """
    return [performance.now(), performance.mark('a').startTime, performance.measure('b').duration, process.uptime() * 1000,
        Math.abs(performance.timeOrigin + performance.now() - Date.now())]
    """
    await result_of(forking, node("await new Promise(r => setTimeout(r, 1500)); return 1"))
    for ages_ms in await drawn(forking, source):
        assert all(0 <= age_ms < 1500 for age_ms in ages_ms)
        assert ages_ms[-1] < 50


async def test_a_fork_knows_its_own_process_id(forking):
    assert await drawn(forking, "process.kill(process.pid, 0); return [process.pid, process.ppid]") == [[1, 0]] * 3


@pytest.mark.parametrize(("source", "code"), [("process.exit(7)", "7"), ("process.reallyExit(8)", "8")])
async def test_a_fork_exits_at_once_with_its_code(forking, source, code):
    report = await report_of(forking, node(source))
    assert report.failure.code is FailureCode.SCRIPT_EXITED
    assert f"exit code {code}" in report.failure.message


@pytest.mark.parametrize("memory_mb", [64, 256])
async def test_each_fork_is_held_to_its_own_limit_of_memory(forking, memory_mb):
    limits = Limits(20_000, memory_mb, Isolation.SESSION)
    live = "const kept = []; for (let i = 0; i < 2000; i++) kept.push(new Array(1000).fill(i));"
    churned = f"{live} let n = 0; for (let i = 0; i < 1e5; i++) n += new Array(1000).fill(i).length; return n"
    assert await result_of(forking, node(churned, limits=limits)) == "100000000"
    report = await report_of(forking, node("const a = []; for (;;) a.push(new Array(1e4).fill(Math.E))", limits=limits))
    assert report.failure.code is FailureCode.MEMORY_LIMIT
    assert report.failure.limit == memory_mb << 20


def objects_of(pid):
    """Return what a process has open beside its streams and sockets, with the identity of eventfds."""
    found = {}
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        link = str(descriptor.readlink())
        if link.startswith(("pipe", "socket")):
            found[link] = descriptor.name
        elif "event" in link:
            info = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
            number = next((line for line in info.splitlines() if line.startswith("eventfd-id")), None)
            if number is not None:
                found[number] = descriptor.name
    return found


async def test_a_fork_has_no_descriptor_in_common_with_its_zygote_or_another_fork(forking):
    workers = [await forking.acquire(node("return 1")) for _ in range(2)]
    (zygote,) = forking.debug_snapshot().zygotes
    first, second = (objects_of(pid_of(worker)) for worker in workers)
    assert first
    assert not set(first) & set(second)
    # The zygote closes its copies after the fork, which may serve before that.
    await until(lambda: not set(objects_of(zygote.pid)) & (set(first) | set(second)))
    assert objects_of(zygote.pid)
    for worker in workers:
        await worker.release()


def threads_of(pid):
    return [(thread / "comm").read_text() for thread in Path(f"/proc/{pid}/task").iterdir()]


def private_dirty_kb_of(pid):
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().partition("Private_Dirty:")[2].split()[0])


async def test_a_fork_has_one_thread_and_no_inspector(forking):
    worker = await forking.acquire(node("return 1"))
    assert len(threads_of(pid_of(worker))) == 1
    (zygote,) = forking.debug_snapshot().zygotes
    assert not any("Inspector" in name for name in threads_of(zygote.pid))
    await worker.release()


async def test_a_fork_finds_no_file_but_its_scratch_folder(forking):
    source = "const fs = require('fs'); return ['/', '/tmp'].map((each) => fs.readdirSync(each))"
    ((root, scratch),) = await drawn(forking, source, 1)
    # The measured guest writes to another folder.
    assert (set(root) - {"coverage"}, scratch) == ({"tmp"}, [])


async def test_the_private_memory_of_a_fork_is_small(forking):
    worker = await forking.acquire(node("return 1"))
    assert (await worker.run()).failure is None
    assert private_dirty_kb_of(pid_of(worker)) < 4096
    await worker.release()


def outcome(report):
    if report.failure is None:
        return report.result, report.stdout, report.stderr
    failure = report.failure
    if failure.code is FailureCode.MEMORY_LIMIT:
        # Which allocation fails first depends on the layout of memory.
        return failure.code, failure.limit
    return failure.code, failure.name, failure.line, failure.column, failure.limit


@pytest.mark.timeout(300)
async def test_scripts_have_the_same_results_and_errors_in_forks_and_in_executed_workers(opened):
    limits = Limits(20_000, 128, Isolation.PROCESS)
    async with (
        opened(**NODEJS, node_start=NodeStart.FORK, queue_timeout_s=20) as forked,
        opened(**NODEJS, node_start=NodeStart.EXEC, queue_timeout_s=20) as executed,
    ):
        different = {}
        for name, source in SAME.items():
            first, second = [outcome(await report_of(each, node(source, limits=limits))) for each in (forked, executed)]
            if first != second:
                different[name] = first, second
    assert different == {}


@frozen
class CheckedBuilder(SandboxBuilder):
    """Builds sandboxes whose forks are checked by another script."""

    check: bytes
    check_s: float

    def spec(self, language, why_not_forked=""):
        return evolve(super().spec(language, why_not_forked), fork_check=self.check, fork_check_s=self.check_s)


@asynccontextmanager
async def checked(runtimes_dir, check, start, check_s=3.0, **options):
    options = SandboxOptions(runtimes_dir, **NODEJS, node_start=start, **options)
    runner = SandboxScriptRunner(options, CheckedBuilder(options, check, check_s, forked_machines=[platform.machine()]))
    await runner.open()
    try:
        yield runner
    finally:
        await runner.close(5)


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (b"process.abort()", "died"),
        (b"return 'wrong'", '"wrong"'),
        (b"throw new Error('broken')", "broken"),
    ],
)
async def test_workers_are_executed_if_a_fork_fails_its_check(runtimes_dir, check, reason):
    with capture_logs() as logs:
        async with checked(runtimes_dir, check, NodeStart.AUTO, check_s=0.5, queue_timeout_s=20) as runner:
            state = {"start": "fork"}
            while state["start"] != "exec":
                assert await result_of(runner, node(IS_EXECUTED)) == "true"
                state = (await runner.health())["languages"]["nodejs"]
    assert state["status"] == "ok"
    assert state["start"] == "exec"
    assert reason in state["start_reason"]
    assert [reason in line["reason"] for line in logs if line["event"] == "node_fork_failed"] == [True]


async def test_a_late_check_is_reported_and_does_not_end_forks(runtimes_dir):
    with capture_logs() as logs:
        async with checked(runtimes_dir, b"for (;;);", NodeStart.AUTO, check_s=0.3, queue_timeout_s=20) as runner:
            while not any(line["event"] == "node_fork_unchecked" for line in logs):
                assert await result_of(runner, node(IS_EXECUTED)) == "true"
            assert await result_of(runner, node(IS_EXECUTED)) == "true"
            state = (await runner.health())["languages"]["nodejs"]
    assert (state["status"], state["start"]) == ("ok", "unchecked")
    assert "no result within 0.3 s" in state["start_reason"]


@asynccontextmanager
async def forks(runtimes_dir, **limits):
    """Provide a factory, and the spec of workers that are forks."""
    options = SandboxOptions(runtimes_dir, **NODEJS, node_start=NodeStart.FORK, forks_max=3)
    factory = WorkerFactory(**{"start_timeout_s": 20, **limits})
    try:
        yield factory, SandboxBuilder(options).spec(Language.NODEJS)
    finally:
        await factory.close(5)


async def test_a_zygote_that_hangs_before_its_check_is_replaced(runtimes_dir):
    async with forks(runtimes_dir, check_pause_s=0) as (factory, spec):
        zygote = factory.zygotes.zygote(spec)
        await zygote.ready
        os.kill(zygote.pid, signal.SIGSTOP)
        factory.start_timeout_s = 0.5
        with pytest.raises(ForkUnchecked):
            await factory.start(spec, check_wait_s=0)
        await zygote.gone
        factory.start_timeout_s = 20
        assert (await factory.start(spec, check_wait_s=20)).is_alive


async def test_a_check_that_was_late_is_repeated_after_a_pause_only(runtimes_dir):
    async with forks(runtimes_dir, check_pause_s=600) as (factory, spec):
        for _ in range(2):
            with pytest.raises(ForkUnchecked, match="no result"):
                await factory.start(evolve(spec, fork_check=b"for (;;);", fork_check_s=0.2), check_wait_s=20)
        assert factory.zygotes.zygote(spec).started == 0


@pytest.mark.parametrize("check", [b"for (;;);", b"return 'wrong'"])
async def test_a_zygote_is_used_until_the_check_of_its_successor_has_ended_well(runtimes_dir, check):
    async with forks(runtimes_dir, check_pause_s=0) as (factory, spec):
        first, later = factory.zygotes.zygote(spec), evolve(spec, fork_check=check, fork_check_s=60)
        for _ in range(5):
            worker = await factory.start(spec if first.started == 0 else later, check_wait_s=20)
            worker.kill()
            await worker.gone()
        assert (first.started, first.is_usable) == (6, True)


async def test_calls_are_served_by_executed_workers_while_the_check_of_a_fork_hangs(runtimes_dir):
    async with checked(runtimes_dir, b"for (;;);", NodeStart.AUTO, check_s=60, queue_timeout_s=20) as runner:
        for _ in range(2):
            assert await result_of(runner, node(IS_EXECUTED)) == "true"


async def test_calls_are_served_by_forks_once_the_check_has_passed(runtimes_dir):
    slow = b"Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000); " + SCRIPT
    async with checked(runtimes_dir, slow, NodeStart.AUTO, check_s=60, queue_timeout_s=20) as runner:
        found = [await result_of(runner, node(IS_EXECUTED))]
        while found[-1] == "true":
            found.append(await result_of(runner, node(IS_EXECUTED)))
    assert found[0] == "true"


async def test_nothing_runs_if_forks_are_required_and_fail_their_check(runtimes_dir):
    async with checked(runtimes_dir, b"return 'wrong'", NodeStart.FORK) as runner:
        with pytest.raises(RuntimeUnavailable, match="SANDBOX_NODE_START=auto"):
            await runner.acquire(node("return 1"))


async def test_workers_are_executed_if_the_options_say_so(opened):
    async with opened(**NODEJS, node_start=NodeStart.EXEC) as runner:
        state = (await runner.health())["languages"]["nodejs"]
        assert (state["start"], state["start_reason"]) == ("exec", "SANDBOX_NODE_START=exec")
        assert await result_of(runner, node(IS_EXECUTED)) == "true"
