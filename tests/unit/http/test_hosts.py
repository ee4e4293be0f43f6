"""The guard of host names."""

import pytest

from entrypoints.composition.controller import create_controller
from entrypoints.http.app import Hooks
from entrypoints.http.middleware.hosts import HostGuard
from entrypoints.settings.loading import load_settings
from tests.unit.http.openapi.conftest import NOWHERE
from tests.unit.http.world import Exchange, World

NAMES = ("localhost", "127.0.0.1", "[::1]", "*.example.com")


@pytest.fixture
def world(log_lines) -> World:
    return World.of(hooks=Hooks(guards=(HostGuard(NAMES),)))


async def asked(world: World, *hosts: bytes):
    return await Exchange(world.app, "GET", "/livez", [(b"host", host) for host in hosts]).run()


@pytest.mark.parametrize(
    "host",
    [b"localhost", b"LOCALHOST:8080", b"127.0.0.1:1", b"[::1]", b"[::1]:80", b"a.example.com", b"a.b.Example.com:443"],
)
async def test_own_names_are_accepted_with_any_port(world, host):
    assert (await asked(world, host)).status == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b""],
        [b"evil.test"],
        [b"localhost.evil.test"],
        [b"example.com"],
        [b"evilexample.com"],
        [b"::1"],
        [b"localhost", b"evil.test"],
        [b"localhost:80:80"],
        [b"localhost:"],
        [b"\xff" * 300],
    ],
)
async def test_other_names_are_rejected(world, hosts):
    reply = await asked(world, *hosts)
    assert reply.status == 400
    error = reply.json()["error"]
    assert error["code"] == "INVALID_REQUEST"
    assert "ALLOWED_HOSTS" in error["message"]
    assert len(error["message"]) < 800


@pytest.mark.parametrize(
    ("variables", "own", "foreign"),
    [
        ({}, b"localhost", b"rebound.evil.test"),
        ({"ALLOWED_HOSTS": "api.example.com"}, b"api.example.com", b"localhost"),
    ],
    ids=["by default", "by setting"],
)
async def test_the_service_accepts_the_names_of_its_settings(variables, own, foreign):
    app = create_controller(load_settings(NOWHERE | variables))
    for host, status in ((own, 200), (foreign, 400)):
        assert (await Exchange(app, "GET", "/livez", [(b"host", host)]).run()).status == status
