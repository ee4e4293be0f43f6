"""The contracts of EnvironmentRepository, BuildQueue and TreeStore."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve, frozen

from adapters.memory.manual_clock import ManualClock
from domain.audit import ActName, AuditReader
from domain.environments.build import LEASE, BuildClaim, BuildEnd, BuildFacts, BuildStatus
from domain.environments.environment import PINNING_MAX, EnvironmentNotFound, EnvironmentVersion
from domain.environments.ports import BuildQueue, EnvironmentRepository, TreeStore, WaitingBuilds
from domain.environments.tree import CHUNK_SIZE, StoredTree
from domain.errors import QuotaReached
from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.identity import Owner, uuid7_at
from domain.scripts.language import Language
from tests.support.acts import act, recorded

NOW = ManualClock().now()
SECOND = timedelta(seconds=1)
VERSIONS_MAX = 4
OLDER_MAX = 2
PLATFORM = "cp313-x86_64-glibc"
CREATE, RETIRE = ActName.ENVIRONMENTS_CREATE, ActName.ENVIRONMENTS_RETIRE
CHUNKS = [b"a" * CHUNK_SIZE, b"\x00\xff'\\"]
DIGEST = hashlib.sha256(b"".join(CHUNKS)).hexdigest()
TREE = StoredTree(DIGEST, 1, 1_000_000, 12, sum(map(len, CHUNKS)))
READY = BuildEnd(BuildFacts(bytes=1_000_000, files=12, cpu_ms=1.5), DIGEST)
FAILED = BuildEnd(BuildFacts.failed("no such version"))


@frozen
class Environments:
    """What is stored of environments, by its ports."""

    repository: EnvironmentRepository
    queue: BuildQueue
    trees: TreeStore
    audit: AuditReader
    add_session: Callable[[UUID, Grants | None], Awaitable[object]]
    add_function: Callable[[Grants], Awaitable[object]]

    async def retired(self, number: int = 1) -> None:
        """Store a version that was built, and retire it at NOW."""
        await self.add(number)
        await self.queue.end(await self.queue.claim(claim(number)), FAILED, "", NOW)
        await self.repository.retire("data", number, NOW, act(RETIRE))

    async def names(self) -> list[str]:
        """Return the versions that are stored, with the numbers of their builds."""
        return [f"{each.version} {len(each.builds)}" for each in await self.repository.versions()]

    async def add(self, number: int = 1, **changed: object) -> EnvironmentVersion:
        """Store a version and return it."""
        made = version(number, **changed)
        assert await self.repository.add(made, act(CREATE))
        return made

    async def store_tree(self) -> None:
        """Store the whole tree, which is not complete before a build ends with it."""
        await self.trees.begin(TREE, NOW)
        for seq, content in enumerate(CHUNKS):
            await self.trees.write(DIGEST, seq, content)


def version(number: int = 1, **changed: object) -> EnvironmentVersion:
    made = EnvironmentVersion(
        name="data",
        version=number,
        language=Language.PYTHON,
        lock="numpy==2.5.5 --hash=sha256:" + 64 * "0" + "\n",
        preload=("numpy", 'odd "\\ {x}, name'),
        owners=(Owner("alice"), Owner('b"o,b')),
        description="",
        created_at=NOW + number * SECOND,
        author="root",
    )
    return evolve(made, **changed)


def claim(builder: int = 1, after: timedelta = timedelta(0), platform: str = PLATFORM) -> BuildClaim:
    return BuildClaim(UUID(int=builder), "python", platform, NOW + after)


class EnvironmentRepositoryContract:
    """Subclasses have a fixture `environments`, without versions and for at most VERSIONS_MAX of them.

    Removals read at most OLDER_MAX sessions.
    """

    @pytest.fixture
    def environments(self) -> Environments:
        raise NotImplementedError

    @pytest.mark.parametrize("owners", [None, (), (Owner("alice"), Owner('b"o,b'))])
    async def test_a_version_is_returned_as_it_was_stored(self, environments, owners):
        made = await environments.add(owners=owners, description="für 'alle'", preload=())
        found = await environments.repository.get("data", 1)
        assert (found.version, list(found.builds), found.status) == (made, [], "queued")

    async def test_the_newest_version_is_returned_if_none_is_named(self, environments):
        for number in (1, 2):
            await environments.add(number)
        assert (await environments.repository.get("data")).version == version(2)

    async def test_what_is_not_stored_is_not_found(self, environments):
        await environments.add()
        for name, number in (("data", 2), ("date", None)):
            with pytest.raises(EnvironmentNotFound):
                await environments.repository.get(name, number)
        with pytest.raises(EnvironmentNotFound):
            await environments.repository.retire("data", 2, NOW, act(RETIRE))

    async def test_a_version_that_is_stored_again_changes_nothing_and_another_one_does_not_get_its_number(
        self, environments
    ):
        made = await environments.add()
        assert await environments.repository.add(made, act(CREATE))
        assert not await environments.repository.add(evolve(made, lock="x"), act(CREATE))
        assert (await environments.repository.get("data")).version == made
        assert [(entry.act, entry.subject) for entry in await recorded(environments.audit)] == [(CREATE, "data@1")]

    async def test_of_versions_that_are_stored_at_once_one_gets_the_number(self, environments):
        locks = [evolve(version(), lock=f"{n}") for n in range(4)]
        stored = await asyncio.gather(*(environments.repository.add(each, act(CREATE)) for each in locks))
        assert sorted(stored) == [False, False, False, True]

    async def test_versions_beyond_the_limit_are_refused(self, environments):
        for number in range(1, VERSIONS_MAX + 1):
            await environments.add(number)
        with pytest.raises(QuotaReached) as reached:
            await environments.repository.add(version(1, name="more"), act(CREATE))
        assert reached.value.details == {"limit": "environments", "allowed": VERSIONS_MAX, "observed": VERSIONS_MAX}

    async def test_a_list_has_versions_by_name_with_the_newest_first_and_without_their_texts(self, environments):
        await environments.add(1)
        await environments.add(1, name="a", language=Language.NODEJS)
        await environments.add(2)
        taken = await environments.queue.claim(claim())
        await environments.queue.renew(taken, "log", NOW)
        found = await environments.repository.versions()
        assert [str(each.version) for each in found] == ["a@1", "data@2", "data@1"]
        assert {each.version.lock for each in found} == {""}
        assert [(build.status, build.log) for each in found for build in each.builds] == [("building", "")]
        assert [each.version.version for each in await environments.repository.versions("data")] == [2, 1]

    async def test_a_version_is_retired_once(self, environments):
        await environments.add()
        for after in (SECOND, 2 * SECOND):
            await environments.repository.retire("data", 1, NOW + after, act(RETIRE))
        found = await environments.repository.get("data")
        assert (found.version.retired_at, found.status) == (NOW + SECOND, "retired")
        assert [entry.act for entry in await recorded(environments.audit)] == [RETIRE, CREATE]

    async def test_a_retired_version_is_removed_with_its_builds_but_the_newest_keeps_its_number(self, environments):
        for number in (1, 2):
            await environments.retired(number)
        assert await environments.repository.remove_retired(NOW - SECOND) == 0
        assert await environments.repository.remove_retired(NOW) == 2
        assert await environments.names() == ["data@2 0"]
        assert await environments.repository.remove_retired(NOW) == 0
        await environments.add(3)
        assert await environments.repository.remove_retired(NOW) == 1
        assert await environments.names() == ["data@3 0"]

    async def test_a_version_that_is_not_retired_is_not_removed(self, environments):
        for number in (1, 2):
            await environments.add(number)
        assert await environments.repository.remove_retired(NOW + PINNING_MAX) == 0
        assert await environments.names() == ["data@2 0", "data@1 0"]

    @pytest.mark.parametrize(
        ("granted", "removed"), [(("data", 1), 0), (("data", 11), 1), (("ata", 1), 1), (None, 1)], ids=str
    )
    async def test_a_version_that_a_session_has_is_not_removed(self, environments, granted, removed):
        await environments.retired()
        grants = None if granted is None else Grants(environment=EnvironmentGrant(*granted, Language.PYTHON))
        await environments.add_session(uuid7_at(NOW + PINNING_MAX - SECOND, 7), grants)
        assert await environments.repository.remove_retired(NOW) == removed

    async def test_a_version_that_a_function_grants_is_not_removed(self, environments):
        await environments.retired()
        await environments.add_function(Grants(environment=EnvironmentGrant("data", 1, Language.PYTHON)))
        assert await environments.repository.remove_retired(NOW) == 0

    async def test_a_function_that_grants_the_newest_version_keeps_none(self, environments):
        await environments.retired()
        await environments.add_function(Grants(environment=EnvironmentGrant("data", None, Language.PYTHON)))
        assert await environments.repository.remove_retired(NOW) == 1

    async def test_while_too_many_sessions_are_older_nothing_is_removed(self, environments):
        await environments.retired()
        for number in range(OLDER_MAX + 1):
            await environments.add_session(uuid7_at(NOW - SECOND, number), None)
        assert await environments.repository.remove_retired(NOW) == 0

    async def test_as_many_older_sessions_as_are_read_and_any_later_ones_do_not_hinder_a_removal(self, environments):
        await environments.retired()
        for number in range(OLDER_MAX + 1):
            await environments.add_session(uuid7_at(NOW + PINNING_MAX + SECOND, number), None)
        for number in range(OLDER_MAX):
            await environments.add_session(uuid7_at(NOW - SECOND, number), None)
        assert await environments.repository.remove_retired(NOW) == 1


class BuildQueueContract:
    """Subclasses have a fixture `environments`, as those of EnvironmentRepositoryContract."""

    @pytest.fixture
    def environments(self) -> Environments:
        raise NotImplementedError

    async def test_versions_are_taken_in_the_order_of_their_creation(self, environments):
        await environments.add(1, name="b", created_at=NOW + SECOND)
        await environments.add(1, name="a", created_at=NOW + 2 * SECOND)
        taken = [await environments.queue.claim(claim(n)) for n in (1, 2, 3)]
        assert [each and each.version.name for each in taken] == ["b", "a", None]
        assert (taken[0].version.lock, taken[0].attempt) == (version().lock, 1)

    async def test_versions_of_another_language_and_retired_ones_are_not_taken(self, environments):
        await environments.add(1, language=Language.NODEJS)
        await environments.add(2)
        await environments.repository.retire("data", 2, NOW, act(RETIRE))
        assert await environments.queue.claim(claim()) is None

    async def test_each_platform_has_a_build_of_its_own(self, environments):
        await environments.add()
        platforms = ("p1", "p2")
        taken = [await environments.queue.claim(claim(platform=platform)) for platform in platforms]
        assert [each.version for each in taken] == [version(), version()]
        builds = (await environments.repository.get("data")).builds
        assert [(build.platform, build.status) for build in builds] == [("p1", "building"), ("p2", "building")]

    async def test_of_builders_that_come_at_once_one_takes_the_version(self, environments):
        await environments.add()
        taken = await asyncio.gather(*(environments.queue.claim(claim(n)) for n in range(4)))
        assert len([each for each in taken if each is not None]) == 1

    async def test_a_build_whose_lease_has_ended_is_taken_again_and_its_builder_has_lost_it(self, environments):
        await environments.add()
        first = await environments.queue.claim(claim(1))
        assert await environments.queue.claim(claim(2, LEASE - SECOND)) is None
        second = await environments.queue.claim(claim(3, LEASE))
        assert second.attempt == 2
        await environments.store_tree()
        assert not await environments.queue.renew(first, "", NOW + LEASE)
        assert not await environments.queue.end(first, READY, "", NOW + LEASE)
        assert await environments.queue.end(second, FAILED, "", NOW + LEASE)

    async def test_a_renewed_build_is_not_taken_and_shows_its_log(self, environments):
        await environments.add()
        taken = await environments.queue.claim(claim(1))
        assert await environments.queue.renew(taken, "Resolved\n", NOW + LEASE)
        assert await environments.queue.claim(claim(2, 2 * LEASE - SECOND)) is None
        (build,) = (await environments.repository.get("data")).builds
        assert (build.log, build.lease_until) == ("Resolved\n", NOW + 2 * LEASE)

    async def test_versions_wait_until_a_builder_has_them_and_again_if_it_was_lost(self, environments):
        assert await environments.queue.waiting(NOW) == WaitingBuilds(0, None)
        for number in (1, 2, 3):
            await environments.add(number)
        await environments.repository.retire("data", 3, NOW, act(RETIRE))
        assert await environments.queue.waiting(NOW) == WaitingBuilds(2, NOW + SECOND)
        taken = [await environments.queue.claim(claim(n)) for n in (1, 2)]
        assert await environments.queue.waiting(NOW + LEASE - SECOND) == WaitingBuilds(0, None, 2)
        assert await environments.queue.waiting(NOW + LEASE) == WaitingBuilds(2, NOW + LEASE)
        assert await environments.queue.end(taken[0], FAILED, "", NOW)
        assert (await environments.queue.waiting(NOW + LEASE)).count == 1
        for builder in (3, 4):
            await environments.queue.claim(claim(builder, LEASE, "another platform"))
        assert await environments.queue.waiting(NOW + LEASE) == WaitingBuilds(0, None, 2)

    async def test_a_build_is_ready_with_its_tree_and_ending_it_again_changes_nothing(self, environments):
        await environments.add()
        taken = await environments.queue.claim(claim())
        await environments.store_tree()
        for _ in range(2):
            assert await environments.queue.end(taken, READY, "done", NOW)
        found = await environments.repository.get("data")
        (build,) = found.builds
        assert (found.status, build.status, build.digest) == ("ready", BuildStatus.READY, DIGEST)
        assert (build.facts, build.log) == (READY.facts, "done")
        assert await environments.trees.get(DIGEST) == TREE
        assert not await environments.queue.renew(taken, "", NOW)

    async def test_a_build_does_not_end_with_a_tree_that_lacks_a_chunk(self, environments):
        await environments.add()
        taken = await environments.queue.claim(claim())
        await environments.trees.begin(TREE, NOW)
        await environments.trees.write(DIGEST, 0, CHUNKS[0])
        assert not await environments.queue.end(taken, READY, "", NOW)
        assert (await environments.repository.get("data")).status == "building"
        assert await environments.trees.get(DIGEST) is None

    async def test_a_failed_build_is_not_taken_again_before_its_failure_is_forgotten(self, environments):
        await environments.add()
        taken = await environments.queue.claim(claim(1))
        assert await environments.queue.end(taken, FAILED, "log", NOW)
        found = await environments.repository.get("data")
        assert (found.status, found.builds[0].facts.reason) == ("failed", "no such version")
        assert await environments.queue.claim(claim(2, 2 * LEASE)) is None
        await environments.repository.forget_failures("data", 1)
        again = await environments.queue.claim(claim(3, 2 * LEASE))
        assert (again.version, again.attempt) == (version(), 1)

    async def test_builds_that_have_not_failed_are_not_forgotten(self, environments):
        await environments.add()
        await environments.queue.claim(claim())
        await environments.repository.forget_failures("data", 1)
        assert (await environments.repository.get("data")).status == "building"


class TreeStoreContract:
    """Subclasses have a fixture `environments`, as those of EnvironmentRepositoryContract."""

    @pytest.fixture
    def environments(self) -> Environments:
        raise NotImplementedError

    async def ready(self, environments: Environments) -> None:
        await environments.add()
        taken = await environments.queue.claim(claim())
        await environments.store_tree()
        assert await environments.queue.end(taken, READY, "", NOW)

    async def test_a_tree_is_found_once_it_is_complete(self, environments):
        await environments.store_tree()
        assert await environments.trees.get(DIGEST) is None
        assert await environments.trees.read(DIGEST, 0) is None
        await self.ready(environments)
        assert await environments.trees.get(DIGEST) == TREE
        assert [await environments.trees.read(DIGEST, seq) for seq in range(3)] == [*CHUNKS, None]

    async def test_storing_a_tree_again_changes_nothing(self, environments):
        await self.ready(environments)
        await environments.trees.begin(TREE, NOW)
        await environments.trees.write(DIGEST, 0, b"other")
        assert await environments.trees.get(DIGEST) == TREE
        assert await environments.trees.read(DIGEST, 0) == CHUNKS[0]

    async def test_chunks_of_a_tree_that_has_not_begun_are_not_stored(self, environments):
        await environments.trees.write(DIGEST, 0, CHUNKS[0])
        await environments.trees.begin(TREE, NOW)
        await environments.trees.write(DIGEST, 1, CHUNKS[1])
        await environments.add()
        taken = await environments.queue.claim(claim())
        assert not await environments.queue.end(taken, READY, "", NOW)

    async def test_a_tree_that_a_build_names_stays(self, environments):
        await self.ready(environments)
        assert await environments.trees.sweep(NOW + LEASE) == 0
        assert await environments.trees.get(DIGEST) == TREE

    async def test_a_tree_that_no_build_names_goes_unless_it_is_young(self, environments):
        await environments.store_tree()
        assert await environments.trees.sweep(NOW - SECOND) == 0
        removed = 0
        while parts := await environments.trees.sweep(NOW):
            removed += parts
        assert removed == len(CHUNKS) + 1
        await environments.trees.write(DIGEST, 0, CHUNKS[0])
        await environments.trees.begin(TREE, NOW)
        await environments.add()
        taken = await environments.queue.claim(claim())
        assert not await environments.queue.end(taken, READY, "", NOW)

    async def test_a_tree_that_is_stored_anew_is_young(self, environments):
        await environments.store_tree()
        await environments.trees.begin(TREE, NOW + SECOND)
        assert await environments.trees.sweep(NOW) == 0
