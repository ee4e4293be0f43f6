"""The streams of a runtime host: each carries the executions of one HTTP worker of a controller."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import msgspec
from attrs import define, field
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from adapters.runtime_files import FEATURE, STEP_SIZE_MAX
from adapters.runtime_frames import (
    RUN_ID_MAX,
    BrokenStream,
    FrameParser,
    IncompleteBytes,
    Kind,
    StreamFrame,
    Welcome,
)
from adapters.runtime_link import PING_SIZE, PROTOCOL, FrameLink, FrameReceiver
from adapters.runtime_protocol import EvictRequest, ExecuteRequest, MalformedMessage, decode
from adapters.runtime_replies import HostErrorCode
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import Overloaded
from domain.scripts.language import Language
from entrypoints.http.response import Response, SingleWrite, encode_json, single_write
from entrypoints.runtime_host.capacity import CapacityReports
from entrypoints.runtime_host.errors import error_content
from entrypoints.runtime_host.hosted import NAME, HostedExecutions
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.runtime_host.streamed import StreamedRun
from entrypoints.version import VERSION

STREAMS_MAX = 256
_UNSENT_MAX = 8 * 1024 * 1024
"""A stream with so many unsent bytes starts no run."""
_EVICTIONS_MAX = 64
"""Evictions of one stream at once; further ones are dropped, because idle workers end by themselves too."""
_EVICTION_SIZE_MAX = 1_024
_LAST_ENDS_S = 1.0
"""How long the ends of runs may take to be written, after the drain."""
_PING = bytes(PING_SIZE)
_CLIENT_CLOSED = 499
_WITHDRAWN = "The controller withdrew the execution, and nothing was started."
_STOPPED = "The runtime host stopped while the script ran."


@define(eq=False)
class HostStreams:
    """The open streams. `app` serves each run as a request, and `evict` drops the workers of a session."""

    _executions: HostedExecutions
    _options: RuntimeHostOptions
    _evict: Callable[[UUID], Awaitable[None]]
    app: ASGIApp | None = field(default=None, init=False)
    tasks: BackgroundTasks = field(factory=BackgroundTasks, init=False)
    kept: IncompleteBytes = field(factory=IncompleteBytes, init=False)
    _streams: "set[ServedStream]" = field(factory=set, init=False)
    _boot_id: UUID = field(factory=uuid4, init=False)
    _reports: CapacityReports = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reports = CapacityReports(self._executions, self._report)

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._streams)

    def require_place(self) -> None:
        """Raise Overloaded if there are as many streams as there may be."""
        if len(self._streams) >= STREAMS_MAX:
            raise Overloaded("a stream of the runtime host")

    async def serve(self, scope: Scope, switch: SingleWrite) -> None:
        """Serve a stream until it ends."""
        stream = ServedStream(self, scope, self._options)
        self._streams.add(stream)
        try:
            await self._reports.begin()
            switch.switch(PROTOCOL, stream.link)
            stream.link.send(Kind.WELCOME, 0, msgspec.json.encode(self._welcome()))
            await stream.ended
        finally:
            self._streams.discard(stream)
            if not self._streams:
                self._reports.end()
            stream.link.abort("the request ended")

    def announce_drain(self) -> None:
        """Let controllers send no further runs."""
        for stream in self._streams:
            stream.announce_drain()

    async def close(self) -> None:
        """Close all streams after what controllers sent before they knew of the drain, and the ends of all runs.

        A controller has `_LAST_ENDS_S` for each.
        """
        streams = list(self._streams)
        await _all([stream.settled for stream in streams])
        await self.tasks.drain(_LAST_ENDS_S)
        for stream in streams:
            stream.link.close()
        await _all([stream.ended for stream in streams])

    async def cancel(self, execution_id: UUID) -> None:
        """Stop an execution."""
        await self._executions.cancel(execution_id)

    async def evict(self, session_id: UUID) -> None:
        """Drop the warm workers of a session."""
        await self._evict(session_id)

    def _welcome(self) -> Welcome:
        languages = [str(language) for language in Language]
        options, unavailable = self._options, list(self._reports.unavailable)
        return Welcome(
            options.name,
            self._boot_id,
            VERSION,
            languages,
            options.runs_max,
            self._executions.closed,
            unavailable,
            features=[FEATURE],
        )

    def _report(self, payload: bytes) -> None:
        for stream in self._streams:
            stream.link.send(Kind.CAPACITY, 0, payload)


@define(eq=False)
class ServedStream(FrameReceiver):
    """One stream. Its end withdraws the runs that are queued; those that were started end by themselves."""

    _streams: HostStreams
    _scope: Scope
    _options: RuntimeHostOptions
    link: FrameLink = field(init=False)
    ended: "asyncio.Future[str]" = field(factory=lambda: asyncio.get_running_loop().create_future(), init=False)
    settled: "asyncio.Future[None]" = field(factory=lambda: asyncio.get_running_loop().create_future(), init=False)
    """Done once all is here that the controller has sent before it knew of the drain."""
    _runs: dict[int, StreamedRun] = field(factory=dict, init=False)
    _last_id: int = field(default=0, init=False)
    _evictions: int = field(default=0, init=False)
    _is_draining: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        sizes_max: dict[int, int] = {
            Kind.RUN: self._options.execute_body_size_max,
            Kind.CANCEL: 0,
            Kind.WITHDRAW: 0,
            Kind.EVICT: _EVICTION_SIZE_MAX,
            Kind.FILE_TO_HOST: STEP_SIZE_MAX,
            Kind.PING: PING_SIZE,
            Kind.PONG: PING_SIZE,
        }
        self.link = FrameLink(FrameParser(sizes_max, self._streams.kept), self, self._options.stall_s)

    def announce_drain(self) -> None:
        """Let the controller send no further runs. Its pong follows those that it has sent until then."""
        self._is_draining = True
        self.link.send(Kind.DRAIN)
        self.link.send(Kind.PING, 0, _PING)

    @override
    def on_frame(self, frame: StreamFrame) -> None:
        """Take a message of the controller; raises BrokenStream."""
        match frame.kind:
            case Kind.RUN:
                self._run(frame)
            case Kind.CANCEL | Kind.WITHDRAW | Kind.FILE_TO_HOST if not 0 < frame.id <= self._last_id:
                raise BrokenStream(f"a frame for run {frame.id}, which was never sent")
            case Kind.CANCEL:
                self._cancel(self._runs.get(frame.id))
            case Kind.WITHDRAW if frame.id in self._runs:
                self._runs[frame.id].withdraw()
            case Kind.FILE_TO_HOST if frame.id in self._runs:
                self._move(self._runs[frame.id], frame)
            case Kind.EVICT:
                self._evict(frame)
            case Kind.PONG if self._is_draining:
                self._settle()

    @override
    def on_lost(self, reason: str) -> None:
        """Withdraw the runs."""
        for run in self._runs.values():
            run.withdraw()
        if not self.ended.done():
            self.ended.set_result(reason)
        if not self.settled.done():
            self.settled.set_result(None)

    def _run(self, frame: StreamFrame) -> None:
        if not self._last_id < frame.id <= RUN_ID_MAX:
            raise BrokenStream(f"run {frame.id} behind run {self._last_id}")
        self._last_id = frame.id
        run = StreamedRun(_message(frame.payload), self.link, frame.id, frame.payload or b"")
        scope = run.scope(self._scope)
        if frame.size > self._options.execute_body_size_max:
            scope["headers"].append((b"content-length", b"%d" % frame.size))
        elif frame.payload is None or self.link.unsent > _UNSENT_MAX:
            error = Overloaded(NAME)
            run.end(HTTPStatus.SERVICE_UNAVAILABLE, encode_json(error_content(error.code, error.message)))
            return
        self._runs[frame.id] = run
        self._streams.tasks.spawn(self._serve(frame.id, run, scope))

    async def _serve(self, run_id: int, run: StreamedRun, scope: Scope) -> None:
        assert self._streams.app is not None
        try:
            await self._streams.app(scope, run.receive, run.send)
        except BaseException:
            _end(run, HTTPStatus.INTERNAL_SERVER_ERROR, HostErrorCode.EXECUTION_UNKNOWN, _STOPPED)
            raise
        finally:
            del self._runs[run_id]
        _end(run, _CLIENT_CLOSED, HostErrorCode.CLIENT_GONE, _WITHDRAWN)

    def _settle(self) -> None:
        """Take note of the pong. It may come between the parts of a large run, so another ping follows then."""
        if self.link.is_midway:
            self.link.send(Kind.PING, 0, _PING)
        elif not self.settled.done():
            self.settled.set_result(None)

    def _cancel(self, run: StreamedRun | None) -> None:
        if run is not None and run.message is not None and not run.is_cancelled:
            run.is_cancelled = True
            self._streams.tasks.spawn(self._streams.cancel(run.message.execution_id))

    def _move(self, run: StreamedRun, frame: StreamFrame) -> None:
        if run.files is None:
            raise BrokenStream(f"a step of files of run {frame.id}, which has none")
        run.files.on_frame(frame)

    def _evict(self, frame: StreamFrame) -> None:
        try:
            session_id = decode(EvictRequest, frame.payload or b"").request_id
        except MalformedMessage as error:
            raise BrokenStream(f"an eviction that cannot be read: {error}") from error
        if self._evictions < _EVICTIONS_MAX:
            self._evictions += 1
            self._streams.tasks.spawn(self._streams.evict(session_id)).add_done_callback(self._evicted)

    def _evicted(self, _task: "asyncio.Task[None]") -> None:
        self._evictions -= 1


@define(eq=False)
class StreamResponse(Response):
    """Switches the connection to a stream, and serves it to its end."""

    streams: HostStreams = field(kw_only=True)

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        switch = single_write(scope)
        assert switch is not None, "the endpoint has looked"
        await self.streams.serve(scope, switch)


async def _all(events: Sequence["asyncio.Future[Any]"]) -> None:
    if events:
        await asyncio.wait(events, timeout=_LAST_ENDS_S)


def _end(run: StreamedRun, status: int, code: HostErrorCode, message: str) -> None:
    """End a run that its request has left without a response."""
    if not run.is_ended:
        run.end(status, encode_json(error_content(code, message)))


def _message(payload: bytes | None) -> ExecuteRequest | None:
    try:
        return decode(ExecuteRequest, payload or b"")
    except MalformedMessage:
        return None
