"""Health checks over HTTP."""

import asyncio
import time

import pytest

from entrypoints.http.middleware.authentication import DETAIL_TIMEOUT_S
from entrypoints.http.options import HttpOptions
from tests.unit.http.world import POLICY


def probe(status, **facts):
    async def ask():
        return {"status": status} | facts

    return ask


async def broken():
    raise ConnectionRefusedError("the password is swordfish")


async def silent():
    await asyncio.Event().wait()


def test_authentication_and_probes_take_less_than_a_second_together():
    assert DETAIL_TIMEOUT_S + HttpOptions(POLICY).probe_timeout_s < 0.96


async def test_livez_reports_the_process_only(client, world):
    world.process.required["postgres"] = probe("failing")
    response = await client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_readyz_is_200_while_no_required_component_fails(client, world):
    world.process.required |= {"postgres": probe("ok", latency_ms=1), "clock": probe("degraded")}
    world.process.components["sandbox"] = probe("failing")
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "draining": False,
        "components": {"postgres": {"status": "ok", "latency_ms": 1}, "clock": {"status": "degraded"}},
    }


@pytest.mark.parametrize("failing", [probe("failing"), probe("nonsense"), broken, silent])
async def test_readyz_is_503_if_a_required_component_fails(client, world, failing):
    world.process.required |= {"postgres": failing, "clock": probe("ok")}
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (503, "not_ready")
    assert response.json()["reason"]
    assert "swordfish" not in response.text


async def test_readyz_gives_the_reason_of_the_first_component_that_fails(client, world):
    reasons = {"postgres": probe("degraded", reason="slow"), "writes": probe("failing", reason="read-only")}
    world.process.required |= {**reasons, "clock": probe("failing", reason="unknown")}
    assert (await client.get("/readyz")).json()["reason"] == "read-only"


@pytest.mark.parametrize(
    ("required", "other", "status"),
    [("ok", "ok", "ok"), ("ok", "degraded", "degraded"), ("ok", "failing", "degraded"), ("failing", "ok", "failing")],
)
async def test_health_has_the_status_of_the_whole_service(client, world, required, other, status):
    world.process.required["postgres"] = probe(required)
    world.process.components |= {"runtimes.python": probe("ok"), "runtimes.nodejs": probe(other)}
    response = await client.get("/health")
    assert response.status_code == 200
    assert response.json() == {
        "status": status,
        "version": "1.2.3",
        "draining": False,
        "components": {
            "postgres": {"status": required},
            "runtimes": {"python": {"status": "ok"}, "nodejs": {"status": other}},
        },
    }


async def test_health_responds_in_time_and_probes_a_silent_component_once(client, world):
    asked = []

    async def ask():
        asked.append(1)
        await silent()

    world.process.components |= {"sandbox": ask, "cleanup": probe("ok")}
    started_s = time.monotonic()
    first, second = await asyncio.gather(client.get("/health"), client.get("/health"))
    assert time.monotonic() - started_s < 1
    for response in (first, second):
        parts = response.json()["components"]
        assert parts["sandbox"] == {"status": "failing", "reason": "did not respond within 0.05 s"}
        assert parts["cleanup"] == {"status": "ok"}
    assert len(asked) == 1


async def test_a_stopped_component_counts_as_failing(client, world):
    async def stopped():
        raise asyncio.CancelledError

    world.process.components["sandbox"] = stopped
    assert (await client.get("/health")).json()["components"]["sandbox"] == {
        "status": "failing",
        "reason": "was stopped",
    }
