"""The background task that builds versions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from attrs import define, field

from adapters.memory.environments import (
    FixedPlatforms,
    MemoryBuildQueue,
    MemoryEnvironmentRepository,
    MemoryEnvironmentStore,
    MemoryTreeStore,
)
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.environments.build import ATTEMPTS_MAX, LEASE, BuildEnd, BuildFailed
from domain.environments.builder import Builder, BuildTimes
from domain.environments.environment import EnvironmentVersion, StoredEnvironment
from domain.environments.ports import ClaimedBuild, MadeTree, TreeMaker, TreeTrial, TrialFacts, TrialFailed
from domain.errors import StorageUnavailable
from domain.scripts.language import Language
from tests.contracts.environments import CHUNKS, DIGEST, TREE, claim, version
from tests.support.acts import act
from tests.support.waiting import until

PYTHON = Language.PYTHON


@define(eq=False)
class DrivenMaker(TreeMaker):
    """Makes the contract's tree, once its gate is open; or fails."""

    failure: str | None = None
    gate: asyncio.Event = field(factory=asyncio.Event)
    made: list[str] = field(factory=list)
    removed: int = 0

    @asynccontextmanager
    async def making(self, version: EnvironmentVersion, log: Callable[[str], None]) -> AsyncIterator[MadeTree]:
        self.made.append(str(version))
        log("Resolved 1 package\n")
        try:
            await self.gate.wait()
            if self.failure is not None:
                raise BuildFailed(self.failure)
            yield MadeTree(TREE, Path("/tree"), 3, self.chunk)
        finally:
            self.removed += 1

    @staticmethod
    async def chunk(seq: int) -> bytes:
        return CHUNKS[seq]


@define
class DrivenTrial(TreeTrial):
    failure: str | None = None

    async def trial(self, language: Language, tree: Path, preload: Sequence[str], memory_mb: int) -> TrialFacts:
        if self.failure is not None:
            raise TrialFailed(self.failure)
        assert (language, tree, tuple(preload), memory_mb) == (PYTHON, Path("/tree"), version().preload, 128)
        return TrialFacts(198.0, 41.0, 60.0, 200.0)


@define
class FailingQueue(MemoryBuildQueue):
    """Fails so many ends before it stores one."""

    failing: int = 0
    renewals: int = 0

    async def renew(self, build: ClaimedBuild, log: str, now: object) -> bool:
        self.renewals += 1
        return await MemoryBuildQueue.renew(self, build, log, now)

    async def end(self, build: ClaimedBuild, end: BuildEnd, log: str, now: object) -> bool:
        if self.failing:
            self.failing -= 1
            raise StorageUnavailable
        return await MemoryBuildQueue.end(self, build, end, log, now)


@define(eq=False)
class World:
    """A builder over fakes, and one version to build."""

    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    maker: DrivenMaker = field(factory=DrivenMaker)
    queue: FailingQueue = field(init=False)
    repository: MemoryEnvironmentRepository = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.maker.gate.set()
        self.queue = FailingQueue(self.store)
        self.repository = MemoryEnvironmentRepository(self.store)

    def builder(self, trial: TreeTrial | None = None, renewed_every_s: float = 0.0) -> Builder:
        return Builder(
            ManualClock(),
            SequentialIds(),
            self.queue,
            MemoryTreeStore(self.store),
            self.maker,
            FixedPlatforms(),
            [PYTHON],
            128,
            trial,
            BuildTimes(30.0, renewed_every_s, 0.002),
        )

    async def stored(self) -> StoredEnvironment:
        return await self.repository.get("data", 1)


@pytest.fixture
async def world() -> World:
    made = World()
    await made.repository.add(version(), act())
    return made


async def test_a_version_is_built_tried_and_stored(world):
    builder = world.builder(DrivenTrial())
    assert await builder.build_next(PYTHON)
    (build,) = (await world.stored()).builds
    assert (build.status, build.digest, build.log) == ("ready", DIGEST, "Resolved 1 package\n")
    assert (build.facts.bytes, build.facts.dropped, build.facts.cpu_ms, build.facts.private_mb) == (
        TREE.size,
        3,
        198,
        41,
    )
    assert (builder.stats.ready, builder.stats.is_building, world.maker.removed) == (1, False, 1)
    assert not await builder.build_next(PYTHON)


async def test_without_a_trial_nothing_is_measured(world):
    await world.builder().build_next(PYTHON)
    (build,) = (await world.stored()).builds
    assert (build.status, build.facts.cpu_ms) == ("ready", None)


async def test_a_build_that_fails_says_why_and_is_not_begun_again(world):
    world.maker.failure = "uv ended with status 1: no such version"
    builder = world.builder()
    await builder.build_next(PYTHON)
    (build,) = (await world.stored()).builds
    assert (build.status, build.facts.reason) == ("failed", world.maker.failure)
    assert build.log.endswith(f"{world.maker.failure}\n")
    assert not await builder.build_next(PYTHON)
    assert builder.stats.failed == 1


async def test_a_tree_that_cannot_be_preloaded_is_not_stored(world):
    await world.builder(DrivenTrial("pyarrow starts 1 thread: leave it out of preload")).build_next(PYTHON)
    assert (await world.stored()).status == "failed"
    assert world.store.trees == {}


async def test_a_version_whose_builds_were_interrupted_too_often_has_failed(world):
    for attempt in range(ATTEMPTS_MAX):
        await world.queue.claim(claim(attempt + 1, -(ATTEMPTS_MAX - attempt) * LEASE))
    await world.builder().build_next(PYTHON)
    (build,) = (await world.stored()).builds
    assert (build.status, world.maker.made) == ("failed", [])
    assert build.facts.reason.startswith(f"a build began {ATTEMPTS_MAX} times and none ended: the host was stopped, or")


async def test_a_build_that_ends_without_the_database_is_lost(world):
    @asynccontextmanager
    async def failing(*_: object) -> AsyncIterator[MadeTree]:
        world.store.failure = StorageUnavailable()
        yield MadeTree(TREE, Path("/tree"), 0, DrivenMaker.chunk)

    world.maker.making = failing
    builder = world.builder()
    with pytest.raises(StorageUnavailable):
        await builder.build_next(PYTHON)
    assert (builder.stats.lost, builder.stats.is_building) == (1, False)


async def test_a_build_that_another_builder_has_taken_is_given_up(world):
    world.maker.gate.clear()
    builder = world.builder()
    building = asyncio.create_task(builder.build_next(PYTHON))
    await until(lambda: builder.stats.is_building and world.maker.made)
    world.store.builders.clear()
    await until(building.done)
    assert (builder.stats.lost, world.maker.removed) == (1, 1)


async def test_while_it_builds_the_lease_is_renewed_and_the_log_is_stored(world):
    world.maker.gate.clear()
    building = asyncio.create_task(world.builder().build_next(PYTHON))

    async def is_stored() -> bool:
        return any(build.log for build in (await world.stored()).builds)

    await until(is_stored)
    world.maker.gate.set()
    await building
    assert (await world.stored()).status == "ready"


async def test_an_end_that_the_database_does_not_store_at_once_is_stored_later(world):
    world.queue.failing = 1
    await world.builder().build_next(PYTHON)
    assert (await world.stored()).status == "ready"


async def test_without_the_database_the_end_is_left_to_another_builder(world):
    world.queue.failing = 99
    builder = world.builder()
    await builder.build_next(PYTHON)
    assert ((await world.stored()).status, builder.stats.lost, world.queue.failing) == ("building", 1, 94)


async def test_a_lease_is_not_renewed_more_often_than_needed(world):
    world.maker.gate.clear()
    building = asyncio.create_task(world.builder(renewed_every_s=30.0).build_next(PYTHON))
    await until(lambda: world.queue.renewals)
    ends_s = asyncio.get_running_loop().time() + 0.02
    await until(lambda: asyncio.get_running_loop().time() > ends_s)
    world.maker.gate.set()
    await building
    assert world.queue.renewals <= 2


async def test_an_end_that_is_refused_leaves_the_build_to_another_builder(world):
    builder = world.builder()

    @asynccontextmanager
    async def lost(*_: object) -> AsyncIterator[MadeTree]:
        world.store.builders.clear()
        yield MadeTree(TREE, Path("/tree"), 0, DrivenMaker.chunk)

    world.maker.making = lost
    await builder.build_next(PYTHON)
    assert ((await world.stored()).status, builder.stats.lost) == ("building", 1)


async def test_it_builds_until_it_is_ended_and_survives_failures_of_the_database(world):
    builder = world.builder()
    world.store.failure = StorageUnavailable()
    running = asyncio.create_task(builder.run())
    await asyncio.sleep(0)
    world.store.failure = None
    builder.wake()
    await until(lambda: builder.stats.ready == 1)
    await world.repository.add(version(2), act())
    builder.wake()
    await until(lambda: builder.stats.ready == 2)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
