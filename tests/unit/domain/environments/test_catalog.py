"""Which environment a session gets, and what its runs use."""

from datetime import timedelta

import pytest
from attrs import define, evolve, field

from adapters.memory.environments import (
    FixedPlatforms,
    MemoryEnvironmentStore,
)
from adapters.memory.manual_clock import ManualClock
from domain.environments.build import BuildStatus
from domain.environments.catalog import EnvironmentCatalog
from domain.environments.environment import EnvironmentNotFound, EnvironmentNotReady
from domain.identity import Owner
from domain.scripts.environment import Environment
from tests.contracts.environments import DIGEST, FAILED, NOW, READY, Environments, claim, version
from tests.support.acts import act
from tests.unit.domain.environments.test_environment import build
from tests.unit.environments.test_memory import in_memory

ALICE, BOB = Owner("alice"), Owner("bob")


@define(eq=False)
class World:
    """A catalog over fakes."""

    clock: ManualClock = field(factory=ManualClock)
    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    catalog: EnvironmentCatalog = field(init=False)
    environments: Environments = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.environments = in_memory(self.store)
        self.catalog = EnvironmentCatalog(self.clock, self.environments.repository, FixedPlatforms())

    async def built(self, number: int, end=READY, **changed: object) -> None:
        await self.environments.add(number, **changed)
        taken = await self.environments.queue.claim(claim(number))
        await self.environments.store_tree()
        assert await self.environments.queue.end(taken, end, "", NOW)


@pytest.fixture
def world() -> World:
    return World()


async def test_without_a_number_a_session_gets_the_newest_version_that_is_ready(world):
    await world.built(1)
    await world.built(2)
    await world.built(3, FAILED)
    await world.environments.add(4)
    assert (await world.catalog.choose(ALICE, "data", None)).version == 2
    assert (await world.catalog.choose(ALICE, "data", 1)).version == 1


async def test_what_an_owner_may_not_use_is_not_found(world):
    await world.built(1)
    await world.built(2, owners=(BOB,))
    assert (await world.catalog.choose(ALICE, "data", None)).version == 1
    for owner, name, number in ((ALICE, "data", 2), (ALICE, "data", 3), (ALICE, "date", None)):
        with pytest.raises(EnvironmentNotFound):
            await world.catalog.choose(owner, name, number)


async def test_what_is_not_ready_is_refused_with_its_status(world):
    await world.environments.add(1)
    await refused(world, None, "queued")
    taken = await world.environments.queue.claim(claim())
    await refused(world, 1, "building")
    await world.environments.queue.end(taken, FAILED, "", NOW)
    error = await refused(world, 1, "failed")
    assert error.reason == "no such version"
    await world.environments.repository.retire("data", 1, NOW, act())
    await refused(world, None, "retired")


async def test_a_build_of_another_platform_does_not_count(world):
    await world.environments.add(1)
    world.store.builds[("data", 1), "other"] = build(BuildStatus.READY, "other")
    await refused(world, None, "queued")


async def refused(world: World, number: int | None, status: str) -> EnvironmentNotReady:
    with pytest.raises(EnvironmentNotReady) as error:
        await world.catalog.choose(ALICE, "data", number)
    assert error.value.status == status
    return error.value


async def test_a_run_uses_the_tree_of_its_version_also_if_it_is_retired(world):
    await world.built(1)
    await world.environments.repository.retire("data", 1, NOW, act())
    assert await world.catalog.find(ALICE, "data", 1) == Environment("data", 1, DIGEST, version().preload)
    with pytest.raises(EnvironmentNotFound):
        await world.catalog.find(BOB, "data", 1)


async def test_a_run_does_not_use_what_is_not_ready(world):
    await world.environments.add(1)
    for status in ("queued", "building"):
        with pytest.raises(EnvironmentNotReady) as error:
            await world.catalog.find(ALICE, "data", 1)
        assert error.value.status == status
        await world.environments.queue.claim(claim())


async def test_a_changed_list_of_owners_counts_after_5_s(world):
    await world.built(1)
    await world.catalog.find(ALICE, "data", 1)
    world.store.versions["data", 1] = evolve(version(), owners=(BOB,))
    await world.catalog.find(ALICE, "data", 1)
    world.clock.advance(timedelta(seconds=5))
    with pytest.raises(EnvironmentNotFound):
        await world.catalog.find(ALICE, "data", 1)
