"""Cross-origin requests."""

from collections.abc import Iterable

import pytest
from attrs import evolve

from entrypoints.composition.controller import create_controller
from entrypoints.http.middleware.cors import Cors
from entrypoints.http.response import SINGLE_WRITE
from entrypoints.settings.loading import load_settings
from tests.unit.http.openapi.conftest import NOWHERE
from tests.unit.http.world import OPTIONS, Exchange, World

OURS, OTHER = b"https://app.example.com", b"https://evil.test"


@pytest.fixture
def world(log_lines) -> World:
    return World.of(evolve(OPTIONS, cors_origins=(OURS.decode(),)))


async def response_to(world: World, method: str, path: str, **headers: bytes):
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return await Exchange(world.app, method, path, named).run()


@pytest.mark.parametrize("path", ["/api/v1/initialize", "/api/v1/sessions", "/nowhere", "/livez"])
async def test_a_preflight_of_any_path_gets_a_response(world, path):
    reply = await response_to(world, "OPTIONS", path, origin=OURS, access_control_request_method=b"PATCH")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == OURS.decode()
    assert "PATCH" in reply.headers["access-control-allow-methods"]
    allowed = reply.headers["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "Language-Title", "Idempotency-Key", "If-Match", "traceparent"} <= {
        *allowed
    }
    assert reply.headers["access-control-max-age"] == "7200"
    assert reply.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in reply.headers


async def test_a_preflight_of_another_origin_grants_nothing(world):
    reply = await response_to(world, "OPTIONS", "/livez", origin=OTHER, access_control_request_method=b"GET")
    assert reply.status == 204
    assert reply.headers == {"vary": "Origin"}


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/nowhere", 404), ("/api/v1/sessions?limit=0", 404)])
async def test_every_response_can_be_read_including_errors(world, path, status):
    reply = await response_to(world, "GET", path, origin=OURS)
    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == OURS.decode()
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "Link", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Idempotent-Replayed"} <= {
        *exposed
    }
    assert "x-request-id" in reply.headers


async def test_another_origin_gets_a_response_without_permission_to_read_it(world):
    reply = await response_to(world, "GET", "/livez", origin=OTHER)
    assert reply.status == 200
    assert reply.headers["vary"] == "Origin"
    assert not [name for name in reply.headers if name.startswith("access-control")]


async def test_a_request_without_origin_gets_no_cors_headers(world):
    reply = await response_to(world, "GET", "/livez")
    assert not {"vary", "access-control-allow-origin"} & {*reply.headers}


async def test_the_service_allows_the_origins_of_its_settings(log_lines):
    app = create_controller(load_settings(NOWHERE | {"CORS_ORIGINS": OURS.decode()}))
    for origin, allowed in ((OURS, OURS.decode()), (OTHER, None)):
        reply = await Exchange(app, "GET", "/livez", [(b"host", b"localhost"), (b"origin", origin)]).run()
        assert (reply.status, reply.headers.get("access-control-allow-origin")) == (200, allowed)


async def test_options_without_preflight_headers_is_405(world):
    assert (await response_to(world, "OPTIONS", "/livez", origin=OURS)).status == 405


async def test_a_star_allows_any_origin(log_lines):
    reply = await response_to(World.of(evolve(OPTIONS, cors_origins=("*",))), "GET", "/livez", origin=OTHER)
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_without_allowed_origins_responses_have_no_cors_headers(log_lines):
    world = World.of()
    reply = await response_to(world, "GET", "/livez", origin=OURS)
    assert not {"vary", "access-control-allow-origin"} & {*reply.headers}
    assert (
        await response_to(world, "OPTIONS", "/livez", origin=OURS, access_control_request_method=b"GET")
    ).status == 405


class ManualSingleWrite:
    """A server that sends each response in a single write."""

    def __init__(self) -> None:
        self.sent: list[dict[bytes, bytes]] = []
        self.aborted = False

    def __call__(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        self.sent.append(dict(headers))
        return True

    def abort(self) -> None:
        self.aborted = True


async def test_a_single_write_response_has_the_cors_headers(world):
    write = ManualSingleWrite()
    exchange = Exchange(world.app, "GET", "/livez", [(b"origin", OURS)])
    scope = exchange.scope() | {"extensions": {SINGLE_WRITE: write}}
    await world.app(scope, exchange.receive, exchange.send)
    assert exchange.sent == []
    assert write.sent[0][b"access-control-allow-origin"] == OURS


async def test_a_single_write_can_still_abort_the_connection():
    write = ManualSingleWrite()

    async def abort(scope, receive, send):
        scope["extensions"][SINGLE_WRITE].abort()

    scope = {"headers": [(b"origin", OURS)], "method": "GET", "extensions": {SINGLE_WRITE: write}}
    await Cors(abort, ("*",))(scope, None, None)  # type: ignore[arg-type]
    assert write.aborted
