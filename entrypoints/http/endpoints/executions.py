"""Endpoints of executions and of the history."""

from collections.abc import Iterator
from functools import partial

from msgspec import UnsetType

from domain.errors import FieldTooLarge
from domain.executions.execution import Execution as KeptExecution
from domain.executions.history import HistoryService
from domain.executions.ports import ExecutionFilter
from domain.executions.service import ExecutionService
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
    """Execute the script of a session, and read its history."""

    def __init__(
        self, service: ExecutionService, history: HistoryService, parser: BodyParser[ExecuteBody], keys: IdempotencyKeys
    ) -> None:
        self._service = service
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

    async def list(self, request: Request) -> Response:
        """Return a page of the history of a session."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor = query.page_size(), query.cursor(ExecutionCursor)
        wanted = _filter(request, query, cursor)
        query.require_valid()
        after = cursor.after if cursor else None
        page = await self._history.page(request.reachable_session_ref, after, size, wanted)
        following = _next_cursor(request, page, wanted)
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, _parameters(wanted) | {"limit": size, "cursor": following})
        rows = [ExecutionResponse.of(row) for row in page.items]
        return json_response(ExecutionPage(rows, following), headers=headers)

    async def get(self, request: Request) -> Response:
        """Return one execution of the caller."""
        kept = await self._history.get(request.caller.reach, request.parameters["execution_id"])
        return json_response(SingleExecution.of(kept))


def _filter(request: Request, query: Query, cursor: ExecutionCursor | None) -> ExecutionFilter:
    """Return the filters of a query, or of its cursor; a cursor of another list is a problem."""
    outcome, since = query.choice("outcome", Outcome), query.instant("since")
    if cursor is None:
        return ExecutionFilter(outcome, since)
    if cursor.session_id != request.session_id:
        query.add_problem("cursor", "belongs to another session")
    kept_since = None if cursor.since_us is None else instant_of(cursor.since_us)
    query.require_same({"outcome": (outcome, cursor.outcome), "since": (since, kept_since)})
    return ExecutionFilter(cursor.outcome, kept_since)


def _parameters(wanted: ExecutionFilter) -> dict[str, str | int | None]:
    since = None if wanted.since is None else wanted.since.isoformat().replace("+00:00", "Z")
    return {"outcome": wanted.outcome, "since": since}


def _next_cursor(request: Request, page: Page[KeptExecution], wanted: ExecutionFilter) -> str | None:
    after = page.next_after
    if after is None:
        return None
    since_us = None if wanted.since is None else microseconds(wanted.since)
    return write_cursor(ExecutionCursor(request.session_id, after, wanted.outcome, since_us))
