"""The contract of the two readers that the comparison is made of: they agree exactly where both sides have the same."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from attrs import define, evolve

from domain.concurrency.pace import Pace
from domain.identity import ANONYMOUS, SessionRef
from domain.json_text import JsonText
from domain.sessions.session import SessionPatch
from domain.takeover.copying import Copier
from domain.takeover.fence import Fence
from domain.takeover.moving import Takeover
from domain.takeover.ordinary import PageLimits
from domain.takeover.ports import TakeoverStore
from domain.takeover.reader_ports import OriginReader, StoredReader
from domain.takeover.reasons import Reason
from domain.takeover.source_session import SourceSession, TakeoverPolicy
from domain.takeover.stages import Stage
from domain.takeover.verification import Verdict, VerifiedRow
from domain.takeover.verifier import Verifier
from tests.contracts.origin_reader import session
from tests.contracts.storage import Storage
from tests.unit.takeover.builders import HOUR, NOW, POLICY

TAKEOVER_ID = UUID(int=7 << 8)
FENCE = Fence.of(TAKEOVER_ID)
MOMENT = timedelta(microseconds=1)
BYTES_MAX = 100_000


def unusual(number: int) -> SourceSession:
    """Return a row whose values are unusual in one way or another."""
    random = Random(number)
    choices = {
        "user_id": (None, "", "a'b \\ é", "x" * 128),
        "language_title": ("nodejs-adder", "python-a b/c", "nodejs-"),
        "execution_count": (0, -1, 2**31 - 1),
        "last_executed_at": (None, NOW - HOUR / 2, NOW - MOMENT),
        "status": ("active", "expired", "odd"),
        "context": ('{"a": 1.50}', "null", "[]", '{"text": "\\u0001\\"é"}'),
        "script_content": ("return 1;", "x\n'quoted' \\ \t€", " "),
        "script_hash": (None, "0" * 64),
        "compile_options": (None, "null", '{"a": [null]}'),
        "compile_status": (None, "pending"),
        "compile_error": (None, "it's | bad"),
        "metadata": (None, "{}", '{"k": "v"}', "[1]", '"text"'),
    }
    return session(number, **{name: random.choice(values) for name, values in choices.items()})


CHANGES = {
    "language_title": "nodejs-adder2",
    "user_id": "a",
    "created_at": NOW - HOUR + MOMENT,
    "expires_at": NOW + HOUR - MOMENT,
    "last_executed_at": NOW - HOUR / 2 + MOMENT,
    "execution_count": 4,
    "status": "activf",
    "context": '{"a": 3}',
    "script_content": "return 0;",
    "script_hash": "1" + "0" * 63,
    "compile_options": "[]",
    "compile_status": "q",
    "compile_error": "e",
    "metadata": "{}",
}
"""A value of each column that differs from that of `session` in one bit or microsecond, where there is one to differ."""


@define
class World:
    """Both sides, as the test has them; `put` stores a row at the origin, `drop` removes one."""

    storage: Storage
    store: TakeoverStore
    stored: StoredReader
    reader: OriginReader
    put: Callable[[SourceSession], None]
    drop: Callable[[str], None]
    policy: TakeoverPolicy = POLICY
    bytes_max: int = BYTES_MAX

    async def begin(self) -> None:
        now = self.storage.clock.now()
        await self.store.begin(Takeover(TAKEOVER_ID, {}, {}, Stage.LOOK, now))

    async def copy(self) -> None:
        limits = PageLimits(bytes_max=self.bytes_max)
        copier = Copier(self.reader, self.store, self.policy, self.storage.clock, limits, no_room, Pace(None))
        async for _ in copier.run():
            pass

    async def verdicts(self) -> tuple[dict[Verdict, int], list[VerifiedRow]]:
        """Return the numbers of the rows by verdict, without those of none, and the rows that are listed."""
        verifier = Verifier(self.reader, self.stored, self.store, self.policy, self.storage.clock, self.bytes_max)
        counts, rows = Counter(), []
        async for step in verifier.run():
            counts.update(step.verdicts)
            rows += step.rows
        return {verdict: number for verdict, number in counts.items() if number}, rows

    async def adopt(self, *rows: SourceSession) -> None:
        """Hide rows at the origin, and own them here."""
        ids = [UUID(each.request_id) for each in rows]
        now = self.storage.clock.now()
        assert set(await self.store.take(ids, now)) == set(ids)
        for each in rows:
            self.hide(each)
        inbound = await self.store.inbound(ids)
        assert set(await self.store.own(inbound, now, now)) == set(ids)

    def hide(self, row: SourceSession, **changes: object) -> None:
        self.put(evolve(row, **changes, expires_at=FENCE.hidden(row.expires_at)))


async def no_room() -> None:
    return None


class TakeoverVerificationContract:
    """Subclasses have a fixture `world`, in which it is NOW."""

    @pytest.fixture
    def world(self) -> World:
        raise NotImplementedError

    async def test_unusual_rows_are_the_same_after_a_copy(self, world):
        await world.begin()
        rows = [unusual(number) for number in range(40)]
        for each in rows:
            world.put(each)
        await world.copy()
        assert await world.verdicts() == ({Verdict.SAME: 40}, [])

    @pytest.mark.parametrize("field", CHANGES)
    async def test_a_difference_in_each_column_of_the_origin_is_found(self, world, field):
        await world.begin()
        for number in range(3):
            world.put(session(number))
        await world.copy()
        changed = session(1, **{field: CHANGES[field]})
        world.put(changed)
        counts, (row,) = await world.verdicts()
        assert counts == {Verdict.SAME: 2, Verdict.DIFFERS: 1}
        assert row.request_id == changed.request_id
        assert row.fields

    async def test_rows_that_stay_have_their_reason_and_the_totals_add_up(self, world):
        await world.begin()
        left = [
            session(1, language_title="rust-x"),
            session(2, context=None),
            session(3, script_content="x" * (BYTES_MAX + 1)),
            session(4, expires_at=NOW - 48 * HOUR, created_at=NOW - 50 * HOUR),
            evolve(session(5), request_id="no-uuid"),
            evolve(session(6), request_id="ZZZ"),
        ]
        for each in [session(0), *left]:
            world.put(each)
        await world.copy()
        counts, rows = await world.verdicts()
        assert counts == {Verdict.SAME: 1, Verdict.LEFT: 6}
        assert Counter(row.reason for row in rows) == {
            Reason.LANGUAGE_NOT_SERVED: 1,
            Reason.CONTEXT_MISSING: 1,
            Reason.TOO_LARGE: 1,
            Reason.ID_NOT_CANONICAL: 2,
        }

    async def test_rows_that_are_on_one_side_only_are_found(self, world):
        await world.begin()
        for number in range(6):
            world.put(session(number))
        await world.copy()
        new = [session(number) for number in (7, 8)]
        for each in new:
            world.put(each)
        gone = [session(number).request_id for number in (0, 5)]
        for request_id in gone:
            world.drop(request_id)
        counts, rows = await world.verdicts()
        assert counts == {Verdict.SAME: 4, Verdict.MISSING: 2, Verdict.EXTRA: 2}
        found = {(row.request_id, row.verdict) for row in rows}
        assert found == {(each.request_id, Verdict.MISSING) for each in new} | {(each, Verdict.EXTRA) for each in gone}

    async def test_expired_sessions_without_content_are_the_same(self, world):
        await world.begin()
        world.put(session(1, expires_at=NOW - HOUR, created_at=NOW - 2 * HOUR, last_executed_at=None))
        await world.copy()
        assert await world.verdicts() == ({Verdict.SAME: 1}, [])

    async def test_a_session_that_expired_after_its_copy_is_the_same(self, world):
        await world.begin()
        world.put(session(1))
        await world.copy()
        world.storage.clock.advance(2 * HOUR)
        assert await world.verdicts() == ({Verdict.SAME: 1}, [])

    async def test_adopted_sessions_are_compared_with_the_expiry_of_before(self, world):
        await world.begin()
        rows = [session(number) for number in range(3)]
        for each in rows:
            world.put(each)
        await world.copy()
        await world.adopt(*rows[:2])
        assert await world.verdicts() == ({Verdict.SAME: 3}, [])
        world.hide(rows[1], execution_count=rows[1].execution_count + 1)
        counts, _ = await world.verdicts()
        assert counts == {Verdict.SAME: 2, Verdict.MOVED_ON: 1}

    async def test_adopted_sessions_that_were_used_have_moved_on(self, world):
        await world.begin()
        rows = [session(number) for number in range(4)]
        for each in rows:
            world.put(each)
        await world.copy()
        await world.adopt(*rows)
        refs = [SessionRef(ANONYMOUS, UUID(each.request_id)) for each in rows]
        await world.storage.execute(refs[0])
        now = world.storage.clock.now()
        patch = SessionPatch(context=JsonText('{"b": 2}'), ttl_seconds=7200)
        await world.storage.sessions.update(refs[1], lambda read: read.patch(patch, now))
        await world.storage.sessions.update(refs[2], lambda read: read.close(now))
        counts, rows_listed = await world.verdicts()
        assert (counts, rows_listed) == ({Verdict.SAME: 1, Verdict.MOVED_ON: 3}, [])

    async def test_a_session_that_both_or_neither_would_serve_is_found(self, world):
        await world.begin()
        both, neither, between, lost = (session(number) for number in range(4))
        for each in (both, neither, between, lost):
            world.put(each)
        await world.copy()
        await world.adopt(both)
        world.put(both)
        world.hide(neither)
        await world.store.take([UUID(between.request_id)], world.storage.clock.now())
        await world.adopt(lost)
        world.drop(lost.request_id)
        counts, rows = await world.verdicts()
        assert counts == {Verdict.SAME: 1, Verdict.DIFFERS: 2, Verdict.MOVED_ON: 1}
        assert {row.request_id: list(row.fields) for row in rows} == {
            both.request_id: ["served by both"],
            neither.request_id: ["served by neither"],
        }

    async def test_a_row_that_is_hidden_and_nowhere_here_is_missing(self, world):
        await world.begin()
        world.hide(session(1))
        counts, (row,) = await world.verdicts()
        assert counts == {Verdict.MISSING: 1}
        assert list(row.fields) == ["served by neither"]

    async def test_the_id_of_a_session_that_was_made_here_is_left(self, world):
        await world.begin()
        row, hidden = session(1), session(2)
        world.put(row)
        await world.copy()
        world.put(hidden)
        for each in (row, hidden):
            await world.store.discard([UUID(each.request_id)])
            await world.storage.add_foreign(UUID(each.request_id))
        world.hide(hidden)
        counts, rows = await world.verdicts()
        assert counts == {Verdict.LEFT: 1, Verdict.MISSING: 1}
        assert (row.request_id, Verdict.LEFT, Reason.ID_IN_USE) in {
            (each.request_id, each.verdict, each.reason) for each in rows
        }

    async def test_what_a_read_writes_to_the_status_of_a_hidden_row_is_no_difference(self, world):
        await world.begin()
        rows = [session(1), session(2, status="odd")]
        for each in rows:
            world.put(each)
        await world.copy()
        await world.adopt(*rows)
        for each in rows:
            world.hide(each, status="expired")
        counts, _ = await world.verdicts()
        assert Verdict.DIFFERS not in counts

    @pytest.mark.parametrize(
        ("stage", "is_copied", "verdicts"),
        [
            (Stage.LOOK, True, {Verdict.MISSING: 1, Verdict.LEFT: 1}),
            (Stage.LOOK, False, {Verdict.LEFT: 2}),
            (Stage.OPEN, True, {Verdict.MISSING: 2}),
            (Stage.ADOPT, True, {Verdict.MISSING: 2}),
            (Stage.BACK, True, {Verdict.LEFT: 2}),
            (Stage.FINISHED, True, {Verdict.LEFT: 2}),
        ],
    )
    async def test_sessions_are_the_origins_when_nothing_moves_here(self, world, stage, is_copied, verdicts):
        await world.begin()
        if is_copied:
            await world.copy()
        now = world.storage.clock.now()
        await world.store.change_stage(Stage.LOOK, stage, now)
        world.put(session(1))  # it was there before the copy
        world.put(session(2, created_at=now, last_executed_at=None))
        counts, rows = await world.verdicts()
        assert counts == verdicts
        assert {each.reason for each in rows if each.verdict is Verdict.LEFT} <= {Reason.NOT_MOVING}

    async def test_pages_are_merged_whatever_is_between_them(self, world):
        await world.begin()
        for number in range(30):
            world.put(session(number))
        await world.copy()
        for number in range(30, 60):
            world.put(session(number))
        for number in range(0, 30, 3):
            world.drop(session(number).request_id)
        counts, _ = await world.verdicts()
        assert counts == {Verdict.SAME: 20, Verdict.MISSING: 30, Verdict.EXTRA: 10}


def clock_at(storage: Storage, at: datetime) -> Storage:
    """Move the clock of the storage forward to an instant."""
    storage.clock.advance(at - storage.clock.now())
    return storage
