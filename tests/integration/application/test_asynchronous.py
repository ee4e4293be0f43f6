"""Executions that run later, end to end: accepted by one controller, run, read and cancelled by any."""

import asyncio
import json
import statistics
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import ON_SHARED, Api, serving, settings_for
from tests.integration.application.test_observation import scraped
from tests.support.waiting import until

pytestmark = [pytest.mark.timeout(120), ON_SHARED]

RUNS_NONE = {"MAX_ASYNC_EXECUTIONS": "0"}
ASYNC = {"Prefer": "respond-async"}
ADD = "print('adding')\nresult = params['a'] + 1"
SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(params)\nresult = params"


@pytest_asyncio.fixture(loop_scope="module")
async def accepting(database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A controller on the test's own database that accepts executions, and runs none of them."""
    async with serving(create_controller(settings_for(database_url, data_dir, **RUNS_NONE))) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beside(shared_database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """Another controller on the database of `shared`, which runs no execution that it accepts."""
    async with serving(create_controller(settings_for(shared_database_url, data_dir, **RUNS_NONE))) as api:
        yield api


async def accepted(api: Api, session_id: str, params: Any = None, *, wait_s: int | None = None, **options: Any) -> Any:
    prefer = "respond-async" if wait_s is None else f"respond-async, wait={wait_s}"
    body = {"params": params, **({"async": options} if options else {})}
    response = await api.client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": prefer}, json=body)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/api/v1/executions/{response.json()['execution_id']}"
    return response.json()


async def read(api: Api, execution_id: str, wait_s: int = 0) -> Any:
    response = await api.client.get(f"/api/v1/executions/{execution_id}", headers={"Prefer": f"wait={wait_s}"})
    assert response.status_code == 200, response.text
    return response.json()


async def begun(api: Api, execution_id: str) -> None:
    async def has_begun() -> bool:
        return (await read(api, execution_id))["status"] != "queued"

    await until(has_begun, timeout_s=30)


async def running(api: Api, number: int) -> None:
    """Wait until so many scripts run."""

    async def is_so() -> bool:
        return (await scraped(api))["pglambda_sandbox_bound_workers", "running"] == number

    await until(is_so, timeout_s=30)


async def test_an_execution_runs_after_it_was_accepted_and_its_result_is_read_later(shared: Api) -> None:
    session_id = await shared.initialize("python-adder", ADD)
    response = await accepted(shared, session_id, {"a": 4})
    assert (response["request_id"], response["status"]) == (session_id, "queued")
    ended = await read(shared, response["execution_id"], wait_s=30)
    assert (ended["status"], ended["result"], ended["stdout"]) == ("succeeded", 5, "adding\n")
    assert (ended["execution_count"], ended["params"], ended["status_code"]) == (1, {"a": 4}, 200)
    (kept,) = (await shared.client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert kept["execution_id"] == ended["execution_id"]


async def test_a_caller_that_waits_gets_the_response_or_the_way_to_it(shared: Api) -> None:
    session_id = await shared.initialize("python-sleeper", SLEEP)
    path, prefer = f"/api/v1/execute/{session_id}", {"Prefer": "respond-async, wait=20"}
    quick = await shared.client.post(path, headers=prefer, json={"params": 0})
    assert (quick.status_code, quick.json()["result"]) == (200, 0)
    assert quick.headers["preference-applied"] == "respond-async, wait=20"
    failed = await shared.client.post(path, headers=prefer, json={"params": "x"})
    assert (failed.status_code, failed.json()["error"]["code"]) == (422, "SCRIPT_ERROR")
    slow = await accepted(shared, session_id, 30, wait_s=1)
    assert slow["status"] == "running"
    cancelled = await shared.client.post(f"/api/v1/executions/{slow['execution_id']}/cancel")
    assert cancelled.status_code == 202


async def test_one_controller_accepts_and_another_runs_and_both_tell_the_same(shared: Api, beside: Api) -> None:
    claimed = (await scraped(shared)).get(("pglambda_queue_claimed_total", "python"), 0)
    taken = (await scraped(beside)).get(("pglambda_queue_accepted_total",), 0)
    session_id = await beside.initialize("python-adder", ADD)
    response = await accepted(beside, session_id, {"a": 1})
    ended = await read(beside, response["execution_id"], wait_s=30)
    assert (ended["status"], ended["result"]) == ("succeeded", 2)
    assert await read(shared, response["execution_id"]) == ended
    assert (await scraped(shared))["pglambda_queue_claimed_total", "python"] == claimed + 1
    assert (await scraped(beside))["pglambda_queue_accepted_total",] == taken + 1


async def test_a_queued_execution_is_cancelled_and_never_runs(accepting: Api) -> None:
    session_id = await accepting.initialize("python-adder", ADD)
    response = await accepted(accepting, session_id, {"a": 1})
    path = f"/api/v1/executions/{response['execution_id']}"
    for _ in range(2):
        cancelled = await accepting.client.post(f"{path}/cancel")
        assert (cancelled.status_code, cancelled.json()["status"], cancelled.json()["executed"]) == (
            200,
            "cancelled",
            "no",
        )
    state = await read(accepting, response["execution_id"])
    assert (state["status"], state["status_code"], state["error"]["code"]) == ("cancelled", 409, "EXECUTION_CANCELLED")
    assert (await accepting.session(session_id)).json()["execution_count"] == 0


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_running_execution_is_cancelled_from_any_controller(shared: Api, beside: Api, elsewhere: bool) -> None:
    session_id = await shared.initialize("python-sleeper", SLEEP, limits={"timeout_ms": 60_000})
    execution_id = (await accepted(shared, session_id, 50))["execution_id"]
    await begun(shared, execution_id)
    caller = beside if elsewhere else shared
    response = await caller.client.post(f"/api/v1/executions/{execution_id}/cancel")
    assert (response.status_code, response.json()["status"], response.json()["executed"]) == (
        202,
        "cancelling",
        "partly",
    )
    ended = await read(caller, execution_id, wait_s=20)
    assert (ended["status"], ended["execution_count"]) == ("cancelled", 1)


async def test_a_call_whose_caller_waits_is_cancelled_too(shared: Api, beside: Api) -> None:
    await running(shared, 0)  # what earlier tests have cancelled has ended
    session_id = await shared.initialize("python-sleeper", SLEEP, limits={"timeout_ms": 60_000})
    call = asyncio.create_task(shared.client.post(f"/api/v1/execute/{session_id}", json={"params": 50}))
    await running(shared, 1)
    closed = await beside.client.delete(f"/api/v1/sessions/{session_id}?cancel=true")
    assert closed.status_code == 204
    response = await call
    assert (response.status_code, response.json()["error"]["code"]) == (409, "EXECUTION_CANCELLED")


async def test_a_purge_stops_what_runs_and_leaves_nothing(shared: Api, beside: Api) -> None:
    await running(shared, 0)  # what earlier tests have cancelled has ended
    session_id = await shared.initialize("python-sleeper", SLEEP, limits={"timeout_ms": 60_000})
    begun_one = (await accepted(shared, session_id, 50))["execution_id"]
    await begun(shared, begun_one)
    queued = (await accepted(beside, session_id, 50, delay_seconds=600))["execution_id"]
    path, body = f"/api/v1/execute/{session_id}", {"params": 50}
    call = asyncio.create_task(shared.client.post(path, json=body))
    stream = asyncio.create_task(shared.client.post(path, json=body, headers={"Accept": "application/x-ndjson"}))
    await running(shared, 3)
    assert (await beside.client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
    for execution_id in (begun_one, queued):
        assert (await shared.client.get(f"/api/v1/executions/{execution_id}")).status_code == 404
    await running(shared, 0)
    for execution_id in (begun_one, queued):
        assert (await shared.client.get(f"/api/v1/executions/{execution_id}")).status_code == 404
    response = await call
    assert (response.status_code, response.json()["error"]["code"]) == (409, "EXECUTION_CANCELLED")
    end = json.loads((await stream).text.splitlines()[-1])
    assert (end["event"], end["data"]["status"], end["data"]["error"]["code"]) == ("end", 404, "EXECUTION_NOT_FOUND")


async def test_an_execution_is_repeated_after_a_failure_until_it_succeeds_no_more(shared: Api) -> None:
    session_id = await shared.initialize("python-failing", "raise ValueError('no')")
    retry = {"max_attempts": 2, "on": ["script_error"]}
    first = await read(shared, (await accepted(shared, session_id, retry=retry))["execution_id"], wait_s=30)
    assert (first["status"], first["attempt"]) == ("failed", 1)
    second = await read(shared, first["next_attempt"], wait_s=30)
    assert (second["status"], second["attempt"], second["retry_of"]) == ("failed", 2, first["execution_id"])
    assert second["next_attempt"] is None
    by_hand = await shared.client.post(f"/api/v1/executions/{second['execution_id']}/retry")
    assert by_hand.status_code == 202, by_hand.text
    third = await read(shared, by_hand.json()["execution_id"], wait_s=30)
    assert (third["attempt"], third["retry_of"]) == (1, second["execution_id"])


async def test_a_repeated_key_gets_the_execution_and_then_its_response(shared: Api) -> None:
    session_id = await shared.initialize("python-adder", ADD)
    headers = {**ASYNC, "Idempotency-Key": "order-1"}
    path, body = f"/api/v1/execute/{session_id}", {"params": {"a": 1}}
    first, second = [await shared.client.post(path, headers=headers, json=body) for _ in range(2)]
    assert first.status_code == 202
    assert second.json()["execution_id"] == first.json()["execution_id"]
    await read(shared, first.json()["execution_id"], wait_s=30)
    for preferring in (headers, {"Idempotency-Key": "order-1"}):
        replayed = await shared.client.post(path, headers=preferring, json=body)
        assert (replayed.status_code, replayed.json()["result"]) == (200, 2)
        assert replayed.headers["idempotent-replayed"] == "true"


async def test_the_items_of_a_batch_are_accepted_each_with_an_id(shared: Api) -> None:
    session_id = await shared.initialize("python-adder", ADD)
    body = {"items": [{"params": {"a": n}} for n in range(20)], "parallel": 4}
    response = await shared.client.post(f"/api/v1/execute/{session_id}/batch", headers=ASYNC, json=body)
    lines = sorted(map(json.loads, response.text.splitlines()), key=lambda line: line["index"])
    assert [line["status"] for line in lines] == [202] * 20
    ended = [await read(shared, line["execution_id"], wait_s=30) for line in lines]
    assert [each["result"] for each in ended] == list(range(1, 21))


async def test_executions_of_a_function_run_later_in_its_hidden_session(shared: Api) -> None:
    definition = {"script_content": ADD, "schema": {"params": {"type": "object", "required": ["a"]}}}
    put = await shared.client.put("/api/v1/functions/python-later", json=definition)
    assert put.status_code in {200, 201}, put.text
    path = "/api/v1/functions/python-later/execute"
    refused = await shared.client.post(path, headers=ASYNC, json={"params": {}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_PARAMS")
    response = await shared.client.post(path, headers=ASYNC, json={"params": {"a": 2}})
    assert response.status_code == 202, response.text
    assert (await read(shared, response.json()["execution_id"], wait_s=30))["result"] == 3


async def test_closing_a_session_cancels_what_waits_and_lists_tell_it(accepting: Api) -> None:
    session_id, other = [await accepting.initialize("python-adder", ADD) for _ in range(2)]
    waiting = [(await accepted(accepting, session_id, n))["execution_id"] for n in range(3)]
    await accepted(accepting, other, 1)
    queue = (await accepting.client.get("/api/v1/queue")).json()
    assert (queue["queued"], queue["running"]) == (4, 0)
    assert {each["language"]: each["served"] for each in queue["languages"]} == {"python": True, "nodejs": False}
    assert (await accepting.client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204
    for execution_id in waiting:
        assert (await read(accepting, execution_id))["status"] == "cancelled"
    listed: list[str] = []
    path: str | None = "/api/v1/executions?status=cancelled&limit=2"
    while path is not None:
        page = await accepting.client.get(path)
        listed += [each["execution_id"] for each in page.json()["executions"]]
        path = page.links["next"]["url"] if "next" in page.links else None
    assert listed == waiting[::-1]
    of_other = await accepting.client.get(f"/api/v1/executions?session={other}")
    assert [each["status"] for each in of_other.json()["executions"]] == ["queued"]


async def test_an_execution_starts_within_milliseconds_of_its_acceptance(shared: Api) -> None:
    session_id = await shared.initialize("python-clock", "import time\nresult = time.time()")
    await shared.execute(session_id)
    waits_s = []
    for _ in range(20):
        response = await accepted(shared, session_id)
        ended = await read(shared, response["execution_id"], wait_s=30)
        waits_s.append(ended["result"] - datetime.fromisoformat(response["accepted_at"]).timestamp())
    assert statistics.median(waits_s) < 1, "the limit is wide, because other suites may load this machine"
