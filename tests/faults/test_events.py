"""Readers of live events lose nothing, read nothing twice, and hear of no end that was not recorded, whatever dies."""

import asyncio
import contextlib
import json

import httpx2
import pytest

from tests.faults.report import NOTES
from tests.faults.test_idempotency import TITLE

pytestmark = pytest.mark.timeout(120)

LINES = 40
SCRIPT = {
    "script_content": (
        "import asyncio\n"
        "async def handler(params):\n"
        "    for number in range(params['lines']):\n"
        "        print(f'line {number} é')\n"
        "        await asyncio.sleep(0.1)\n"
        "    return params['lines']"
    ),
    "limits": {"timeout_ms": 6000},
}
WHOLE = "".join(f"line {number} é\n" for number in range(LINES))
ACCEPT = {"Accept": "application/x-ndjson"}


def text_of(events):
    return "".join(each["data"]["text"] for each in events if each["event"] == "stdout")


async def read(client, method, path, found, until=lambda _: False, **call):
    """Add events to those that were found, until this holds or the stream ends or breaks."""
    last = {"Last-Event-ID": found[-1]["id"]} if found else {}
    with contextlib.suppress(httpx2.TransportError):
        async with client.stream(method, path, headers={**ACCEPT, **last}, **call) as response:
            assert response.status_code == 200, await response.aread()
            async for line in response.aiter_lines():
                event = json.loads(line)
                if "id" in event:
                    found.append(event)
                if until(found):
                    return


async def started(client, found):
    """Begin an execution and follow it, until a part of its output is stored for other controllers."""
    session_id = (await client.post("/api/v1/initialize", headers=TITLE, json=SCRIPT)).json()["request_id"]
    body = {"params": {"lines": LINES}}
    await read(client, "POST", f"/api/v1/execute/{session_id}", found, lambda _: len(text_of(found)) > 200, json=body)
    return f"/api/v1/executions/{found[0]['data']['execution_id']}/events"


async def test_a_reader_goes_on_elsewhere_when_the_controller_is_killed_that_runs_the_script(mortals, url):
    running, other = mortals(url), mortals(url, MAX_ASYNC_EXECUTIONS="0")
    for each in (running, other):
        await each.ready()
    found = []
    async with httpx2.AsyncClient(base_url=running.url, timeout=60) as client:
        path = await started(client, found)
        running.kill()
    had = text_of(found)
    async with httpx2.AsyncClient(base_url=other.url, timeout=60) as client, asyncio.timeout(60):
        while found[-1]["event"] != "end":
            await read(client, "GET", path, found)
    assert WHOLE.startswith(text_of(found)), "each byte once, in order"
    assert text_of(found).startswith(had)
    assert len(text_of(found)) < len(WHOLE)
    end = found[-1]["data"]
    assert (end["status"], end["error"]["details"]["executed"]) == (503, "unknown")
    NOTES.append(
        f"events: the controller that ran the script was killed after {len(had)} characters were read; the other one had "
        f"{len(text_of(found)) - len(had)} more, none twice, and then the recorded end: unknown"
    )


async def test_a_reader_goes_on_elsewhere_when_the_controller_is_killed_that_it_reads_from(mortals, url):
    running, other = mortals(url), mortals(url, MAX_ASYNC_EXECUTIONS="0")
    for each in (running, other):
        await each.ready()
    found = []
    async with httpx2.AsyncClient(base_url=running.url, timeout=60) as client:
        path = await started(client, found)
        async with httpx2.AsyncClient(base_url=other.url, timeout=60) as elsewhere:
            had = len(text_of(found))
            await read(elsewhere, "GET", path, found, lambda _: len(text_of(found)) > had)
            other.kill()
            assert found[-1]["event"] != "end"
        async with asyncio.timeout(60):
            while found[-1]["event"] != "end":
                await read(client, "GET", path, found)
    assert text_of(found) == WHOLE
    assert (found[-1]["data"]["status"], found[-1]["data"]["result"]) == (200, LINES)
    assert [each["event"] for each in found].count("end") == 1
