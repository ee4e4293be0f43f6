"""Endpoints of executions."""

from domain.executions.execution import Execution as KeptExecution
from domain.executions.history import HistoryService
from domain.executions.ports import ExecutionFilter
from domain.executions.service import ExecutionService
from domain.paging import Page
from domain.scripts.report import Outcome
from entrypoints.http.bodies.forms import BodyForms
from entrypoints.http.contracts.contract import query_names
from entrypoints.http.contracts.executions import HISTORY
from entrypoints.http.disconnect import until_hang_up
from entrypoints.http.middleware.caller import reached_key, session_key
from entrypoints.http.parameters import paging
from entrypoints.http.parameters.cursors import ExecutionCursor, instant_of, microseconds, write_cursor
from entrypoints.http.parameters.idempotency import REPLAYED, IdempotencyKeys, idempotency_key
from entrypoints.http.parameters.queries import Query
from entrypoints.http.payloads.executions import ExecuteResponse, ExecutionPage, ExecutionResponse, SingleExecution
from entrypoints.http.payloads.values import embedded, json_text
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_answer

_PARAMETERS = query_names(HISTORY.parameters)


class ExecutionEndpoints:
    """Execute a session's script, and list what was executed."""

    def __init__(
        self, service: ExecutionService, history: HistoryService, forms: BodyForms, keys: IdempotencyKeys
    ) -> None:
        self._service = service
        self._history = history
        self._forms = forms
        self._keys = keys

    async def execute(self, request: Request) -> Response:
        """Run the session's script once."""
        name = self._keys.name(request)
        body = await self._forms.execute.read(request)
        params = json_text(body.params)
        key = None if name is None else idempotency_key(name, embedded(params))
        executed = await until_hang_up(request.receive, self._service.execute(session_key(request), params, key))
        return json_answer(ExecuteResponse.of(executed), headers=REPLAYED if executed.replayed else ())

    async def list(self, request: Request) -> Response:
        """Return a page of the session's history."""
        query = Query(request.query_string, _PARAMETERS)
        size, cursor = paging.page_size(query), paging.page_cursor(query, ExecutionCursor)
        wanted = _wanted(request, query, cursor)
        query.require()
        page = await self._history.page(reached_key(request), cursor.after if cursor else None, size, wanted)
        following = _next_cursor(request, page, wanted)
        headers: Headers = ()
        if following is not None:
            headers = paging.next_link(request, _filters(wanted) | {"limit": size, "cursor": following})
        return json_answer(ExecutionPage([ExecutionResponse.of(row) for row in page.items], following), headers=headers)

    async def get(self, request: Request) -> Response:
        """Return one execution of the caller."""
        kept = await self._history.get(request.caller.reach, request.parameters["execution_id"])
        return json_answer(SingleExecution.of(kept))


def _wanted(request: Request, query: Query, cursor: ExecutionCursor | None) -> ExecutionFilter:
    """Return the filters, which a cursor brings along; noted as a problem is a cursor that is of another list."""
    outcome, since = query.choice("outcome", Outcome), query.instant("since")
    if cursor is None:
        return ExecutionFilter(outcome, since)
    if cursor.session_id != request.session_id:
        query.refuse("cursor", "is of another session")
    kept_since = None if cursor.since_us is None else instant_of(cursor.since_us)
    paging.require_same(query, {"outcome": (outcome, cursor.outcome), "since": (since, kept_since)})
    return ExecutionFilter(cursor.outcome, kept_since)


def _filters(wanted: ExecutionFilter) -> dict[str, str | int | None]:
    since = None if wanted.since is None else wanted.since.isoformat().replace("+00:00", "Z")
    return {"outcome": wanted.outcome, "since": since}


def _next_cursor(request: Request, page: Page[KeptExecution], wanted: ExecutionFilter) -> str | None:
    after = page.next_after
    if after is None:
        return None
    since_us = None if wanted.since is None else microseconds(wanted.since)
    return write_cursor(ExecutionCursor(request.session_id, after, wanted.outcome, since_us))
