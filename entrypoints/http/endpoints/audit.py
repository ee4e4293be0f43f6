"""The endpoint of the audit record."""

from domain.audit import AuditService
from entrypoints.http.parsing.cursors import AuditCursor, write_cursor
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_response, next_link
from entrypoints.http.schemas.audit import AuditPage


class AuditEndpoint:
    """Lists administrative acts."""

    def __init__(self, service: AuditService) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """Return a page of the audit record, newest first."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor = query.page_size(), query.cursor(AuditCursor)
        query.require_valid()
        page = await self._service.page(None if cursor is None else cursor.after, size)
        following = None if page.next_after is None else write_cursor(AuditCursor(page.next_after))
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, {"limit": size, "cursor": following})
        return json_response(AuditPage.of(page, following), headers=headers)
