"""Endpoints of the history."""

from uuid import UUID, uuid5

from attrs import frozen

from domain.executions.by_name import FunctionCalls
from domain.executions.execution import Execution
from domain.executions.history import HistoryService
from domain.executions.ports import ExecutionFilter
from domain.idempotency import NO_SESSION
from domain.paging import Page
from domain.scripts.report import ExecutionStatus
from entrypoints.http.parsing.cursors import ExecutionCursor, instant_of, microseconds, write_cursor
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_response, next_link
from entrypoints.http.schemas.executions import ExecutionPage, ExecutionResponse


class HistoryEndpoints:
    """List the history of a session, or of a function by its name."""

    def __init__(self, history: HistoryService, calls: FunctionCalls) -> None:
        self._history = history
        self._calls = calls

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

    def response(self, request: Request, page: Page[Execution]) -> Response:
        """Return the response with a page, and with the way to the next one."""
        following = self._next_cursor(page)
        headers: Headers = ()
        if following is not None:
            parameters = _parameters(self.filter) | {"limit": self.size, "cursor": following}
            headers = next_link(request.path, parameters)
        rows = [ExecutionResponse.of(row) for row in page.items]
        return json_response(ExecutionPage(rows, following), headers=headers)

    def _next_cursor(self, page: Page[Execution]) -> str | None:
        if page.next_after is None:
            return None
        since_us = None if self.filter.since is None else microseconds(self.filter.since)
        return write_cursor(ExecutionCursor(self.listed, page.next_after, self.filter.status, since_us))


def _filter(listed: UUID, query: Query, cursor: ExecutionCursor | None) -> ExecutionFilter:
    """Return the filters of a query, or of its cursor; a cursor of another list is a problem."""
    status, since = status_filter(query), query.instant("since")
    if cursor is None:
        return ExecutionFilter(status, since)
    if cursor.session_id != listed:
        query.add_problem("cursor", "belongs to another list")
    kept_since = None if cursor.since_us is None else instant_of(cursor.since_us)
    query.require_same(
        {
            "status": (status, cursor.status),
            "outcome": (status, cursor.status),
            "since": (since, kept_since),
        }
    )
    return ExecutionFilter(cursor.status, kept_since)


def status_filter(query: Query) -> ExecutionStatus | None:
    """Return the filter by status, which an older release called outcome."""
    status, outcome = query.choice("status", ExecutionStatus), query.choice("outcome", ExecutionStatus)
    if status is not None and outcome is not None and status is not outcome:
        query.add_problem("outcome", "contradicts status. Omit it")
    return outcome if status is None else status


def _parameters(wanted: ExecutionFilter) -> dict[str, str | int | None]:
    since = None if wanted.since is None else wanted.since.isoformat().replace("+00:00", "Z")
    return {"status": wanted.status, "since": since}
