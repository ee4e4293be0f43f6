"""Pages of lists: size, cursor, and the link to the next one."""

from collections.abc import Mapping
from urllib.parse import urlencode

from entrypoints.http.parameters.cursors import Cursor, InvalidCursor, read_cursor
from entrypoints.http.parameters.queries import Query
from entrypoints.http.request import Request
from entrypoints.http.response import Headers

SIZE = 50
SIZE_MAX = 200


def page_size(query: Query) -> int:
    """Return how many items a page has."""
    return query.integer("limit", SIZE, SIZE_MAX)


def page_cursor(query: Query, kind: type[Cursor]) -> Cursor | None:
    """Return the cursor of a query, None on the first page; a bad one is noted as a problem."""
    text = query.text("cursor")
    try:
        return None if text is None else read_cursor(text, kind)
    except InvalidCursor:
        query.refuse("cursor", "must be the next_cursor of an earlier answer to the same list, unchanged")
        return None


def require_same(query: Query, filters: Mapping[str, tuple[object, object]]) -> None:
    """Note as a problem every filter that is given and is not what its cursor has: (given, the cursor's) by name."""
    for name, (value, kept) in filters.items():
        if query.text(name) is not None and value != kept:
            query.refuse(name, "must be what it was on the page that gave the cursor, or left out")


def next_link(request: Request, parameters: dict[str, str | int | None]) -> Headers:
    """Return the `Link` header (RFC 8288) to the page that these parameters ask for."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    return ((b"link", f'<{request.path}?{query}>; rel="next"'.encode("ascii")),)
