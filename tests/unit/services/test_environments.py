"""Sessions with an environment, and their executions."""

from datetime import timedelta

import pytest
from attrs import evolve

from adapters.memory.environments import MemoryEnvironmentRepository
from domain.access.principal import ANYBODY
from domain.environments.build import BuildStatus
from domain.environments.environment import EnvironmentNotFound, EnvironmentNotReady
from domain.errors import InvalidRequest
from domain.functions.function import Example, Precondition
from domain.functions.service import FunctionRequest, Write
from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import ANONYMOUS
from domain.json_text import JsonText
from domain.queue.dispatcher import DispatchPolicy
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus
from tests.contracts.environments import version
from tests.support.acts import act
from tests.unit.domain.environments.test_environment import build
from tests.unit.services.conftest import World
from tests.unit.services.later import ALLOWANCE, Later

PARAMS = JsonText('{"a": 1}')
PINNED = EnvironmentGrant("data", 1, Language.PYTHON)
USED = Environment("data", 1, "ab", version().preload)


async def ready(world: World, number: int = 1, **changed: object) -> None:
    """Store a version for all owners, with a build."""
    made = version(number, **{"owners": None} | changed)
    assert await MemoryEnvironmentRepository(world.environments).add(made, act())
    world.environments.builds[(made.name, number), "cp313-x86_64-glibc"] = build(BuildStatus.READY)


async def test_a_session_keeps_the_version_that_was_newest(world: World) -> None:
    await ready(world)
    ref = await world.session(grants=Grants(environment=EnvironmentGrant("data")))
    await ready(world, 2)
    assert (await world.session_service.get(ref)).grants == Grants(environment=PINNED)
    await world.execution_service.execute(ref, PARAMS)
    await world.execution_service.execute(await world.session(), PARAMS)
    assert world.runner.environments == [USED, None]


@pytest.mark.parametrize("mode", StateMode)
async def test_a_run_gets_its_packages_beside_its_state(world: World, mode: StateMode) -> None:
    await ready(world)
    grants = Grants(StateGrant(mode), environment=EnvironmentGrant("data", 1))
    ref = await world.session(grants=grants)
    assert (await world.execution_service.execute(ref, PARAMS)).execution_count == 1
    assert world.runner.environments == [USED]


async def test_no_session_begins_with_what_is_not_there_or_not_ready(world: World) -> None:
    with pytest.raises(EnvironmentNotFound):
        await world.session(grants=Grants(environment=EnvironmentGrant("data")))
    await MemoryEnvironmentRepository(world.environments).add(version(owners=None), act())
    with pytest.raises(EnvironmentNotReady):
        await world.session(grants=Grants(environment=EnvironmentGrant("data")))


async def test_packages_of_another_language_are_refused(world: World) -> None:
    await ready(world, language=Language.NODEJS)
    with pytest.raises(InvalidRequest, match="/environment: must be one for python: data@1 has packages for nodejs"):
        await world.session(grants=Grants(environment=EnvironmentGrant("data")))


async def test_an_owner_that_may_no_longer_use_the_packages_runs_nothing(world: World) -> None:
    await ready(world)
    ref = await world.session(grants=Grants(environment=EnvironmentGrant("data")))
    stored = world.environments.versions["data", 1]
    world.environments.versions["data", 1] = evolve(stored, owners=())
    assert ref.owner == ANONYMOUS
    with pytest.raises(EnvironmentNotFound):
        await world.execution_service.execute(ref, PARAMS)
    assert not world.store.open_executions


def test_a_grant_is_read_from_its_text() -> None:
    grants = Grants(environment=PINNED)
    assert grants.text() == '{"environment":{"language":"python","name":"data","version":1}}'
    assert Grants.of(grants.text()) == grants
    named = Grants(environment=EnvironmentGrant("data"))
    assert Grants.of(named.text()) == named
    assert (str(PINNED), str(named.environment)) == ("data@1", "data")


def test_a_session_may_narrow_the_environment_of_its_function_to_a_version() -> None:
    asked = EnvironmentGrant("data", 1)
    assert not list(asked.excess(EnvironmentGrant("data")))
    assert not list(asked.excess(EnvironmentGrant("data", 1)))
    for granted in (EnvironmentGrant("data", 2), EnvironmentGrant("other")):
        (problem,) = asked.excess(granted)
        assert problem.pointer == ""
        assert problem.message.startswith(f"must be {granted}, as the function grants it")


async def registered(world: World, examples: tuple[Example, ...]) -> None:
    grants = Grants(environment=EnvironmentGrant("data"))
    request = FunctionRequest("result = 1", examples=examples, grants=grants)
    write = Write(ANONYMOUS, ANONYMOUS, "python-adder", Precondition(), "192.0.2.7", ANYBODY.require_grants)
    await world.function_service.register(write, request, check=True)


async def test_examples_of_a_function_have_its_packages(world: World) -> None:
    example = Example(JsonText("{}"), JsonText("1"))
    await registered(world, ())
    with pytest.raises(EnvironmentNotFound):
        await registered(world, (example,))
    await ready(world)
    await registered(world, (example,))
    assert (await world.function_service.check(ANONYMOUS, "python-adder", ANONYMOUS)).holds
    assert world.runner.environments == [USED, USED]


async def test_examples_have_no_packages_of_another_language(world: World) -> None:
    await ready(world, language=Language.NODEJS)
    with pytest.raises(InvalidRequest, match="/environment: must be one for python"):
        await registered(world, (Example(JsonText("{}"), JsonText("1")),))


async def test_an_accepted_execution_without_its_packages_delays_no_other_one_of_its_owner(world: World) -> None:
    await ready(world)
    ref = await world.session(grants=Grants(environment=EnvironmentGrant("data")))
    stored = world.environments.versions["data", 1]
    world.environments.versions["data", 1] = evolve(stored, owners=())
    later = Later(world, DispatchPolicy(1, 1, ALLOWANCE, busy_pause_s=60, idle_pause_s=60))
    refused, other = await later.add(ref), await later.add(await world.session())
    async with later.dispatching():
        later.dispatcher.wake()
        assert (await later.ended(other)).status is ExecutionStatus.SUCCEEDED
        assert (await later.state(refused)).status is ExecutionStatus.QUEUED
        world.environments.versions["data", 1] = stored
        world.clock.advance(timedelta(seconds=30))
        later.dispatcher.wake()
        assert (await later.ended(refused)).status is ExecutionStatus.SUCCEEDED
    assert later.queue.put_backs == 1
