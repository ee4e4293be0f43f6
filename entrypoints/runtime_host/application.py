"""The application of a runtime host: a script runner served over HTTP."""

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

import structlog
from attrs import define, field
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from adapters.runtime_link import PROTOCOL
from adapters.runtime_protocol import CancelRequest, CheckRequest, EvictRequest, ExecuteRequest
from adapters.runtime_replies import CheckReply
from domain.access.principal import ANYBODY
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import DomainError, ShuttingDown
from domain.scripts.ports import ScriptRunner
from domain.scripts.script import InputForm, Script
from entrypoints.http.endpoints.health import MetricsEndpoint, Probe
from entrypoints.http.endpoints.runtime_hosts import has_token
from entrypoints.http.errors import MethodNotAllowed, RouteNotFound
from entrypoints.http.parsing.bodies import read_body
from entrypoints.http.pipeline import Guard, InFlightLimiter, Pipeline, RequestObserver
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import Headers, Response, encode_json, single_write
from entrypoints.http.route import Route, RouteTable
from entrypoints.runtime_host.errors import (
    MalformedRequest,
    NoSharedVersion,
    SourceNeeded,
    WrongToken,
    host_bug_response,
    host_error_response,
)
from entrypoints.runtime_host.executions import StartDeadline
from entrypoints.runtime_host.hosted import NAME, HostedExecutions
from entrypoints.runtime_host.messages import check_call, files_of, read_message, require_form, script_run
from entrypoints.runtime_host.options import ENVELOPE_SIZE_MAX, RuntimeHostOptions
from entrypoints.runtime_host.stream import HostStreams, StreamResponse
from entrypoints.runtime_host.streamed import streamed_run
from entrypoints.runtime_host.trees import HostedTrees, TreeReceiver
from entrypoints.server.lifespan import Lifespan
from entrypoints.telemetry.metrics.process import LoopLag
from entrypoints.telemetry.metrics.scrape import Scrape
from entrypoints.version import VERSION

UNMATCHED = "unmatched"
"""The path of the route of requests for unknown paths."""


def _nothing() -> None:
    return


@define(eq=False)
class HostApi:
    """Serves a script runner: a 4xx or 503 means that nothing was started, 200 that an execution has ended.

    It judges time on its monotonic clock alone, so the wall clock of this machine may be wrong.
    """

    _runner: ScriptRunner
    _options: RuntimeHostOptions
    _monotonic: Callable[[], float] = time.monotonic
    _receiver: TreeReceiver | None = None
    """The packages on this host; without it no script with an environment runs."""
    _parts: Mapping[str, Probe] = field(factory=dict)
    """Parts beside the runner that health shows."""
    _trees: HostedTrees = field(init=False)
    _scripts: BoundedCache[str, Script] = field(init=False)
    _executions: HostedExecutions = field(init=False)
    _streams: HostStreams = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._scripts = BoundedCache(self._options.script_cache_size_max, _size)
        self._trees = HostedTrees(self._receiver, self._options.body_timeout_s)
        self._executions = HostedExecutions(self._runner, self._options, self._monotonic)
        self._streams = HostStreams(self._executions, self._options, self._runner.evict)

    @property
    def routes(self) -> Sequence[Route]:
        """The routes of the protocol."""
        return (
            Route("GET", "/stream", self.stream, name="stream", exempt=True),
            Route("POST", "/execute", self.execute, name="execute"),
            Route("POST", "/check", self.check, name="check"),
            Route("POST", "/evict", self.evict, name="evict"),
            Route("POST", "/cancel", self.cancel, name="cancel"),
            Route("GET", "/trees/{tree_digest}", self._trees.find, name="find_tree"),
            Route("PUT", "/trees/{tree_digest}", self._trees.take, name="take_tree"),
            Route("GET", "/health", self.health, name="health"),
        )

    def app(self, observers: Sequence[RequestObserver] = (), routes: Iterable[Route] = ()) -> Pipeline:
        """Return the ASGI application for HTTP, with further `routes`. The caller opens and closes the runner."""
        pipeline = Pipeline(
            HostRoutes((*self.routes, *routes)),
            InFlightLimiter(self._options.requests_max, NAME),
            structlog.get_logger().bind(logger="host"),
            [TokenGuard(self._options.token)],
            observers,
            caller=ANYBODY,
            respond=host_error_response,
            respond_to_bug=host_bug_response,
            request_ids=None,
        )
        self._streams.app = pipeline
        return pipeline

    async def drain(self, timeout_s: float) -> int:
        """Reject new executions, wait for those that are queued or running, and return how many are left."""
        self._streams.announce_drain()
        left = await self._executions.drain(timeout_s)
        await self._streams.close()
        return left

    async def stream(self, request: Request) -> Response:
        """Switch the connection to a stream, which carries executions until it ends."""
        self._require_open()
        if single_write(request.scope) is None or request.raw_header(b"upgrade") is None:
            raise RouteNotFound
        if PROTOCOL not in (request.header(b"upgrade") or "").replace(" ", "").split(","):
            raise NoSharedVersion(PROTOCOL)
        self._streams.require_place()
        return StreamResponse(int(HTTPStatus.SWITCHING_PROTOCOLS), streams=self._streams)

    async def execute(self, request: Request) -> Response:
        """Run a script to its end. A disconnect withdraws the execution while it is queued, and never later."""
        arrived_at_s = self._monotonic()
        self._require_open()
        streamed = streamed_run(request.scope)
        message = await self._execute_message(request) if streamed is None else streamed.message
        if message is None:
            message = await self._execute_message(request)
        request.parameters |= {"request_id": message.request_id, "execution_id": message.execution_id}
        deadline = StartDeadline(message.time_left_ms, arrived_at_s, self._monotonic)
        listener, files = None if streamed is None else streamed.output, files_of(message, streamed)
        run = script_run(message, self._script_of(message), listener, files)
        await self._trees.require(run)
        deadline.require_left()
        wait = partial(until_disconnect, request.receive)
        return await self._executions.respond(run, deadline, wait, is_streamed=streamed is not None)

    async def check(self, request: Request) -> Response:
        """Parse a script without running it. A disconnect cancels the check."""
        self._require_open()
        message = read_message(CheckRequest, await self._body(request, self._options.script_body_size_max))
        language, convention, syntax = check_call(message)
        script = Script.of(message.script_content, self._options.script_size_max)
        check = self._runner.check(language, script, message.owner, convention, syntax)
        form = await until_disconnect(request.receive, check)
        require_form(form, message)
        self._scripts.put(script.hash, script)
        return Response(HTTPStatus.OK, encode_json(CheckReply(form is not None, form or InputForm.PLAIN)))

    async def evict(self, request: Request) -> Response:
        """Drop the warm workers of a session."""
        message = read_message(EvictRequest, await self._body(request, ENVELOPE_SIZE_MAX))
        request.parameters["request_id"] = message.request_id
        await self._runner.evict(message.request_id)
        return Response(HTTPStatus.NO_CONTENT)

    async def cancel(self, request: Request) -> Response:
        """Stop an execution. One that is on its way or queued reports that it was cancelled when it would start."""
        message = read_message(CancelRequest, await self._body(request, ENVELOPE_SIZE_MAX))
        request.parameters["execution_id"] = message.execution_id
        await self._executions.cancel(message.execution_id)
        return Response(HTTPStatus.NO_CONTENT)

    async def health(self, _request: Request) -> Response:
        """Describe the runner and the parts beside it."""
        of_host = {"draining": self._executions.closed, "streams": self._streams.count}
        parts = {name: await probe() for name, probe in self._parts.items()}
        health = {"version": VERSION, **await self._runner.health(), **parts, **of_host}
        return Response(HTTPStatus.OK, encode_json(health))

    def _require_open(self) -> None:
        if self._executions.closed:
            raise ShuttingDown

    async def _execute_message(self, request: Request) -> ExecuteRequest:
        return read_message(ExecuteRequest, await self._body(request, self._options.execute_body_size_max))

    async def _body(self, request: Request, size_max: int) -> bytes:
        return await read_body(request, size_max, self._options.body_timeout_s)

    def _script_of(self, message: ExecuteRequest) -> Script:
        if message.script_content is None:
            script = self._scripts.get(message.script_hash)
            if script is None:
                raise SourceNeeded
            return script
        script = Script.of(message.script_content, self._options.script_size_max)
        if script.hash != message.script_hash:
            raise MalformedRequest("script_hash is not the SHA-256 of script_content")
        self._scripts.put(script.hash, script)
        return script


@define(eq=False)
class HostApplication:
    """The ASGI application of a runtime host: the routes of the protocol, `/metrics`, and its lifespan."""

    _api: HostApi
    scrape: Scrape
    _observers: Sequence[RequestObserver]
    _lag: LoopLag
    _lifespan: Lifespan
    _leave: Callable[[], None] = _nothing
    tls: ssl.SSLContext | None = None
    """With it the server speaks TLS."""
    _http: Pipeline = field(init=False)
    _other: Starlette = field(init=False)

    def __attrs_post_init__(self) -> None:
        metrics = Route("GET", "/metrics", MetricsEndpoint(self.scrape).metrics, name="metrics")
        self._http = self._api.app(self._observers, [metrics])
        self._other = Starlette(lifespan=self._running)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._http if scope["type"] == "http" else self._other)(scope, receive, send)

    def leave(self) -> None:
        """Let controllers know that the host drains. Executions are still accepted."""
        self._leave()

    async def drain(self, timeout_s: float) -> int:
        """Reject new executions, wait for those that are queued or running, and return how many are left."""
        return await self._api.drain(timeout_s)

    @asynccontextmanager
    async def _running(self, _app: Starlette) -> AsyncIterator[None]:
        await self._lifespan.start()
        self._lag.start()
        try:
            yield
        finally:
            self._lag.stop()
            await self._lifespan.end()


class TokenGuard(Guard):
    """Rejects requests without the bearer token, if there is one."""

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        if self._token is not None and not has_token(request, self._token):
            raise WrongToken
        return ()


class HostRoutes(RouteTable):
    """Finds a route for every request, so that guards and limits come before the response to an unknown path."""

    @override
    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        try:
            return super().find(method, path)
        except RouteNotFound as error:
            return _rejecting(UNMATCHED, error), {}
        except MethodNotAllowed as error:
            return _rejecting(path, error), {}


def _rejecting(path: str, error: DomainError) -> Route:
    async def reject(_request: Request) -> Response:
        raise error

    return Route("", path, reject, name=UNMATCHED)


def _size(script: Script) -> int:
    return len(script.source.encode())
