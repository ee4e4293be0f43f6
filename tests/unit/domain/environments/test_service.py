"""The use cases of environments."""

import pytest
from attrs import define, evolve, field

from adapters.memory.environments import MemoryEnvironmentRepository, MemoryEnvironmentStore
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from domain.audit import Act
from domain.environments.build import BuildStatus
from domain.environments.environment import EnvironmentConflict, EnvironmentNotFound, EnvironmentVersion
from domain.environments.service import BuildsUnavailable, EnvironmentService, InvalidLock, NewEnvironment
from domain.errors import InvalidRequest
from domain.identity import Owner
from domain.scripts.language import Language
from tests.contracts.environments import version
from tests.support.acts import OPERATOR
from tests.unit.domain.environments.test_environment import build

LOCK = f"six==1.17.0 --hash=sha256:{'0' * 64}"
ASKED = NewEnvironment("data", Language.PYTHON, LOCK, ("six", "os.path"))


class RacingRepository(MemoryEnvironmentRepository):
    """Another process is faster with every version."""

    async def add(self, version: EnvironmentVersion, act: Act) -> bool:
        await MemoryEnvironmentRepository.add(self, evolve(version, lock=f"{version.version}"), act)
        return False


@define(eq=False)
class World:
    """The service over a fake."""

    store: MemoryEnvironmentStore = field(factory=MemoryEnvironmentStore)
    woken: int = 0

    def service(self, kind: type[MemoryEnvironmentRepository] = MemoryEnvironmentRepository) -> EnvironmentService:
        languages = frozenset({Language.PYTHON})
        return EnvironmentService(ManualClock(), SequentialIds(), kind(self.store), languages, self.wake)

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def world() -> World:
    return World()


async def test_other_content_is_the_next_version_and_the_builder_is_woken(world):
    service = world.service()
    first, is_new = await service.create(ASKED, OPERATOR)
    assert (str(first.version), is_new, first.status, first.version.author) == (
        "data@1",
        True,
        "queued",
        "root@example",
    )
    second, is_new = await service.create(evolve(ASKED, preload=()), OPERATOR)
    assert (str(second.version), is_new, world.woken) == ("data@2", True, 2)
    assert [str(each.version) for each in await service.versions()] == ["data@2", "data@1"]
    assert (await service.get("data")).version == second.version
    assert first.version.lock == f"six==1.17.0 --hash=sha256:{'0' * 64}\n"


async def test_the_same_content_as_the_newest_version_makes_none(world):
    service = world.service()
    await service.create(ASKED, OPERATOR)
    again, is_new = await service.create(evolve(ASKED, lock=f"# made anew\n{LOCK}\n"), OPERATOR)
    assert (str(again.version), is_new, world.woken) == ("data@1", False, 1)


async def test_the_same_content_as_a_failed_version_is_built_again(world):
    service = world.service()
    await service.create(ASKED, OPERATOR)
    world.store.builds[("data", 1), "p"] = build(BuildStatus.FAILED, "p")
    again, is_new = await service.create(ASKED, OPERATOR)
    assert (again.status, is_new, world.woken) == ("queued", False, 2)


async def test_the_same_content_as_a_retired_version_is_a_new_one(world):
    service = world.service()
    await service.create(ASKED, OPERATOR)
    await service.retire("data", 1, OPERATOR)
    assert (await service.get("data", 1)).status == "retired"
    made, is_new = await service.create(ASKED, OPERATOR)
    assert (str(made.version), is_new) == ("data@2", True)


async def test_what_is_not_stored_is_not_found(world):
    with pytest.raises(EnvironmentNotFound):
        await world.service().get("data")
    with pytest.raises(EnvironmentNotFound):
        await world.service().retire("data", 1, OPERATOR)


async def test_a_creator_who_always_comes_second_gives_up(world):
    with pytest.raises(EnvironmentConflict):
        await world.service(RacingRepository).create(ASKED, OPERATOR)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"name": "Data"}, "/name"),
        ({"preload": tuple(f"m{n}" for n in range(65))}, "/preload"),
        ({"preload": ("six", "six")}, "/preload"),
        ({"preload": ("six", "os; import x")}, "/preload/1"),
        ({"language": Language.NODEJS, "preload": ("a/../../b",)}, "/preload/0"),
        ({"owners": ()}, "/owners"),
        ({"owners": tuple(Owner(f"o{n}") for n in range(257))}, "/owners"),
        ({"description": "ü" * 1025}, "/description"),
    ],
)
async def test_an_environment_that_cannot_be_is_refused_with_the_place(world, changed, pointer):
    with pytest.raises(InvalidRequest) as refused:
        await world.service().create(evolve(ASKED, **changed), OPERATOR)
    assert [problem.pointer for problem in refused.value.problems] == [pointer]


async def test_a_lock_that_is_not_accepted_is_refused_with_its_lines(world):
    with pytest.raises(InvalidLock) as refused:
        await world.service().create(evolve(ASKED, lock=f"{LOCK}\nnumpy==2.5.5\n"), OPERATOR)
    assert "line 2: numpy has no --hash" in refused.value.message
    assert refused.value.details["problems"][0]["line"] == 2
    assert refused.value.details["problems"][0]["pointer"] == "/lock"


async def test_without_an_index_nothing_is_stored_and_the_setting_is_named(world):
    lock = '{"lockfileVersion":3,"packages":{"":{},"node_modules/a":{"version":"1.0.0","integrity":"sha512-%s"}}}'
    asked = NewEnvironment("web", Language.NODEJS, lock % ("A" * 86 + "=="), ("@s/a/b",))
    with pytest.raises(BuildsUnavailable, match="ENVIRONMENT_INDEX_NODEJS"):
        await world.service().create(asked, OPERATOR)
    assert world.store.versions == {}


async def test_all_versions_of_a_name_are_for_one_language(world):
    world.store.versions["data", 1] = evolve(version(), language=Language.NODEJS)
    with pytest.raises(InvalidRequest) as refused:
        await world.service().create(ASKED, OPERATOR)
    (problem,) = refused.value.problems
    assert problem.pointer == "/language"
    assert problem.message == "must be nodejs, as in data@1; choose another name for python"
