"""The background task that looks which versions wait for a builder."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from attrs import define, field

from adapters.memory.environments import MemoryEnvironmentStore
from adapters.memory.manual_clock import ManualClock
from domain.environments.build import LEASE, BuildEnd, BuildFacts
from domain.environments.builder import BuildStats
from domain.environments.ports import WaitingBuilds
from domain.environments.tree import TreeStats
from domain.environments.watch import BuildWatch
from domain.errors import StorageUnavailable
from entrypoints.http.endpoints.environment_health import EnvironmentHealth
from tests.contracts.environments import NOW, SECOND, Environments, claim
from tests.support.waiting import until
from tests.unit.environments.test_memory import in_memory


@define(eq=False)
class World:
    """A watch over fakes, a version that waits, and what the process has counted."""

    clock: ManualClock = field(factory=ManualClock)
    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    builds: BuildStats = field(factory=BuildStats)
    now_ns: int = 0
    trees: TreeStats = field(init=False)
    environments: Environments = field(init=False)
    watch: BuildWatch = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.trees = TreeStats(lambda: self.now_ns)
        self.environments = in_memory(self.store)
        self.watch = BuildWatch(self.clock, self.environments.queue, 0)

    async def health(self) -> tuple[object, object]:
        """Return the status and the reason."""
        facts = await EnvironmentHealth(self.watch, lambda: self.builds, lambda: self.trees).probe()
        return facts["status"], facts.get("reason")


@pytest.fixture
async def world() -> World:
    world = World()
    await world.environments.add()
    return world


async def test_a_version_that_waits_for_ten_minutes_degrades_the_service(world):
    await world.watch.look()
    assert world.watch.waiting == WaitingBuilds(1, NOW + SECOND)
    assert await world.health() == ("ok", None)
    world.clock.advance(timedelta(minutes=10, seconds=2))
    assert world.watch.late_since == NOW + SECOND
    status, reason = await world.health()
    assert (status, str(reason)[:52]) == ("degraded", "no controller has begun to build a version since 202")


async def test_no_version_waits_for_too_long_while_a_builder_has_another_one(world):
    build = await world.environments.queue.claim(claim())
    await world.environments.add(2)
    world.clock.advance(timedelta(minutes=20))
    await world.environments.queue.renew(build, "", world.clock.now())
    await world.watch.look()
    assert world.watch.waiting == WaitingBuilds(1, NOW + 2 * SECOND, 1)
    assert (world.watch.late_since, await world.health()) == (None, ("ok", None))
    world.clock.advance(LEASE)
    await world.watch.look()
    assert world.watch.late_since == NOW + 2 * SECOND


async def test_a_refused_fetch_degrades_the_service_until_the_tree_comes(world):
    world.trees.refuse("d1", "the disk lacks 5 bytes")
    assert await world.health() == ("degraded", "this host could not fetch packages")
    world.trees.take("d1")
    assert await world.health() == ("ok", None)


async def test_a_refused_fetch_counts_until_the_tree_is_found_or_for_ten_minutes(world):
    world.trees.refuse("d1", "the disk lacks 5 bytes")
    world.trees.find("d1")
    assert await world.health() == ("ok", None)
    world.trees.refuse("d2", "no database has them")
    world.now_ns += 599 * 10**9
    assert await world.health() == ("degraded", "this host could not fetch packages")
    world.now_ns += 10**9
    assert await world.health() == ("ok", None)
    assert world.trees.refused == 2


async def test_a_build_that_failed_is_shown_and_degrades_nothing(world):
    world.builds.end("data@1", BuildEnd(BuildFacts.failed("no such package")))
    facts = await EnvironmentHealth(world.watch, lambda: world.builds, lambda: world.trees).probe()
    assert (facts["status"], facts["not_built"]) == ("ok", {"data@1": "no such package"})
    world.builds.end("data@1", BuildEnd(BuildFacts(), "digest"))
    assert (world.builds.ready, world.builds.failed, world.builds.failures) == (1, 1, {})


def test_the_last_reasons_are_kept():
    builds, trees = BuildStats(), TreeStats(lambda: 0)
    for number in range(12):
        builds.end(f"data@{number}", BuildEnd(BuildFacts.failed("bad")))
        trees.refuse(f"{number}", "bad")
    expected = [str(number) for number in range(4, 12)]
    assert [name.removeprefix("data@") for name in builds.failures] == list(trees.refusals) == expected
    assert (builds.failed, trees.refused) == (12, 12)


async def test_it_looks_until_it_is_ended_and_survives_failures_of_the_database(world):
    world.store.failure = StorageUnavailable()
    running = asyncio.create_task(world.watch.run())
    await asyncio.sleep(0)
    assert world.watch.waiting.count == 0
    world.store.failure = None
    await until(lambda: world.watch.waiting.count == 1)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
