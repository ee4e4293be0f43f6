"""A copy takes every row once, writes only what differs, and continues where it stopped."""

from contextlib import aclosing
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.origin import MemoryOriginReader
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.concurrency.pace import Pace
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.takeover.copying import COPY, Copier, CopyStep, NoRoom
from domain.takeover.moving import Received, Takeover
from domain.takeover.ordinary import PageLimits
from domain.takeover.reasons import Flag, Reason
from domain.takeover.source import SourceUnavailable
from domain.takeover.source_session import Expired, LeftSession, SourceSession
from domain.takeover.stages import Stage
from tests.contracts.takeover_store import origin_id
from tests.unit.domain.builders import session_at
from tests.unit.takeover.builders import HOUR, NOW, POLICY, row

SMALL = PageLimits(rows_max=3, bytes_max=100)


def rows(count: int, **changes: object) -> list[SourceSession]:
    return [row(request_id=str(origin_id(number)), **changes) for number in range(count)]


class Copying:
    """A copier over fakes, and what it needs."""

    def __init__(self, *given: SourceSession, room: int | None = None, **policy: object) -> None:
        self.reader = MemoryOriginReader({each.request_id: each for each in given})
        self.memory, self.clock, self.free_bytes = MemoryStore(), ManualClock(NOW), room
        self.store = MemoryTakeoverStore(self.memory)
        self.policy = evolve(POLICY, **policy)

    async def begin(self) -> "Copying":
        await self.store.begin(Takeover(origin_id(99), {}, {}, Stage.LOOK, NOW))
        return self

    def copier(self, limits: PageLimits = SMALL) -> Copier:
        return Copier(self.reader, self.store, self.policy, self.clock, limits, self.room, Pace(None))

    async def room(self) -> int | None:
        return self.free_bytes

    async def run(self, limits: PageLimits = SMALL, *, dry_run: bool = False) -> list[CopyStep]:
        return [step async for step in self.copier(limits).run(dry_run=dry_run)]

    async def copied(self) -> set[str]:
        found = await self.store.inbound([origin_id(number) for number in range(20)])
        return {str(each.session.ref.session_id) for each in found}

    async def progress(self):
        return (await self.store.takeover()).progress[COPY]


def total(steps: list[CopyStep]) -> tuple[int, int, int]:
    return tuple(sum(getattr(step.received, name) for step in steps) for name in ("written", "unchanged", "taken"))


async def test_every_row_is_copied_in_batches_of_limited_rows():
    copying = await Copying(*rows(8)).begin()
    steps = await copying.run()
    assert [step.examined for step in steps] == [3, 3, 2]
    assert total(steps) == (8, 0, 0)
    assert await copying.copied() == {each.request_id for each in rows(8)}
    assert await copying.copier().total() == 8


@pytest.mark.parametrize("dry_run", [True, False])
async def test_the_id_of_a_session_that_was_made_here_is_left(dry_run):
    made, other = row(request_id=str(uuid7_at(NOW, 1))), row(request_id=str(uuid7_at(NOW, 2)))
    copying = await Copying(made, other).begin()
    session_id = UUID(made.request_id)
    copying.memory.sessions[session_id] = session_at(NOW, ref=SessionRef(ANONYMOUS, session_id))
    (step,) = await copying.run(dry_run=dry_run)
    assert step.left == [LeftSession(made.request_id, Reason.ID_IN_USE)]
    assert [each.request_id for each in step.flagged] == [other.request_id]
    assert len(await copying.store.inbound([session_id, UUID(other.request_id)])) == (not dry_run)


async def test_the_progress_has_the_beginning_of_the_last_pass():
    copying = await Copying(*rows(4)).begin()
    await copying.run()
    assert (await copying.progress()).began_at == NOW.isoformat()
    copying.clock.advance(HOUR)
    async with aclosing(copying.copier().run()) as steps:
        await anext(steps)
    copying.clock.advance(HOUR)
    await copying.run()
    assert (await copying.progress()).began_at == (NOW + HOUR).isoformat()


async def test_a_batch_has_limited_bytes():
    copying = await Copying(*rows(4, script_content="x" * 40)).begin()
    assert [step.examined for step in await copying.run()] == [2, 2]


async def test_a_row_that_is_larger_than_a_batch_is_left_unread():
    large = row(request_id=str(origin_id(9)), script_content="x" * 101)
    copying = await Copying(*rows(2), large).begin()
    steps = await copying.run()
    assert [left for step in steps for left in step.left] == [LeftSession(large.request_id, Reason.TOO_LARGE)]
    assert await copying.copied() == {each.request_id for each in rows(2)}
    assert sum(step.examined for step in steps) == 3


async def test_rows_that_are_left_or_unusual_are_told():
    left, unusual = row(request_id="no-uuid"), row(execution_count=-1)
    copying = await Copying(left, unusual).begin()
    (step,) = await copying.run()
    assert step.left == [LeftSession("no-uuid", Reason.ID_NOT_CANONICAL)]
    assert [(each.request_id, each.flags) for each in step.flagged] == [(unusual.request_id, (Flag.COUNT_NEGATIVE,))]
    assert step.received == Received(written=1)


async def test_a_second_pass_writes_what_has_changed_alone():
    copying = await Copying(*rows(5)).begin()
    await copying.run()
    changed = row(request_id=str(origin_id(3)), execution_count=4)
    copying.reader.rows[changed.request_id] = changed
    assert total(await copying.run()) == (1, 4, 0)
    assert (await copying.store.inbound([origin_id(3)]))[0].session.execution_count == 4
    assert (await copying.progress()).passes == 2


async def test_a_pass_that_stopped_continues_behind_its_last_batch():
    copying = await Copying(*rows(8)).begin()
    async with aclosing(copying.copier().run()) as steps:
        await anext(steps)
    done = await copying.progress()
    assert (done.passes, done.after is None) == (0, False)
    left = [step.examined for step in await copying.run()]
    assert done.examined + sum(left) == 8
    after = await copying.progress()
    assert (after.passes, after.after, after.examined) == (1, None, 8)
    assert await copying.copied() == {each.request_id for each in rows(8)}


async def test_a_dry_run_reads_and_tells_the_same_and_writes_nothing():
    copying = await Copying(*rows(5), row(request_id="no-uuid")).begin()
    steps = await copying.run(dry_run=True)
    assert sum(step.examined for step in steps) == 6
    assert [left.request_id for step in steps for left in step.left] == ["no-uuid"]
    assert await copying.copied() == set()
    assert (await copying.store.takeover()).progress == {}


async def test_a_dry_run_needs_no_takeover():
    copying = Copying(*rows(2))
    assert len(await copying.run(dry_run=True)) == 1
    assert total(await copying.run()) == (2, 0, 0)


async def test_sessions_that_were_taken_are_counted_and_not_copied():
    copying = await Copying(*rows(2)).begin()
    await copying.run()
    await copying.store.take([origin_id(0)], copying.clock.now())
    assert total(await copying.run()) == (0, 1, 1)


@pytest.mark.parametrize(("expired", "copied"), [(Expired.NONE, 1), (Expired.RETAINED, 2), (Expired.ALL, 3)])
async def test_expired_rows_are_read_as_far_as_they_are_taken(expired, copied):
    ended = [
        row(request_id=str(origin_id(number)), expires_at=NOW - HOUR * hours, created_at=NOW - HOUR * hours * 2)
        for number, hours in ((1, 1), (2, 30))
    ]
    copying = await Copying(*rows(1), *ended, expired=expired).begin()
    assert sum(step.examined for step in await copying.run()) == copied
    assert len(await copying.copied()) == copied


async def test_the_copy_stops_before_a_batch_that_does_not_fit():
    copying = await Copying(*rows(8), room=10_000).begin()
    async with aclosing(copying.copier().run()) as steps:
        await anext(steps)
    copying.free_bytes = 50
    with pytest.raises(NoRoom) as refused:
        await copying.run()
    assert "50 bytes are left" in refused.value.message
    assert "about 153" in refused.value.message
    copying.free_bytes = None
    await copying.run()
    assert len(await copying.copied()) == 8


async def test_a_failure_of_either_side_is_raised_and_the_next_run_completes():
    copying = await Copying(*rows(8)).begin()
    for failing, failure in (
        (copying.reader, SourceUnavailable("it is away.")),
        (copying.memory, StorageUnavailable()),
    ):
        failing.failure = failure
        with pytest.raises(type(failure)):
            await copying.run()
        failing.failure = None
    await copying.run()
    assert len(await copying.copied()) == 8


def test_a_batch_has_bounds():
    for wrong in ({"rows_max": 0}, {"rows_max": 1001}, {"bytes_max": 0}):
        with pytest.raises(ValueError, match="max"):
            PageLimits(**wrong)
