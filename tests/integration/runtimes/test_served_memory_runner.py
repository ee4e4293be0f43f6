"""Client and host together meet the contract, over real sockets."""

import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.script import InputForm
from domain.scripts.syntax import Syntax
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_files import ScriptFilesContract
from tests.contracts.script_runner import ScriptRunnerContract
from tests.contracts.script_runs import report_of, run_of, script_of
from tests.contracts.served_hosts import served
from tests.support.certificates import Authority
from tests.support.ports import loopback_socket, unix_socket
from tests.support.waiting import until

TOKEN = "a token for tests"
MODULE = "export default 5"


class TestOverAUnixSocket(ScriptRunnerContract, ScriptFilesContract):
    @pytest.fixture
    async def runner(self, tmp_path):
        app = HostApi(MemoryScriptRunner(), RuntimeHostOptions(bind="unix:/tmp/host.sock")).app()
        options = RuntimeOptions(runs_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=0.5)
        path = tmp_path / "host.sock"
        runner = HttpScriptRunner(options, {Language.PYTHON: [f"unix:{path}"]})
        async with served(app, unix_socket(path)):
            await runner.open()
            await until(lambda: runner.stats().states["ready"])
            yield runner
            await runner.close()


class TestOverLoopback(ScriptRunnerContract, ScriptFilesContract):
    @pytest.fixture
    async def runner(self):
        app = HostApi(MemoryScriptRunner(), RuntimeHostOptions(token=TOKEN)).app()
        options = RuntimeOptions(token=TOKEN, runs_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=0.5)
        listening, url = loopback_socket()
        runner = HttpScriptRunner(options, {Language.PYTHON: [url]})
        async with served(app, listening):
            await runner.open()
            await until(lambda: runner.stats().states["ready"])
            yield runner
            await runner.close()


class TestOverTls(ScriptRunnerContract, ScriptFilesContract):
    @pytest.fixture
    async def runner(self, tmp_path):
        authority = Authority(tmp_path)
        app = HostApi(MemoryScriptRunner(), RuntimeHostOptions(token=TOKEN)).app()
        options = RuntimeOptions(
            token=TOKEN,
            ca_file=str(authority.file),
            runs_max=self.workers_max,
            queue_max=self.queue_max,
            queue_timeout_s=0.5,
        )
        listening, url = loopback_socket()
        runner = HttpScriptRunner(options, {Language.PYTHON: [url.replace("http:", "https:")]})
        async with served(app, listening, tls=authority.vouch("127.0.0.1")):
            await runner.open()
            await until(lambda: runner.stats().states["ready"])
            yield runner
            await runner.close()


@pytest.mark.parametrize(("is_known", "name"), [(False, "127.0.0.1"), (True, "127.0.0.2")], ids=["signer", "name"])
async def test_a_host_with_a_false_certificate_gets_neither_token_nor_run(tmp_path, is_known, name):
    authority, behind = Authority(tmp_path), MemoryScriptRunner()
    signer = authority if is_known else Authority(tmp_path, "another")
    app = HostApi(behind, RuntimeHostOptions(token=TOKEN)).app()
    listening, url = loopback_socket()
    asked = []

    async def counted(scope, receive, send):
        asked.append(scope["path"])
        await app(scope, receive, send)

    options = RuntimeOptions(token=TOKEN, ca_file=str(authority.file))
    runner = HttpScriptRunner(options, {Language.PYTHON: [url.replace("http:", "https:")]})
    async with served(counted, listening, tls=signer.vouch(name)):
        await runner.open()
        with pytest.raises(RuntimeUnavailable, match="certificate verify failed"):
            await report_of(runner, run_of("result = 1"))
        await runner.close()
    assert (asked, behind.ran) == ([], [])


async def test_a_renewed_file_of_certificates_is_used_without_a_restart(tmp_path):
    authority, ca_file = Authority(tmp_path), tmp_path / "trusted.pem"
    ca_file.write_bytes(Authority(tmp_path, "another").file.read_bytes())
    listening, url = loopback_socket()
    app = HostApi(MemoryScriptRunner(), RuntimeHostOptions()).app()
    runner = HttpScriptRunner(RuntimeOptions(ca_file=str(ca_file)), {Language.PYTHON: [url.replace("http:", "https:")]})

    async def is_verified() -> bool:
        try:
            return await runner.check(Language.PYTHON, script_of("result = 1"), ANONYMOUS) is not None
        except RuntimeUnavailable:
            return False

    async with served(app, listening, tls=authority.vouch("127.0.0.1")):
        await runner.open()
        assert not await is_verified()
        ca_file.write_bytes(authority.file.read_bytes())
        await until(is_verified)
        assert (await report_of(runner, run_of("result = 1"))).result == "1"
        await runner.close()


async def test_scripts_in_another_syntax_are_checked_and_run_by_the_host(tmp_path):
    behind, path = MemoryScriptRunner(node_functions={MODULE: lambda _: 5}), tmp_path / "host.sock"
    runner = HttpScriptRunner(RuntimeOptions(), {Language.NODEJS: [f"unix:{path}"]})
    async with served(HostApi(behind, RuntimeHostOptions(bind="unix:/tmp/host.sock")).app(), unix_socket(path)):
        await runner.open()
        await until(lambda: runner.stats().states["ready"])
        asked = Syntax.TYPESCRIPT
        form = await runner.check(Language.NODEJS, script_of(MODULE), ANONYMOUS, syntax=asked)
        assert form is InputForm.MODULE
        run = run_of(MODULE, language=Language.NODEJS, syntax=Syntax.of_module(asked))
        assert (await report_of(runner, run)).result == "5"
        await runner.close()
    assert behind.syntaxes == [Syntax.TYPESCRIPT_MODULE]
