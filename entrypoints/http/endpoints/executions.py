"""Endpoints of executions and of the history."""

from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid5

from attrs import frozen
from msgspec import UnsetType

from domain.errors import FieldTooLarge
from domain.executions.by_name import FunctionCalls
from domain.executions.execution import Execution as KeptExecution
from domain.executions.history import HistoryService
from domain.executions.ports import ExecutionFilter
from domain.executions.service import ExecutionService
from domain.idempotency import NO_SESSION
from domain.paging import Page
from domain.scripts.report import Outcome
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner, json_text
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.cursors import ExecutionCursor, instant_of, microseconds, write_cursor
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import REPLAYED, Headers, Response, embedded, json_response, next_link
from entrypoints.http.schemas.executions import (
    ExecuteBody,
    ExecuteResponse,
    ExecutionPage,
    ExecutionResponse,
    SingleExecution,
)

_ENVELOPE_SIZE = 64 * 1024


def execute_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[ExecuteBody]:
    """Return the parser for the body of execute."""
    rules = partial(_params_rules, options.params_size_max)
    size_max = options.params_size_max + _ENVELOPE_SIZE
    return BodyParser(ExecuteBody, size_max, options.body_timeout_s, rules, examiner, optional=True)


def _params_rules(size_max: int, body: ExecuteBody) -> Iterator[BodyProblem]:
    if not isinstance(body.params, UnsetType):
        size = len(memoryview(body.params))
        if size > size_max:
            yield FieldTooLarge("/params", size_max, size)


class ExecutionEndpoints:
    """Execute the script of a session, or a function by its name, and read their history."""

    def __init__(
        self,
        service: ExecutionService,
        calls: FunctionCalls,
        history: HistoryService,
        parser: BodyParser[ExecuteBody],
        keys: IdempotencyKeys,
    ) -> None:
        self._service = service
        self._calls = calls
        self._history = history
        self._parser = parser
        self._keys = keys

    async def execute(self, request: Request) -> Response:
        """Run the script once."""
        key = self._keys.read(request)
        body = await self._parser.read(request)
        params = json_text(body.params)
        hashed = None if key is None else idempotency_key(key, embedded(params))
        call = self._service.execute(request.session_ref, params, hashed)
        executed = await until_disconnect(request.receive, call)
        return json_response(ExecuteResponse.of(executed), headers=REPLAYED if executed.replayed else ())

    async def execute_by_name(self, request: Request) -> Response:
        """Run a function once."""
        key = self._keys.read(request)
        body = await self._parser.read(request)
        params, name = json_text(body.params), request.parameters["language_title"]
        hashed = None if key is None else idempotency_key(key, (name.partition("@")[2], embedded(params)))
        call = self._calls.execute(request.owner, name, params, hashed)
        executed = await until_disconnect(request.receive, call)
        request.created_session_id = executed.ref.session_id
        return json_response(ExecuteResponse.of(executed), headers=REPLAYED if executed.replayed else ())

    async def list(self, request: Request) -> Response:
        """Return a page of the history of a session."""
        wanted = _HistoryQuery.of(request, request.session_id)
        page = await self._history.page(request.reachable_session_ref, wanted.after, wanted.size, wanted.filter)
        return wanted.response(request, page)

    async def list_by_name(self, request: Request) -> Response:
        """Return a page of the caller's calls of a function by its name."""
        name = request.parameters["language_title"]
        wanted = _HistoryQuery.of(request, uuid5(NO_SESSION, name))
        page = await self._calls.history(request.owner, name, wanted.after, wanted.size, wanted.filter)
        return wanted.response(request, page)

    async def get(self, request: Request) -> Response:
        """Return one execution of the caller."""
        kept = await self._history.get(request.caller.reach, request.parameters["execution_id"])
        return json_response(SingleExecution.of(kept))


@frozen
class _HistoryQuery:
    """What a list of executions shows; `listed` is the id that its cursors have."""

    listed: UUID
    size: int
    filter: ExecutionFilter
    after: UUID | None

    @classmethod
    def of(cls, request: Request, listed: UUID) -> "_HistoryQuery":
        """Read the query, or its cursor; raises InvalidRequest, also for a cursor of another list."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor = query.page_size(), query.cursor(ExecutionCursor)
        wanted = _filter(listed, query, cursor)
        query.require_valid()
        return cls(listed, size, wanted, cursor.after if cursor else None)

    def response(self, request: Request, page: Page[KeptExecution]) -> Response:
        """Return the response with a page, and with the way to the next one."""
        following = self._next_cursor(page)
        headers: Headers = ()
        if following is not None:
            parameters = _parameters(self.filter) | {"limit": self.size, "cursor": following}
            headers = next_link(request.path, parameters)
        rows = [ExecutionResponse.of(row) for row in page.items]
        return json_response(ExecutionPage(rows, following), headers=headers)

    def _next_cursor(self, page: Page[KeptExecution]) -> str | None:
        if page.next_after is None:
            return None
        since_us = None if self.filter.since is None else microseconds(self.filter.since)
        return write_cursor(ExecutionCursor(self.listed, page.next_after, self.filter.outcome, since_us))


def _filter(listed: UUID, query: Query, cursor: ExecutionCursor | None) -> ExecutionFilter:
    """Return the filters of a query, or of its cursor; a cursor of another list is a problem."""
    outcome, since = query.choice("outcome", Outcome), query.instant("since")
    if cursor is None:
        return ExecutionFilter(outcome, since)
    if cursor.session_id != listed:
        query.add_problem("cursor", "belongs to another list")
    kept_since = None if cursor.since_us is None else instant_of(cursor.since_us)
    query.require_same({"outcome": (outcome, cursor.outcome), "since": (since, kept_since)})
    return ExecutionFilter(cursor.outcome, kept_since)


def _parameters(wanted: ExecutionFilter) -> dict[str, str | int | None]:
    since = None if wanted.since is None else wanted.since.isoformat().replace("+00:00", "Z")
    return {"outcome": wanted.outcome, "since": since}
