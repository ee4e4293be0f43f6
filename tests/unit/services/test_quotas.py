"""Services hold owners to their quotas of sessions and executions."""

import asyncio

import pytest
from attrs import evolve

from adapters.memory.limits import MemoryUsageReader
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import QuotaReached, StorageUnavailable
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.limits.usage_limiter import UsagePolicy
from domain.scripts.script import ScriptSyntaxError
from domain.sessions.requests import SessionRequest
from domain.sessions.service import SessionService
from tests.support.quotas import limiter_over
from tests.unit.services.conftest import World

ALICE = Owner("alice")
GOOD, BAD = SessionRequest("python-x", "result = 1"), SessionRequest("python-x", "result = = 1")


def limited(world: World, **policy: int) -> SessionService:
    """Return the service with quotas over the world's store."""
    reader = MemoryUsageReader(world.store)
    quotas = limiter_over(reader, world.clock, UsagePolicy(**policy))
    return evolve(world.session_service, quotas=quotas)


async def test_a_session_over_the_quota_is_refused_before_its_syntax_check(world: World) -> None:
    service = limited(world, live_sessions_max=1)
    await service.initialize(ALICE, GOOD)
    with pytest.raises(QuotaReached):
        await service.initialize(ALICE, BAD)
    await service.initialize(Owner("bob"), GOOD)
    assert len(world.store.sessions) == 2


async def test_a_session_that_is_not_made_does_not_count(world: World) -> None:
    service = limited(world, live_sessions_max=1)
    with pytest.raises(ScriptSyntaxError):
        await service.initialize(ALICE, BAD)
    await service.initialize(ALICE, GOOD)


async def test_closing_a_session_twice_frees_its_quota_once(world: World) -> None:
    service = limited(world, live_sessions_max=2)
    first = await service.initialize(ALICE, GOOD)
    await service.initialize(ALICE, GOOD)
    await service.close(first.ref)
    await service.close(first.ref)
    await service.initialize(ALICE, GOOD)
    with pytest.raises(QuotaReached):
        await service.initialize(ALICE, GOOD)


async def test_a_silent_count_ends_with_the_budget(world: World) -> None:
    class SilentReader(MemoryUsageReader):
        async def usage(self, *_):
            return await asyncio.Event().wait()

    world.request_timeout_s = 0.01
    quotas = limiter_over(SilentReader(world.store), world.clock, UsagePolicy(1))
    service = evolve(world.session_service, quotas=quotas)
    with pytest.raises(StorageUnavailable):
        await service.initialize(ALICE, GOOD)


async def test_an_execution_counts_for_the_owner_of_its_session(world: World) -> None:
    in_flight = CapacityLimiter("an execution", 10, owner_max=1)
    service = evolve(world.execution_service, in_flight=in_flight)
    ref = await world.session("result = 1")
    with in_flight.hold(ANONYMOUS), pytest.raises(QuotaReached):
        await service.execute(ref, "{}")
    with in_flight.hold(ALICE):
        assert (await service.execute(ref, "{}")).execution_count == 1
    assert isinstance(ref, SessionRef)
