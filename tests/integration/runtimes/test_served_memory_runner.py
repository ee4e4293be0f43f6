"""Client and host together meet the contract, over real sockets."""

import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runner import ScriptRunnerContract
from tests.contracts.served_hosts import served
from tests.support.ports import loopback_socket, unix_socket

TOKEN = "a token for tests"


class TestOverAUnixSocket(ScriptRunnerContract):
    @pytest.fixture
    async def runner(self, tmp_path):
        app = HostApi(MemoryScriptRunner(), RuntimeHostOptions(bind="unix:/tmp/host.sock")).app()
        options = RuntimeOptions(runs_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=0.5)
        path = tmp_path / "host.sock"
        runner = HttpScriptRunner(options, {Language.PYTHON: [f"unix:{path}"]})
        async with served(app, unix_socket(path)):
            await runner.open()
            yield runner
            await runner.close()


class TestOverLoopback(ScriptRunnerContract):
    @pytest.fixture
    async def runner(self):
        app = HostApi(MemoryScriptRunner(), RuntimeHostOptions(token=TOKEN)).app()
        options = RuntimeOptions(token=TOKEN, runs_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=0.5)
        listening, url = loopback_socket()
        runner = HttpScriptRunner(options, {Language.PYTHON: [url]})
        async with served(app, listening):
            await runner.open()
            yield runner
            await runner.close()
