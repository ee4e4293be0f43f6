"""Two controllers of which one is killed while it fires schedules: each due time is fired once, or recorded as missed."""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta

import httpx2
import psycopg
import pytest

from tests.faults.mortal import STEPS_OF_SCHEDULES, runs_in
from tests.faults.report import NOTES
from tests.faults.test_asynchronous import ended
from tests.faults.test_idempotency import KEY
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

TITLE = {"Language-Title": "python-echo"}
SCHEDULES = "/api/v1/schedules"
_FIRINGS = """
SELECT f.schedule_id, f.state, f.due_times, f.execution_id FROM meta.schedule_firings AS f ORDER BY f.due_at
"""
_WAITING = "SELECT count(*) FROM meta.schedules WHERE next_at IS NOT NULL"
_ACCEPTED = """
SELECT q.execution_id FROM meta.queued_executions AS q
UNION ALL SELECT o.execution_id FROM meta.open_executions AS o WHERE o.claim_id IS NOT NULL
UNION ALL SELECT k.winner FROM meta.idempotency_keys AS k WHERE k.outcome IS NOT NULL
"""
_LATENESS = "SELECT extract(epoch FROM f.settled_at - f.due_at)::float8 FROM meta.schedule_firings AS f"
_NOW = "SELECT clock_timestamp()"


def rows(url, query):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


async def session(client):
    made = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": "result = params"})
    return made.json()["request_id"]


async def single_times(client, url, count, first_s, session_id, *, apart_ms=20):
    """Create schedules of single times, a few milliseconds apart; return their ids."""
    ((now,),) = rows(url, _NOW)
    made = []
    for number in range(count):
        run_at = now + timedelta(seconds=first_s, milliseconds=apart_ms * number)
        body = {
            "name": str(number),
            "request_id": session_id,
            "run_at": run_at.isoformat(),
            "params": {"number": number},
        }
        made.append((await client.post(SCHEDULES, json=body)).json()["schedule_id"])
    return made


async def settled(url):
    """Wait until no due time is left."""
    await until(lambda: rows(url, _WAITING) == [(0,)], 20)


def lateness_ms(url):
    """Return how late each due time was settled."""
    return sorted(late * 1000 for (late,) in rows(url, _LATENESS))


@pytest.mark.parametrize("step", STEPS_OF_SCHEDULES)
async def test_a_controller_that_is_killed_at_a_step_of_a_firing(mortals, survivor, url, runs, step):
    mortal = mortals(url, step)
    await mortal.ready()
    live, closed = await session(survivor), await session(survivor)
    fires = await single_times(survivor, url, 20, 3, live)
    misses = await single_times(survivor, url, 20, 3, closed)
    assert (await survivor.delete(f"/api/v1/sessions/{closed}")).status_code == 204
    assert await mortal.has_died(20)
    await settled(url)

    firings = [(str(schedule_id), *rest) for schedule_id, *rest in rows(url, _FIRINGS)]
    assert Counter(each[0] for each in firings) == dict.fromkeys(fires + misses, 1)
    assert {each[0] for each in firings if each[1] == "fired"} == set(fires)
    started = [each[3] for each in firings if each[3]]
    assert sorted(started) == sorted(winner for (winner,) in rows(url, _ACCEPTED))
    ran = Counter(execution_id for execution_id, _ in runs_in(runs))
    assert set(ran.values()) <= {1}
    assert set(ran) <= set(map(str, started))


@pytest.mark.parametrize("step", [each for each in STEPS_OF_SCHEDULES if each.endswith("fire")])
async def test_a_controller_that_is_killed_at_a_step_of_a_run_by_hand(mortals, survivor, url, runs, step):
    mortal = mortals(url, step)
    await mortal.ready()
    body = {"name": "x", "request_id": await session(survivor), "interval_seconds": 3600}
    run = f"{(await survivor.post(SCHEDULES, json=body)).headers['location']}/run"
    async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
        with contextlib.suppress(httpx2.TransportError):
            await client.post(run, headers=KEY)
    assert await mortal.has_died(20)
    repeated = [await survivor.post(run, headers=KEY) for _ in range(2)]
    execution_id, again = [response.json()["execution_id"] for response in repeated]
    assert again == execution_id
    assert (await ended(survivor, execution_id))["status"] == "succeeded"
    assert [(state, str(started)) for _, state, _, started in rows(url, _FIRINGS)] == [("fired", execution_id)]
    assert [started for started, _ in runs_in(runs)] == [execution_id]


async def test_a_server_that_is_frozen_while_due_times_pass(mortals, survivor, server, url):
    second = mortals(url)
    await second.ready()
    made = await single_times(survivor, url, 40, 3, await session(survivor))
    await until(lambda: any(rows(url, _FIRINGS)), 10)
    server.freeze()
    try:
        await asyncio.sleep(2.5)
    finally:
        server.thaw()
    await settled(url)
    firings = rows(url, _FIRINGS)
    assert Counter((str(each[0]), each[1]) for each in firings) == {(each, "fired"): 1 for each in made}
    assert sorted(each[3] for each in firings) == sorted(winner for (winner,) in rows(url, _ACCEPTED))
    NOTES.append(
        f"40 due times, server frozen for 2.5 s among them: the latest fired {lateness_ms(url)[-1]:.0f} ms late"
    )


async def test_a_hundred_schedules_that_are_due_at_once_fire_once_each(mortals, survivor, url, runs):
    second = mortals(url)
    await second.ready()
    made = await single_times(survivor, url, 100, 5, await session(survivor), apart_ms=0)
    await settled(url)
    firings = rows(url, _FIRINGS)
    assert Counter((str(each[0]), each[1]) for each in firings) == {(each, "fired"): 1 for each in made}
    await until(lambda: len(runs_in(runs)) == len(made), 20)
    assert len({execution_id for execution_id, _ in runs_in(runs)}) == len(made)
    late = lateness_ms(url)
    NOTES.append(
        f"100 schedules due at once, two controllers: fired {late[50]:.0f} ms late (median), {late[-1]:.0f} at most"
    )
