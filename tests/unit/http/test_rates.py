"""Limits of rate at the door, and what callers are told of them."""

import re

import httpx2
import pytest

from adapters.memory.limits import MemoryRateStore
from adapters.memory.manual_clock import ManualClock, no_jitter
from domain.limits.rate import RatePolicy, RateVerdict
from domain.limits.rate_limiter import RateLimiter
from entrypoints.http.app import Hooks
from entrypoints.http.middleware.rates import RateGuard, RateHeaders
from tests.unit.http.world import World, error_of, initialized

POLICIES = (RatePolicy("execute", 3, 3600), RatePolicy("sessions", 100, 60))


def limited(*policies: RatePolicy) -> World:
    clock = ManualClock()
    guard = RateGuard(RateLimiter(MemoryRateStore(), clock, clock.monotonic_ns, no_jitter), policies)
    return World.of(hooks=Hooks(guards=(guard,), charge=guard.charge))


@pytest.fixture
async def client(log_lines):
    async with limited(*POLICIES).client() as client:
        yield client


async def executed(client: httpx2.AsyncClient, session_id: str) -> httpx2.Response:
    return await client.post(f"/api/v1/execute/{session_id}", json={"params": {}})


async def batched(client: httpx2.AsyncClient, session_id: str, items: int) -> httpx2.Response:
    body = {"items": [{"params": {}}] * items}
    return await client.post(f"/api/v1/execute/{session_id}/batch", json=body)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (RateVerdict(True, 0, 2, 1), b'"execute";r=2;t=1'),
        (RateVerdict(True, 0, 3, 0), b'"execute";r=3;t=0'),
        (RateVerdict(False, 0, 0, 10_000_000_001), b'"execute";r=0;t=11'),
    ],
)
def test_what_is_left_and_until_when_are_structured_fields(verdict, told):
    assert RateHeaders.of(POLICIES[0]).after(verdict) == (
        (b"ratelimit-policy", b'"execute";q=3;w=3600'),
        (b"ratelimit", told),
    )


async def test_every_answer_tells_the_policy_and_what_is_left(client):
    session_id = await initialized(client)
    good = await executed(client, session_id)
    assert good.headers["ratelimit-policy"] == '"execute";q=3;w=3600'
    assert re.fullmatch('"execute";r=2;t=1[12][0-9]{2}', good.headers["ratelimit"])
    bad = await client.post(f"/api/v1/execute/{session_id}", json={"what": 1})
    assert bad.status_code == 400
    assert bad.headers["ratelimit"].startswith('"execute";r=1;')
    assert (await client.get("/api/v1/sessions")).headers["ratelimit-policy"] == '"sessions";q=100;w=60'


async def test_whoever_has_used_up_the_quota_is_told_when_to_come_back(client):
    session_id = await initialized(client)
    for _ in range(3):
        assert (await executed(client, session_id)).status_code == 200
    refused = await executed(client, session_id)
    error = error_of(refused, 429)
    assert error["code"] == "RATE_LIMITED"
    assert {name: error["details"][name] for name in ("limit", "policy", "allowed", "window_seconds", "remaining")} == {
        "limit": "rate",
        "policy": "execute",
        "allowed": 3,
        "window_seconds": 3600,
        "remaining": 0,
    }
    wait_s = int(refused.headers["retry-after"])
    assert 1195 <= wait_s == -(-error["details"]["retry_after_ms"] // 1000) <= 1200
    assert refused.headers["ratelimit"] == f'"execute";r=0;t={wait_s}'
    assert refused.headers["ratelimit-policy"] == '"execute";q=3;w=3600'
    assert (await client.get(f"/api/v1/sessions/{session_id}")).status_code == 200


async def test_a_batch_is_charged_for_each_of_its_items(client):
    session_id = await initialized(client)
    answer = await batched(client, session_id, 2)
    assert answer.status_code == 200
    assert answer.headers.get_list("ratelimit") == [answer.headers["ratelimit"]]
    assert answer.headers["ratelimit"].startswith('"execute";r=1;')
    refused = await batched(client, session_id, 2)
    assert error_of(refused, 429)["details"]["cost"] == 2
    assert refused.headers.get_list("ratelimit") == [refused.headers["ratelimit"]]


async def test_a_batch_that_comes_back_when_it_is_told_to_is_granted(log_lines):
    now_s = 1000
    limiter = RateLimiter(MemoryRateStore(), ManualClock(), lambda: now_s * 1_000_000_000, no_jitter)
    guard = RateGuard(limiter, POLICIES)
    async with World.of(hooks=Hooks(guards=(guard,), charge=guard.charge)).client() as client:
        session_id = await initialized(client)
        await executed(client, session_id)
        refused = await batched(client, session_id, 3)
        assert refused.status_code == 429
        now_s += int(refused.headers["retry-after"]) - 1
        again = await batched(client, session_id, 3)
        assert again.status_code == 429
        now_s += int(again.headers["retry-after"])
        assert (await batched(client, session_id, 3)).status_code == 200


@pytest.mark.parametrize("items", [4, 5])
async def test_a_batch_that_is_larger_than_the_quota_is_told_to_be_smaller(client, items):
    session_id = await initialized(client)
    refused = await batched(client, session_id, items)
    assert "smaller parts" in error_of(refused, 429)["message"]
    assert "retry-after" not in refused.headers


async def test_a_batch_of_one_is_one_call(client):
    session_id = await initialized(client)
    assert (await batched(client, session_id, 1)).headers["ratelimit"].startswith('"execute";r=2;')


async def test_what_has_no_policy_is_neither_limited_nor_told_of():
    async with limited(RatePolicy("functions", 1, 1)).client() as client:
        session_id = await initialized(client)
        answer = await batched(client, session_id, 2)
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers


async def test_probes_are_never_limited(client):
    for _ in range(101):
        answer = await client.get("/livez")
    assert answer.status_code == 200
    assert "ratelimit" not in answer.headers
