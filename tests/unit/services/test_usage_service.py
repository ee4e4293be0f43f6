"""The use case of usage over fakes."""

import asyncio
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from adapters.memory.limits import MemoryUsageReader
from domain.access.principal import ANYBODY, Principal, Scope, ScopeMissing
from domain.errors import Overloaded
from domain.functions.function import Precondition
from domain.functions.service import FunctionRequest, Write
from domain.identity import ANONYMOUS, EVERY_OWNER, SHARED, Owner
from domain.limits.ports import RateCharge
from domain.limits.rate import RatePolicy
from domain.sessions.requests import SessionRequest
from domain.usage import KINDS, OwnerPolicy, OwnerReport, QuotaUse, UsageBounds, UsageService
from tests.unit.services.conftest import World

ALICE, BOB = Owner("alice"), Owner("bob")
ADMIN = Principal(Owner("root"), frozenset({Scope.ADMIN}))
WRITER = Principal(ALICE, frozenset({Scope.WRITE_FUNCTIONS}))
RATE = RatePolicy("execute", 10, 10)
"""One call is refilled each second."""
LIMITS = OwnerPolicy({"live_sessions": 5, "functions": 2, "schedules": 7}, [RATE], history_days=3)
SESSION = SessionRequest("python-x", "result = 1")


def service_of(world: World, **fields: object) -> UsageService:
    return evolve(world.container.usage(), **{"limits": LIMITS, "bounds": UsageBounds(1.0)} | fields)


async def report_of(world: World, caller: Principal = WRITER, owner: Owner = ALICE, **fields: object) -> OwnerReport:
    (report,) = (await service_of(world, **fields).page(caller, owner, None, 1)).reports
    return report


async def test_quotas_are_shown_with_their_limits_or_without(world: World) -> None:
    ref = (await world.session_service.initialize(ALICE, SESSION)).ref
    await world.executions.begin(world.ids.new(world.clock.now()), ref, timedelta(seconds=5))
    report = await report_of(world)
    stored_bytes = len("result = 1") + 2 * len("{}")
    assert report.quotas == [
        QuotaUse("live_sessions", 1, 5),
        QuotaUse("stored_bytes", stored_bytes, None),
        QuotaUse("functions", 0, 2),
        QuotaUse("function_bytes", 0, None),
        QuotaUse("concurrent_calls", 1, None),
        QuotaUse("queued_executions", 0, None),
        QuotaUse("schedules", 0, 7),
        QuotaUse("webhooks", 0, None),
        QuotaUse("stored_file_bytes", 0, None),
        QuotaUse("secrets", 0, None),
    ]
    assert report.complete


async def test_a_rate_shows_the_calls_that_are_left(world: World) -> None:
    assert (await report_of(world)).rates == [(RATE, 10)]
    await world.rates.settle([RateCharge(ALICE, "execute", world.clock.now(), timedelta(seconds=3))])
    assert (await report_of(world)).rates == [(RATE, 7)]
    world.clock.advance(timedelta(seconds=1))
    assert (await report_of(world)).rates == [(RATE, 8)]
    assert (await report_of(world, limits=OwnerPolicy({}))).rates == []


async def test_executions_are_shown_for_the_days_of_the_history(world: World) -> None:
    ref = await world.session()
    await world.execution_service.execute(ref, '{"a": 1}')
    world.counts.count(world.clock.now() + timedelta(seconds=1))
    for days, shown in ((3, 1), (1, 0)):
        world.clock.advance(timedelta(days=days))
        assert len((await report_of(world, ANYBODY, ANONYMOUS)).days) == shown


async def test_functions_of_callers_without_authentication_are_shared(world: World) -> None:
    request, write = (
        FunctionRequest("result = 1"),
        Write(SHARED, ANONYMOUS, "python-adder", Precondition(), "192.0.2.7", ANYBODY.require_grants),
    )
    await world.function_service.register(write, request, check=False)
    assert (await report_of(world, ANYBODY, ANONYMOUS)).quotas[2] == QuotaUse("functions", 1, 2)
    assert (await report_of(world, ADMIN, ANONYMOUS)).quotas[2] == QuotaUse("functions", 0, 2)
    assert (await report_of(world, ADMIN, SHARED)).quotas[2] == QuotaUse("functions", 1, 2)


async def test_a_report_says_that_more_may_be_stored_than_was_examined(world: World) -> None:
    for owner in (ALICE, ALICE, BOB):
        await world.session_service.initialize(owner, SESSION)
    bounds = UsageBounds(1.0, examined_max=4 * KINDS, owner_examined_max=3)
    assert (await report_of(world, bounds=bounds)).complete
    page = await service_of(world, bounds=bounds).page(ADMIN, EVERY_OWNER, None, 2)
    assert [(each.owner, each.quotas[0].observed, each.complete) for each in page.reports] == [
        (ALICE, 2, False),
        (BOB, 1, True),
    ]
    assert page.next_after is None


async def test_a_page_of_owners_continues_behind_the_last_one(world: World) -> None:
    for owner in (ALICE, BOB):
        await world.session_service.initialize(owner, SESSION)
    service = service_of(world)
    first = await service.page(ADMIN, EVERY_OWNER, None, 1)
    last = await service.page(ADMIN, EVERY_OWNER, first.next_after, 1)
    assert [page.reports[0].owner for page in (first, last)] == [ALICE, BOB]
    assert (first.next_after, last.next_after) == (ALICE, None)
    assert (await service.page(ADMIN, EVERY_OWNER, BOB, 1)).reports == []


async def test_other_owners_are_for_admins(world: World) -> None:
    for owner in (BOB, EVERY_OWNER):
        with pytest.raises(ScopeMissing):
            await service_of(world).page(WRITER, owner, None, 1)


@define(eq=False)
class HeldReader(MemoryUsageReader):
    """Lets a test hold a call."""

    held: asyncio.Event = field(factory=asyncio.Event)
    reached: asyncio.Event = field(factory=asyncio.Event)

    async def open_executions(self, owners, now):
        self.reached.set()
        await self.held.wait()
        return await super().open_executions(owners, now)


async def test_calls_beyond_the_bound_are_refused(world: World) -> None:
    reader = HeldReader(world.store)
    service = service_of(world, sessions=reader, bounds=UsageBounds(1.0, turns_max=1, owner_turns_max=1, waiting_max=0))
    first = asyncio.create_task(service.page(WRITER, ALICE, None, 1))
    await reader.reached.wait()
    with pytest.raises(Overloaded):
        await service.page(WRITER, ALICE, None, 1)
    reader.held.set()
    await first
    assert len((await service.page(WRITER, ALICE, None, 1)).reports) == 1
