"""The output of running executions in PostgreSQL: purges, cleanup, and what the database cannot store as it is."""

from datetime import timedelta

import psycopg
import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.live_output import PostgresLiveOutput
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.statements.catalogue import Statements
from domain.executions.execution import OpenExecution
from domain.idempotency import KEPT_FOR
from domain.live.position import Position
from domain.scripts.output import ScriptProgress
from domain.scripts.report import ExecutionStatus
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.contracts.live_output import FIRST, LiveOutputContract, part_of, texts
from tests.contracts.storage import ALICE, Storage
from tests.integration.postgres.conftest import cleanup_on
from tests.support.acts import act


@pytest.fixture
def output(gateway: Gateway, statements: Statements) -> PostgresLiveOutput:
    return PostgresLiveOutput(gateway, statements.live_output)


@pytest.fixture
async def execution(storage: Storage) -> OpenExecution:
    return await storage.begin((await storage.add(ALICE)).ref)


class TestPostgresLiveOutput(LiveOutputContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


async def is_empty(output: PostgresLiveOutput, execution: OpenExecution) -> bool:
    found = await output.read(execution.ref.session_id, execution.execution_id, Position())
    return texts(found) == ("", "")


async def test_a_record_that_is_being_removed_takes_no_output(output, execution, database_url):
    with psycopg.connect(database_url) as other:
        other.execute("DELETE FROM meta.open_executions")
        assert not await output.append(part_of(execution, 1, (0, FIRST)))
        other.rollback()
    assert await output.append(part_of(execution, 1, (0, FIRST)))


async def test_a_cancel_that_is_being_requested_does_not_keep_output_away(output, execution, database_url):
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE meta.open_executions SET cancel_requested_at = now()")
        assert await output.append(part_of(execution, 1, (0, FIRST)))


async def test_a_message_that_a_text_cannot_be_is_stored_with_replacements(output, execution):
    part = part_of(execution, 1, progress=ScriptProgress(0.5, "a\0b\ud800"), progress_count=1)
    assert await output.append(part)
    found = await output.read(execution.ref.session_id, execution.execution_id, Position())
    assert found.progress == ScriptProgress(0.5, "a\N{REPLACEMENT CHARACTER}b?")


async def test_a_purge_of_a_session_erases_it(output, execution, storage, gateway, statements):
    assert await output.append(part_of(execution, 1, (0, FIRST)))
    await storage.close(await storage.sessions.get(execution.ref))
    await PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR).purge(execution.ref, act())
    assert await is_empty(output, execution)


async def test_a_purge_of_an_owner_erases_it(output, execution, storage, gateway, statements):
    assert await output.append(part_of(execution, 1, (0, FIRST)))
    mover = PostgresOwnerMover(gateway, statements, storage.clock)
    purger = PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))
    async for _ in purger.purge(ALICE, act()):
        pass
    assert await is_empty(output, execution)


async def test_cleanup_removes_what_a_dead_controller_left(output, execution, storage, gateway, statements):
    assert await output.append(part_of(execution, 1, (0, FIRST)))
    cleanup = cleanup_on(gateway, statements, storage)
    storage.clock.advance(execution.deadline_at + timedelta(minutes=59) - storage.clock.now())
    await cleanup.run_once()
    assert not await is_empty(output, execution), "readers find it for an hour"
    storage.clock.advance(timedelta(minutes=2))
    await cleanup.run_once()
    assert await is_empty(output, execution)


async def test_erasing_an_execution_erases_it(output, storage):
    process = QueueOfOne(storage)
    entry = await process.add(await storage.add(ALICE, **LONG))
    execution = (await process.claim_one()).execution
    assert await output.append(part_of(execution, 1, (0, FIRST)))
    storage.clock.advance(execution.deadline_at + timedelta(minutes=1) - storage.clock.now())
    assert await process.status(entry.execution_id) is ExecutionStatus.UNKNOWN
    assert not await is_empty(output, execution)
    await process.queue.erase(ALICE, entry.execution_id, entry.ref.session_id, act())
    assert await is_empty(output, execution)
