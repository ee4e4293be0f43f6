"""What is stored about a takeover follows the sessions: it is moved, purged and cleaned up with them."""

import asyncio
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.clock.disciplined import ClockOptions, DisciplinedClock
from adapters.postgres.clock.probe import DatabaseClock
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.inspection import DatabaseInspector
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.repositories.timeline import PostgresTimelineReader
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.catalogue import Statements
from domain.access.owner_move import OwnedData
from domain.audit import ActName
from domain.idempotency import KEPT_FOR
from domain.identity import SessionRef
from domain.sessions.session import SessionNotFound
from domain.storage.storage import Part
from domain.stored_facts import RecordingFacts
from domain.takeover.moving import InboundSession, Received, TakenState
from tests.contracts.recording_store import LIMITS, MINUTE, NOTHING, call_of
from tests.contracts.storage import ALICE, BOB, Storage
from tests.contracts.takeover_store import id_of, inbound, origin_id, owned, receive, takeover_of
from tests.integration.postgres.conftest import cleanup_on
from tests.integration.postgres.test_concurrency import waits_for_a_lock
from tests.support.acts import act, recorded
from tests.support.waiting import until

DAY = timedelta(days=1)
SMALL = OwnerMoverOptions(sessions_max=2, rows_max=3)


@pytest.fixture
def store(gateway, statements) -> PostgresTakeoverStore:
    return PostgresTakeoverStore(gateway, statements.takeover)


@pytest.fixture
async def recordings(gateway, statements, storage, store) -> PostgresRecordingStore:
    """A recording of a minute, with a call of each of two owners."""
    recordings = PostgresRecordingStore(gateway, statements.recordings)
    await store.begin(takeover_of(storage))
    await receive(store, of_owner(storage, ALICE, 1), of_owner(storage, BOB, 2))
    await recordings.start(storage.clock.now(), storage.clock.now() + MINUTE)
    await recordings.record([call_of(storage, number, number) for number in (1, 2)], NOTHING, LIMITS)
    return recordings


@pytest.fixture
def mover(gateway, statements, storage) -> PostgresOwnerMover:
    return PostgresOwnerMover(gateway, statements, storage.clock, SMALL)


@pytest.fixture
def purger(gateway, statements, storage, mover) -> PostgresOwnerPurger:
    return PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, SMALL)


@pytest.fixture
def audit(gateway, statements) -> PostgresAuditReader:
    return PostgresAuditReader(gateway, statements.audit)


@pytest.fixture
def cleanup(gateway, statements, storage) -> Cleanup:
    return cleanup_on(gateway, statements, storage)


def of_owner(storage: Storage, owner: str, number: int) -> InboundSession:
    return inbound(storage, number, ref=SessionRef(owner, origin_id(number)))


async def mark(database_url: str, state: TakenState, *ids: UUID) -> None:
    """Give taken sessions a state, as the commands do."""
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE meta.taken_sessions SET state = %s WHERE request_id = ANY(%s)", (state, list(ids)))


async def test_a_copy_of_a_returned_session_makes_it_inbound_again(storage, store, database_url):
    copy = inbound(storage)
    await owned(store, storage, copy)
    await mark(database_url, TakenState.RETURNED, id_of(copy))
    assert await receive(store, copy) == Received(written=1)
    assert await store.taken([id_of(copy)]) == []
    assert await store.inbound([id_of(copy)]) == [copy]


async def test_the_record_of_a_restored_origin_has_both_sources(storage, store, audit):
    takeover, act_of_it = takeover_of(storage), act(ActName.TAKEOVER_FOLLOW)
    await store.begin(takeover)
    for _ in range(2):
        await store.follow({"database": "restored"}, act_of_it)
    await store.follow({"database": "restored"}, act(ActName.TAKEOVER_FOLLOW))
    (entry,) = await recorded(audit)
    assert (entry.act_id, entry.actor, entry.act) == (act_of_it.act_id, act_of_it.actor, act_of_it.name)
    assert (entry.owner, entry.subject) == (None, str(takeover.takeover_id))
    assert entry.details == {"from": dict(takeover.source), "to": {"database": "restored"}}


async def test_nothing_is_written_for_a_copy_that_is_stored(storage, store, database_url):
    copies = [inbound(storage, number) for number in range(3)]
    await receive(store, *copies)
    query = "SELECT array_agg((i.ctid, i.xmin, i.xmax) ORDER BY i.request_id)::text FROM meta.inbound_sessions AS i"
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = connection.execute(query).fetchone()
        await receive(store, *copies)
        assert connection.execute(query).fetchone() == before


async def test_the_cleanup_removes_what_was_taken_with_its_session(storage, store, cleanup):
    copy = inbound(storage)
    await owned(store, storage, copy)
    storage.clock.advance(copy.session.expires_at + DAY - storage.clock.now() - timedelta(microseconds=1))
    await cleanup.run_once()
    assert len(await store.taken([id_of(copy)])) == 1
    storage.clock.advance(timedelta(microseconds=1))
    await cleanup.run_once()
    assert await store.taken([id_of(copy)]) == []
    assert cleanup.stats().sessions_removed == 1


async def test_the_cleanup_removes_expired_copies_and_returned_sessions(storage, store, cleanup, database_url):
    copies = [inbound(storage, number) for number in range(4)]
    until = copies[0].session.expires_at + DAY
    later = inbound(storage, 4, expires_at=until, expires_max_at=until)
    await receive(store, *copies, later)
    ids = [id_of(copy) for copy in copies]
    await store.take(ids[2:], storage.clock.now())
    await mark(database_url, TakenState.RETURNED, ids[3])
    storage.clock.advance(until - storage.clock.now())
    await cleanup.run_once()
    assert await store.inbound([*ids, id_of(later)]) == [later]
    assert await store.taken(ids) == []


async def test_what_was_taken_stays_while_its_session_lives_longer(storage, store, cleanup):
    until = storage.clock.now() + 3 * DAY
    copy = inbound(storage, expires_max_at=until)
    await owned(store, storage, copy)
    await storage.sessions.update(copy.session.ref, lambda read: evolve(read, expires_at=until))
    storage.clock.advance(copy.session.expires_at + DAY - storage.clock.now())
    await cleanup.run_once()
    assert len(await store.taken([id_of(copy)])) == 1


async def test_a_purge_of_an_owner_erases_copies_and_what_was_taken(storage, store, purger, audit):
    mine = [of_owner(storage, ALICE, number) for number in range(7)]
    other = of_owner(storage, BOB, 7)
    await owned(store, storage, *mine[:2])
    await receive(store, *mine[2:], other)
    await store.take([id_of(mine[6])], storage.clock.now())
    assert (await purger.count(ALICE))[OwnedData.SESSIONS] == 7
    async for step in purger.purge(ALICE, act(ActName.OWNERS_PURGE)):
        assert step.examined <= 3
    kept = {id_of(copy) for copy in await store.inbound([id_of(copy) for copy in [*mine, other]])}
    assert kept == {id_of(mine[6]), id_of(other)}
    taken = await store.taken([id_of(copy) for copy in mine])
    assert {(each.state, each.original.user_id, each.original.leftovers) for each in taken} == {
        (TakenState.OWNED, None, "{}"),
        (TakenState.FENCING, None, "{}"),
    }
    entry, *_ = await recorded(audit)
    assert (entry.details["sessions"], entry.details["inbound_sessions"]) == (2, 4)


async def test_a_purge_of_a_session_erases_what_was_taken_with_it(storage, store, gateway, statements):
    copy, other = of_owner(storage, ALICE, 1), of_owner(storage, ALICE, 2)
    await owned(store, storage, copy, other)
    purger = PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR)
    await purger.purge(copy.session.ref, act(ActName.SESSIONS_PURGE))
    found = {each.session_id: each.original.user_id for each in await store.taken([id_of(copy), id_of(other)])}
    assert found == {id_of(copy): None, id_of(other): "alice\t"}


async def test_what_was_taken_moves_with_its_session(storage, store, mover, database_url):
    copies = [of_owner(storage, ALICE, number) for number in range(5)]
    await owned(store, storage, *copies)
    await receive(store, waiting := of_owner(storage, ALICE, 5))
    running, returned = copies[0], copies[1]
    await storage.begin(running.session.ref)
    await mark(database_url, TakenState.RETURNED, id_of(returned))
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM meta.sessions WHERE request_id = %s", [id_of(returned)])
    moved = [step.moved async for step in mover.move(ALICE, BOB, act())]
    assert sum(moved) == 3
    owners = {each.session_id: each.owner for each in await store.taken([id_of(copy) for copy in copies])}
    assert owners == {id_of(copy): ALICE if copy is running else BOB for copy in copies}
    assert await store.inbound([id_of(waiting)]) == [waiting]


async def test_copies_count_as_storage_of_the_takeover(storage, store, gateway, statements):
    gauge = StorageGauge(gateway, statements.storage)
    before = (await gauge.stored()).parts[Part.TAKEOVER].size_bytes
    await receive(store, *[inbound(storage, number) for number in range(200)])
    assert (await gauge.stored()).parts[Part.TAKEOVER].size_bytes > before + 20_000


async def test_the_cleanup_counts_sessions_that_neither_side_serves(storage, store, cleanup):
    await cleanup.run_once()
    assert cleanup.stats().unserved is None
    await store.begin(takeover_of(storage))
    copies = [inbound(storage, number) for number in range(3)]
    await owned(store, storage, copies[0])
    await receive(store, *copies[1:])
    await store.take([id_of(copies[1])], storage.clock.now())
    await cleanup.run_once()
    assert cleanup.stats().unserved == 1


async def test_an_id_is_explained_by_where_its_session_is(storage, store, gateway, statements, database_url):
    copies = [inbound(storage, number) for number in range(3)]
    await owned(store, storage, copies[0])
    await receive(store, *copies[1:])
    await store.take([id_of(copies[1])], storage.clock.now())
    reader = await timeline_of(gateway, statements)
    moves = [(await reader.read(id_of(copy))).move for copy in [*copies, inbound(storage, 9)]]
    assert [move and move.state for move in moves] == [TakenState.OWNED, TakenState.FENCING, None, None]
    assert [move and move.spelled_title for move in moves] == ["nodejs-adder"] * 3 + [None]
    assert (moves[0].count_at_fence, moves[0].owned_at) == (7, storage.clock.now())


async def timeline_of(gateway: Gateway, statements: Statements) -> PostgresTimelineReader:
    clock = DisciplinedClock(DatabaseClock(gateway.fetch, statements.clock, 1.0), ClockOptions())
    await clock.measure()
    return PostgresTimelineReader(gateway, statements, clock, KEPT_FOR)


async def sessions_of(recordings: PostgresRecordingStore) -> list[UUID]:
    return [call.session_id for call in await recordings.unjudged(None, 10)]


async def test_the_cleanup_removes_calls_a_day_after_they_were_recorded(storage, recordings, cleanup):
    storage.clock.advance(DAY)
    await cleanup.run_once()
    assert (await recordings.counts()).calls == 2
    storage.clock.advance(timedelta(microseconds=1))
    await cleanup.run_once()
    assert (await recordings.counts()).calls == 0
    assert await recordings.recording() is not None
    storage.clock.advance(MINUTE)
    await cleanup.run_once()
    assert await recordings.recording() is None


async def test_the_cleanup_removes_calls_that_were_stored_while_their_recording_was_discarded(
    recordings, cleanup, database_url
):
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM meta.recording")
    await cleanup.run_once()
    assert (await recordings.counts()).calls == 0


async def test_the_purge_of_an_owner_removes_its_recorded_calls(recordings, purger):
    assert [step async for step in purger.purge(ALICE, act())]
    assert await sessions_of(recordings) == [origin_id(2)]


async def test_recorded_calls_follow_their_owner(recordings, mover, purger):
    assert [step.moved async for step in mover.move(ALICE, BOB, act())] == []
    assert len(await sessions_of(recordings)) == 2
    assert [step async for step in purger.purge(BOB, act())]
    assert await sessions_of(recordings) == []


async def test_the_purge_of_a_session_removes_its_recorded_calls(storage, gateway, statements, store, recordings):
    copies = await store.inbound([origin_id(1)])
    await owned(store, storage, *copies)
    purger = PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR)
    await purger.purge(copies[0].session.ref, act(ActName.SESSIONS_PURGE))
    assert await sessions_of(recordings) == [origin_id(2)]


@pytest.mark.parametrize("is_removed", [True, False])
async def test_no_call_is_recorded_for_a_copy_that_is_being_removed(is_removed, storage, recordings, database_url):
    query = "DELETE FROM meta.inbound_sessions WHERE request_id = ANY(%s)"
    with psycopg.connect(database_url) as connection:
        connection.execute(query, [[origin_id(1)] if is_removed else []])
        again = await recordings.record([call_of(storage, 5, 1)], NOTHING, LIMITS)
    assert again.unwanted == (frozenset({origin_id(1)}) if is_removed else frozenset())
    assert len(await sessions_of(recordings)) == (2 if is_removed else 3)


async def test_the_number_of_recorded_calls_is_explained_and_known_to_the_doctor(
    storage, gateway, statements, recordings, database_url
):
    reader = await timeline_of(gateway, statements)
    assert [(await reader.read(origin_id(number))).recorded_calls for number in (1, 3)] == [1, 0]
    async with DatabaseInspector.connected(GatewayOptions(database_url), statements) as inspector:
        found = await inspector.recordings()
        assert found.calls == 2
        assert abs(found.oldest_at - storage.clock.now()) <= timedelta(milliseconds=1)
        assert found.until == storage.clock.now() + MINUTE
        await recordings.discard()
        assert await inspector.recordings() == RecordingFacts(0, None, None)


async def test_a_session_of_the_origin_is_known_by_its_recorded_calls(storage, gateway, statements, recordings, audit):
    purger, ref = (
        PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR),
        SessionRef(ALICE, origin_id(1)),
    )
    await purger.purge(ref, act(ActName.SESSIONS_PURGE))
    assert await sessions_of(recordings) == [origin_id(2)]
    assert [entry.owner for entry in await recorded(audit)] == [ALICE]
    with pytest.raises(SessionNotFound):
        await purger.purge(ref, act(ActName.SESSIONS_PURGE))


async def test_a_session_whose_row_was_removed_is_purged_by_what_is_left(storage, gateway, statements, database_url):
    session = await storage.add(ALICE)
    await storage.begin(session.ref)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM meta.sessions")
    purger = PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR)
    await purger.purge(session.ref, act(ActName.SESSIONS_PURGE))
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM meta.open_executions").fetchone() == (0,)


async def test_recorded_calls_reach_no_log_of_the_server(recordings, database_url):
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT c.relpersistence FROM pg_class AS c WHERE c.oid = 'meta.recorded_calls'::regclass"
        ).fetchone()
    assert row == ("u",)


async def test_a_session_returns_only_after_begins_that_found_it_open(storage, gateway, statements, database_url):
    session = await storage.add()
    returns, session_id = PostgresReturnStore(gateway, statements.session_returns), session.ref.session_id
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO meta.open_executions VALUES (%s, %s, %s, 0, %s)",
            [session_id, origin_id(1), session.ref.owner, storage.clock.now() + MINUTE],
        )
        await returns.close([session_id], storage.clock.now())
        reading = asyncio.ensure_future(returns.outgoing([session_id]))
        await until(lambda: reading.done() or waits_for_a_lock(database_url))
    assert [each.is_executing for each in await reading] == [True]
