"""Two controllers, one database, 64 clients, random faults: nothing that has a key takes effect twice."""

import asyncio
import contextlib
import random
from collections import Counter

import httpx2
import pytest

from tests.faults.conftest import QUICK
from tests.faults.disturbance import disturb
from tests.faults.keyed_callers import KeyedCallers, problems
from tests.faults.mortal import Mortal, runs_in
from tests.faults.report import NOTES
from tests.faults.server import SERVICE_ROLE
from tests.faults.test_idempotency import SCRIPT, TITLE

pytestmark = pytest.mark.timeout(180)

CLIENTS = 64
SESSIONS = 16
LASTING_S = 25.0
PROBLEMS_SHOWN = 20
MADE = "SELECT metadata::jsonb -> 'n', count(*) FROM meta.sessions WHERE metadata::jsonb ? 'n' GROUP BY 1"
COUNTED = "SELECT sum(execution_count), (SELECT count(*) FROM meta.executions WHERE execution_count IS NOT NULL)"
KEPT = "SELECT count(*) FROM meta.idempotency_keys WHERE answer IS NOT NULL AND execution_count IS NOT NULL"


@pytest.fixture
def controllers(server, database, proxies, data_dir, tmp_path):
    def mortal(proxy):
        url = server.dsn(database, SERVICE_ROLE, proxy.port)
        return Mortal({"DATABASE_URL": url, "DATA_DIR": str(data_dir), **QUICK}, tmp_path / "runs")

    controllers = [mortal(proxy) for proxy in proxies]
    yield controllers
    for controller in controllers:
        controller.kill()


@pytest.fixture
async def clients(controllers):
    async with contextlib.AsyncExitStack() as stack:
        limits = httpx2.Limits(max_connections=CLIENTS)
        yield [
            await stack.enter_async_context(httpx2.AsyncClient(base_url=each.url, timeout=None, limits=limits))
            for each in controllers
        ]


async def test_no_key_takes_effect_twice(  # noqa: PLR0917  # fixtures, given by name
    server, database, proxies, controllers, clients, tmp_path
):
    chance = random.Random("two controllers")
    for controller in controllers:
        await controller.ready()
    sessions = [
        (await clients[0].post("/api/v1/initialize", headers=TITLE, json=SCRIPT)).json()["request_id"]
        for _ in range(SESSIONS)
    ]
    callers = KeyedCallers(clients, sessions, chance)
    tasks = callers.start(CLIENTS)
    await disturb(chance, server, proxies, controllers, LASTING_S)
    callers.stop()
    await asyncio.gather(*tasks)
    for controller in controllers:
        await controller.ready()
    settled = await callers.settle()
    with server.admin(database) as admin:
        made = Counter({int(number): times for number, times in admin.execute(MADE).fetchall()})
        ((counted, recorded),) = admin.execute(COUNTED + " FROM meta.sessions").fetchall()
        ((kept,),) = admin.execute(KEPT).fetchall()
    ran = Counter(params["n"] for _, params in runs_in(tmp_path / "runs"))
    found = list(problems(callers.responses, settled, ran, made))
    assert not found, "\n".join([f"{len(found)} problems", *found[:PROBLEMS_SHOWN]])
    assert counted == recorded == kept, "each execution is counted once, recorded once, and kept once"
    _note(callers, settled, ran)


def _note(callers, settled, ran):
    """Print what has happened; the trial must have tested each promise."""
    outcomes = Counter()
    for responses in callers.responses.values():
        for response in responses:
            replayed = "idempotent-replayed" in response.headers
            outcomes["replayed" if replayed else response.json().get("error", {}).get("code", "done")] += 1
    unknown = sum(response.status_code == 409 and "IDEMPOTENCY" not in response.text for response in settled.values())
    NOTES.append(
        f"two controllers, random faults: {len(ran)} keys ran, {unknown} are unknown; {callers.lost} calls broke off, "
        f"the others got {dict(outcomes)}"
    )
    assert all(
        outcomes[code] for code in ("done", "replayed", "CONFLICT", "IDEMPOTENCY_CONFLICT", "STORAGE_UNAVAILABLE")
    )
    assert callers.lost
