"""Client, host under uvicorn and sandbox together meet the contract, in both languages."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.node_script_runner import NodeScriptRunnerContract
from tests.contracts.script_files import ScriptFilesContract
from tests.contracts.script_runner import ScriptLimitsContract, ScriptRunnerContract
from tests.contracts.served_hosts import served
from tests.support.folders import shared_folder
from tests.support.ports import unix_socket
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may enter; those of pytest are private."""
    with shared_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(folder: Path) -> AsyncIterator[str]:
    """A host with a sandbox, on a Unix socket."""
    sandbox = SandboxScriptRunner(SandboxOptions(runtimes_dir=folder / "runtimes"))
    await sandbox.open()
    path = folder / "host.sock"
    options = RuntimeHostOptions(bind=f"unix:{path}")
    async with served(HostApi(sandbox, options).app(), unix_socket(path)):
        yield f"unix:{path}"
    await sandbox.close(5)


class TestServedSandbox(ScriptRunnerContract, ScriptFilesContract, ScriptLimitsContract, NodeScriptRunnerContract):
    @pytest_asyncio.fixture(loop_scope="module")
    async def runner(self, url: str) -> AsyncIterator[HttpScriptRunner]:
        options = RuntimeOptions(runs_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=1.0)
        runner = HttpScriptRunner(options, {language: [url] for language in Language})
        await runner.open()
        await until(lambda: runner.stats().states["ready"])
        yield runner
        await runner.close()

    @pytest.mark.parametrize("language", list(Language))
    async def test_its_health_is_that_of_the_sandbox(self, runner, language):
        (host,) = (await runner.health())["languages"][language]["hosts"]
        assert host["status"] == "ok"
