"""Workers of equipped zygotes: a loopback with names of their own, certificates, and packages."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from adapters.sandbox.equipment import Equipment, WorkerNetwork
from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.protocol.execution import execute
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from domain.scripts.language import Language
from domain.scripts.report import ScriptReport
from tests.contracts.script_runs import run_of

MEASURES_GUEST = True
NETWORK = WorkerNetwork(["api.example.com", "db.example.com"], [443, 5432])
STARTS = [(Language.PYTHON, NodeStart.AUTO), (Language.NODEJS, NodeStart.FORK), (Language.NODEJS, NodeStart.EXEC)]

SAY = {
    Language.PYTHON: """
import socket
with socket.create_connection((params["host"], params["port"]), timeout=3) as connection:
    connection.sendall(b"hello")
    result = connection.recv(100).decode()
""",
    Language.NODEJS: """
module.exports = ({ params }) => new Promise((resolve, reject) => {
  const socket = require('node:net').connect(params.port, params.host);
  let heard = '';
  socket.on('data', (piece) => { heard += piece; socket.end(); });
  socket.on('close', () => resolve(heard));
  socket.on('error', reject);
  socket.write('hello');
});
""",
}
READ = {
    Language.PYTHON: 'result = open("/etc/hosts").read()',
    Language.NODEJS: "return require('fs').readFileSync('/etc/hosts', 'utf8');",
}
WRITE = {
    Language.PYTHON: 'result = open(params, "w").write("127.0.0.1 evil\\n")',
    Language.NODEJS: "require('fs').writeFileSync(event.params, '127.0.0.1 evil\\n');",
}


@pytest.fixture(params=STARTS, ids="-".join)
async def runtime(request, runtimes_dir, built) -> AsyncIterator[LanguageRuntime]:
    language, start = request.param
    options = SandboxOptions(runtimes_dir, prewarmed=0, node_start=start)
    factory = WorkerFactory(options.start_timeout_s)
    runtime = LanguageRuntime(language, options, built(options), factory)
    await runtime.open()
    yield runtime
    await runtime.close()
    await factory.close(5)


async def run(runtime: LanguageRuntime, worker: WorkerProcess, source: str, params: str = "{}") -> ScriptReport:
    asked = run_of(source, params, language=runtime.language)
    return await execute(worker, asked, await asked.source(), runtime.options)


@contextlib.asynccontextmanager
async def echoing(worker: WorkerProcess) -> AsyncIterator[Callable[[], list[tuple[str, int]]]]:
    """Serve the worker's listeners: tell each client what it said, and keep where it connected to."""
    reached: list[tuple[str, int]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("sockname"))
        writer.write(b"you said " + await reader.read(100))
        writer.close()

    assert worker.listeners is not None
    async with contextlib.AsyncExitStack() as serving:
        for descriptor in worker.listeners.descriptors:
            listener = socket.socket(fileno=os.dup(descriptor))
            await serving.enter_async_context(await asyncio.start_server(serve, sock=listener))
        yield lambda: reached


async def test_a_name_leads_to_the_listener_of_its_port(runtime):
    worker = await runtime.start_equipped(Equipment(), NETWORK, 128)
    async with echoing(worker) as reached:
        report = await run(runtime, worker, SAY[runtime.language], '{"host":"db.example.com","port":5432}')
        assert (report.failure, report.result) == (None, '"you said hello"')
        assert reached() == [("127.1.0.2", 5432)]
    assert worker.listeners.has_limits


async def test_another_name_and_another_port_lead_nowhere(runtime):
    worker = await runtime.start_equipped(Equipment(), NETWORK, 128)
    async with echoing(worker) as reached:
        for params in ('{"host":"example.com","port":443}', '{"host":"10.0.0.1","port":443}'):
            report = await run(runtime, worker, SAY[runtime.language], params)
            assert report.failure is not None
            if not worker.is_alive:
                return
        assert reached() == []


async def test_a_script_cannot_change_its_names(runtime):
    worker = await runtime.start_equipped(Equipment(), NETWORK, 128)
    report = await run(runtime, worker, WRITE[runtime.language], '"/etc/hosts"')
    assert report.failure is not None
    assert "read-only file system" in report.failure.message.lower()


async def test_a_worker_without_a_network_has_no_names(runtime):
    worker = await runtime.start_equipped(Equipment(), None, 128)
    assert worker.listeners is None
    report = await run(runtime, worker, READ[runtime.language])
    assert report.failure is not None
    report = await run(
        runtime,
        await runtime.start_equipped(Equipment(), None, 128),
        SAY[runtime.language],
        '{"host":"127.0.0.1","port":1}',
    )
    assert report.failure is not None


async def test_two_workers_have_networks_of_their_own(runtime):
    first, second = [await runtime.start_equipped(Equipment(), NETWORK, 128) for _ in range(2)]
    async with echoing(first) as reached:
        second.listeners.close()
        report = await run(runtime, second, SAY[runtime.language], '{"host":"api.example.com","port":443}')
        assert report.failure is not None
        assert reached() == []


async def test_the_listeners_of_a_worker_end_with_it(runtime):
    worker = await runtime.start_equipped(Equipment(), NETWORK, 128)
    taken = worker.listeners
    worker.kill()
    assert await worker.gone()
    assert taken.descriptors == ()


async def test_an_environment_has_packages_that_hide_no_module_of_the_library(built, runtimes_dir):
    tree = runtimes_dir / "tree"
    tree.mkdir(exist_ok=True)
    tree.chmod(0o755)
    for name in ("json", "packaged"):
        (tree / f"{name}.py").write_text(f'ORIGIN = "{name} of the tree"\n')
    options = SandboxOptions(runtimes_dir, prewarmed=0)
    factory = WorkerFactory(options.start_timeout_s)
    runtime = LanguageRuntime(Language.PYTHON, options, built(options), factory)
    await runtime.open()
    try:
        worker = await runtime.start_equipped(Equipment(tree=tree), None, 128)
        source = "import json, packaged\nresult = [packaged.ORIGIN, json.__file__.startswith('/usr')]"
        report = await run(runtime, worker, source)
        assert (report.failure, report.result) == (None, '["packaged of the tree",true]')
    finally:
        await runtime.close()
        await factory.close(5)
