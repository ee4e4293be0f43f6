"""The endpoint of the usage of owners."""

from domain.identity import EVERY_OWNER, Owner
from domain.usage import UsageService
from entrypoints.http.parsing.cursors import UsageCursor, write_cursor
from entrypoints.http.parsing.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, json_response, next_link
from entrypoints.http.schemas.usage import UsageList


class UsageEndpoint:
    """Reports what owners have stored, executed and left of their limits."""

    def __init__(self, service: UsageService) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """Return the usage of the caller; an admin may read another owner's, or a page of all owners."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor, owner = query.page_size(), query.cursor(UsageCursor), query.owner("owner")
        if cursor is not None and owner != EVERY_OWNER:
            query.add_problem("cursor", "is for the list of all owners: send owner=* with it")
        query.require_valid()
        after = None if cursor is None else Owner(cursor.after)
        page = await self._service.page(request.caller, request.owner if owner is None else owner, after, size)
        following = None if page.next_after is None else write_cursor(UsageCursor(page.next_after))
        headers: Headers = ()
        if following is not None:
            headers = next_link(request.path, {"owner": EVERY_OWNER, "limit": size, "cursor": following})
        return json_response(UsageList.of(page, following), headers=headers)
