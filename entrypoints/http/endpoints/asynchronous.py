"""Endpoints of executions that are accepted and run later."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from uuid import UUID

from attrs import evolve, frozen
from msgspec import UNSET

from domain.concurrency.budget import Budget
from domain.errors import Problem, Unavailable
from domain.executions.execution import Executed, Execution, ExecutionFailed, ExecutionNotFound
from domain.executions.function_sessions import FunctionSessions
from domain.executions.history import HistoryService, whole_row
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef
from domain.paging import Page
from domain.queue.entry import BY_DEFAULT, Entry
from domain.queue.ports import StateFilter
from domain.queue.service import QueueService
from domain.queue.state import Accepted, CancelResult, ExecutionState
from domain.queue.submission import Start, Submission
from domain.scripts.report import ExecutionStatus, ExecutionUnknown
from domain.sessions.session import SessionClosed
from entrypoints.http.endpoints.events import EventEndpoints
from entrypoints.http.endpoints.history import status_filter
from entrypoints.http.errors import invalid, status_of
from entrypoints.http.event_stream import EventFormat
from entrypoints.http.parsing.bodies import json_text
from entrypoints.http.parsing.body_problems import PROBLEMS_MAX
from entrypoints.http.parsing.cursors import QueueCursor, instant_of, microseconds, write_cursor
from entrypoints.http.parsing.execution_files import asked_files
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key, invalid_header
from entrypoints.http.parsing.preferences import NO_PREFERENCES, Preferences, accepted_format, preferences
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import ClientDisconnected, Request, until_disconnect
from entrypoints.http.response import REPLAYED, Headers, Response, execution_path, json_response, next_link
from entrypoints.http.schemas.asynchronous import (
    AcceptedResponse,
    CancelResponse,
    ListedExecution,
    ListedExecutions,
    QueueResponse,
)
from entrypoints.http.schemas.executions import ExecuteBody, ExecuteResponse, SingleExecution

_RETRY_AFTER: Headers = ((b"retry-after", b"1"),)
_VARY: Headers = ((b"vary", b"prefer, accept"),)
_NOT_KEPT = "respond-async is not accepted: this server keeps no responses (IDEMPOTENCY=off). Omit it"
_NO_EVENTS = "asks for live events, and this server keeps no responses (IDEMPOTENCY=off). Accept application/json"
_NOT_ASKED = (
    "is only accepted with the header Prefer: respond-async, or with Accept: text/event-stream. Send one, or omit this"
)


def submission(body: ExecuteBody, key: IdempotencyKey | None = None) -> Submission:
    """Return the execution of a body, to be run later."""
    params, wanted, files = json_text(body.params), body.async_, asked_files(body)
    start, options = (Start(), BY_DEFAULT) if wanted is UNSET else (wanted.start(), wanted.options())
    return Submission(params, start, options if files is None else evolve(options, files=files), key)


def require_no_options(bodies: Mapping[str, ExecuteBody]) -> None:
    """Raise InvalidRequest if a body of a call that is not to run later says how; `bodies` are by their pointers."""
    problems = [Problem(f"{where}/async", _NOT_ASKED) for where, body in bodies.items() if body.async_ is not UNSET]
    if problems:
        raise invalid(problems[:PROBLEMS_MAX])


@frozen
class Manner:
    """How a caller wants an execution that is accepted: as it prefers, or, with a format, as live events."""

    preferred: Preferences
    form: EventFormat | None = None


class AsynchronousEndpoints:
    """Accept executions, and read, list, cancel and repeat them; `keeps_responses` is False with IDEMPOTENCY=off."""

    def __init__(
        self,
        queue: QueueService,
        functions: FunctionSessions,
        history: HistoryService,
        events: EventEndpoints,
        *,
        keeps_responses: bool,
    ) -> None:
        self._queue = queue
        self._functions = functions
        self._history = history
        self._events = events
        self._keeps_responses = keeps_responses

    def preferences(self, request: Request) -> Preferences:
        """Return what the caller prefers; raises InvalidRequest if this server cannot honour it."""
        wanted = preferences(request)
        if wanted.cancel_on_disconnect and wanted.wait_s is None:
            wanted = evolve(wanted, cancel_on_disconnect=False)  # nobody waits who could disconnect
        if self._keeps_responses:
            return wanted
        if wanted.respond_async:
            raise invalid_header("Prefer", _NOT_KEPT)
        return NO_PREFERENCES  # RFC 7240 lets a server ignore the wish to wait

    def manner(self, request: Request) -> Manner | None:
        """Return how the caller wants an execution that is accepted; None if it waits for the response of execute.

        Raises InvalidRequest if this server cannot do that.
        """
        preferred = self.preferences(request)
        form = None if preferred.respond_async else accepted_format(request.raw_header(b"accept"))
        if form is not None and not self._keeps_responses:
            raise invalid_header("Accept", _NO_EVENTS)
        return Manner(preferred, form) if form is not None or preferred.may_be_accepted else None

    async def accept(self, request: Request, wanted: Submission, manner: Manner) -> Response:
        """Accept an execution of a session, and respond in the manner that the caller wants."""
        return await self._respond(request, manner, lambda: self._queue.accept(request.session_ref, wanted))

    async def accept_item(self, request: Request, body: ExecuteBody) -> Entry:
        """Accept an item of a batch."""
        accepted = await self._queue.accept(request.session_ref, submission(body))
        assert isinstance(accepted, Entry), "an item has no key, so it is never that of an earlier call"
        return accepted

    async def accept_by_name(self, request: Request, wanted: Submission, manner: Manner) -> Response:
        """Accept a call of a function by its name, and respond in the manner that the caller wants."""
        name, key = request.parameters["language_title"], wanted.idempotency_key

        def accept(ref: SessionRef, budget: Budget) -> Awaitable[Accepted]:
            return self._queue.accept(ref, wanted, budget)

        return await self._respond(
            request, manner, lambda: self._functions.in_session(request.owner, name, key, accept)
        )

    async def get(self, request: Request) -> Response:
        """Return one execution of the caller in any state, at its end if the caller prefers to wait for that."""
        wanted, execution_id = preferences(request), request.parameters["execution_id"]
        waiting = self._queue.wait(request.caller.reach, execution_id, wanted.wait_s or 0)
        state = await until_disconnect(request.receive, waiting)
        kept = whole_row(await self._kept(request, state), state.report)
        applied = Preferences(wait_s=wanted.wait_s).applied()
        headers = applied if state.status.is_final else applied + _RETRY_AFTER
        return json_response(SingleExecution.of_state(state, kept, _status_code(state)), headers=headers)

    async def list(self, request: Request) -> Response:
        """Return a page of the caller's executions that were accepted to run later."""
        wanted = _ListQuery.of(request)
        page = await self._queue.page(
            request.owner, None if wanted.cursor is None else wanted.cursor.after, wanted.size, wanted.filter
        )
        return wanted.response(request, page)

    async def queue(self, request: Request) -> Response:
        """Describe the queue of the caller; that of all owners for an admin."""
        return json_response(QueueResponse.of(await self._queue.languages(request.caller.reach)))

    async def cancel(self, request: Request) -> Response:
        """Cancel an execution that has not ended."""
        result, state = await self._queue.cancel(request.caller.reach, request.parameters["execution_id"])
        status = HTTPStatus.ACCEPTED if result is CancelResult.CANCELLING else HTTPStatus.OK
        return json_response(CancelResponse.of(result, state), status)

    async def erase(self, request: Request) -> Response:
        """Erase what an execution that has ended had and gave."""
        await self._queue.erase(request.caller.reach, request.parameters["execution_id"], request.actor)
        return Response(HTTPStatus.NO_CONTENT)

    async def retry(self, request: Request) -> Response:
        """Accept an execution that has ended once more, once under one key."""
        key = IdempotencyKeys(self._keeps_responses).read(request)
        ended = await self._queue.ended(request.owner, request.parameters["execution_id"])
        if ended.language_title is not None:
            request.caller.require_language(ended.language_title.language)
        again = await self._queue.retry(ended, idempotency_key(key, ("retry", ended.execution_id)))
        if isinstance(again, Executed):
            again = await self._queue.ended(request.owner, again.execution_id)
        return _response(again, Preferences(respond_async=True))

    async def _kept(self, request: Request, state: ExecutionState) -> Execution:
        """Return the row of the history; of an execution under way, or whose state is kept without it, the state."""
        if state.status.is_final:
            with suppress(*((ExecutionNotFound, SessionClosed) if state.asynchronous else ())):
                return await self._history.get(request.caller.reach, state.execution_id)
        return Execution(state.ref, state.execution_id, state.status, state.execution_count)

    async def _respond(self, request: Request, manner: Manner, accept: Callable[[], Awaitable[Accepted]]) -> Response:
        if manner.form is not None:
            return await self._events.start(request, manner.form, accept)
        preferred, accepted = manner.preferred, await accept()  # a caller that leaves meanwhile leaves an execution
        request.created_session_id, request.execution_id = accepted.ref.session_id, accepted.execution_id
        if preferred.wait_s and not isinstance(accepted, Executed):
            state = await self._waited(request, accepted.execution_id, preferred)
            if state is not None and state.status.is_final:
                return json_response(ExecuteResponse.of(_ended(state)), headers=preferred.applied() + _VARY)
            accepted = state or accepted
        return _response(accepted, preferred)

    async def _waited(self, request: Request, execution_id: UUID, preferred: Preferences) -> ExecutionState | None:
        """Return the state at the end of the wait; None if it cannot be read: the execution is accepted all the same.

        Raises ClientDisconnected or ExecutionNotFound.
        """
        try:
            return await until_disconnect(
                request.receive, self._queue.wait(request.owner, execution_id, preferred.wait_s or 0)
            )
        except ClientDisconnected:
            if preferred.cancel_on_disconnect:
                self._queue.cancel_soon(request.owner, execution_id)
            raise
        except Unavailable:
            return None


@frozen
class _ListQuery:
    """What a list of executions shows."""

    size: int
    filter: StateFilter
    cursor: QueueCursor | None

    @classmethod
    def of(cls, request: Request) -> "_ListQuery":
        """Read the query, or its cursor; raises InvalidRequest, also for a cursor of another list."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor = query.page_size(), query.cursor(QueueCursor)
        wanted = StateFilter(status_filter(query), query.identifier("session"), query.instant("since"))
        if cursor is not None:
            since = None if cursor.since_us is None else instant_of(cursor.since_us)
            kept = StateFilter(cursor.status, cursor.session_id, since)
            pairs = {"status": "status", "session": "session_id", "since": "since"}
            query.require_same({name: (getattr(wanted, each), getattr(kept, each)) for name, each in pairs.items()})
            wanted = kept
        query.require_valid()
        return cls(size, wanted, cursor)

    def response(self, request: Request, page: Page[ExecutionState]) -> Response:
        """Return the response with a page, and with the way to the next one."""
        following = self._next_cursor(page)
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, {"limit": self.size, "cursor": following})
        return json_response(ListedExecutions([*map(ListedExecution.of, page.items)], following), headers=headers)

    def _next_cursor(self, page: Page[ExecutionState]) -> str | None:
        if page.next_after is None:
            return None
        wanted = self.filter
        since_us = None if wanted.since is None else microseconds(wanted.since)
        return write_cursor(QueueCursor(page.next_after, wanted.status, wanted.session_id, since_us))


def _response(accepted: Accepted, wanted: Preferences) -> Response:
    """Return the response that an earlier call with the key got, or 202 for an execution under way."""
    headers = wanted.applied() + _VARY
    if isinstance(accepted, Executed):
        return json_response(ExecuteResponse.of(accepted.require_success()), headers=headers + REPLAYED)
    location = (b"location", execution_path(accepted.execution_id))
    return json_response(AcceptedResponse.of(accepted), HTTPStatus.ACCEPTED, (*headers, *_RETRY_AFTER, location))


def _ended(state: ExecutionState) -> Executed:
    """Return the end of an execution as a waiting caller gets it; raises ExecutionFailed or ExecutionUnknown."""
    executed = state.executed
    if executed is None:
        raise ExecutionUnknown("its end could not be recorded", state.execution_id)
    return executed.require_success()


def _status_code(state: ExecutionState) -> int | None:
    """Return the status that a waiting caller would have got; None before the end, and if the result is not kept."""
    if state.status is ExecutionStatus.UNKNOWN:
        return status_of(ExecutionUnknown("", state.execution_id))
    executed = state.executed
    if executed is None:
        return None
    try:
        executed.require_success()
    except ExecutionFailed as error:
        return status_of(error)
    return int(HTTPStatus.OK)
