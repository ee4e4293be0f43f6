"""A script runner served over HTTP."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

import msgspec
from attrs import define, field, frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive

from adapters.runtime_protocol import CheckReply, CheckRequest, EvictRequest, ExecuteRequest
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import FieldTooLarge, Overloaded, RuntimeUnavailable, ShuttingDown, Unavailable
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script, ScriptSyntaxError
from entrypoints.runtime_host.bodies import read_body
from entrypoints.runtime_host.disconnect import acquire_while_connected, check_while_connected
from entrypoints.runtime_host.errors import (
    JSON,
    HostError,
    answer_domain_error,
    answer_http_error,
    answer_refusal,
    invalid,
    too_large,
)
from entrypoints.runtime_host.executions import SeenExecutions, StartDeadline
from entrypoints.runtime_host.gate import HostAdmission
from entrypoints.runtime_host.messages import read_message, script_run, write_report
from entrypoints.runtime_host.options import ENVELOPE_SIZE_MAX, RuntimeHostOptions
from entrypoints.version import VERSION

_NOTHING_STARTED = (HostError, Overloaded, RuntimeUnavailable, ShuttingDown)
_COPIES_S = 60.0
"""How long after the deadline of an execution a copy of its request is still refused.

A copy that something on the way has held back arrives with the time that was left when it was sent.
"""


@define(eq=False)
class RuntimeHost:
    """Serves a script runner: a 4xx or 503 means that nothing was started, 200 that a run has ended.

    It judges time on its monotonic clock alone, so a wrong wall clock of this machine changes nothing.
    """

    _runner: ScriptRunner
    _options: RuntimeHostOptions
    _monotonic: Callable[[], float] = time.monotonic
    _scripts: BoundedCache[str, Script] = field(init=False)
    _seen: SeenExecutions = field(init=False)
    _draining: bool = field(default=False, init=False)
    _running: int = field(default=0, init=False)
    _idle: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._scripts = BoundedCache(self._options.script_cache_size_max, _size)
        self._seen = SeenExecutions(self._options.executions_max, self._monotonic)

    def routes(self) -> list[Route]:
        """Return what is served."""
        return [
            Route("/execute", self.execute, methods=["POST"]),
            Route("/check", self.check, methods=["POST"]),
            Route("/evict", self.evict, methods=["POST"]),
            Route("/health", self.health, methods=["GET"]),
        ]

    def app(self, around: Sequence[Middleware] = (), routes: Sequence[Route] = ()) -> Starlette:
        """Return the ASGI application, with `around` it and further `routes` in it.

        It leaves opening and closing the runner to its caller.
        """
        gate = Middleware(HostAdmission, token=self._options.token, requests_max=self._options.requests_max)
        return Starlette(
            routes=[*self.routes(), *routes],
            middleware=[*around, gate],
            exception_handlers={
                HostError: answer_refusal,
                HTTPException: answer_http_error,
                Unavailable: answer_domain_error,
                ScriptSyntaxError: answer_domain_error,
            },
        )

    async def drain(self, timeout_s: float) -> int:
        """Take no new work, wait for what is queued or running, and return how many have not ended in time."""
        self._draining = True
        self._idle.clear()
        if self._running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), timeout_s)
        return self._running

    async def execute(self, request: Request) -> Response:
        """Run a script to its end; closing the connection withdraws it while it is queued, and never later."""
        arrived_at_s = self._monotonic()
        self._require_open()
        asked = read_message(ExecuteRequest, await self._body(request, self._options.execute_body_size_max))
        deadline = StartDeadline(asked.time_left_ms, arrived_at_s, self._monotonic)
        run = script_run(asked, _Held(self._script_of(asked)))
        deadline.require_left()
        self._seen.add(asked.execution_id, asked.time_left_ms / 1000 + _COPIES_S)
        try:
            with self._counted():
                report = await self._report(run, deadline, request.receive)
        except _NOTHING_STARTED:
            self._seen.forget(asked.execution_id)
            raise
        return Response(write_report(report), media_type=JSON)

    async def check(self, request: Request) -> Response:
        """Parse a script without running it; closing the connection withdraws it."""
        self._require_open()
        asked = read_message(CheckRequest, await self._body(request, self._options.script_body_size_max))
        script = self._script(asked.script_content)
        checking = self._runner.check(asked.language, script, asked.owner)
        parsed = await check_while_connected(checking, request.receive)
        self._scripts.put(script.hash, script)
        return Response(msgspec.json.encode(CheckReply(parsed)), media_type=JSON)

    async def evict(self, request: Request) -> Response:
        """Drop what is kept warm for a session."""
        asked = read_message(EvictRequest, await self._body(request, ENVELOPE_SIZE_MAX))
        await self._runner.evict(asked.request_id)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def health(self, _request: Request) -> Response:
        """Describe the runner."""
        health = {"version": VERSION, **await self._runner.health(), "draining": self._draining}
        return Response(msgspec.json.encode(health, enc_hook=str), media_type=JSON)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def _require_open(self) -> None:
        if self._draining:
            raise ShuttingDown

    async def _body(self, request: Request, size_max: int) -> bytes:
        return await read_body(request, size_max, self._options.body_timeout_s)

    def _script_of(self, asked: ExecuteRequest) -> Script:
        if asked.script_content is None:
            return self._kept_script(asked.script_hash)
        script = self._script(asked.script_content)
        if script.hash != asked.script_hash:
            raise invalid("script_hash is not the SHA-256 of script_content")
        self._scripts.put(script.hash, script)
        return script

    def _kept_script(self, script_hash: str) -> Script:
        if (script := self._scripts.get(script_hash)) is None:
            raise HostError(HTTPStatus.CONFLICT, "SCRIPT_NEEDED", "send the request again with script_content")
        return script

    def _script(self, source: str) -> Script:
        try:
            return Script.of(source, self._options.script_size_max)
        except FieldTooLarge as error:
            raise too_large(error.size_max) from error

    async def _report(self, run: ScriptRun, deadline: StartDeadline, receive: Receive) -> ScriptReport:
        worker = await acquire_while_connected(self._runner, run, receive)
        try:
            deadline.require_left()
            return await worker.run()
        finally:
            await worker.release()


def create_host(runner: ScriptRunner, options: RuntimeHostOptions) -> Starlette:
    """Return the ASGI application that serves this runner."""
    return RuntimeHost(runner, options).app()


def _size(script: Script) -> int:
    return len(script.source.encode())


@frozen
class _Held:
    """Gives a script that is at hand."""

    script: Script

    async def __call__(self) -> Script:
        return self.script
