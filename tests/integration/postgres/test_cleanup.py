"""What is past retention goes, whatever else goes on, and nothing else."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from attrs import evolve
from structlog.testing import capture_logs

from adapters.postgres.codec import day_at, first_id_of
from adapters.postgres.connections.statement import Statement
from adapters.postgres.repositories.api_keys import PostgresApiKeyRepository
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.usage import PostgresExecutionCounts
from adapters.postgres.retention.cleanup import Cleanup, CleanupOptions, Retention
from adapters.postgres.retention.entry_ender import EntryEnder
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.retention.usage_counter import UsageCounter
from domain.access.api_key import ApiKey
from domain.access.principal import Scope
from domain.audit import Act, ActName, Actor, AuditRetention
from domain.errors import StorageUnavailable
from domain.executions.execution import ExecutionLost
from domain.idempotency import IdempotencyConflict
from domain.identity import Owner
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Session, SessionNotFound
from domain.storage.storage import StorageBudget
from tests.contracts.keyed_call_repository import KEY, OTHER, SAME_NAME
from tests.contracts.storage import ALICE, Storage
from tests.integration.postgres.conftest import storage_on
from tests.integration.postgres.gateways import SteeredGateway, time_out
from tests.support.acts import OPERATOR, recorded
from tests.support.waiting import until

MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)
CALLER = Actor("alice", "192.0.2.7")
RETENTION = Retention(sessions=DAY, history=7 * DAY)
_ADD_KEYS = """
INSERT INTO meta.idempotency_keys (
    request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at
)
SELECT gen_random_uuid(), 'alice', 'k', sha256(''), gen_random_uuid(), 'python-x', %s, %s
FROM generate_series(1, %s)
"""


async def no_pause(_: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def steered(gateway) -> SteeredGateway:
    return SteeredGateway(gateway)


@pytest.fixture
def storage(steered, statements) -> Storage:
    return storage_on(steered, statements)


NewCleanup = Callable[..., Cleanup]


@pytest.fixture
def new_cleanup(steered, statements, storage) -> NewCleanup:
    def new(
        retention: Retention = RETENTION, monotonic_s: Callable[[], float] = time.monotonic, **options: object
    ) -> Cleanup:
        budget = HistoryBudget.of(steered, statements, StorageBudget(None, retention.history.days))
        usage = UsageCounter(steered, statements.usage, storage.clock, retention.history.days)
        limits = CleanupOptions(**options)
        entries = EntryEnder(steered, statements.queue_sweeps)
        parts = budget, usage, entries, storage.files, limits
        return Cleanup(
            steered, statements.cleanup, storage.clock, retention, *parts, sleep=no_pause, monotonic_s=monotonic_s
        )

    return new


async def is_there(storage: Storage, session: Session) -> bool:
    try:
        await storage.sessions.get(session.ref)
    except SessionNotFound:
        return False
    return True


class TestSessions:
    async def test_a_session_is_removed_after_its_retention(self, storage, new_cleanup):
        session = await storage.add()
        cleanup = new_cleanup()
        storage.clock.advance(session.expires_at + RETENTION.sessions - MOMENT - storage.clock.now())
        await cleanup.run_once()
        assert await is_there(storage, session)
        storage.clock.advance(MOMENT)
        await cleanup.run_once()
        assert not await is_there(storage, session)
        assert cleanup.stats().sessions_removed == 1

    async def test_a_closed_session_keeps_its_tombstone_for_the_retention(self, storage, new_cleanup):
        session = await storage.close(await storage.add())
        storage.clock.advance(session.expires_at - storage.clock.now())
        await new_cleanup().run_once()
        assert await is_there(storage, session)
        storage.clock.advance(RETENTION.sessions)
        await new_cleanup().run_once()
        assert not await is_there(storage, session)

    async def test_many_sessions_are_removed_in_batches(self, storage, steered, new_cleanup):
        await asyncio.gather(*(storage.add() for _ in range(25)))
        live = await storage.add(ttl_seconds=900_000, lifetime_seconds_max=900_000)
        storage.clock.advance(2 * DAY)
        cleanup = new_cleanup(batch_max=10)
        await cleanup.run_once()
        assert cleanup.stats().sessions_removed == 25
        assert steered.statements.count("delete_expired_sessions") == 3
        assert await is_there(storage, live)

    async def test_two_cleanups_at_once_share_the_work(self, storage, new_cleanup):
        await asyncio.gather(*(storage.add() for _ in range(40)))
        storage.clock.advance(2 * DAY)
        cleanups = [new_cleanup(batch_max=10) for _ in range(2)]
        await asyncio.gather(*(cleanup.run_once() for cleanup in cleanups))
        await cleanups[0].run_once()
        assert sum(cleanup.stats().sessions_removed for cleanup in cleanups) == 40

    async def test_a_locked_session_is_left_for_the_next_run(self, storage, new_cleanup, database_url):
        session = await storage.add()
        storage.clock.advance(2 * DAY)
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT FROM meta.sessions FOR UPDATE")
            await new_cleanup().run_once()
            assert await is_there(storage, session)
        await new_cleanup().run_once()
        assert not await is_there(storage, session)

    async def test_a_run_is_bounded(self, storage, steered, new_cleanup):
        await asyncio.gather(*(storage.add() for _ in range(5)))
        storage.clock.advance(2 * DAY)
        cleanup = new_cleanup(batch_max=1, batch_min=1, batches_max=3)
        await cleanup.run_once()
        assert cleanup.stats().sessions_removed == 3

    async def test_the_lag_is_the_age_of_the_oldest_row_that_is_due(self, storage, new_cleanup):
        session = await storage.add()
        cleanup = new_cleanup(batch_max=1, batch_min=1, batches_max=1)
        assert cleanup.stats().lag_s is None
        await cleanup.run_once()
        assert cleanup.stats().lag_s == 0
        await storage.add()
        storage.clock.advance(session.expires_at + RETENTION.sessions + timedelta(seconds=5) - storage.clock.now())
        await cleanup.run_once()
        assert cleanup.stats().lag_s == 5

    async def test_a_batch_that_takes_too_long_makes_the_next_one_smaller(self, storage, steered, new_cleanup):
        await asyncio.gather(*(storage.add() for _ in range(30)))
        storage.clock.advance(2 * DAY)
        steered.steps["delete_expired_sessions"] = [time_out, time_out]
        cleanup = new_cleanup(batch_max=40, batch_min=10)
        await cleanup.run_once()
        assert cleanup.stats().sessions_removed == 30
        assert (
            steered.statements.count("delete_expired_sessions") == 5
        )  # 40 and 20 in vain, then 10, 20, and a last one

    async def test_the_smallest_batch_that_takes_too_long_ends_the_run(self, storage, steered, new_cleanup):
        steered.steps["delete_expired_sessions"] = [time_out]
        with pytest.raises(StorageUnavailable):
            await new_cleanup(batch_max=10, batch_min=10).run_once()

    async def test_the_loop_continues_after_a_failed_run(self, storage, steered, new_cleanup):
        session = await storage.add()
        storage.clock.advance(2 * DAY)
        steered.steps["select_oldest_expiry"] = [time_out]
        cleanup = new_cleanup()
        loop = asyncio.create_task(cleanup.run())
        await until(lambda: cleanup.stats().runs)
        loop.cancel()
        assert cleanup.stats().runs_failed == 1
        assert not await is_there(storage, session)

    async def test_a_statement_that_is_refused_fails_the_run_with_one_line_of_log(self, gateway, steered, new_cleanup):
        async def be_refused(_):
            return await gateway.fetch(Statement("select_quotient", "SELECT 1 / 0"), {})

        steered.steps["select_oldest_expiry"] = [be_refused]
        cleanup = new_cleanup()
        with capture_logs() as lines:
            await cleanup.try_once()
        assert (cleanup.stats().runs_failed, cleanup.stats().runs) == (1, 0)
        reason = "PostgreSQL refused a statement: division by zero (22012)"
        assert [(line["event"], line["reason"]) for line in lines] == [("cleanup_failed", reason)]
        assert [each.reason for each in cleanup.stats().failures] == [reason]

    async def test_the_figures_say_for_how_long_each_run_has_failed_until_one_succeeds(
        self, storage, steered, new_cleanup
    ):
        now_s = 100.0
        cleanup = new_cleanup(monotonic_s=lambda: now_s)
        steered.steps["select_oldest_expiry"] = [time_out, time_out]
        for now_s in (107.0, 130.0):  # noqa: B007  # the clock of the cleanup
            await cleanup.try_once()
        assert [each.seconds for each in cleanup.stats().failures] == [23.0]
        await cleanup.try_once()
        assert cleanup.stats().failures == []


class TestOverdueExecutions:
    async def test_overdue_executions_move_to_the_history_as_unknown_without_a_count(self, storage, new_cleanup):
        session = await storage.add()
        execution = await storage.begin(session.ref)
        cleanup = new_cleanup()
        storage.clock.advance(execution.deadline_at - storage.clock.now() - MOMENT)
        await cleanup.run_once()
        assert cleanup.stats().executions_overdue == 0
        storage.clock.advance(MOMENT)
        before = await storage.executions.page(session.ref, None, 5)
        await cleanup.run_once()
        assert cleanup.stats().executions_overdue == 1
        assert await storage.executions.page(session.ref, None, 5) == before
        assert [row.status for row in before.items] == [ExecutionStatus.UNKNOWN]
        assert (await storage.sessions.get(session.ref)).execution_count == 0

    async def test_an_execution_that_is_being_recorded_is_left_alone(self, storage, new_cleanup, database_url):
        session = await storage.add()
        execution = await storage.begin(session.ref)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        cleanup = new_cleanup()
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT FROM meta.open_executions FOR UPDATE")
            await cleanup.run_once()
        assert (cleanup.stats().executions_overdue, cleanup.stats().runs_failed) == (0, 0)
        assert await storage.executions.finish(storage.finished(execution)) == 1

    async def test_a_finish_after_the_move_is_lost(self, storage, new_cleanup):
        session = await storage.add()
        execution = await storage.begin(session.ref)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        await new_cleanup().run_once()
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(execution))


class TestIdempotencyKeys:
    @pytest.fixture
    def add(self, storage, database_url):
        """Store so many keys that are free again after a day."""

        def add(count: int) -> None:
            facts = [storage.clock.now(), storage.clock.now() + DAY, count]
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute(_ADD_KEYS, facts)

        return add

    async def test_a_key_is_removed_when_it_is_free_again(self, storage, add, new_cleanup):
        add(1)
        cleanup = new_cleanup()
        storage.clock.advance(DAY - MOMENT)
        await cleanup.run_once()
        assert cleanup.stats().keys_removed == 0
        storage.clock.advance(MOMENT)
        await cleanup.run_once()
        assert cleanup.stats().keys_removed == 1

    async def test_a_repeated_accept_is_forgotten_after_a_day(self, storage, database_url, new_cleanup):
        with psycopg.connect(database_url, autocommit=True) as connection:
            for _ in range(2):
                accepted = UUID(int=1), storage.ids.new(storage.clock.now())
                connection.execute("INSERT INTO meta.repeated_accepts VALUES (%s, %s, 2)", accepted)
                storage.clock.advance(DAY / 2)
            storage.clock.advance(timedelta(milliseconds=1))
            await new_cleanup().run_once()
            left = connection.execute("SELECT r.execution_id FROM meta.repeated_accepts AS r").fetchall()
        assert left == [(accepted[1],)]

    async def test_many_sessions_are_removed_in_batches(self, storage, add, steered, new_cleanup):
        add(25)
        storage.clock.advance(DAY)
        add(5)
        cleanup = new_cleanup(batch_max=10)
        await cleanup.run_once()
        assert cleanup.stats().keys_removed == 25
        assert steered.statements.count("delete_expired_keys") == 3

    async def test_a_response_is_replayed_after_its_session_was_removed(self, storage, new_cleanup):
        session = await storage.add()
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        retention = timedelta(hours=1)
        storage.clock.advance(session.expires_at + retention - storage.clock.now())
        await new_cleanup(Retention(sessions=retention, history=7 * DAY)).run_once()
        assert not await is_there(storage, session)
        assert (await storage.keyed_executions.begin(*storage.request(session.ref), KEY)).execution_count == 1
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)
        with pytest.raises(SessionNotFound):
            await storage.keyed_executions.begin(*storage.request(session.ref), OTHER)

    async def test_a_locked_key_is_left_for_the_next_run(self, storage, add, new_cleanup, database_url):
        add(1)
        storage.clock.advance(DAY)
        cleanup = new_cleanup()
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT FROM meta.idempotency_keys FOR UPDATE")
            await cleanup.run_once()
            assert cleanup.stats().keys_removed == 0
        await cleanup.run_once()
        assert cleanup.stats().keys_removed == 1


class TestHistory:
    @pytest.fixture
    async def session(self, storage) -> Session:
        return await storage.add(ttl_seconds=10**7, lifetime_seconds_max=10**7)

    async def test_a_day_is_removed_after_its_retention(self, storage, session, new_cleanup):
        await storage.execute(session.ref)
        storage.clock.advance(7 * DAY)
        await storage.execute(session.ref)
        cleanup = new_cleanup()
        await cleanup.run_once()
        assert await _counts(storage, session) == [2, 1]
        storage.clock.advance(DAY)
        await cleanup.run_once()
        assert cleanup.stats().partitions_emptied == 1
        assert await _counts(storage, session) == [2]

    async def test_the_uses_of_a_day_are_removed_with_it(self, storage, session, new_cleanup, database_url):
        for day in range(2):
            storage.clock.advance(7 * day * DAY)
            finished = storage.finished(await storage.begin(session.ref))
            await storage.executions.finish(evolve(finished, uses='{"state":{}}'))
        storage.clock.advance(DAY)
        await new_cleanup().run_once()
        with psycopg.connect(database_url) as connection:
            found = connection.execute("SELECT u.execution_id FROM meta.execution_uses AS u").fetchall()
        assert found == [(finished.execution.execution_id,)]

    async def test_partitions_are_used_again_after_32_days(self, storage, session, new_cleanup):
        cleanup = new_cleanup(Retention(sessions=DAY, history=30 * DAY))
        for _ in range(70):
            await storage.execute(session.ref)
            await cleanup.run_once()
            storage.clock.advance(DAY)
        found = await _counts(storage, session)
        assert found == list(range(70, 70 - len(found), -1))
        assert len(found) in {30, 31}

    @pytest.mark.parametrize(("before", "emptied"), [(timedelta(minutes=61), 1), (timedelta(minutes=59), 0)])
    async def test_the_partition_of_the_next_day_is_left_alone_in_the_hour_before_it(
        self, storage, session, new_cleanup, before, emptied
    ):
        await storage.execute(session.ref)
        its_turn_again = _midnight(storage.clock.now()) + 31 * DAY
        storage.clock.advance(its_turn_again - before - storage.clock.now())
        cleanup = new_cleanup(Retention(sessions=DAY, history=30 * DAY))
        await cleanup.run_once()
        assert cleanup.stats().partitions_emptied == emptied

    async def test_a_partition_with_rows_within_retention_is_not_emptied(self, storage, session, gateway, statements):
        await storage.execute(session.ref)
        today = day_at(storage.clock.now())
        for kept_from, expected in (
            (first_id_of(today), False),
            (first_id_of(today + 1), True),
            (first_id_of(today + 1), False),
        ):
            ((emptied,),) = await gateway.fetch(
                statements.cleanup.empty_partition, {"partition": today % 32, "kept_from": kept_from}
            )
            assert emptied is expected

    async def test_a_partition_that_is_being_read_is_left_for_the_next_run(
        self, storage, session, new_cleanup, database_url
    ):
        await storage.execute(session.ref)
        storage.clock.advance(8 * DAY)
        cleanup = new_cleanup()
        with psycopg.connect(database_url) as connection:
            connection.execute("SELECT FROM meta.executions")
            await cleanup.run_once()
            assert cleanup.stats().partitions_emptied == 0
        await cleanup.run_once()
        assert cleanup.stats().partitions_emptied == 1

    async def test_two_cleanups_at_once_empty_a_partition_once(self, storage, session, new_cleanup):
        await storage.execute(session.ref)
        storage.clock.advance(8 * DAY)
        cleanups = [new_cleanup(), new_cleanup()]
        await asyncio.gather(*(cleanup.run_once() for cleanup in cleanups))
        assert sum(cleanup.stats().partitions_emptied for cleanup in cleanups) == 1

    def test_the_retention_of_the_history_fits_its_partitions(self):
        with pytest.raises(ValueError, match="history"):
            Retention(sessions=DAY, history=31 * DAY)


async def _counts(storage: Storage, session: Session) -> list[int | None]:
    return [row.execution_count for row in (await storage.executions.page(session.ref, None, 200)).items]


def _midnight(now: datetime) -> datetime:
    """Return the beginning of the day after."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


class TestAudit:
    @pytest.fixture
    def keys(self, gateway, statements) -> PostgresApiKeyRepository:
        return PostgresApiKeyRepository(gateway, statements.api_keys)

    @pytest.fixture
    def audit(self, gateway, statements) -> PostgresAuditReader:
        return PostgresAuditReader(gateway, statements.audit)

    @pytest.fixture
    def record(self, storage, keys):
        async def add(actor: Actor = CALLER) -> UUID:
            act_id = storage.ids.new(storage.clock.now())
            key = ApiKey(act_id, Owner("alice"), frozenset({Scope.ADMIN}), bytes(32))
            await keys.add(key, Act(act_id, actor, ActName.KEYS_CREATE))
            return act_id

        return add

    async def test_an_entry_is_removed_once_its_retention_is_over(self, storage, new_cleanup, record, audit):
        cleanup = new_cleanup(evolve(RETENTION, audit=AuditRetention(90 * DAY)))
        await record()
        storage.clock.advance(DAY)
        kept = await record()
        storage.clock.advance(89 * DAY)
        await cleanup.run_once()
        assert len(await recorded(audit)) == 2
        storage.clock.advance(MOMENT)
        await cleanup.run_once()
        assert [entry.act_id for entry in await recorded(audit)] == [kept]
        assert cleanup.stats().acts_removed == 1

    async def test_many_entries_of_callers_displace_only_entries_of_callers(self, new_cleanup, record, audit):
        operators = await record(OPERATOR)
        callers = [await record() for _ in range(30)]
        # The migrations of the test's database are the newest acts, and those of callers come next.
        entries = (await audit.page(None, 100)).items
        migrations = sum(entry.act.startswith("migrations.") for entry in entries)
        cleanup = new_cleanup(
            evolve(RETENTION, audit=AuditRetention(90 * DAY, migrations + 3)), batch_max=4, batch_min=1
        )
        await cleanup.run_once()
        left = {entry.act_id for entry in await recorded(audit)}
        assert operators in left
        assert left - {operators} == set(callers[-3:])


class TestUsage:
    """What owners have executed is counted, and kept as long as the history."""

    async def test_executions_are_counted_and_their_days_removed(self, storage, new_cleanup, gateway, statements):
        counts, cleanup = PostgresExecutionCounts(gateway, statements.usage), new_cleanup()
        began = storage.clock.now().date()
        session = await storage.add(ALICE)
        await storage.execute(session.ref)
        await storage.begin(session.ref)
        storage.clock.advance(timedelta(minutes=3))
        await cleanup.run_once()
        ((day,),) = await counts.days([ALICE], began)
        # The second execution was begun, and its end was never recorded.
        assert (day.executions, day.unknown) == (2, 1)
        assert cleanup.stats().usage_lag_s == timedelta(minutes=2).total_seconds()
        storage.clock.advance(8 * DAY)
        await cleanup.run_once()
        assert await counts.days([ALICE], began) == [[]]


async def test_a_server_that_archives_no_wal_has_no_archive_in_the_figures(new_cleanup):
    cleanup = new_cleanup()
    await cleanup.run_once()
    assert cleanup.stats().archive is None
