"""Which environments of a host have a zygote, how long each keeps its tree, and when a failed preload is repeated."""

import asyncio
from pathlib import Path

import pytest
from attrs import define, field

from adapters.sandbox.environments import Environments
from adapters.sandbox.equipment import Equipment
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import PreloadFailed
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from tests.support.packages import Folders
from tests.support.waiting import until


@define
class ManualWorkers:
    """The workers of sessions, as a test says."""

    running: set[str] = field(factory=set)
    idle: set[str] = field(factory=set)

    def has_workers(self, environment: Environment, *, running: bool) -> bool:
        return environment.name in self.running or (not running and environment.name in self.idle)

    def evict_environment(self, environment: Environment) -> None:
        self.idle.discard(environment.name)


@define(eq=False)
class MeasuredZygotes(ZygotePool):
    """Zygotes whose memory the test sets."""

    packages_bytes: int = 0


@define
class MeasuredGroup:
    """A control group that is full when the test says so."""

    full: bool = False

    def is_nearly_full(self) -> bool:
        return self.full


@define(eq=False)
class World:
    """Two places for zygotes, with 100 bytes for both, and a clock that the test moves."""

    trees: Folders
    runtime: LanguageRuntime
    workers: ManualWorkers = field(factory=ManualWorkers)
    now_s: float = 1000.0
    failure: str = ""
    started: list[Equipment] = field(factory=list)
    zygotes: MeasuredZygotes = field(factory=MeasuredZygotes)
    environments: Environments = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.environments = Environments(
            self.trees, self.zygotes, self.workers, 2, 600.0, now=lambda: self.now_s, memory_bytes_max=100
        )

    async def start(self, environment: Environment) -> str:
        return await self.environments.start(self.runtime, environment, Path("/roots.pem"), self._start)

    async def _start(self, equipment: Equipment) -> str:
        self.started.append(equipment)
        if self.failure:
            raise PreloadFailed(self.failure)
        return equipment.tree.name

    def held(self) -> list[str]:
        return sorted(each.path.name for each in self.trees.held)


@pytest.fixture
def world(tmp_path):
    trees = Folders(tmp_path / "trees")
    options = SandboxOptions(tmp_path)
    runtime = LanguageRuntime(Language.PYTHON, options, SandboxBuilder(options), WorkerFactory(1.0))
    return World(trees, runtime)


@pytest.fixture
def named(world):
    """Three environments."""
    return [world.trees.add(name, {"module.py": ""}, (name,)) for name in ("a", "b", "c")]


async def test_a_worker_starts_with_the_tree_the_preload_and_the_roots(world, named):
    await world.start(named[0])
    assert world.started == [Equipment(Path("/roots.pem"), world.trees.path_of(named[0]), ("a",))]


async def test_zygotes_import_nothing_if_preloads_are_off(world, named):
    world.environments.preloads = False
    await world.start(named[0])
    assert world.started[0].preload == ()


async def test_the_least_recently_used_environment_gives_way_and_its_tree_is_released(world, named):
    a, b, c = named
    await world.start(a)
    await world.start(b)
    world.environments.use(Language.PYTHON, a)
    await world.start(c)
    await until(lambda: world.held() == ["a", "c"])
    assert world.environments.count == 2


async def test_an_environment_with_a_running_execution_does_not_give_way(world, named):
    a, b, c = named
    await world.start(a)
    await world.start(b)
    world.workers.running, world.workers.idle = {"a"}, {"b"}
    await world.start(c)
    await until(lambda: world.held() == ["a", "c"])
    assert world.workers.idle == set()
    world.workers.running = {"a", "c"}
    with pytest.raises(Overloaded):
        await world.start(b)


async def test_an_idle_environment_without_workers_ends_after_ten_minutes(world, named):
    a, b, _ = named
    await world.start(a)
    await world.start(b)
    world.workers.idle = {"b"}
    world.now_s += 599
    world.environments.end_idle()
    assert world.held() == ["a", "b"]
    world.now_s += 2
    world.environments.end_idle()
    await until(lambda: world.held() == ["b"])


@define(eq=False)
class BusyZygotes(ZygotePool):
    """Zygotes whose workers go on until `gone`."""

    retired: set[bool] = field(factory=set)
    gone: asyncio.Event = field(factory=asyncio.Event)

    async def end(self, equipment: Equipment, *, kills: bool = False) -> None:
        self.retired.add(equipment.has_files)
        await self.gone.wait()


async def test_zygotes_with_files_are_retired_though_workers_without_files_still_run(world, named):
    zygotes = world.environments.zygotes = BusyZygotes()
    await world.start(named[0])
    world.now_s += 601
    world.environments.end_idle()
    await until(lambda: zygotes.retired == {False, True})
    assert world.held() == ["a"]
    zygotes.gone.set()
    await until(lambda: world.held() == [])


@pytest.mark.parametrize("short", ["zygotes", "group"])
async def test_while_memory_is_short_the_least_recently_used_environment_that_runs_nothing_ends(world, named, short):
    a, b, _ = named
    world.zygotes.group = group = MeasuredGroup()
    await world.start(a)
    await world.start(b)
    world.workers.running, world.workers.idle = {"a"}, {"b"}
    world.now_s += 11
    world.environments.relieve()
    assert world.held() == ["a", "b"], "memory is not short yet"
    if short == "group":
        group.full = True
    else:
        world.zygotes.packages_bytes = 101
    world.environments.relieve()
    await until(lambda: world.held() == ["a"])
    assert world.workers.idle == set()
    world.environments.relieve()
    assert world.environments.count == 1, "what runs stays"


async def test_an_environment_that_was_used_a_moment_ago_does_not_end_for_memory(world, named):
    await world.start(named[0])
    world.zygotes.packages_bytes = 101
    world.now_s += 9
    world.environments.relieve()
    assert world.held() == ["a"]


async def test_an_environment_beyond_the_memory_for_all_makes_another_one_give_way(world, named):
    a, b, _ = named
    world.zygotes.packages_bytes = 101
    await world.start(a)
    await world.start(b)
    await until(lambda: world.held() == ["b"])
    world.workers.running = {"b"}
    with pytest.raises(Overloaded):
        await world.start(a)


async def test_a_failed_preload_is_repeated_after_half_a_minute(world, named):
    world.failure = "the preload of a failed: it leaves 1 thread running"
    for _ in range(2):
        with pytest.raises(RuntimeUnavailable, match=r"the packages of a@1 cannot be used: the preload of a failed"):
            await world.start(named[0])
    assert len(world.started) == 1
    assert world.environments.failures == 1
    assert list(world.environments.summary()["failed"]) == ["a@1"]
    world.now_s, world.failure = world.now_s + 31, ""
    assert await world.start(named[0]) == "a"
    assert world.environments.summary() == {"open": 1, "open_max": 2, "failed": {}}


async def test_a_tree_that_is_not_there_leaves_its_place_to_others(world, named):
    missing = Environment("missing", 1, "0" * 64)
    with pytest.raises(StorageUnavailable):
        await world.start(missing)
    assert world.environments.count == 0


async def test_a_call_that_leaves_does_not_stop_the_fetch_of_its_tree(world, named):
    arrived = asyncio.Event()
    hold = world.trees.hold

    class SlowFolders(Folders):
        async def hold(self, digest):
            await arrived.wait()
            return await hold(digest)

    world.environments.trees = SlowFolders(world.trees.root)
    call = asyncio.ensure_future(world.start(named[0]))
    await until(lambda: world.environments.count == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    arrived.set()
    assert await world.start(named[0]) == "a"
    assert world.trees.holds == 1


async def test_closing_releases_every_tree(world, named):
    for each in named[:2]:
        await world.start(each)
    await world.environments.close(1.0)
    assert world.held() == []
