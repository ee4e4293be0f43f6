"""The executions at a runtime host: each starts once, replies at its end or line by line, and can be cancelled."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from http import HTTPStatus
from uuid import UUID

import msgspec
from attrs import define, evolve, field

from adapters.runtime_protocol import Line
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import DomainError, Overloaded, RuntimeUnavailable, ShuttingDown
from domain.identity import ANONYMOUS
from domain.live.buffer import STREAM_SIZE_MAX, LiveBuffer
from domain.live.position import Position
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import ClientDisconnected, Request, until_disconnect
from entrypoints.http.response import NDJSON, Response
from entrypoints.http.streaming_response import SendLine, StreamingResponse
from entrypoints.runtime_host.errors import DeadlinePassed, ExecutionSeen, host_error_response
from entrypoints.runtime_host.executions import SeenExecutions, StartDeadline
from entrypoints.runtime_host.messages import end_line, line_of, write_report
from entrypoints.runtime_host.options import RuntimeHostOptions

NAME = "the runtime host"

_NOTHING_STARTED = (DeadlinePassed, Overloaded, RuntimeUnavailable, ShuttingDown, ClientDisconnected)
_COPIES_S = 60.0
"""How long after the deadline of an execution a copy of its request is still rejected.

A copy that a proxy delayed arrives with the time that was left when it was sent.
"""
_STALL_S = 30.0
"""How long a controller may take nothing of a stream."""
_PAUSE_S = 0.02
"""Between the lines of a stream while a script runs: controllers pace their own readers."""
_STREAM_SIZE_MAX = 3 * STREAM_SIZE_MAX
"""Enough for all that a script may write, each byte of which may become U+FFFD: a stream of lines has no gaps."""


@define(eq=False)
class HostedExecutions:
    """Runs executions; those that were started end by themselves, whether their controller stays or not."""

    _runner: ScriptRunner
    _options: RuntimeHostOptions
    _monotonic: Callable[[], float] = time.monotonic
    _seen: SeenExecutions = field(init=False)
    _cancelled: SeenExecutions = field(init=False)
    _running: dict[UUID, Worker] = field(factory=dict, init=False)
    _limiter: InFlightLimiter = field(init=False)
    _tasks: BackgroundTasks = field(factory=BackgroundTasks, init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = SeenExecutions(self._options.executions_max, self._monotonic)
        self._cancelled = SeenExecutions(self._options.executions_max, self._monotonic)
        self._limiter = InFlightLimiter(self._options.requests_max, NAME)

    @property
    def closed(self) -> bool:
        """Whether new executions are rejected."""
        return self._limiter.closed

    async def drain(self, timeout_s: float) -> int:
        """Reject new executions, wait for those that are queued or running, and return how many are left."""
        return await self._limiter.drain(timeout_s)

    async def respond(self, run: ScriptRun, deadline: StartDeadline, request: Request) -> Response:
        """Return the response to an execution; raises DomainError if nothing was started, or its end is unknown."""
        self._seen.add(run.execution_id, deadline.time_left_ms / 1000 + _COPIES_S)
        accepts_lines = NDJSON in (request.raw_header(b"accept") or b"")
        try:
            return await (self._streamed if accepts_lines else self._replied)(run, deadline, request)
        except _NOTHING_STARTED:
            self._seen.remove(run.execution_id)
            raise

    async def cancel(self, execution_id: UUID) -> None:
        """Stop an execution. One that is queued, or arrives within a minute, starts nothing and reports the same."""
        with suppress(ExecutionSeen):
            self._cancelled.add(execution_id, _COPIES_S)
        worker = self._running.get(execution_id)
        if worker is not None:
            await worker.stop()

    async def _replied(self, run: ScriptRun, deadline: StartDeadline, request: Request) -> Response:
        async with AsyncExitStack() as started:
            worker = await self._start(run, deadline, request, started)
            return Response(HTTPStatus.OK, write_report(await worker.run()))

    async def _streamed(self, run: ScriptRun, deadline: StartDeadline, request: Request) -> Response:
        buffer: LiveBuffer[Line] = LiveBuffer(_STREAM_SIZE_MAX, _PAUSE_S)
        async with AsyncExitStack() as started:
            worker = await self._start(evolve(run, listener=buffer), deadline, request, started)
            self._tasks.spawn(self._run_live(run.execution_id, worker, buffer, request, started.pop_all()))
        send = partial(_send_lines, buffer)
        return StreamingResponse(
            int(HTTPStatus.OK), content_type=NDJSON, produce=send, on_end=lambda _: None, stall_s=_STALL_S
        )

    async def _start(
        self, run: ScriptRun, deadline: StartDeadline, request: Request, started: AsyncExitStack
    ) -> Worker:
        """Return a worker that is about to run; `started` releases it."""
        self._limiter.enter(ANONYMOUS)
        started.callback(self._limiter.exit, ANONYMOUS)
        worker = await until_disconnect(request.receive, self._runner.acquire(run))
        started.push_async_callback(worker.release)
        deadline.require_left()
        self._running[run.execution_id] = worker
        started.callback(self._running.pop, run.execution_id)
        if run.execution_id in self._cancelled:
            await worker.stop()
        return worker

    async def _run_live(
        self, execution_id: UUID, worker: Worker, buffer: LiveBuffer[Line], request: Request, started: AsyncExitStack
    ) -> None:
        """Run to the end, and end the buffer with the reply. After a bug it has no end, and the outcome is unknown."""
        try:
            async with started:
                reply = Response(HTTPStatus.OK, write_report(await worker.run()))
        except DomainError as error:
            if isinstance(error, _NOTHING_STARTED):
                self._seen.remove(execution_id)
            reply = host_error_response(error, request)
        except BaseException:
            buffer.break_off()
            raise
        buffer.end(end_line(reply.status, reply.body))


async def _send_lines(buffer: LiveBuffer[Line], send_line: SendLine) -> None:
    position = Position()
    while events := await buffer.next(position):
        position = events[-1].position
        for event in events:
            await send_line(msgspec.json.encode(line_of(event)))
