"""Operations, admission and draining over HTTP."""

import asyncio
import time

import pytest
from attrs import evolve

from entrypoints.http.app import Hooks
from entrypoints.http.middleware.authentication import DETAIL_TIMEOUT_S
from entrypoints.http.options import HttpOptions
from tests.support.waiting import until
from tests.unit.http.world import OPTIONS, POLICY, Exchange, World, error_of, initialized


def probe(status, **facts):
    async def ask():
        return {"status": status} | facts

    return ask


async def broken():
    raise ConnectionRefusedError("the password is swordfish")


async def silent():
    await asyncio.Event().wait()


def test_knowing_who_asks_and_asking_the_parts_take_less_than_a_second_together():
    assert DETAIL_TIMEOUT_S + HttpOptions(POLICY).probe_timeout_s < 0.96


async def test_livez_tells_of_the_process_alone(client, world):
    world.process.required["postgres"] = probe("failing")
    answer = await client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readyz_is_200_while_what_is_required_does_not_fail(client, world):
    world.process.required |= {"postgres": probe("ok", latency_ms=1), "clock": probe("degraded")}
    world.process.components["sandbox"] = probe("failing")
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "draining": False,
        "components": {"postgres": {"status": "ok", "latency_ms": 1}, "clock": {"status": "degraded"}},
    }


@pytest.mark.parametrize("failing", [probe("failing"), probe("nonsense"), broken, silent])
async def test_readyz_is_503_when_a_required_part_fails(client, world, failing):
    world.process.required |= {"postgres": failing, "clock": probe("ok")}
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert "swordfish" not in answer.text


@pytest.mark.parametrize(
    ("required", "other", "status"),
    [("ok", "ok", "ok"), ("ok", "degraded", "degraded"), ("ok", "failing", "degraded"), ("failing", "ok", "failing")],
)
async def test_health_sums_up(client, world, required, other, status):
    world.process.required["postgres"] = probe(required)
    world.process.components |= {"runtimes.python": probe("ok"), "runtimes.nodejs": probe(other)}
    answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": status,
        "version": "1.2.3",
        "draining": False,
        "components": {
            "postgres": {"status": required},
            "runtimes": {"python": {"status": "ok"}, "nodejs": {"status": other}},
        },
    }


async def test_health_answers_in_time_and_asks_a_silent_part_once(client, world):
    asked = []

    async def ask():
        asked.append(1)
        await silent()

    world.process.components |= {"sandbox": ask, "cleanup": probe("ok")}
    started_s = time.monotonic()
    first, second = await asyncio.gather(client.get("/health"), client.get("/health"))
    assert time.monotonic() - started_s < 1
    for answer in (first, second):
        parts = answer.json()["components"]
        assert parts["sandbox"] == {"status": "failing", "reason": "did not respond within 0.05 s"}
        assert parts["cleanup"] == {"status": "ok"}
    assert len(asked) == 1


async def test_a_part_that_was_stopped_counts_as_failing(client, world):
    async def stopped():
        raise asyncio.CancelledError

    world.process.components["sandbox"] = stopped
    assert (await client.get("/health")).json()["components"]["sandbox"] == {
        "status": "failing",
        "reason": "was stopped",
    }


async def test_beyond_the_bound_a_call_is_refused_at_once_and_operations_are_not(log_lines):
    world = World.of(evolve(OPTIONS, body_timeout_s=10.0))
    async with world.client() as client:
        session_id = await initialized(client)
        inside = [unsent(world) for _ in range(8)]
        calls = [asyncio.create_task(each.run()) for each in inside]
        await asyncio.sleep(0)
        answer = await client.get(f"/api/v1/sessions/{session_id}")
        error = error_of(answer, 503)
        assert error["code"] == "OVERLOADED"
        assert error["details"] == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
        assert answer.headers["retry-after"] == "1"
        for path in ("/livez", "/readyz", "/health"):
            assert (await client.get(path)).status_code == 200
        for each in inside:
            each.hang_up()
        await asyncio.gather(*calls)
        assert (await client.get(f"/api/v1/sessions/{session_id}")).status_code == 200


async def test_before_the_drain_work_is_taken_and_readyz_is_503(client, world):
    world.app.leave()
    assert (await client.get("/readyz")).json()["draining"] is True
    assert (await client.get("/readyz")).status_code == 503
    assert await initialized(client)


async def test_a_drain_refuses_new_work_and_waits_for_what_is_under_way(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    call = asyncio.create_task(client.post(f"/api/v1/execute/{session_id}"))
    await until(lambda: world.runner.running)
    assert await world.app.drain(0) == 1
    answer = await client.get(f"/api/v1/sessions/{session_id}")
    assert error_of(answer, 503)["code"] == "SHUTTING_DOWN"
    assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")
    assert (await client.get("/readyz")).status_code == 503
    draining = asyncio.create_task(world.app.drain(5))
    await asyncio.sleep(0)
    world.runner.let_go()
    assert await draining == 0
    assert (await call).status_code == 200


async def test_a_drain_of_an_empty_server_ends_at_once(world):
    assert await world.app.drain(60) == 0


async def test_startup_and_shutdown_are_awaited_in_the_lifespan():
    done = []

    async def startup():
        done.append("startup")

    async def shutdown():
        done.append("shutdown")

    world = World.of(hooks=Hooks(startup, shutdown))
    sent = await lifespan(world.app)
    assert done == ["startup", "shutdown"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert await lifespan(World.of().app) == sent


async def test_what_is_no_http_is_turned_away(world):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await world.app({"type": "websocket", "path": "/", "headers": [], "subprotocols": []}, receive, send)
    assert sent == ["websocket.close"]


async def lifespan(app):
    messages, sent = iter(["lifespan.startup", "lifespan.shutdown"]), []

    async def receive():
        return {"type": next(messages)}

    async def send(message):
        sent.append(message["type"])

    await app({"type": "lifespan", "state": {}}, receive, send)
    return sent


def unsent(world):
    """Return a request whose body does not come."""
    return Exchange(world.app, "POST", "/api/v1/initialize", [(b"content-type", b"application/json")], [])
