"""Schedules in PostgreSQL: lost responses, and what is being added while a schedule is removed."""

import asyncio

import psycopg
import pytest

from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger
from adapters.postgres.repositories.schedules import PostgresScheduleRepository
from domain.errors import StorageUnavailable
from tests.contracts.schedule_repository import KEY, PERIOD, Planner
from tests.contracts.storage import ALICE
from tests.integration.postgres.gateways import SteeredGateway, lose_response, lose_statement
from tests.support.acts import act
from tests.support.waiting import until

_FIRINGS = "SELECT count(*) FROM meta.schedule_firings"
_FIRED = """
WITH locked AS (SELECT c.schedule_id FROM meta.schedules AS c FOR NO KEY UPDATE)
INSERT INTO meta.schedule_firings (schedule_id, due_at, last_due_at, due_times, state, settled_at, manual)
SELECT l.schedule_id, now(), now(), 1, 'fired', now(), FALSE FROM locked AS l
"""
_WAITING = """
SELECT exists(SELECT FROM pg_stat_activity AS a WHERE a.datname = current_database() AND a.wait_event_type = 'Lock')
"""


@pytest.mark.parametrize("fault", [lose_response, lose_statement])
async def test_a_schedule_whose_response_was_lost_is_stored_once_under_its_key(fault, storage, gateway, statements):
    steered = SteeredGateway(gateway)
    planner = Planner(storage, PostgresScheduleRepository(steered, statements.schedules))
    steered.steps["insert_schedule"] = [fault]
    first, again = planner.new(), planner.new()
    with pytest.raises(StorageUnavailable):
        await planner.schedules.add(first, 100, act(), KEY)
    stored = await planner.schedules.created(ALICE, KEY)
    assert stored == (first if fault is lose_response else None)
    assert await planner.schedules.add(again, 100, act(), KEY) is (fault is lose_statement)
    assert len((await planner.schedules.page(ALICE, None, 10)).items) == 1


@pytest.mark.parametrize("how", ["remove", "purge"])
async def test_a_firing_that_is_being_added_goes_with_its_schedule(how, storage, gateway, statements, database_url):
    planner = Planner(storage, storage.schedules)
    session = await storage.add(ALICE)
    schedule = await planner.add(session)
    storage.clock.advance(PERIOD)
    await planner.fire(schedule, session)

    async def purge() -> None:
        mover = PostgresOwnerMover(gateway, statements, storage.clock)
        purger = PostgresOwnerPurger(gateway, statements.purges, storage.clock, mover, OwnerMoverOptions(2, 3))
        async for _ in purger.purge(ALICE, act()):
            pass

    with psycopg.connect(database_url) as firing, psycopg.connect(database_url, autocommit=True) as observer:
        firing.execute(_FIRED)
        removal = planner.schedules.remove(ALICE, schedule.schedule_id, act()) if how == "remove" else purge()
        removing = asyncio.create_task(removal)
        await until(lambda: observer.execute(_WAITING).fetchone() == (True,))
        firing.commit()
        await removing
        assert observer.execute(_FIRINGS).fetchone() == (0,)
