"""The sandbox keeps the contract of ScriptRunner."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_files import ScriptFilesContract
from tests.contracts.script_runner import ScriptLimitsContract, ScriptRunnerContract
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(runtimes_dir: Path) -> AsyncIterator[SandboxScriptRunner]:
    """One runner for all tests, each of which has sessions of its own: to open one takes longer than a test."""
    limits = {
        "warm_workers_max": TestSandboxScriptRunner.workers_max,
        "queue_length_max": TestSandboxScriptRunner.queue_max,
        "queue_timeout_s": 1.0,
    }
    runner = SandboxScriptRunner(SandboxOptions(runtimes_dir, languages=[Language.PYTHON], prewarmed=1, **limits))
    await runner.open()
    yield runner
    await runner.close(5)


class TestSandboxScriptRunner(ScriptRunnerContract, ScriptFilesContract, ScriptLimitsContract):
    @pytest_asyncio.fixture(loop_scope="module")
    async def runner(self, sandbox: SandboxScriptRunner) -> AsyncIterator[SandboxScriptRunner]:
        """The shared runner, in which no session has a worker when a test begins."""
        yield sandbox
        for pid in sandbox.debug_snapshot().idle_workers:
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not sandbox.debug_snapshot().idle_workers)
