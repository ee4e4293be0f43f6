"""Rate limits, and the headers that report them."""

import re

import httpx2
import pytest

from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.limits import MemoryRateStore
from adapters.memory.manual_clock import ManualClock, no_jitter
from domain.access.authentication import Authentication, KeyRing
from domain.limits.rate import RateDecision, RatePolicy
from domain.limits.rate_limiter import RateLimiter
from domain.limits.unknown_callers import UNKNOWN, UnknownCallers
from entrypoints.http.app import Hooks
from entrypoints.http.middleware.authentication import AuthenticationGuard
from entrypoints.http.middleware.rates import RateGuard, RateHeaders, UnknownCallerGuard
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
    ("verdict", "header"),
    [
        (RateDecision(True, 0, 2, 1), b'"execute";r=2;t=1'),
        (RateDecision(True, 0, 3, 0), b'"execute";r=3;t=0'),
        (RateDecision(False, 0, 0, 10_000_000_001), b'"execute";r=0;t=11'),
    ],
)
def test_rate_limit_headers_are_structured_fields(verdict, header):
    assert RateHeaders.of(POLICIES[0]).after(verdict) == (
        (b"ratelimit-policy", b'"execute";q=3;w=3600'),
        (b"ratelimit", header),
    )


async def test_every_response_has_the_policy_and_the_remaining_calls(client):
    session_id = await initialized(client)
    good = await executed(client, session_id)
    assert good.headers["ratelimit-policy"] == '"execute";q=3;w=3600'
    assert re.fullmatch('"execute";r=2;t=1[12][0-9]{2}', good.headers["ratelimit"])
    bad = await client.post(f"/api/v1/execute/{session_id}", json={"what": 1})
    assert bad.status_code == 400
    assert bad.headers["ratelimit"].startswith('"execute";r=1;')
    assert (await client.get("/api/v1/sessions")).headers["ratelimit-policy"] == '"sessions";q=100;w=60'


async def test_a_call_above_the_rate_limit_is_429_with_retry_after(client):
    session_id = await initialized(client)
    for _ in range(3):
        assert (await executed(client, session_id)).status_code == 200
    rejected = await executed(client, session_id)
    error = error_of(rejected, 429)
    assert error["code"] == "RATE_LIMITED"
    assert {name: error["details"][name] for name in ("limit", "policy", "allowed", "window_seconds", "remaining")} == {
        "limit": "rate",
        "policy": "execute",
        "allowed": 3,
        "window_seconds": 3600,
        "remaining": 0,
    }
    wait_s = int(rejected.headers["retry-after"])
    assert 1195 <= wait_s == -(-error["details"]["retry_after_ms"] // 1000) <= 1200
    assert rejected.headers["ratelimit"] == f'"execute";r=0;t={wait_s}'
    assert rejected.headers["ratelimit-policy"] == '"execute";q=3;w=3600'
    assert (await client.get(f"/api/v1/sessions/{session_id}")).status_code == 200


async def test_a_batch_is_charged_for_each_of_its_items(client):
    session_id = await initialized(client)
    response = await batched(client, session_id, 2)
    assert response.status_code == 200
    assert response.headers.get_list("ratelimit") == [response.headers["ratelimit"]]
    assert response.headers["ratelimit"].startswith('"execute";r=1;')
    rejected = await batched(client, session_id, 2)
    assert error_of(rejected, 429)["details"]["cost"] == 2
    assert rejected.headers.get_list("ratelimit") == [rejected.headers["ratelimit"]]


async def test_a_batch_is_admitted_after_its_retry_after(log_lines):
    now_s = 1000
    limiter = RateLimiter(MemoryRateStore(), ManualClock(), lambda: now_s * 1_000_000_000, no_jitter)
    guard = RateGuard(limiter, POLICIES)
    async with World.of(hooks=Hooks(guards=(guard,), charge=guard.charge)).client() as client:
        session_id = await initialized(client)
        await executed(client, session_id)
        rejected = await batched(client, session_id, 3)
        assert rejected.status_code == 429
        now_s += int(rejected.headers["retry-after"]) - 1
        again = await batched(client, session_id, 3)
        assert again.status_code == 429
        now_s += int(again.headers["retry-after"])
        assert (await batched(client, session_id, 3)).status_code == 200


@pytest.mark.parametrize("items", [4, 5])
async def test_a_batch_larger_than_the_rate_limit_must_be_split(client, items):
    session_id = await initialized(client)
    rejected = await batched(client, session_id, items)
    assert "smaller parts" in error_of(rejected, 429)["message"]
    assert "retry-after" not in rejected.headers


async def test_a_batch_of_one_is_one_call(client):
    session_id = await initialized(client)
    assert (await batched(client, session_id, 1)).headers["ratelimit"].startswith('"execute";r=2;')


async def test_routes_without_a_policy_have_no_limit_and_no_headers():
    async with limited(RatePolicy("functions", 1, 1)).client() as client:
        session_id = await initialized(client)
        response = await batched(client, session_id, 2)
    assert response.status_code == 200
    assert "ratelimit" not in response.headers


async def test_probes_are_never_limited(client):
    for _ in range(101):
        response = await client.get("/livez")
    assert response.status_code == 200
    assert "ratelimit" not in response.headers


class TestUnknownCallers:
    """Callers without a valid credential, two requests an hour for each address."""

    guard = staticmethod(lambda: UnknownCallerGuard(UnknownCallers(RatePolicy(UNKNOWN, 2, 3600), lambda: 0)))

    async def test_an_address_without_a_valid_credential_is_limited(self, log_lines) -> None:
        keys = Authentication(KeyRing(ManualClock(), MemoryApiKeyRepository()))
        world = World.of(hooks=Hooks(guards=(AuthenticationGuard(keys, self.guard()),)))
        async with world.client() as client:
            responses = [
                await client.get("/api/v1/sessions", headers=headers)
                for headers in ({}, {"Authorization": "Bearer wrong"}, {}, {})
            ]
            open_route = await client.get("/livez")
        assert [response.status_code for response in responses] == [401, 401, 429, 429]
        assert responses[0].headers["ratelimit"] == '"unknown";r=1;t=1800'
        assert responses[-1].json()["error"]["details"]["policy"] == "unknown"
        assert responses[-1].headers["retry-after"] == "1800"
        assert open_route.status_code == 200

    async def test_without_authentication_each_request_of_a_limited_class_counts(self, log_lines) -> None:
        async with World.of(hooks=Hooks(guards=(self.guard(),))).client() as client:
            responses = [await client.get(path) for path in ("/livez", *["/api/v1/sessions"] * 3, "/openapi.json")]
        assert [response.status_code for response in responses] == [200, 200, 200, 429, 200]
        assert "ratelimit" not in responses[0].headers
