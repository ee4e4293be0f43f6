"""The limit on requests in flight: fair shares, overload and drain."""

import asyncio

from attrs import evolve

from domain.access.principal import Principal, Scope
from domain.identity import Owner
from entrypoints.http.app import Hooks
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from tests.support.waiting import until
from tests.unit.http.world import OPTIONS, Exchange, World, error_of, initialized

IN_FLIGHT_MAX = 10


class NamedCallers(Guard):
    """Takes the owner from a header."""

    async def admit(self, request: Request, route: object) -> Headers:
        request.caller = Principal(Owner(request.header(b"owner") or ""), frozenset(Scope))
        return ()


def stuck(world: World, owner: bytes = b"alice") -> Exchange:
    """Return a request whose body does not arrive."""
    headers = [(b"owner", owner), (b"content-type", b"application/json")]
    return Exchange(world.app, "POST", "/api/v1/initialize", headers)


async def test_an_owner_gets_a_fair_share_and_other_owners_the_rest(log_lines):
    options = evolve(OPTIONS, in_flight_max=IN_FLIGHT_MAX, body_timeout_s=10.0)
    world = World.of(options, Hooks(guards=(NamedCallers(),)))
    flood = [stuck(world) for _ in range(IN_FLIGHT_MAX)]
    running = [asyncio.create_task(each.run()) for each in flood]
    await until(lambda: sum(each.done() for each in running) == 2)
    for rejected in [each.result() for each in running if each.done()]:
        assert rejected.status == 429
        assert rejected.headers["retry-after"] == "1"
        assert rejected.json()["error"]["details"]["limit"] == "fair_share"
    listed = Exchange(world.app, "GET", "/api/v1/sessions", [(b"owner", b"bob")])
    assert (await listed.run()).status == 200
    assert (await Exchange(world.app, "GET", "/livez", [(b"owner", b"alice")]).run()).status == 200
    for each in flood:
        each.disconnect()
    await asyncio.gather(*running)
    again = Exchange(world.app, "GET", "/api/v1/sessions", [(b"owner", b"alice")])
    assert (await again.run()).status == 200


async def test_calls_above_the_limit_are_rejected_at_once_and_health_routes_are_not(log_lines):
    world = World.of(evolve(OPTIONS, body_timeout_s=10.0))
    async with world.client() as client:
        session_id = await initialized(client)
        in_flight = [stuck(world) for _ in range(8)]
        calls = [asyncio.create_task(each.run()) for each in in_flight]
        await asyncio.sleep(0)
        response = await client.get(f"/api/v1/sessions/{session_id}")
        error = error_of(response, 503)
        assert error["code"] == "OVERLOADED"
        assert error["details"] == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
        assert response.headers["retry-after"] == "1"
        for path in ("/livez", "/readyz", "/health"):
            assert (await client.get(path)).status_code == 200
        for each in in_flight:
            each.disconnect()
        await asyncio.gather(*calls)
        assert (await client.get(f"/api/v1/sessions/{session_id}")).status_code == 200


async def test_before_the_drain_calls_are_accepted_and_readyz_is_503(client, world):
    world.app.leave()
    assert (await client.get("/readyz")).json()["draining"] is True
    assert (await client.get("/readyz")).status_code == 503
    assert await initialized(client)


async def test_a_drain_rejects_new_calls_and_waits_for_those_in_flight(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    call = asyncio.create_task(client.post(f"/api/v1/execute/{session_id}"))
    await until(lambda: world.runner.running)
    assert await world.app.drain(0) == 1
    response = await client.get(f"/api/v1/sessions/{session_id}")
    assert error_of(response, 503)["code"] == "SHUTTING_DOWN"
    assert (response.headers["connection"], response.headers["retry-after"]) == ("close", "1")
    assert (await client.get("/readyz")).status_code == 503
    draining = asyncio.create_task(world.app.drain(5))
    await asyncio.sleep(0)
    world.runner.let_go()
    assert await draining == 0
    assert (await call).status_code == 200


async def test_a_drain_of_an_empty_server_ends_at_once(world):
    assert await world.app.drain(60) == 0
