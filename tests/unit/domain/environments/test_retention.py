"""The background task that removes versions and trees that nothing uses."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from adapters.memory.environments import MemoryEnvironmentStore
from adapters.memory.manual_clock import ManualClock
from domain.environments.retention import EnvironmentRetention
from domain.errors import StorageUnavailable
from tests.contracts.environments import DIGEST, READY, RETIRE, TREE, Environments, claim
from tests.support.acts import act
from tests.unit.environments.test_memory import in_memory

HOUR = timedelta(hours=1)


@define(eq=False)
class World:
    """A task over fakes, and a version with a tree that is retired now."""

    clock: ManualClock = field(factory=ManualClock)
    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    environments: Environments = field(init=False)
    retention: EnvironmentRetention = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.environments = in_memory(self.store)
        parts = self.environments.repository, self.environments.trees
        self.retention = EnvironmentRetention(self.clock, *parts, pause_s=0)

    async def retire(self) -> None:
        await self.environments.add()
        taken = await self.environments.queue.claim(claim())
        await self.environments.store_tree()
        assert await self.environments.queue.end(taken, READY, "", self.clock.now())
        await self.environments.repository.retire("data", 1, self.clock.now(), act(RETIRE))


@pytest.fixture
async def world() -> World:
    world = World()
    await world.retire()
    return world


async def test_what_was_retired_an_hour_ago_is_removed_with_its_tree(world):
    world.clock.advance(HOUR - timedelta(seconds=1))
    await world.retention.remove_unused()
    assert DIGEST in world.store.trees
    world.clock.advance(timedelta(seconds=1))
    await world.retention.remove_unused()
    assert (world.store.builds, world.store.trees, world.store.chunks) == ({}, {}, {})
    assert (await world.environments.repository.get("data", 1)).status == "retired"


async def test_a_tree_that_another_version_has_stays(world):
    await world.environments.add(2)
    assert await world.environments.queue.end(
        await world.environments.queue.claim(claim(2)), READY, "", world.clock.now()
    )
    world.clock.advance(HOUR)
    await world.retention.remove_unused()
    assert DIGEST in world.store.trees
    assert list(world.store.versions) == [("data", 2)]


async def test_a_pass_ends_after_so_many_statements_and_the_next_one_removes_the_rest(world):
    other = evolve(TREE, digest="ab" * 32)
    await world.environments.trees.begin(other, world.clock.now())
    world.clock.advance(HOUR)
    parts = world.environments.repository, world.environments.trees
    passes = EnvironmentRetention(world.clock, *parts, sweeps_max=1)
    for left in (1, 0):
        await passes.remove_unused()
        assert len(world.store.trees) == left


async def test_the_task_continues_after_the_database_was_away(world):
    world.clock.advance(HOUR)
    world.store.failure = StorageUnavailable()
    task = asyncio.create_task(world.retention.run())
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.store.trees
    world.store.failure = None
    for _ in range(5):
        await asyncio.sleep(0)
    assert not world.store.trees
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
