import json
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import define, evolve, field

from adapters.memory.manual_clock import ManualClock
from domain.takeover.cached_origin import CachedOriginSessions
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.moving import InboundSession
from domain.takeover.source_session import SourceSession
from tests.contracts.origin_cache import OriginCacheContract
from tests.support.origin_cache import ManualCache
from tests.unit.takeover.test_cached import MEMBERS
from tests.unit.takeover.world import FENCE, OriginRow, SimulatedOrigin, inbound_of

ONE, TWO = UUID(int=1 << 80), UUID(int=2 << 80)
HOUR = timedelta(hours=1)
OTHERS = Fence.of(UUID("019ac000-0000-7000-8000-00000000cc00"))


class TestManualCache(OriginCacheContract):
    @pytest.fixture
    def cache(self) -> ManualCache:
        self.manual = ManualCache()
        return self.manual

    async def put(self, session_id: str, value: str) -> None:
        self.manual.values[session_id] = value


@define
class Origin:
    """An origin with a table and a Redis, and what stands before both."""

    clock: ManualClock = field(factory=ManualClock)
    cache: ManualCache = field(factory=ManualCache)
    has_trigger: bool = False
    asked: int = 0
    rows: SimulatedOrigin = field(init=False)
    sessions: CachedOriginSessions = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = SimulatedOrigin(self.clock)
        self.sessions = CachedOriginSessions(self.rows, self.cache, self.clock, self.convert, FENCE, self.runs_ahead)

    async def runs_ahead(self) -> bool:
        self.asked += 1
        return self.has_trigger

    def convert(self, row: SourceSession) -> InboundSession | None:
        if row.language_title == "rust-x":
            return None
        assert row.created_at is not None
        assert row.expires_at is not None
        stored = OriginRow(row.created_at, row.expires_at, row.execution_count or 0, row.last_executed_at)
        return inbound_of(UUID(row.request_id), stored, self.rows.fence_of)

    def add_row(self, session_id: UUID, count: int = 0) -> None:
        now = self.clock.now()
        self.rows.rows[session_id] = OriginRow(now - HOUR, now + HOUR, count)

    def add_key(self, session_id: UUID, count: int = 0, age: timedelta = HOUR, **changes: object) -> None:
        now = self.clock.now()
        instants = {"created_at": now - age, "expires_at": now + HOUR}
        given = {**MEMBERS, **{name: at.isoformat() for name, at in instants.items()}, **changes}
        self.cache.values[str(session_id)] = json.dumps(
            {**given, "request_id": str(session_id), "execution_count": count}
        )


@pytest.fixture
def origin() -> Origin:
    return Origin()


async def test_a_fence_hides_the_row_and_takes_the_key_with_its_count(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    (fenced,) = await origin.sessions.fence([ONE])
    assert fenced.stored_at < HIDDEN_BEFORE
    assert (fenced.execution_count, fenced.inbound.session.execution_count) == (5, 5)
    assert origin.cache.values == {}


async def test_where_a_trigger_counts_twice_the_count_of_the_key_is_true(origin):
    origin.has_trigger = True
    for session_id in (ONE, TWO):
        origin.add_row(session_id, count=6)
        origin.add_key(session_id, count=3)
        (fenced,) = await origin.sessions.fence([session_id])
        assert fenced.execution_count == 3
    assert origin.asked == 1


async def test_a_session_without_a_key_is_that_of_its_row(origin):
    origin.add_row(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    assert fenced.execution_count == 3


async def test_a_look_at_a_live_session_leaves_its_key(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    (seen,) = await origin.sessions.look([ONE])
    assert (seen.execution_count, seen.is_live) == (5, True)
    assert list(origin.cache.values) == [str(ONE)]


async def test_a_session_with_a_key_is_live_though_its_row_is_hidden_and_the_next_fence_takes_the_key(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    await origin.rows.fence([ONE])
    (seen,) = await origin.sessions.look([ONE])
    assert (seen.execution_count, seen.is_live, list(origin.cache.values)) == (5, True, [str(ONE)])
    (fenced,) = await origin.sessions.fence([ONE])
    assert (fenced.execution_count, fenced.is_live, origin.cache.values) == (5, False, {})
    (seen,) = await origin.sessions.look([ONE])
    assert (seen.is_live, seen.would_live) == (False, True)
    assert await origin.sessions.fence([ONE]) == []


async def test_a_key_of_a_session_that_another_takeover_hides_is_left_alone(origin):
    origin.add_row(ONE)
    origin.add_key(ONE)
    origin.rows.fence_of = OTHERS
    await origin.rows.fence([ONE])
    assert [each.is_live for each in await origin.sessions.look([ONE])] == [False]
    assert await origin.sessions.fence([ONE]) == []
    assert list(origin.cache.values) == [str(ONE)]


async def test_a_key_that_has_expired_makes_no_session_live(origin):
    origin.add_row(ONE)
    await origin.rows.fence([ONE])
    origin.add_key(ONE, expires_at="2020-01-01T00:00:00Z")
    assert [each.is_live for each in await origin.sessions.look([ONE])] == [False]


async def test_a_session_that_has_a_key_alone_is_stored_before_sessions_move(origin):
    origin.add_row(ONE)
    origin.add_key(ONE)
    origin.add_key(TWO, count=7)
    assert await origin.sessions.live(None, 10) == [ONE], "whoever only looks changes nothing"
    await origin.sessions.prepare()
    await origin.sessions.prepare()
    assert await origin.sessions.live(None, 10) == [ONE, TWO]
    assert await origin.sessions.counts([TWO]) == {TWO: 7}
    (fenced,) = await origin.sessions.fence([TWO])
    assert (fenced.execution_count, list(origin.cache.values)) == (7, [str(ONE)])
    assert await origin.sessions.fenced(None, 10) == [TWO]


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"age": timedelta(seconds=30)},
        {"language_title": "rust-x"},
        {"status": None},
    ],
    ids=["expired", "its row may still come", "left", "unreadable"],
)
async def test_other_keys_without_a_row_are_left_alone(origin, changes):
    origin.add_key(TWO, **changes)
    await origin.sessions.prepare()
    assert await origin.sessions.look([TWO]) == []
    assert len(origin.cache.values) == 1


async def test_a_session_that_cannot_be_kept_here_has_its_executions_too(origin):
    origin.add_row(ONE, count=3)
    origin.rows.rows[ONE].is_odd = True
    origin.add_key(ONE, count=5)
    (seen,) = await origin.sessions.look([ONE])
    assert (seen.inbound, seen.execution_count) == (None, 5)


async def test_what_is_given_back_is_read_from_the_table(origin):
    origin.add_row(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    origin.add_key(ONE, count=3)
    back = evolve(fenced.inbound, session=evolve(fenced.inbound.session, execution_count=9))
    assert await origin.sessions.restore([back]) == [ONE]
    assert (origin.rows.rows[ONE].count, origin.cache.values) == (9, {})


async def test_a_fence_is_taken_away_in_the_table(origin):
    origin.add_row(ONE)
    (fenced,) = await origin.sessions.fence([ONE])
    await origin.sessions.unfence([fenced])
    assert await origin.sessions.live(None, 10) == [ONE]


async def test_counts_are_those_of_the_table(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    assert await origin.sessions.counts([ONE, TWO]) == {ONE: 3}
