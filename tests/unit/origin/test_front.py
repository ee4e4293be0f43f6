"""The front: which requests are served here, which are passed on, and which are tried on the other side."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any
from uuid import uuid4

import pytest
from attrs import define, field
from starlette.types import Message
from typing_extensions import override

from adapters.memory.manual_clock import ManualClock
from domain.access.principal import ANYBODY, Principal, Scope, ScopeMissing
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import StorageUnavailable
from domain.identity import Owner, uuid7_at
from domain.scripts.language import LanguageMapping
from domain.sessions.session import SessionClosed, SessionNotFound
from domain.takeover.front import Front, FrontPolicy, KnownStage, SessionMoving, Side
from domain.takeover.passing import Header, OriginLoop, OriginRequest
from domain.takeover.ports import Holding, OriginClient, OriginReply
from domain.takeover.stages import Stage
from entrypoints.composition.controller import create_controller
from entrypoints.http.request import Request
from entrypoints.http.response import SINGLE_WRITE, Response
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.origin.front import KeptBody, KeptBytes, OriginFront
from entrypoints.origin.passing import PassedCalls, PassedResponse
from entrypoints.settings.loading import load_settings
from entrypoints.telemetry.metrics.front import FrontMetrics
from tests.unit.http.openapi.conftest import NOWHERE
from tests.unit.http.world import Exchange
from tests.unit.takeover.test_front import ManualOwnership

FOREIGN = str(uuid4())
BODY = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.request", "body": b"}"}]
ONLY_PYTHON = Principal(Owner("alice"), frozenset({Scope.EXECUTE_PYTHON, Scope.READ_FUNCTIONS}))
EVERYTHING = Principal(Owner("alice"), frozenset({Scope.EXECUTE_ALL, Scope.READ_FUNCTIONS}))


@define
class ManualReply(OriginReply):
    """A complete reply."""

    status: int
    reason: bytes = b""
    headers: Sequence[Header] = ()
    body: bytes | None = b""
    closed: int = 0

    @override
    async def pieces(self) -> AsyncIterator[bytes]:
        yield self.body or b""

    @override
    def close(self) -> None:
        self.closed += 1


@define
class ManualOrigin(OriginClient):
    """Replies with a status and a body, and keeps targets and bodies of the requests."""

    status: int = 200
    body: bytes | None = b""
    headers: Sequence[Header] = ()
    received: list[tuple[bytes, bytes]] = field(factory=list)
    replies: list[ManualReply] = field(factory=list)

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        body = request.body if isinstance(request.body, bytes) else b"".join([piece async for piece in request.body])
        self.received.append((request.target, body))
        self.replies.append(ManualReply(self.status, headers=self.headers, body=self.body))
        return self.replies[-1]


class Target:
    """What the server says of a request."""

    target = b"/target"


@define
class World:
    """A front with everything that it stands before."""

    ownership: ManualOwnership = field(factory=ManualOwnership)
    origin: ManualOrigin = field(factory=ManualOrigin)
    calls: CapacityLimiter = field(factory=lambda: CapacityLimiter("a call to the origin", 2))
    served: list[bytes] = field(factory=list)
    error: Exception | None = None
    misses: float = inf
    """How many calls do not find the session here."""
    metrics: FrontMetrics = field(factory=FrontMetrics)
    kept: KeptBytes = field(factory=KeptBytes)

    async def route(self, name: str) -> Route:
        """Return the fronted route of this name, whose own endpoint reads the body."""
        known = KnownStage(self.ownership, ManualClock().monotonic_ns)
        await known.read()
        front = Front(self.ownership, known, FrontPolicy(5.0, look_each_s=0))
        passed = PassedCalls(self.origin, self.calls, 5.0, self.metrics)
        fronted = OriginFront(front, passed, LanguageMapping(), self.metrics, self.kept)
        access = Access.EXECUTE if name == "origin_execute" else Access.OWNER
        return fronted(Route("POST", "/", self._serve, name=name, access=access))

    async def call(self, name: str, caller: Principal = ANYBODY, **facts: Any) -> Response:
        """Call the endpoint of a route; `id` is that of the path, other facts are headers."""
        route = await self.route(name)
        messages: list[Message] = list(facts.pop("body", BODY))

        async def receive() -> Message:
            return messages.pop(0)

        parameters = facts.pop("parameters", {"id": facts.pop("id", FOREIGN)})
        headers = [(key.encode().replace(b"_", b"-"), value.encode()) for key, value in facts.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "headers": headers,
            "extensions": {SINGLE_WRITE: Target},
        }
        request = Request(scope, receive)
        request.caller, request.route = caller, route
        request.parameters.update(parameters)
        return await route.endpoint(request)

    async def _serve(self, request: Request) -> Response:
        body = b""
        while True:
            message = await request.receive()
            body += message["body"]
            if not message.get("more_body"):
                break
        self.served.append(body)
        if self.error is not None and len(self.served) <= self.misses:
            raise self.error
        return Response(200)


@define
class MovingOrigin(ManualOrigin):
    """Does not find the session, which moves to this side meanwhile."""

    world: World | None = None

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        assert self.world is not None
        self.world.error = None
        return await ManualOrigin.send(self, request)


def side(world: World) -> Side | None:
    if world.served and world.origin.received:
        return None
    return Side.HERE if world.served else Side.ORIGIN


@pytest.mark.parametrize(
    ("stage", "initialize", "functions", "session", "unmatched"),
    [
        (Stage.LOOK, "origin", "origin", "origin", "origin"),
        (Stage.OPEN, "here", "here", "origin", "origin"),
        (Stage.BACK, "origin", "origin", "origin", "origin"),
        (Stage.FINISHED, "here", "here", "here", "here"),
    ],
)
async def test_each_route_is_served_by_the_side_of_the_stage(stage, initialize, functions, session, unmatched):
    expected = {
        "origin_initialize": initialize,
        "origin_list_functions": functions,
        "origin_get_function": functions,
        "origin_execute": session,
        "origin_get_session": session,
        "origin_unmatched": unmatched,
    }
    for name, where in expected.items():
        world = World(ManualOwnership(stage))
        await world.call(name, language_title="python-a")
        assert side(world) == where, name
        assert [*world.served, *(body for _, body in world.origin.received)] == [b"{}"]
        assert world.calls.in_use == 0


async def test_the_health_of_the_service_is_its_own():
    world = World(ManualOwnership(Stage.LOOK))
    await world.call("origin_health")
    assert side(world) is Side.HERE


@pytest.mark.parametrize("name", ["origin_health", "origin_initialize", "origin_execute", "origin_unmatched"])
async def test_a_call_that_a_front_has_passed_on_to_itself_ends_with_the_reason(name):
    world = World(ManualOwnership(Stage.LOOK))
    with pytest.raises(OriginLoop) as caught:
        await world.call(name, x_pglambda_front="1")
    assert "to the address of lambda-microservice itself" in caught.value.message
    assert (world.served, world.origin.received, world.calls.in_use) == ([], [], 0)


@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/api/v1/initialize")])
async def test_a_front_whose_origin_is_the_api_of_the_service_is_told_so_before_its_caller_is_known(
    log_lines, method, path
):
    fronted = {"ORIGIN_URL": "http://old:8090", "ORIGIN_PORT": "8080", "PORT": "8090"}
    app = create_controller(load_settings(NOWHERE | fronted | {"AUTH": "required"}))
    reply = await Exchange(app, method, path, [(b"host", b"old"), (b"x-pglambda-front", b"1")]).run()
    assert (reply.status, reply.json()["error"]["message"]) == (503, OriginLoop().message)
    assert reply.headers["x-error-code"] == "ORIGIN_LOOP"


async def test_a_service_that_is_no_front_does_not_look_for_the_mark_of_one():
    app = create_controller(load_settings(NOWHERE))
    headers = [(b"host", b"localhost"), (b"x-pglambda-front", b"1")]
    assert (await Exchange(app, "GET", "/livez", headers).run()).status == 200


@pytest.mark.parametrize(("title", "where"), [("python-a", Side.HERE), ("nodejs-", Side.HERE), ("rust-a", Side.ORIGIN)])
async def test_sessions_in_languages_that_are_not_served_here_are_created_by_the_origin(title, where):
    world = World(ManualOwnership(Stage.OPEN))
    await world.call("origin_initialize", language_title=title)
    assert side(world) is where


async def test_a_session_that_moved_here_while_the_origin_was_called_is_served_here():
    world = World(ManualOwnership(Stage.ADOPT, [Holding.UNKNOWN, Holding.FENCING, Holding.SERVED]))
    world.origin.status = 404
    response = await world.call("origin_execute")
    assert (response.status, world.served, world.origin.received) == (200, [b"{}"], [(b"/target", b"{}")])
    assert (world.origin.replies[0].closed, world.calls.in_use) == (1, 0)


async def test_a_session_that_neither_side_has_gets_the_reply_of_the_origin():
    world = World(ManualOwnership(Stage.ADOPT))
    world.origin.status = 404
    response = await world.call("origin_execute")
    assert isinstance(response, PassedResponse)
    assert (response.status, world.served) == (404, [])


@pytest.mark.parametrize("error", [SessionNotFound(), SessionClosed(ManualClock().now())], ids=["absent", "closed"])
async def test_a_session_that_was_returned_while_it_was_looked_for_here_is_passed_on(error):
    world = World(ManualOwnership(Stage.BACK, [Holding.SERVED, Holding.RETURNING, Holding.RETURNED]), error=error)
    response = await world.call("origin_execute")
    assert (response.status, world.served, world.origin.received) == (200, [b"{}"], [(b"/target", b"{}")])


async def test_a_returned_session_that_moves_here_again_while_the_origin_is_asked_is_served_here():
    world = World(ManualOwnership(Stage.ADOPT, [Holding.RETURNED, Holding.SERVED]), error=SessionNotFound())
    world.origin = MovingOrigin(404, world=world)
    response = await world.call("origin_execute", id=str(uuid7_at(datetime(2026, 1, 1, tzinfo=UTC), 0)))
    assert (response.status, world.served, world.origin.received) == (200, [b"{}"] * 2, [(b"/target", b"{}")])
    assert (world.origin.replies[0].closed, world.kept.total) == (1, 0)


@pytest.mark.parametrize("stage", [Stage.ADOPT, Stage.FINISHED])
async def test_a_session_that_comes_here_while_it_is_looked_for_here_is_served(stage):
    world = World(ManualOwnership(stage, [Holding.SERVED] * 2), error=SessionClosed(ManualClock().now()), misses=1)
    response = await world.call("origin_execute")
    assert (response.status, world.served, world.origin.received) == (200, [b"{}"] * 2, [])


async def test_a_session_that_is_not_found_here_and_was_not_returned_is_not_found():
    world = World(ManualOwnership(Stage.FINISHED), error=SessionNotFound())
    with pytest.raises(SessionNotFound):
        await world.call("origin_execute")
    assert (world.served, world.origin.received) == ([b"{}"] * 2, [])


async def test_a_body_that_was_not_kept_makes_no_second_search():
    world = World(ManualOwnership(Stage.FINISHED), error=SessionNotFound(), kept=KeptBytes(1))
    with pytest.raises(SessionNotFound):
        await world.call("origin_execute")
    assert world.served == [b"{}"]


async def test_an_id_that_is_no_uuid_is_passed_on():
    world = World(ManualOwnership(Stage.ADOPT), ManualOrigin(404))
    await world.call("origin_get_session", id="x")
    assert (side(world), world.ownership.looks) == (Side.ORIGIN, 0)


async def test_an_id_in_capitals_is_not_the_session_of_the_origin_with_the_same_id_in_small_letters():
    world = World(ManualOwnership(Stage.ADOPT, [Holding.SERVED] * 2))
    await world.call("origin_get_session", id="C0FFEE00-0000-4000-8000-000000000001")
    assert (side(world), world.ownership.looks) == (Side.ORIGIN, 0)
    await world.call("origin_get_session", id="01A21EBF-A598-7EAD-8086-4D292174BF00")
    assert world.served == [b"{}"]


async def test_a_body_that_arrives_byte_by_byte_is_kept_as_one_message():
    """Each message would take a hundred times the memory of its byte."""
    sent = iter([{"type": "http.request", "body": b"x", "more_body": more} for more in [True] * 999 + [False]])

    async def receive() -> Message:
        return next(sent)

    kept = KeptBody(receive, KeptBytes())
    while (await kept.receive())["more_body"]:
        pass
    assert await kept.again()() == {"type": "http.request", "body": b"x" * 1000, "more_body": False}


async def test_a_request_of_which_nothing_was_received_is_received_as_it_comes():
    message = {"type": "http.disconnect"}

    async def receive() -> Message:
        return message

    assert await KeptBody(receive, KeptBytes()).again()() == message


async def test_a_body_that_is_too_large_to_be_sent_twice_may_be_repeated():
    large = [{"type": "http.request", "body": b"x" * 2**20, "more_body": True}] * 2 + BODY
    world = World(ManualOwnership(Stage.ADOPT, [Holding.UNKNOWN, Holding.SERVED]), ManualOrigin(404))
    with pytest.raises(SessionMoving):
        await world.call("origin_execute", body=large)
    assert (world.served, world.calls.in_use) == ([], 0)


async def test_a_body_that_finds_no_room_can_be_sent_once():
    world = World(ManualOwnership(Stage.ADOPT, [Holding.UNKNOWN] * 2), kept=KeptBytes(total_max=1))
    await world.call("origin_execute")
    assert world.origin.received == [(b"/target", b"{}")]
    world = World(ManualOwnership(Stage.ADOPT, [Holding.UNKNOWN, Holding.SERVED]), ManualOrigin(404), kept=world.kept)
    with pytest.raises(SessionMoving):
        await world.call("origin_execute")
    assert world.kept.total == 0


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("stage", [Stage.ADOPT, Stage.FINISHED])
async def test_no_body_is_kept_once_it_is_certain_who_serves_the_call(stage, status):
    world = World(ManualOwnership(stage, [Holding.UNKNOWN, Holding.SERVED]), ManualOrigin(status))
    await world.call("origin_execute")
    assert [*world.served, *(body for _, body in world.origin.received)] != []
    assert world.kept.total == 0


async def test_a_reply_is_closed_if_it_cannot_be_known_whether_the_session_has_moved():
    world = World(ManualOwnership(Stage.ADOPT, [Holding.UNKNOWN, StorageUnavailable()]), ManualOrigin(404, None))
    with pytest.raises(StorageUnavailable):
        await world.call("origin_execute")
    assert (world.origin.replies[0].closed, world.calls.in_use) == (1, 0)


@pytest.mark.parametrize(
    ("name", "headers"),
    [("origin_execute", {}), ("origin_unmatched", {}), ("origin_initialize", {"language_title": "rust-a"})],
)
async def test_a_call_whose_language_is_not_known_needs_the_right_to_execute_all(name, headers):
    world = World(ManualOwnership(Stage.LOOK))
    with pytest.raises(ScopeMissing):
        await world.call(name, ONLY_PYTHON, **headers)
    assert world.origin.received == []
    await world.call(name, EVERYTHING, **headers)
    assert len(world.origin.received) == 1


@pytest.mark.parametrize("name", ["..%2Fadmin", "a%2F..%2Fb", "..", ".", "..;", "a\\b", "\ufffd\ufffd"])
async def test_a_name_that_may_lead_to_another_path_of_the_origin_needs_the_right_to_execute_all(name):
    for route, parameter in (("origin_get_session", "id"), ("origin_get_function", "language_title")):
        world = World(ManualOwnership(Stage.LOOK))
        with pytest.raises(ScopeMissing):
            await world.call(route, ONLY_PYTHON, parameters={parameter: name})
        assert world.origin.received == []
        await world.call(route, EVERYTHING, parameters={parameter: name})
        await world.call(route, ONLY_PYTHON, parameters={parameter: FOREIGN})
        assert len(world.origin.received) == 2


async def test_a_session_to_create_needs_the_right_to_its_language():
    world = World(ManualOwnership(Stage.LOOK))
    await world.call("origin_initialize", ONLY_PYTHON, language_title="python-a")
    with pytest.raises(ScopeMissing):
        await world.call("origin_initialize", ONLY_PYTHON, language_title="nodejs-a")


async def test_unknown_paths_need_a_credential_and_count_as_executions():
    route = await World(ManualOwnership(Stage.LOOK)).route("origin_unmatched")
    assert (route.access, route.route_class, route.exempt) == (Access.EXECUTE, RouteClass.EXECUTE, False)
