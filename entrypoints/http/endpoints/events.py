"""The endpoint of live events, and streams of executions that begin with the call."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from http import HTTPStatus
from uuid import UUID

from attrs import define
from msgspec import UNSET, structs

from domain.errors import DomainError, InvalidRequest, Problem
from domain.executions.execution import Executed, ExecutionFailed
from domain.live.hub import LiveHub
from domain.live.position import Position
from domain.queue.entry import Entry
from domain.queue.following import Ended, ExecutionEvents, FollowedExecution
from domain.queue.service import QueueService
from domain.queue.state import Accepted
from entrypoints.http.errors import error_content, invalid, status_of
from entrypoints.http.event_stream import (
    STALL_S,
    EventFormat,
    EventStream,
    ServerSentEvents,
)
from entrypoints.http.parsing.preferences import Preferences, accepted_format, preferences
from entrypoints.http.parsing.queries import Query
from entrypoints.http.pipeline import InFlightLimiter
from entrypoints.http.request import Request
from entrypoints.http.response import REPLAYED, Headers, Response, execution_path
from entrypoints.http.schemas.executions import ExecuteResponse
from entrypoints.http.schemas.live_events import ExecutionData
from entrypoints.http.streaming_response import SendLine, StreamEnd, StreamingResponse
from entrypoints.telemetry.metrics.events import EventMetrics

_VARY: Headers = ((b"vary", b"prefer, accept"),)


@define(eq=False)
class EventEndpoints:
    """Stream the events of executions.

    A stream has a place of its own, from before its execution is accepted until its end. It is no request in flight
    once it begins, because it may last for minutes. `leave` ends all streams, with the advice to reconnect.
    """

    _events: ExecutionEvents
    _hub: LiveHub[Ended]
    _queue: QueueService
    _limiter: InFlightLimiter
    _metrics: EventMetrics

    async def get(self, request: Request) -> Response:
        """Stream what follows the last event that the caller has received; 204 after the end."""
        query = Query(request.query_string, request.route.query_names)
        query.require_valid()
        last_id = request.header(b"last-event-id")
        # An EventSource repeats the query when it reconnects, and adds the header.
        event_id, pointer = (last_id, "/headers/Last-Event-ID") if last_id else (query.text("after"), "/query/after")
        with _reported_at(pointer):
            position = Position() if event_id is None else Position.of(event_id)
        form = accepted_format(request.raw_header(b"accept"), or_json=False) or ServerSentEvents()
        with self._place(request) as place:
            execution_id = request.parameters["execution_id"]
            with _reported_at(pointer):
                source = await self._events.follow(request.caller.reach, execution_id, position)
            if position.is_end:
                return Response(int(HTTPStatus.NO_CONTENT))
            return self._stream(request, source, position, form, place.pop_all())

    async def start(
        self, request: Request, form: EventFormat, accept: Callable[[], Awaitable[Accepted]]
    ) -> StreamingResponse:
        """Accept an execution, and stream its events from the first one on."""
        with self._place(request) as place:
            accepted = await accept()  # a caller that leaves meanwhile leaves an accepted execution
            request.created_session_id, request.execution_id = accepted.ref.session_id, accepted.execution_id
            headers: Headers = ()
            if isinstance(accepted, Executed):
                source, headers = self._events.replay(accepted), REPLAYED
            elif isinstance(accepted, Entry):
                source = self._events.start(accepted)
            else:
                source = await self._events.follow(request.owner, accepted.execution_id, Position())
            return self._stream(request, source, Position(), form, place.pop_all(), headers)

    def leave(self) -> None:
        """End all streams."""
        self._hub.close()

    def _place(self, request: Request) -> contextlib.ExitStack:
        place = contextlib.ExitStack()
        place.enter_context(self._hub.place(request.owner))
        return place

    def _stream(  # noqa: PLR0913, PLR0917  # the parts of a stream
        self,
        request: Request,
        source: FollowedExecution,
        position: Position,
        form: EventFormat,
        place: contextlib.ExitStack,
        headers: Headers = (),
    ) -> StreamingResponse:
        wanted = Preferences(cancel_on_disconnect=preferences(request).cancel_on_disconnect)
        first = ExecutionData(source.execution_id, source.session_id, source.status)
        events = EventStream(source, form, first, partial(end_data, source.session_id), position)
        self._leave_flight(request)

        def on_end(how: StreamEnd) -> None:
            place.close()
            is_ended = events.position.is_end
            self._metrics.ended.add("ended" if is_ended and how is StreamEnd.COMPLETE else how)
            if wanted.cancel_on_disconnect and how is not StreamEnd.COMPLETE and not is_ended:
                self._queue.cancel_soon(request.caller.reach, source.execution_id)

        return StreamingResponse(
            int(HTTPStatus.OK),
            headers=(*headers, *wanted.applied(), *_VARY, (b"location", execution_path(source.execution_id))),
            content_type=form.content_type,
            produce=partial(self._produce, request, events),
            on_end=on_end,
            stall_s=STALL_S,
        )

    def _leave_flight(self, request: Request) -> None:
        if request.in_flight:
            self._limiter.exit(request.owner)
            request.in_flight = False

    async def _produce(self, request: Request, events: EventStream[Ended], send_line: SendLine) -> None:
        async def send_counted(line: bytes) -> None:
            await send_line(line)
            self._metrics.sent.add(amount=len(line))

        if request.scope["method"] != "HEAD":
            await events.produce(send_counted)


def end_data(session_id: UUID, ended: Ended) -> Mapping[str, object]:
    """Return the data of an end: the status and the body that a waiting caller of execute gets."""
    if isinstance(ended, Executed):
        try:
            shown = structs.asdict(ExecuteResponse.of(ended.require_success()))
            given = {name: each for name, each in shown.items() if each is not UNSET}
            return {"status": int(HTTPStatus.OK), **given}
        except ExecutionFailed as error:
            return _error_data(session_id, error)
    return _error_data(session_id, ended)


def _error_data(session_id: UUID, error: DomainError) -> Mapping[str, object]:
    return {"status": int(status_of(error)), "error": error_content(error), "request_id": session_id}


@contextlib.contextmanager
def _reported_at(pointer: str) -> Iterator[None]:
    """Report what is wrong with a position as a problem of the part of the request that has it."""
    try:
        yield
    except InvalidRequest as error:
        raise invalid(Problem(pointer, each.message) for each in error.problems) from error
