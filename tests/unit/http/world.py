"""The application over fakes, and a bare ASGI client for requests that an HTTP client cannot send."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import httpx2
from attrs import define, evolve, field, frozen

from adapters.memory.limits import MemoryUsageReader
from domain.access.principal import ANYBODY, Principal
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.call import ExecutionPolicy
from domain.functions.examples import ExamplePolicy
from domain.functions.service import FunctionPolicy
from domain.hosts.service import HostRegistry
from domain.limits.ports import Quotas, Unlimited
from domain.limits.usage_limiter import UsagePolicy
from domain.queue.dispatcher import Dispatcher
from domain.scripts.language import LanguageMapping
from domain.scripts.limits import Isolation, Limits, LimitsPolicy
from domain.sessions.requests import SessionPolicy
from domain.sessions.session import LifetimePolicy
from entrypoints.http.app import Application, Hooks
from entrypoints.http.endpoints.health import HealthChecks
from entrypoints.http.options import HttpOptions
from entrypoints.origin.application import OriginApi, OriginHooks
from entrypoints.origin.endpoints import OriginOptions
from entrypoints.server.control import ORIGIN
from tests.support.controller import Fakes
from tests.support.quotas import limiter_over

POLICY = LimitsPolicy(Limits(5000, 128, Isolation.SESSION), timeout_ms_max=60_000, memory_mb_max=512)
OPTIONS = HttpOptions(
    POLICY,
    script_size_max=2000,
    context_size_max=1000,
    metadata_size_max=400,
    params_size_max=1000,
    in_flight_max=8,
    body_timeout_s=0.05,
    probe_timeout_s=0.05,
)
TITLE = {"Language-Title": "python-adder"}
SCRIPT = "result = params"


@define(eq=False)
class World(Fakes):
    """The application over fakes."""

    execution_limiter: CapacityLimiter = field(factory=lambda: CapacityLimiter("an execution", 4))
    recording_limiter: CapacityLimiter = field(factory=lambda: CapacityLimiter("a recording", 4))
    process: HealthChecks = field(factory=lambda: HealthChecks("1.2.3", {}, {}))
    app: Application = field(init=False)
    dispatcher: Dispatcher = field(init=False)
    """Runs nothing until a test lets it."""

    @classmethod
    def of(
        cls,
        options: HttpOptions = OPTIONS,
        hooks: Hooks | None = None,
        caller: Principal = ANYBODY,
        usage: UsagePolicy | None = None,
        *,
        origin: OriginOptions | None = None,
        mapping: LanguageMapping | None = None,
        origin_hooks: OriginHooks | None = None,
        registry: HostRegistry | None = None,
        **fakes: Any,
    ) -> "World":
        world = cls(**fakes)
        quotas: Quotas = Unlimited()
        if usage is not None:
            quotas = limiter_over(MemoryUsageReader(world.store), world.clock, usage)
        lifetime = LifetimePolicy(3600, 86_400 * 30)
        controller = world.controller(
            request_timeout_s=1.0,
            session_policy=SessionPolicy(lifetime, options.limits, options.script_size_max, 1.0),
            execution_policy=ExecutionPolicy(1.0, 1.0),
            example_policy=ExamplePolicy(options.limits.default, 5.0, 1.0),
            function_policy=FunctionPolicy(options.script_size_max, 1.0),
            health=world.process,
            http_options=options,
            hooks=evolve(hooks or Hooks(), caller=caller),
            quotas=quotas,
            mapping=mapping or LanguageMapping(),
        )
        services, apis = evolve(controller.services(), runtime_hosts=registry), {}
        world.dispatcher = controller.queue.dispatcher()
        if origin is not None:
            further = origin_hooks or OriginHooks()
            apis = {ORIGIN: OriginApi(services, options, origin, controller.mapping(), further)}
        given = evolve(controller.hooks(), drain=world.dispatcher.drain)
        world.app = Application(services, options, given, apis)
        return world

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url="http://pglambda")


@frozen
class Reply:
    """The messages that the application sent over ASGI. It sent nothing if the status is None."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@define(eq=False)
class Exchange:
    """One request over ASGI. `receive` returns `messages`, and then waits for `disconnect`."""

    app: Application
    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]] = ()
    messages: list[dict[str, Any]] = field(factory=list)
    query: bytes = b""
    root_path: str = ""
    received: int = 0
    received_before_response: int = 0
    sent: list[Any] = field(factory=list)
    disconnected: asyncio.Event = field(factory=asyncio.Event)

    def disconnect(self) -> None:
        self.disconnected.set()

    async def run(self) -> Reply:
        await self.app(self.scope(), self.receive, self.send)
        start = self.sent[0] if self.sent else {"status": None, "headers": []}
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], headers, b"".join(message["body"] for message in self.sent[1:]))

    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query,
            "headers": list(self.headers),
            "root_path": self.root_path,
        }

    async def receive(self) -> dict[str, Any]:
        if self.received < len(self.messages):
            self.received += 1
            return self.messages[self.received - 1]
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if not self.sent:
            self.received_before_response = self.received
        self.sent.append(message)


def chunks(*parts: bytes) -> list[dict[str, Any]]:
    """Return the messages of a body that arrives in these parts."""
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": i < last} for i, part in enumerate(parts)]


async def initialized(client: httpx2.AsyncClient, **body: Any) -> str:
    """Return the id of a new session."""
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT} | body)
    assert response.status_code == 200, response.text
    session_id: str = response.json()["request_id"]
    return session_id


def error_of(response: Any, status: int) -> Any:
    """Return the error of a response, which must have this status and the form of errors."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) - {"request_id"} == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    return body["error"]


def problems_of(response: Any, code: str = "INVALID_REQUEST") -> dict[str, str]:
    """Return the problems of a rejected request, by pointer."""
    error = error_of(response, 400)
    assert error["code"] == code
    found = {problem["pointer"]: problem["message"] for problem in error["details"]["problems"]}
    assert len(found) == len(error["details"]["problems"])
    return found


async def stream(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield the parts of a body that is sent without a length."""
    for part in parts:
        yield part
