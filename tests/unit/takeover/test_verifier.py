"""The comparison of both sides, in cases that the databases of tests do not make; its contract has the others."""

import pytest
from attrs import define, evolve

from adapters.memory.manual_clock import ManualClock
from adapters.memory.origin import MemoryOriginReader, MemoryStoredReader
from adapters.memory.store import MemoryStore
from adapters.memory.takeover import MemoryTakeoverStore
from domain.functions.function import PinnedVersion
from domain.takeover.languages import OriginLanguages
from domain.takeover.moving import InboundSession, TakenState
from domain.takeover.receiving import received
from domain.takeover.source import SourceRefused
from domain.takeover.source_session import AcceptedSession, SourceSession
from domain.takeover.verification import Standing, StoredSession, Verdict, judged
from domain.takeover.verifier import Verifier
from tests.contracts.origin_reader import session
from tests.contracts.takeover_store import origin_id
from tests.unit.takeover.builders import HOUR, NOW, POLICY

BYTES_MAX = 100_000


def stored_of(row: SourceSession) -> InboundSession:
    accepted = received(row, POLICY, NOW)
    assert isinstance(accepted, AcceptedSession)
    return accepted.inbound


def verdict(row: SourceSession, standing: Standing, stored: StoredSession) -> tuple[Verdict, list[str]]:
    found = judged(row, standing, stored, POLICY, NOW)
    return found.verdict, list(found.fields)


@define(eq=False)
class UnsortedReader(MemoryOriginReader):
    """Reads pages in the opposite order."""

    async def digests(self, after, expired_after, size):
        return [] if after else list(reversed(await super().digests(after, expired_after, size)))


@define(eq=False)
class MovingReader(MemoryOriginReader):
    """A session changes between the first look at it and the next one."""

    changed: SourceSession | None = None
    looks: int = 0

    async def sessions(self, ids):
        found = await super().sessions(ids)
        self.looks += 1
        if self.changed is not None:
            self.rows[self.changed.request_id] = self.changed
        return found


async def steps_of(reader: MemoryOriginReader, memory: MemoryStore) -> list:
    verifier = Verifier(
        reader, MemoryStoredReader(memory), MemoryTakeoverStore(memory), POLICY, ManualClock(NOW), BYTES_MAX
    )
    return [step async for step in verifier.run()]


def rows_of(*rows: SourceSession) -> dict[str, SourceSession]:
    return {row.request_id: row for row in rows}


def copies_of(*rows: SourceSession) -> MemoryStore:
    memory = MemoryStore()
    memory.inbound = {stored_of(row).session.ref.session_id: stored_of(row) for row in rows}
    return memory


async def test_a_database_that_sorts_ids_in_another_way_is_refused():
    rows = session(1), session(2)
    with pytest.raises(SourceRefused, match="does not sort ids") as caught:
        await steps_of(UnsortedReader(rows_of(*rows)), copies_of(*rows))
    assert "COLLATE" in caught.value.remedy


async def test_a_session_that_changes_while_it_is_compared_is_looked_at_again():
    before, after = session(1), session(1, execution_count=4)
    reader = MovingReader(rows_of(before), changed=after)
    (step,) = await steps_of(reader, copies_of(after))
    assert (step.verdicts, step.rows) == ({Verdict.SAME: 1}, [])
    assert reader.looks == 2


async def test_a_session_that_is_gone_when_it_is_looked_at_is_no_fault():
    reader = MovingReader(rows_of(session(1)))

    async def gone(ids):
        return {}

    reader.hidden = gone
    (step,) = await steps_of(reader, MemoryStore())
    assert [(row.verdict, row.reason) for row in step.rows] == [(Verdict.LEFT, "gone")]


async def test_a_large_session_that_is_stored_and_differs_is_told_unread():
    row = session(1, script_content="x" * (BYTES_MAX + 1))
    changed = evolve(row, execution_count=9)
    (step,) = await steps_of(MemoryOriginReader(rows_of(changed)), copies_of(row))
    assert [(each.verdict, each.reason) for each in step.rows] == [(Verdict.DIFFERS, "too_large")]


async def test_sessions_are_looked_at_in_parts_of_limited_size():
    rows = [session(number, script_content="x" * 90_000) for number in range(30)]
    reader = MovingReader(rows_of(*rows))
    (step,) = await steps_of(reader, copies_of(*[evolve(row, user_id="a") for row in rows]))
    assert step.verdicts == {Verdict.DIFFERS: 30}
    assert reader.looks >= 3 * 3


def test_a_copy_of_a_row_that_is_left_now_differs():
    row = session(1)
    refusing = evolve(POLICY, languages=OriginLanguages())
    found = judged(
        evolve(row, language_title="rust-x"), Standing.SHOWN, StoredSession(None, stored_of(row)), refusing, NOW
    )
    assert (found.verdict, found.reason) == (Verdict.DIFFERS, "language_not_served")


def test_a_copy_of_a_row_without_an_expiry_differs():
    row = session(1)
    found = judged(
        evolve(row, expires_at=None, instants_fit=False),
        Standing.SHOWN,
        StoredSession(None, stored_of(row)),
        POLICY,
        NOW,
    )
    assert (found.verdict, found.reason) == (Verdict.DIFFERS, "instant_out_of_range")


def test_a_returned_session_that_was_not_used_is_the_same():
    inbound = stored_of(session(1))
    closed = evolve(inbound, session=evolve(inbound.session, closed_at=NOW, version=2))
    assert verdict(session(1), Standing.SHOWN, StoredSession(TakenState.RETURNED, closed, 3, 0)) == (Verdict.SAME, [])


@pytest.mark.parametrize(
    ("count_there", "count", "fence", "late", "expected"),
    [
        (3, 3, 3, None, Verdict.SAME),
        (3, 5, 3, 0, Verdict.MOVED_ON),
        (5, 3, 3, None, Verdict.MOVED_ON),
        (5, 5, 3, 2, Verdict.SAME),
        (5, 4, 3, 2, Verdict.DIFFERS),
        (6, 6, 3, 2, Verdict.DIFFERS),
        (3, 2, 3, None, Verdict.DIFFERS),
    ],
)
def test_executions_of_an_owned_session_are_counted_on_both_sides(count_there, count, fence, late, expected):
    inbound = stored_of(session(1, execution_count=count))
    stored = StoredSession(TakenState.OWNED, inbound, fence, late)
    found, fields = verdict(session(1, execution_count=count_there), Standing.HIDDEN, stored)
    assert found is expected
    assert fields == (["execution_count"] if expected is Verdict.DIFFERS else [])


@pytest.mark.parametrize(("count_there", "expected"), [(5, Verdict.MOVED_ON), (4, Verdict.SAME), (3, Verdict.DIFFERS)])
def test_a_returned_session_has_at_least_the_executions_of_both_sides(count_there, expected):
    inbound = stored_of(session(1, execution_count=4))
    closed = evolve(inbound, session=evolve(inbound.session, closed_at=NOW, version=2))
    stored = StoredSession(TakenState.RETURNED, closed, 3, 0)
    found, _ = verdict(session(1, execution_count=count_there), Standing.SHOWN, stored)
    assert found is expected


def test_a_returned_session_has_the_context_that_it_had_here():
    inbound = stored_of(session(1))
    stored = StoredSession(TakenState.RETURNED, inbound, 3, 0)
    assert verdict(session(1, context='{"b": 2}'), Standing.SHOWN, stored) == (Verdict.DIFFERS, ["context"])


def test_a_returned_session_that_was_made_here_has_the_context_as_the_origin_writes_it():
    inbound = stored_of(session(1, context='{"b":[1.50,"\\u00e9"],"a":1}', metadata='{"k":1}'))
    row = session(1, context='{"a": 1, "b": [1.50, "é"]}', metadata='{"k": 1}')
    assert verdict(row, Standing.SHOWN, StoredSession(TakenState.RETURNED, inbound, 3, 0)) == (Verdict.SAME, [])
    almost = evolve(row, context='{"a": 1, "b": [1.51, "é"]}')
    found = verdict(almost, Standing.SHOWN, StoredSession(TakenState.RETURNED, inbound, 3, 0))
    assert found == (Verdict.DIFFERS, ["context"])


@pytest.mark.parametrize("here", ["{", "1e999999999", "[" * 100_000])
def test_a_context_that_cannot_be_read_any_more_differs(here):
    inbound = stored_of(session(1, context=here))
    row = session(1, context='{"b": 2}')
    assert verdict(row, Standing.SHOWN, StoredSession(TakenState.RETURNED, inbound, 3, 0)) == (
        Verdict.DIFFERS,
        ["context"],
    )


def test_only_a_changed_version_excuses_another_context():
    inbound = stored_of(session(1))
    for version, expected in ((1, Verdict.DIFFERS), (2, Verdict.MOVED_ON)):
        changed = evolve(inbound, session=evolve(inbound.session, context='{"b": 2}', version=version))
        stored = StoredSession(TakenState.OWNED, changed, 3, 0)
        assert verdict(session(1), Standing.HIDDEN, stored)[0] is expected


def test_a_purged_session_has_moved_on():
    inbound = stored_of(session(1, user_id="alice", metadata='{"k": 1}'))
    emptied = evolve(inbound.session.close(NOW), closed_at=NOW)
    purged = InboundSession(emptied, None, evolve(inbound.original, user_id=None, leftovers="{}"))
    stored = StoredSession(TakenState.OWNED, purged, 3, 0)
    row = session(1, user_id="alice", metadata='{"k": 1}')
    assert verdict(row, Standing.HIDDEN, stored) == (Verdict.MOVED_ON, [])
    assert verdict(row, Standing.HIDDEN, evolve(stored, state=TakenState.FENCING))[0] is Verdict.DIFFERS


@pytest.mark.parametrize("state", [TakenState.FENCING, TakenState.RETURNING])
@pytest.mark.parametrize("standing", [Standing.SHOWN, Standing.HIDDEN])
def test_a_session_between_the_sides_is_compared_by_its_values(state, standing):
    stored = StoredSession(state, stored_of(session(1)), 3, None)
    assert verdict(session(1), standing, stored) == (Verdict.SAME, [])


def test_a_pinned_session_is_compared_with_its_function():
    inbound = stored_of(session(1))
    pinned = PinnedVersion(origin_id(5), 2, inbound.session.language_title)
    changed = evolve(
        inbound, session=evolve(inbound.session, function_id=pinned.function_id, function_version=pinned.version)
    )
    assert verdict(session(1), Standing.SHOWN, StoredSession(None, changed)) == (Verdict.DIFFERS, ["function"])


def test_the_hour_of_a_row_is_no_fault_of_its_copy():
    row = session(1, expires_at=NOW - HOUR, created_at=NOW - 2 * HOUR, last_executed_at=None)
    alive = received(row, POLICY, NOW - 2 * HOUR)
    assert isinstance(alive, AcceptedSession)
    assert verdict(row, Standing.SHOWN, StoredSession(None, alive.inbound)) == (Verdict.SAME, [])


async def test_rows_of_the_origin_are_counted_without_those_that_it_does_not_have():
    rows = [session(number, user_id=str(number)) for number in range(3)]
    (step,) = await steps_of(MemoryOriginReader(rows_of(*rows[:2])), copies_of(*rows))
    assert step.verdicts == {Verdict.SAME: 2, Verdict.EXTRA: 1}
    assert step.examined == 2


def test_the_hash_that_a_trigger_writes_to_a_returned_row_is_no_difference():
    made = stored_of(session(1))
    written = evolve(session(1), script_hash=made.session.script_hash)
    returned = StoredSession(TakenState.RETURNED, made)
    assert verdict(written, Standing.SHOWN, returned) == (Verdict.SAME, [])
    assert verdict(evolve(written, script_hash="0" * 64), Standing.SHOWN, returned) == (Verdict.DIFFERS, ["leftovers"])
    assert verdict(written, Standing.SHOWN, StoredSession(None, made)) == (Verdict.DIFFERS, ["leftovers"])


@pytest.mark.parametrize(("count_there", "expected"), [(3, Verdict.SAME), (4, Verdict.MOVED_ON)])
def test_an_execution_of_generation_1_that_ends_after_the_move_changes_no_more_than_the_count(count_there, expected):
    taken = StoredSession(TakenState.OWNED, stored_of(session(1, execution_count=3)), 3, None)
    late = session(1, execution_count=count_there, compile_status="pending", status="expired")
    assert verdict(late, Standing.HIDDEN, taken) == (expected, [])
    assert verdict(evolve(late, compile_status="failed"), Standing.HIDDEN, taken) == (Verdict.DIFFERS, ["leftovers"])
    assert "leftovers" in verdict(late, Standing.SHOWN, evolve(taken, state=None))[1]
