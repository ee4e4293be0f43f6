"""A limit of memory is what a script may hold beside its interpreter, in each language and way of start."""

import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from attrs import frozen

from adapters.sandbox.capacity import INTERPRETER_MB
from adapters.sandbox.isolation.control_group import GroupLimits, NoControlGroup, make_control_group
from adapters.sandbox.options import MIB, NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.workers.observation import UsageMeter
from domain.scripts.language import Language
from domain.scripts.limits import MEMORY_MB_MIN, Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import new_session, report_of, run_of

_PYTHON_HOLDS = "result = len(b'x' * ({} << 20))"
_NODE_HOLDS = "return Buffer.alloc({} << 20, 1).length"
_PYTHON_CHURNS = """
kept, n = [[i] * 1000 for i in range(600)], 0
for i in range(20_000): n += len([i] * 1000)
result = n
"""
_NODE_CHURNS = """
const kept = []; let n = 0;
for (let i = 0; i < 600; i++) kept.push(new Array(1000).fill(i));
for (let i = 0; i < 20_000; i++) n += new Array(1000).fill(i).length;
return n;
"""
_HOLDS_SHARED_MEMORY = """
import mmap
held = mmap.mmap(-1, 40 << 20)
for _ in range(40): held.write(b"x" * (1 << 20))
result = 1
"""


@frozen
class Kind:
    """A language and a way to start its workers."""

    language: Language
    start: NodeStart
    holds: str
    churns: str

    def run(self, source, memory_mb, ref=None):
        limits = Limits(20_000, memory_mb, Isolation.SESSION)
        return run_of(source, language=self.language, limits=limits, ref=ref or new_session())

    @asynccontextmanager
    async def opened(self, folder):
        # Patient, because a first worker may take seconds to start on a busy machine.
        options = SandboxOptions(
            folder, languages=[self.language], prewarmed=0, node_start=self.start, queue_timeout_s=30.0
        )
        runner = SandboxScriptRunner(options)
        await runner.open()
        try:
            # The first worker shows what its interpreter takes.
            await report_of(runner, self.run(self.holds.format(0), 128))
            yield runner
        finally:
            await runner.close(5)


KINDS = [
    Kind(Language.PYTHON, NodeStart.AUTO, _PYTHON_HOLDS, _PYTHON_CHURNS),
    Kind(Language.NODEJS, NodeStart.EXEC, _NODE_HOLDS, _NODE_CHURNS),
    Kind(Language.NODEJS, NodeStart.FORK, _NODE_HOLDS, _NODE_CHURNS),
]


@pytest.mark.parametrize("kind", KINDS, ids=["python", "executed", "forked"])
async def test_a_script_may_hold_its_limit_beside_its_interpreter_and_no_more(runtimes_dir, kind):
    async with kind.opened(runtimes_dir) as runner:
        for memory_mb in (MEMORY_MB_MIN, 128):
            least = await report_of(runner, kind.run(kind.holds.format(0), memory_mb))
            most = await report_of(runner, kind.run(kind.holds.format(memory_mb - 3), memory_mb))
            over = await report_of(runner, kind.run(kind.holds.format(memory_mb + 6), memory_mb))
            assert (least.failure, most.failure) == (None, None)
            assert least.memory_usage_bytes < 2 * MIB
            assert (memory_mb - 8) * MIB < most.memory_usage_bytes <= memory_mb * MIB
            assert (over.failure.code, over.failure.limit) == (FailureCode.MEMORY_LIMIT, memory_mb * MIB)
            assert over.failure.observed >= memory_mb * MIB


@pytest.mark.parametrize("kind", KINDS, ids=["python", "executed", "forked"])
async def test_the_smallest_limit_is_enough_for_a_script_that_makes_much_garbage(runtimes_dir, kind):
    async with kind.opened(runtimes_dir) as runner:
        report = await report_of(runner, kind.run(kind.churns, MEMORY_MB_MIN))
        assert (report.failure, report.result) == (None, "20000000")


@pytest.mark.parametrize("kind", KINDS, ids=["python", "executed", "forked"])
async def test_a_worker_costs_no_more_beside_its_script_than_the_pool_counts(runtimes_dir, kind):
    async with kind.opened(runtimes_dir) as runner:
        (pid,) = runner.debug_snapshot().idle_workers
        meter = UsageMeter.of(pid)
        meter.mark_idle(meter.cpu_s(), meter.footprint())
        meter.measure_cost()
        cost_bytes = meter.cost_bytes
        meter.close()
        assert cost_bytes <= INTERPRETER_MB[kind.language] * MIB


async def test_a_script_that_held_more_than_its_limit_and_ended_well_fails_and_its_worker_ends(runtimes_dir):
    kind, ref = KINDS[0], new_session()
    async with kind.opened(runtimes_dir) as runner:
        failed = await report_of(runner, kind.run(_HOLDS_SHARED_MEMORY, 16, ref))
        then = await report_of(runner, kind.run("result = 1", 16, ref))
        assert (failed.result, failed.failure.code) == (None, FailureCode.MEMORY_LIMIT)
        assert failed.failure.observed == failed.memory_usage_bytes > 39 * MIB
        assert (then.failure, then.cold_start) == (None, True)


_FILLS_GROUP = (
    "import sys; sys.stdin.read(1); held = bytearray(236 << 20); print('held', flush=True); sys.stdin.read(1)"
)


def test_a_group_whose_processes_take_nine_tenths_of_its_memory_is_nearly_full():
    try:
        group = make_control_group(GroupLimits(256 * MIB, 50))
    except NoControlGroup as error:
        pytest.skip(str(error))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-I", "-c", _FILLS_GROUP], **pipes) as process:
        group.admit(process.pid)
        assert not group.is_nearly_full()
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.readline() == b"held\n"
        assert group.is_nearly_full()
    group.close()
