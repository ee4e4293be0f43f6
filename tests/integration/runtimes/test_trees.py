"""Packages of environments on runtime hosts: sent by controllers when a run needs them, and verified there."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from attrs import define, evolve, field

from adapters.environments.archive import packed
from adapters.environments.copies import TreeCopies
from adapters.environments.folder import TreeFolder
from adapters.memory.environments import MemoryEnvironmentStore, MemoryTreeStore
from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.environments.tree import CHUNK_SIZE, StoredTree, TreeJudge, TreeLimits
from domain.errors import RuntimeUnavailable
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import report_of, result_of, run_of
from tests.contracts.served_hosts import served
from tests.support.folders import shared_folder
from tests.support.ports import unix_socket
from tests.support.waiting import until

LIMITS = TreeLimits(10_000_000, 100)
NOW = datetime(2026, 11, 28, tzinfo=UTC)
GIB = 1024**3
TIMEOUT_S = 30.0


@define(eq=False)
class GatedStore(MemoryTreeStore):
    """Counts reads of chunks; while `gate` is closed, they wait. It returns `false` bytes if there are some."""

    reads: int = 0
    gate: asyncio.Event = field(factory=asyncio.Event)
    false: bytes = b""

    async def read(self, digest: str, seq: int) -> bytes | None:
        self.reads += 1
        await self.gate.wait()
        content = await MemoryTreeStore.read(self, digest, seq)
        return self.false[: len(content or b"")] or content


@define(eq=False)
class World:
    """A host with its trees, and controllers of one database."""

    folder: Path
    store: GatedStore
    tree: StoredTree
    copies: TreeCopies
    url: str

    @property
    def environment(self) -> Environment:
        return Environment("data", 1, self.tree.digest, ("package",))

    async def controller(self, *, has_trees: bool = True) -> HttpScriptRunner:
        options = RuntimeOptions(runtime_timeout_s=TIMEOUT_S)
        runner = HttpScriptRunner(options, {Language.PYTHON: [self.url]}, trees=self.store if has_trees else None)
        await runner.open()
        await until(lambda: runner.stats().states["ready"])
        return runner


async def stored(folder: Path) -> tuple[GatedStore, StoredTree]:
    """Return a database with a tree of several chunks."""
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_text("import os\nPID = os.getpid()\n")
    (folder / "package" / "data.bin").write_bytes(hashlib.shake_256(b"1").digest(700_000))  # does not compress
    judge, store = TreeJudge(LIMITS), GatedStore(MemoryEnvironmentStore())
    data = b"".join(packed(folder, judge))
    tree = StoredTree(hashlib.sha256(data).hexdigest(), 1, judge.size, judge.count, len(data))
    await store.begin(tree, NOW)
    for seq in range(tree.chunks):
        await store.write(tree.digest, seq, data[seq * CHUNK_SIZE : (seq + 1) * CHUNK_SIZE])
    store.store.complete.add(tree.digest)
    store.gate.set()
    return store, tree


def copies_in(folder: Path) -> TreeCopies:
    return TreeCopies(TreeFolder(folder / "environments"), None, LIMITS, GIB, 5.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store, tree = await stored(tmp_path / "files")
    copies = copies_in(tmp_path)
    await copies.open()
    socket = tmp_path / "host.sock"
    options = RuntimeHostOptions(bind=f"unix:{socket}")
    app = HostApi(MemoryScriptRunner(), options, receiver=copies).app()
    async with served(app, unix_socket(socket)):
        yield World(tmp_path, store, tree, copies, f"unix:{socket}")
    await copies.close()


async def test_a_host_gets_the_packages_that_a_run_needs_once(world):
    assert world.tree.chunks > 2
    runner = await world.controller()
    for _ in range(2):
        assert await result_of(runner, run_of("result = 1", environment=world.environment)) == "1"
    assert world.store.reads == world.tree.chunks
    assert await world.copies.has(world.tree.digest)
    await runner.close()


async def test_two_controllers_send_the_packages_once_and_both_run(world):
    world.store.gate.clear()
    first, second = [await world.controller() for _ in range(2)]

    def call(runner: HttpScriptRunner) -> asyncio.Task[str]:
        return asyncio.create_task(result_of(runner, run_of("result = 1", environment=world.environment)))

    calls = [call(first), call(first)]
    await until(lambda: world.store.reads == 1)
    calls += [call(second), call(second)]
    await until(lambda: second.stats().messages["end"] >= 2)
    world.store.gate.set()
    assert await asyncio.gather(*calls) == ["1"] * 4
    assert world.store.reads == world.tree.chunks
    for runner in (first, second):
        await runner.close()


async def test_packages_with_a_changed_byte_are_refused_and_nothing_is_left(world):
    world.store.false = b"x" * CHUNK_SIZE
    runner = await world.controller()
    with pytest.raises(RuntimeUnavailable):
        await report_of(runner, run_of("result = 1", environment=world.environment))
    assert not await world.copies.has(world.tree.digest)
    world.store.false = b""
    assert await result_of(runner, run_of("result = 1", environment=world.environment)) == "1"
    await runner.close()


async def test_packages_on_their_way_to_a_host_that_is_lost_are_sent_again_once_it_is_back(tmp_path):
    store, tree = await stored(tmp_path / "files")
    copies, socket = copies_in(tmp_path), tmp_path / "host.sock"
    await copies.open()
    world = World(tmp_path, store, tree, copies, f"unix:{socket}")
    store.gate.clear()
    async with served(HostApi(MemoryScriptRunner(), RuntimeHostOptions(), receiver=copies).app(), unix_socket(socket)):
        runner = await world.controller()
        call = asyncio.create_task(report_of(runner, run_of("result = 1", environment=world.environment)))
        await until(lambda: store.reads == 1)
    store.gate.set()
    with pytest.raises(RuntimeUnavailable):
        await call
    assert not list(copies.folder.path.iterdir())
    socket.unlink()
    async with served(HostApi(MemoryScriptRunner(), RuntimeHostOptions(), receiver=copies).app(), unix_socket(socket)):
        await until(lambda: runner.stats().states["ready"], TIMEOUT_S)
        assert await result_of(runner, run_of("result = 1", environment=world.environment)) == "1"
        await runner.close()
    await copies.close()


async def test_packages_that_no_database_has_start_nothing(world):
    missing = evolve(world.environment, digest="0" * 64)
    runner = await world.controller()
    with pytest.raises(RuntimeUnavailable, match="no database has the packages"):
        await report_of(runner, run_of("result = 1", environment=missing))
    await runner.close()
    without = await world.controller(has_trees=False)
    with pytest.raises(RuntimeUnavailable, match="this controller has none"):
        await report_of(without, run_of("result = 1", environment=world.environment))
    await without.close()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "0" * 64, {}, 404),
        ("GET", "..", {}, 404),
        ("GET", "A" * 64, {}, 400),
        ("PUT", "0" * 64, {}, 400),
        ("PUT", "0" * 64, {"tree-facts": '{"format":1,"size":-1,"files":1,"packed_size":1}'}, 400),
        ("PUT", "0" * 64, {"tree-facts": '{"format":1,"size":1,"files":1,"packed_size":3}'}, 503),
    ],
)
async def test_a_host_refuses_what_is_no_tree(world, method, path, headers, status):
    transport = httpx2.AsyncHTTPTransport(uds=world.url.removeprefix("unix:"))
    async with httpx2.AsyncClient(transport=transport) as client:
        body = {"content": b"abc"} if method == "PUT" else {}
        reply = await client.request(method, f"http://host/trees/{path}", headers=headers, **body)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}


async def test_a_host_without_a_place_for_packages_refuses_their_scripts(tmp_path):
    store, tree = await stored(tmp_path / "files")
    socket = tmp_path / "host.sock"
    async with served(HostApi(MemoryScriptRunner(), RuntimeHostOptions()).app(), unix_socket(socket)):
        world = World(tmp_path, store, tree, copies_in(tmp_path), f"unix:{socket}")
        runner = await world.controller()
        with pytest.raises(RuntimeUnavailable, match="takes no packages"):
            await report_of(runner, run_of("result = 1", environment=world.environment))
        await runner.close()


@pytest_asyncio.fixture
async def sandboxed() -> AsyncIterator[World]:
    """A host whose sandbox has the trees that it receives."""
    with shared_folder() as folder:
        store, tree = await stored(folder / "files")
        copies = copies_in(folder)
        await copies.open()
        options = SandboxOptions(folder / "runtimes", [Language.PYTHON], prewarmed=0, queue_timeout_s=TIMEOUT_S)
        sandbox = SandboxScriptRunner(options, trees=copies)
        await sandbox.open()
        socket = folder / "host.sock"
        api = HostApi(sandbox, RuntimeHostOptions(bind=f"unix:{socket}"), receiver=copies)
        async with served(api.app(), unix_socket(socket)):
            yield World(folder, store, tree, copies, f"unix:{socket}")
        await sandbox.close(5)
        await copies.close()


async def test_a_script_on_a_host_imports_the_packages_of_its_environment(sandboxed):
    runner = await sandboxed.controller()
    source = "import package\nresult = [package.PID == 1, package.__file__]"
    run = run_of(source, environment=sandboxed.environment)
    assert await result_of(runner, run) == '[false,"/environment/package/__init__.py"]'
    await runner.close()
