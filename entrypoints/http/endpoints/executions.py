"""Endpoints of executions."""

from domain import execution
from domain.execution_service import ExecutionService
from domain.ports import Page
from domain.session_service import SessionService
from entrypoints.http import paging, payloads
from entrypoints.http.answer import Answer, Headers, json_answer
from entrypoints.http.caller import session_key
from entrypoints.http.contract import query_names
from entrypoints.http.contracts.executions import HISTORY
from entrypoints.http.cursors import ExecutionCursor, write_cursor
from entrypoints.http.hang_up import until_hang_up
from entrypoints.http.idempotency import refuse_idempotency_key
from entrypoints.http.payloads import Execution, ExecutionPage, json_text
from entrypoints.http.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.rules import BodyForms

_PARAMETERS = query_names(HISTORY.parameters)


class ExecutionEndpoints:
    """Execute a session's script, and list what was executed."""

    def __init__(self, service: ExecutionService, sessions: SessionService, forms: BodyForms) -> None:
        self._service = service
        self._sessions = sessions
        self._forms = forms

    async def execute(self, request: Request) -> Answer:
        """Run the session's script once."""
        refuse_idempotency_key(request)
        body = await self._forms.execute.read(request)
        call = self._service.execute(session_key(request), json_text(body.params))
        return json_answer(payloads.Executed.of(await until_hang_up(request.receive, call)))

    async def list(self, request: Request) -> Answer:
        """Return a page of the session's history."""
        query = Query(request.query_string, _PARAMETERS)
        size, cursor = paging.page_size(query), paging.page_cursor(query, ExecutionCursor)
        if cursor is not None and cursor.request_id != request.request_id:
            query.refuse("cursor", "is of another session")
        query.require()
        page = await self._sessions.executions(session_key(request), cursor.after if cursor else None, size)
        following = _next_cursor(request, page)
        headers: Headers = ()
        if following is not None:
            headers = paging.next_link(request, {"limit": size, "cursor": following})
        return json_answer(ExecutionPage([Execution.of(row) for row in page.items], following), headers=headers)


def _next_cursor(request: Request, page: Page[execution.Execution]) -> str | None:
    after = page.next_after
    return None if after is None else write_cursor(ExecutionCursor(request.request_id, after))
