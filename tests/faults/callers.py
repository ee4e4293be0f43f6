"""Concurrent callers of the HTTP API, and the record of what they received."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable, Mapping

import httpx2
from attrs import define, field

from tests.faults.history import DELETE, EXECUTE, GET, INITIALIZE, PATCH, Call, Response

SCRIPT = "result = params.get('n', 0) + 1"
REQUEST_S = 2.0
SCRIPT_S = 1.0
BUDGETS_S = dict.fromkeys((INITIALIZE, GET, PATCH, DELETE), REQUEST_S) | {EXECUTE: REQUEST_S + 2.0 + SCRIPT_S + 0.5}
WEIGHTS = {EXECUTE: 40, GET: 30, PATCH: 15, INITIALIZE: 10, DELETE: 5}
PAUSE_MAX_S = 0.03
LIVE_MIN = 12
GRAVES_MAX = 8
LOOK_AT_GRAVE = 0.05
HUNG_S = 10.0
CONNECTIONS = httpx2.Limits(max_connections=256, keepalive_expiry=2)  # before the servers close idle ones, after 5 s


class InTurn(httpx2.AsyncBaseTransport):
    """Sends each request to the next controller."""

    def __init__(self, urls):
        self._urls = itertools.cycle(map(httpx2.URL, urls))
        self._transport = httpx2.AsyncHTTPTransport(limits=CONNECTIONS)

    async def handle_async_request(self, request):
        url = next(self._urls)
        request.url = request.url.copy_with(host=url.host, port=url.port)
        return await self._transport.handle_async_request(request)

    async def aclose(self):
        await self._transport.aclose()


@define(eq=False)
class Callers:
    """Clients that initialize, execute, get, patch and delete over one set of sessions, until they are asked to stop.

    `disconnects` is the share of the calls whose caller disconnects after a moment. Of the sessions that it initializes
    it calls those that it `takes`.
    """

    client: httpx2.AsyncClient
    random: random.Random
    disconnects: float = 0.0
    padding: int = 0
    pause_max_s: float = PAUSE_MAX_S
    weights: Mapping[str, int] = field(default=WEIGHTS)
    takes: Callable[[str], bool] = field(default=lambda session_id: True)
    calls: list[Call] = field(factory=list)
    live: list[str] = field(factory=list)
    graves: list[str] = field(factory=list)
    _mark: int = 0
    _stopping: bool = False

    async def prepare(self, sessions):
        """Initialize sessions, all of them well, until there are so many."""
        while len(self.live) < sessions:
            received = await self.initialize()
            assert received.status_code == 200, received.text

    def start(self, clients):
        """Begin; the tasks end after `stop`."""
        return [asyncio.ensure_future(self._live_on()) for _ in range(clients)]

    def stop(self):
        self._stopping = True

    async def initialize(self):
        mark = self._next_mark()
        context = {"mark": mark, "padding": self.random.randbytes(self.padding).hex()}
        body = {"script_content": SCRIPT, "context": context, "limits": {"timeout_ms": int(SCRIPT_S * 1000)}}
        titled = {"Language-Title": "python-counting"}
        received = await self._call(INITIALIZE, None, "POST", "/api/v1/initialize", body, mark=mark, headers=titled)
        if received is not None and received.status_code == 200 and self.takes(received.json()["request_id"]):
            self.live.append(received.json()["request_id"])
        return received

    async def execute(self, session_id):
        await self._call(EXECUTE, session_id, "POST", f"/api/v1/execute/{session_id}", {"params": {"n": 1}})

    async def get(self, session_id):
        await self._call(GET, session_id, "GET", f"/api/v1/sessions/{session_id}")

    async def patch(self, session_id):
        mark = self._next_mark()
        body = {"context": {"mark": mark}}
        await self._call(PATCH, session_id, "PATCH", f"/api/v1/sessions/{session_id}", body, mark=mark)

    async def delete(self, session_id):
        await self._call(DELETE, session_id, "DELETE", f"/api/v1/sessions/{session_id}")

    async def _live_on(self):
        while not self._stopping:
            await self._step()
            await asyncio.sleep(self.random.uniform(0, self.pause_max_s))

    async def _step(self):
        (operation,) = self.random.choices(list(self.weights), list(self.weights.values()))
        if operation == INITIALIZE or len(self.live) < LIVE_MIN:
            await self.initialize()
        elif operation == DELETE:
            await self.delete(self._bury())
        elif self.graves and self.random.random() < LOOK_AT_GRAVE:
            await getattr(self, operation)(self.random.choice(self.graves))
        else:
            await getattr(self, operation)(self.random.choice(self.live))

    def _bury(self):
        session_id = self.live.pop(self.random.randrange(len(self.live)))
        self.graves.append(session_id)
        del self.graves[:-GRAVES_MAX]
        return session_id

    def _next_mark(self):
        self._mark += 1
        return self._mark

    async def _call(self, operation, session_id, method, path, body=None, *, mark=None, headers=None):
        began_s = time.monotonic()
        received = None
        gives_up = self.random.random() < self.disconnects
        limit_s = self.random.uniform(0, 0.3) if gives_up else HUNG_S
        with contextlib.suppress(TimeoutError, httpx2.TransportError):
            async with asyncio.timeout(limit_s):
                received = await self.client.request(method, path, json=body, headers=headers)
        ended_s = time.monotonic()
        response = _response_of(received) if received is not None else None
        if operation == INITIALIZE and response is not None and response.status == 200:
            session_id = received.json()["request_id"]
        gave_up = gives_up and response is None
        self.calls.append(Call(operation, session_id, began_s, ended_s, BUDGETS_S[operation], response, mark, gave_up))
        return received


def _response_of(received):
    body = received.json() if received.content else {}
    error = body.get("error", {})
    return Response(
        status=received.status_code,
        code=error.get("code"),
        details=error.get("details", {}),
        retry_after=received.headers.get("retry-after"),
        count=body.get("execution_count"),
        mark=body.get("context", {}).get("mark"),
    )
