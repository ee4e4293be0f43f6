import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import define, evolve, field

from adapters.memory.manual_clock import ManualClock
from domain.takeover.cached_origin import CachedOriginSessions, MissingRows
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.source import REDIS, SourceRefused, SourceUnavailable
from domain.takeover.source_session import SourceSession
from tests.contracts.origin_cache import OriginCacheContract
from tests.contracts.origin_repairs import OriginRepairsContract
from tests.support.origin_cache import ManualCache, ManualRepairs
from tests.unit.takeover.test_cached import MEMBERS
from tests.unit.takeover.world import FENCE, OriginRow, SimulatedOrigin

ONE, TWO = UUID(int=1 << 80), UUID(int=2 << 80)
HOUR = timedelta(hours=1)
OTHERS = Fence.of(UUID("019ac000-0000-7000-8000-00000000cc00"))
AWAY = SourceUnavailable("there is no answer.", store=REDIS)


class TestManualCache(OriginCacheContract):
    @pytest.fixture
    def cache(self) -> ManualCache:
        self.manual = ManualCache()
        return self.manual

    async def put(self, session_id: str, value: str) -> None:
        self.manual.values[session_id] = value


class TestManualRepairs(OriginRepairsContract):
    @pytest.fixture
    def repairs(self) -> ManualRepairs:
        return ManualRepairs(SimulatedOrigin(ManualClock()))


class Killed(Exception):
    """The process was killed."""


@define
class Kill:
    """Kills before or after the call of a port that comes `after_calls` later."""

    after_calls: int
    is_before: bool

    def of(self, port: object) -> Any:
        kill = self

        class Port:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                async def call(*given: object) -> object:
                    kill.after_calls -= 1
                    if kill.after_calls == 0 and kill.is_before:
                        raise Killed
                    found = await getattr(port, name)(*given)
                    if kill.after_calls == 0:
                        raise Killed
                    return found

                return call

        return Port()


def accepted(row: SourceSession, _now: datetime) -> bool:
    return row.language_title != "rust-x"


@define
class Origin:
    """An origin with a table and a Redis, and what stands before both."""

    clock: ManualClock = field(factory=ManualClock)
    cache: ManualCache = field(factory=ManualCache)
    rows: SimulatedOrigin = field(init=False)
    repairs: ManualRepairs = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = SimulatedOrigin(self.clock)
        self.repairs = ManualRepairs(self.rows)

    @property
    def sessions(self) -> CachedOriginSessions:
        return self.behind(lambda port: port)

    def behind(self, wrapped: Callable[[Any], Any]) -> CachedOriginSessions:
        missing = MissingRows(self.repairs, self.cache, accepted)
        return CachedOriginSessions(wrapped(self.rows), wrapped(self.repairs), wrapped(self.cache), missing, FENCE)

    def add_row(self, session_id: UUID, count: int = 0, executed_at: datetime | None = None) -> None:
        now = self.clock.now()
        self.rows.rows[session_id] = OriginRow(now - HOUR, now + HOUR, count, executed_at)

    def add_key(
        self,
        session_id: UUID,
        count: int = 0,
        executed_at: datetime | None = None,
        age: timedelta = HOUR,
        **changes: Any,
    ) -> None:
        self.cache.values[str(session_id)] = self.value(session_id, count, executed_at, age, **changes)

    def value(
        self, session_id: UUID, count: int, executed_at: datetime | None = None, age: timedelta = HOUR, **changes: Any
    ) -> str:
        now = self.clock.now()
        instants = {"created_at": now - age, "expires_at": now + HOUR, "last_executed_at": executed_at}
        written = {name: at and at.isoformat() for name, at in instants.items()}
        given = {**MEMBERS, **written, "request_id": str(session_id), "execution_count": count}
        return json.dumps({**given, **changes})

    def count(self, session_id: UUID) -> int:
        return self.rows.rows[session_id].count


@pytest.fixture
def origin() -> Origin:
    return Origin()


async def test_a_fence_hides_the_row_and_removes_the_key_after_its_count_is_in_the_row(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    (fenced,) = await origin.sessions.fence([ONE])
    assert fenced.stored_at < HIDDEN_BEFORE
    assert (fenced.execution_count, fenced.inbound.session.execution_count, origin.count(ONE)) == (5, 5, 5)
    assert origin.cache.values == {}


def differing() -> Origin:
    """An origin whose key has a later count than its row."""
    origin = Origin()
    origin.add_row(ONE, count=3, executed_at=origin.clock.now() - HOUR)
    origin.add_key(ONE, count=5, executed_at=origin.clock.now())
    return origin


@pytest.mark.parametrize("is_before", [True, False])
async def test_a_kill_at_any_step_of_a_fence_loses_neither_the_session_nor_its_count(is_before):
    never = Kill(1000, is_before)
    await differing().behind(never.of).fence([ONE])
    steps = 1000 - never.after_calls
    assert steps > 5
    for step in range(1, steps + 1):
        origin = differing()
        with pytest.raises(Killed):
            await origin.behind(Kill(step, is_before).of).fence([ONE])
        assert origin.cache.values or origin.count(ONE) == 5, "only one of both may have the count, but one must"
        assert origin.cache.values or not origin.rows.serves(ONE), "the key goes after the row is hidden"
        await origin.sessions.fence([ONE])
        (seen,) = await origin.sessions.look([ONE])
        assert (seen.is_live, seen.would_live, seen.execution_count) == (False, True, 5)
        assert origin.cache.values == {}


async def test_where_a_trigger_counts_twice_the_count_of_the_key_is_true(origin):
    origin.repairs.has_trigger = True
    origin.add_row(ONE, count=6)
    origin.add_key(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    assert (fenced.execution_count, origin.count(ONE)) == (3, 3)


async def test_a_session_without_a_key_is_that_of_its_row(origin):
    origin.add_row(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    assert fenced.execution_count == 3


@pytest.mark.parametrize("changes", [{"status": None}, {"request_id": str(TWO)}])
async def test_a_value_that_is_not_of_the_session_is_removed_and_changes_nothing(origin, changes):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5, **changes)
    (fenced,) = await origin.sessions.fence([ONE])
    assert (fenced.execution_count, origin.cache.values) == (3, {})


async def test_a_look_changes_neither_a_key_nor_a_row(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    (seen,) = await origin.sessions.look([ONE])
    assert (seen.is_live, seen.execution_count, len(origin.cache.values)) == (True, 3, 1)


async def test_a_session_with_a_key_is_live_though_its_row_is_hidden_and_the_next_fence_removes_the_key(origin):
    origin.add_row(ONE, count=3)
    origin.add_row(TWO)
    await origin.rows.fence([ONE])
    origin.add_key(ONE, count=4, executed_at=origin.clock.now())
    assert [each.is_live for each in await origin.sessions.look([ONE])] == [True]
    fenced = {each.session_id: each for each in await origin.sessions.fence([ONE, TWO])}
    assert (fenced[ONE].is_live, fenced[ONE].execution_count, fenced[TWO].execution_count) == (False, 4, 0)
    assert origin.cache.values == {}
    assert await origin.sessions.fence([ONE]) == []


async def test_a_key_of_a_session_that_another_takeover_hides_is_left_alone(origin):
    origin.add_row(ONE)
    origin.add_key(ONE)
    origin.rows.fence_of = OTHERS
    await origin.rows.fence([ONE])
    assert [each.is_live for each in await origin.sessions.look([ONE])] == [False]
    assert await origin.sessions.fence([ONE]) == []
    assert list(origin.cache.values) == [str(ONE)]


@pytest.mark.parametrize("changes", [{"expires_at": "2020-01-01T00:00:00Z"}, {"status": None}])
async def test_a_key_that_the_origin_does_not_serve_makes_no_session_live(origin, changes):
    origin.add_row(ONE)
    await origin.rows.fence([ONE])
    origin.add_key(ONE, **changes)
    assert [each.is_live for each in await origin.sessions.look([ONE])] == [False]


async def test_a_value_that_changes_before_its_removal_is_read_again(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=4)
    origin.cache.others.append({str(ONE): origin.value(ONE, 5, origin.clock.now())})
    (fenced,) = await origin.sessions.fence([ONE])
    assert (fenced.execution_count, origin.cache.values) == (5, {})


async def test_a_client_that_calls_beside_the_front_without_end_is_told(origin):
    origin.add_row(ONE)
    origin.add_key(ONE)
    origin.cache.others += [{str(ONE): origin.value(ONE, number)} for number in range(1, 100)]
    with pytest.raises(SourceUnavailable, match=r"The Redis of the origin .* beside the front"):
        await origin.sessions.fence([ONE])
    assert not origin.rows.serves(ONE)


async def test_without_redis_nothing_is_hidden(origin):
    origin.add_row(ONE)
    origin.cache.failure = AWAY
    with pytest.raises(SourceUnavailable) as caught:
        await origin.sessions.fence([ONE])
    assert caught.value.sent is False
    assert origin.rows.serves(ONE)


@pytest.mark.parametrize("failing", ["rows", "cache"])
async def test_before_a_move_both_sides_must_accept_writes(origin, failing):
    getattr(origin, failing).failure = SourceRefused("It accepts no writes.", remedy="Name the primary.")
    with pytest.raises(SourceRefused, match="accepts no writes"):
        await origin.sessions.prepare()


async def test_sessions_that_have_a_key_alone_get_rows_and_are_moved_as_others(origin):
    origin.add_row(ONE)
    origin.add_key(ONE)
    origin.add_key(TWO, count=7)
    assert await origin.sessions.live(None, 10) == [ONE]
    assert await origin.sessions.prepare() == 1
    assert await origin.sessions.live(None, 10) == [ONE, TWO]
    (fenced,) = await origin.sessions.fence([TWO])
    assert (fenced.execution_count, list(origin.cache.values)) == (7, [str(ONE)])
    assert await origin.sessions.fenced(None, 10) == [TWO]
    assert await origin.sessions.prepare() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"age": timedelta(seconds=30)},
        {"language_title": "rust-x"},
        {"status": None},
        {"request_id": str(ONE)},
    ],
    ids=["expired", "its row may still come", "left", "unreadable", "of another id"],
)
async def test_other_keys_without_a_row_are_left_alone(origin, changes):
    origin.add_key(TWO, **changes)
    assert await origin.sessions.prepare() == 0
    assert (origin.rows.rows, len(origin.cache.values)) == ({}, 1)


async def test_a_session_that_the_table_refuses_keeps_its_key(origin):
    origin.add_key(ONE)
    origin.add_key(TWO)
    origin.rows.refused.add(ONE)
    assert await origin.sessions.prepare() == 1
    assert (list(origin.rows.rows), len(origin.cache.values)) == ([TWO], 2)


async def test_what_is_given_back_is_written_to_redis_until_it_expires(origin):
    origin.add_row(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    origin.add_key(ONE, count=3)
    back = evolve(fenced.inbound, session=evolve(fenced.inbound.session, execution_count=9))
    assert await origin.sessions.restore([back]) == [ONE]
    value = json.loads(origin.cache.values[str(ONE)])
    assert (origin.count(ONE), value["execution_count"], origin.cache.lives_s) == (9, 9, {str(ONE): 3600})
    assert list(value) == list(MEMBERS)


async def test_the_greater_count_of_the_row_is_written_to_redis_too(origin):
    origin.add_row(ONE, count=3)
    (fenced,) = await origin.sessions.fence([ONE])
    origin.rows.rows[ONE].count = 12
    await origin.sessions.restore([fenced.inbound])
    assert json.loads(origin.cache.values[str(ONE)])["execution_count"] == 12


async def test_neither_a_refused_nor_an_expired_session_is_written_to_redis(origin):
    origin.add_row(ONE)
    origin.add_row(TWO)
    fenced = await origin.sessions.fence([ONE, TWO])
    origin.rows.refused.add(ONE)
    origin.clock.advance(HOUR)
    assert await origin.sessions.restore([each.inbound for each in fenced]) == [TWO]
    assert await origin.sessions.restore([fenced[0].inbound]) == []
    assert origin.cache.values == {}


async def test_a_fence_is_taken_away_in_the_table(origin):
    origin.add_row(ONE)
    (fenced,) = await origin.sessions.fence([ONE])
    await origin.sessions.unfence([fenced])
    assert await origin.sessions.live(None, 10) == [ONE]


async def test_users_are_those_of_the_table(origin):
    origin.rows.users.add("alice")
    assert await origin.sessions.missing_users(["alice", "bob"]) == ["bob"]


async def test_counts_are_those_of_the_table(origin):
    origin.add_row(ONE, count=3)
    origin.add_key(ONE, count=5)
    assert await origin.sessions.counts([ONE, TWO]) == {ONE: 3}
