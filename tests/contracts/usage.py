"""The contract of ExecutionCounts."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from domain.egress.traffic import ExecutionTraffic, HostTraffic
from domain.identity import Owner
from domain.scripts.report import Failure, FailureCode
from domain.usage import ExecutionCounts, UsedDay
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, BOB, Storage, report_of

SETTLING = timedelta(minutes=2)
SECOND = timedelta(seconds=1)
SETTLED = SETTLING + SECOND
"""So long after its admission, an execution that has ended is counted."""
FIRST = Owner("")
FAILED = Failure(FailureCode.SCRIPT_ERROR, "It failed.")

Count = Callable[[], Awaitable[None]]


class ExecutionCountsContract:
    """Subclasses have fixtures `storage`, `counts` over the same data, and `count`, which counts what is due."""

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def counts(self, storage: Storage) -> ExecutionCounts:
        raise NotImplementedError

    @pytest.fixture
    def count(self, storage: Storage, counts: ExecutionCounts) -> Count:
        raise NotImplementedError

    async def test_nothing_is_counted_before_the_first_count(self, storage, counts):
        await storage.execute((await storage.add(ALICE)).ref)
        assert await counts.counted_until() is None
        assert await counts.days([ALICE], storage.clock.now().date()) == [[]]

    async def test_executions_are_counted_by_owner_and_day_once(self, storage, counts, count):
        began = storage.clock.now()
        session = await storage.add(ALICE)
        for facts in ({"cpu_time_ms": 0.5}, {"cpu_time_ms": None}, {"failure": FAILED, "result": None}):
            execution = await storage.begin(session.ref)
            await storage.executions.finish(storage.finished(execution, report_of(**facts)))
        storage.clock.advance(timedelta(days=1))
        for owner in (ALICE, BOB):
            await storage.execute((await storage.add(owner)).ref)
        for _ in range(2):
            storage.clock.advance(SETTLED)
            await count()
        today = storage.clock.now().date()
        first = UsedDay(began.date(), 3, 1, 0, 3.75, 0.5)
        second = UsedDay(today, 1, 0, 0, 1.25, 0)
        assert await counts.days([BOB, FIRST, ALICE], began.date()) == [[second], [], [first, second]]
        assert await counts.days([ALICE], today) == [[second]]
        assert await counts.counted_until() == storage.clock.now() - SETTLING

    async def test_what_connections_have_used_is_counted_with_their_execution(self, storage, counts, count):
        began, session = storage.clock.now(), await storage.add(ALICE)
        hosts = (HostTraffic("a.test", 443, 2, 10, 20), HostTraffic("b.test", 443, 1, 5, 7, 1))
        used = report_of(traffic=ExecutionTraffic(hosts))
        for report in (used, used, report_of(traffic=ExecutionTraffic())):
            execution = await storage.begin(session.ref)
            finished = storage.finished(execution, report)
            for _ in range(2):  # the second one is a copy
                await storage.executions.finish(finished)
        process = QueueOfOne(storage)
        await process.add(session)
        (running,) = await process.claim(1)
        await process.finish(running, used)
        storage.clock.advance(SETTLED)
        for _ in range(2):
            await count()
        ((day,),) = await counts.days([ALICE], began.date())
        assert (day.executions, day.connections, day.sent_bytes, day.received_bytes) == (4, 9, 45, 81)

    async def test_what_was_admitted_behind_an_open_execution_waits_for_its_end(self, storage, counts, count):
        session, today = await storage.add(ALICE), storage.clock.now().date()
        opened = await storage.begin(session.ref)
        await storage.execute(session.ref)
        storage.clock.advance(SETTLED)
        await count()
        assert await counts.days([ALICE], today) == [[]]
        await storage.executions.finish(storage.finished(opened))
        await count()
        ((day,),) = await counts.days([ALICE], today)
        assert day.executions == 2

    async def test_an_execution_is_not_counted_before_it_is_settled(self, storage, counts, count):
        session, today = await storage.add(ALICE), storage.clock.now().date()
        await storage.execute(session.ref)
        storage.clock.advance(SETTLING - SECOND)
        await count()
        assert await counts.days([ALICE], today) == [[]]

    async def test_executions_that_were_accepted_to_run_later_are_counted_when_they_have_ended(
        self, storage, counts, count
    ):
        process, session = QueueOfOne(storage), await storage.add(ALICE, ttl_seconds=10**6, lifetime_seconds_max=10**6)
        today = storage.clock.now().date()
        entries = [await process.add(session) for _ in range(4)]
        storage.clock.advance(SETTLED)
        await storage.execute(session.ref)
        storage.clock.advance(SETTLED)
        running, failing, *_ = await process.claim(2)
        await count()
        assert await counts.counted_until() == storage.clock.now() - SETTLING, "those that run do not hold others up"
        ((day,),) = await counts.days([ALICE], today)
        assert day.executions == 1
        await process.finish(running, report_of(cpu_time_ms=2.0))
        await process.finish(failing, report_of(failure=FAILED, result=None))
        await process.cancel(entries[2].execution_id)
        for _ in range(2):
            storage.clock.advance(SETTLED)
            await count()
        ((day,),) = await counts.days([ALICE], today)
        assert day == UsedDay(today, 3, 1, 0, 3.75, 2.0), "what was cancelled before its start has used nothing"

    async def test_owners_are_listed_in_pages_by_name(self, storage, counts, count):
        for name in ("dora", "alice", "carl", "alice"):
            await storage.add(Owner(name))
        await Planner(storage, storage.schedules).add(owner=Owner("bea"))
        assert await counts.owners(FIRST, 2) == ["alice", "bea"]
        assert await counts.owners(Owner("carl"), 1) == ["dora"]
        assert await counts.owners(Owner("zoe"), 2) == []

    async def test_owners_are_sorted_in_the_order_of_their_pages(self, storage, counts):
        owners = [Owner(name) for name in ("zebra", "Zoë", "alice", "Ärger", "éclair", "Bob", "日本", "_")]
        for owner in owners:
            await storage.add(owner)
        listed = await counts.owners(FIRST, 99)
        assert set(owners) <= set(listed)
        assert await counts.in_order(sorted(listed, key=len)) == listed
        assert await counts.in_order([]) == []
        paged, after = [], FIRST
        while page := await counts.owners(after, 3):
            paged += page
            after = page[-1]
        assert paged == listed
