"""The states of sessions in PostgreSQL: what removes them, foreign locks, and ends that break off."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.limits import PostgresUsageReader
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.catalogue import Statements
from domain.errors import StorageUnavailable
from domain.executions.execution import OpenExecution
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.idempotency import KEPT_FOR
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.states.state import SlotClaim
from domain.storage.storage import Part
from tests.contracts.storage import ALICE, BOB, Storage
from tests.integration.postgres.conftest import cleanup_on, storage_on
from tests.integration.postgres.gateways import SteeredGateway, lose_response, lose_statement
from tests.support.acts import act
from tests.support.waiting import until

STATE = JsonText('{"a": 1}')
Count = Callable[[], int]


@pytest.fixture
async def ref(storage: Storage) -> SessionRef:
    return (await storage.add(ALICE)).ref


@pytest.fixture
def states(database_url: str) -> Count:
    """How many states are stored."""

    def count() -> int:
        with psycopg.connect(database_url) as connection:
            ((found,),) = connection.execute("SELECT count(*) FROM meta.session_states").fetchall()
            return int(found)

    return count


def claim_of(execution: OpenExecution) -> SlotClaim:
    return SlotClaim(execution.ref, execution.execution_id, execution.deadline_at)


async def taken(storage: Storage, ref: SessionRef) -> OpenExecution:
    execution = await storage.begin(ref)
    await storage.states.take(claim_of(execution), storage.clock.now())
    return execution


async def save(storage: Storage, execution: OpenExecution) -> int:
    return await storage.executions.finish(evolve(storage.finished(execution), state=STATE))


async def version(storage: Storage, ref: SessionRef) -> int:
    return (await storage.states.read(ref, storage.clock.now())).version


async def test_a_purge_of_a_session_erases_its_state_also_one_that_was_taken_after_the_close(
    storage: Storage, ref: SessionRef, gateway: Gateway, statements: Statements, states: Count
) -> None:
    late = await storage.begin(ref)
    await save(storage, await taken(storage, ref))
    await storage.close(await storage.sessions.get(ref))
    await storage.states.take(claim_of(late), storage.clock.now())
    assert states() == 1
    await PostgresSessionPurger(gateway, statements.purges, storage.clock, KEPT_FOR).purge(ref, act())
    assert states() == 0


async def test_a_purge_of_an_owner_erases_its_states_alone(
    storage: Storage, ref: SessionRef, gateway: Gateway, statements: Statements, states: Count
) -> None:
    other = (await storage.add(BOB)).ref
    for each in (ref, other):
        await save(storage, await taken(storage, each))
    mover = PostgresOwnerMover(gateway, statements, storage.clock)
    purger = PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))
    async for _ in purger.purge(ALICE, act()):
        pass
    assert states() == 1
    assert await version(storage, other) == 1


async def test_cleanup_removes_the_state_with_its_session(
    storage: Storage, ref: SessionRef, gateway: Gateway, statements: Statements, states: Count
) -> None:
    await save(storage, await taken(storage, ref))
    cleanup = cleanup_on(gateway, statements, storage)
    storage.clock.advance((await storage.sessions.get(ref)).expires_at - storage.clock.now())
    await cleanup.run_once()
    assert states() == 1
    storage.clock.advance(timedelta(days=1))
    await cleanup.run_once()
    assert states() == 0


async def test_a_state_moves_with_its_session(
    storage: Storage, ref: SessionRef, gateway: Gateway, statements: Statements
) -> None:
    await save(storage, await taken(storage, ref))
    async for _ in PostgresOwnerMover(gateway, statements, storage.clock).move(ALICE, BOB, act()):
        pass
    moved = SessionRef(BOB, ref.session_id)
    assert await version(storage, moved) == 1
    await save(storage, await taken(storage, moved))
    assert await version(storage, moved) == 2


async def test_states_are_counted_as_sessions_in_the_survey_of_the_storage(
    storage: Storage, ref: SessionRef, gateway: Gateway, statements: Statements
) -> None:
    await save(storage, await taken(storage, ref))
    found = (await StorageGauge(gateway, statements.storage).stored()).parts
    assert found[Part.OTHER].size_bytes == 0 or found[Part.SESSIONS].size_bytes > 0


async def test_a_foreign_lock_on_a_session_delays_its_end_alone(
    storage: Storage, ref: SessionRef, database_url: str
) -> None:
    others = [(await storage.add(ALICE)).ref for _ in range(3)]
    executions = [await taken(storage, each) for each in (ref, *others)]
    with psycopg.connect(database_url) as foreign:
        foreign.execute("SELECT FROM meta.sessions WHERE request_id = %s FOR UPDATE", (ref.session_id,))
        locked, *ends = [asyncio.ensure_future(save(storage, each)) for each in executions]
        assert await asyncio.gather(*ends) == [1, 1, 1]
        assert not locked.done()
        foreign.rollback()
    assert await locked == 1
    assert [await version(storage, each) for each in (ref, *others)] == [1] * 4


@pytest.mark.parametrize("lost", [lose_response, lose_statement])
async def test_an_end_whose_response_or_statement_is_lost_is_sent_again_and_saves_once(
    gateway: Gateway, statements: Statements, lost: object
) -> None:
    steered = SteeredGateway(gateway)
    storage = storage_on(steered, statements)  # type: ignore[arg-type]  # it does what a gateway does
    ref = (await storage.add(ALICE)).ref
    execution = await taken(storage, ref)
    steered.steps["finish_executions"] = [lost]  # type: ignore[list-item]
    with pytest.raises(StorageUnavailable):
        await save(storage, execution)
    assert await save(storage, execution) == 1
    assert await version(storage, ref) == 1
    assert (await storage.sessions.get(ref)).execution_count == 1


async def test_nothing_is_stored_if_the_backend_is_killed_between_the_save_and_the_finish(
    storage: Storage, ref: SessionRef, database_url: str
) -> None:
    execution = await taken(storage, ref)
    with psycopg.connect(database_url, autocommit=True) as foreign:
        # The save passes, and the insert into the history waits.
        foreign.execute("BEGIN")
        foreign.execute("LOCK TABLE meta.executions IN SHARE MODE")
        ending = asyncio.ensure_future(save(storage, execution))
        with psycopg.connect(database_url, autocommit=True) as killer:

            def killed() -> bool:
                found = killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                ).fetchall()
                return bool(found)

            await until(killed)
            ((version_now, count),) = killer.execute(
                "SELECT t.version, s.execution_count FROM meta.session_states AS t INNER JOIN meta.sessions AS s "
                "USING (request_id)"
            ).fetchall()
            assert (version_now, count) == (0, 0)
        foreign.execute("ROLLBACK")
    assert await ending == 1  # it was sent again
    assert await version(storage, ref) == 1


async def test_a_state_counts_for_the_quota_of_its_owner(
    storage: Storage, gateway: Gateway, statements: Statements
) -> None:
    ref = (await storage.add(ALICE, grants=Grants(StateGrant(StateMode.EXCLUSIVE)))).ref
    reader = PostgresUsageReader(gateway, statements.limits)
    ((before,),) = [await reader.usage([ALICE], storage.clock.now())]
    execution = await taken(storage, ref)
    large = JsonText('{"a":"' + 100_000 * "x" + '"}')
    await storage.executions.finish(evolve(storage.finished(execution), state=large))
    ((after,),) = [await reader.usage([ALICE], storage.clock.now())]
    assert 100_000 <= after.stored_bytes - before.stored_bytes <= 101_000
