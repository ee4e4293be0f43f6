"""The gate, when one owner would take all of it."""

import asyncio

import pytest
from attrs import evolve

from domain.access.principal import Principal, Scope
from domain.identity import Owner
from entrypoints.http.app import Hooks
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from tests.support.waiting import until
from tests.unit.http.world import OPTIONS, Exchange, World

INSIDE_MAX = 10


class NamedCallers(Guard):
    """Takes callers for whom they say they are."""

    async def admit(self, request: Request, route: object) -> Headers:
        request.caller = Principal(Owner(request.header(b"owner") or ""), frozenset(Scope))
        return ()


@pytest.fixture
def world(log_lines) -> World:
    return World.of(evolve(OPTIONS, in_flight_max=INSIDE_MAX, body_timeout_s=10.0), Hooks(guards=(NamedCallers(),)))


def stuck(world: World, owner: bytes) -> Exchange:
    """Return a request whose body does not come."""
    headers = [(b"owner", owner), (b"content-type", b"application/json")]
    return Exchange(world.app, "POST", "/api/v1/initialize", headers)


async def test_an_owner_gets_a_share_of_the_gate_and_the_others_the_rest(world):
    flood = [stuck(world, b"alice") for _ in range(INSIDE_MAX)]
    running = [asyncio.create_task(each.run()) for each in flood]
    await until(lambda: sum(each.done() for each in running) == 2)
    for refused in [each.result() for each in running if each.done()]:
        assert refused.status == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["details"]["limit"] == "fair_share"
    listed = Exchange(world.app, "GET", "/api/v1/sessions", [(b"owner", b"bob")])
    assert (await listed.run()).status == 200
    assert (await Exchange(world.app, "GET", "/livez", [(b"owner", b"alice")]).run()).status == 200
    for each in flood:
        each.hang_up()
    await asyncio.gather(*running)
    again = Exchange(world.app, "GET", "/api/v1/sessions", [(b"owner", b"alice")])
    assert (await again.run()).status == 200
