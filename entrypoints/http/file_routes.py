"""The rows of files in the table of routes."""

from functools import partial

from entrypoints.http.endpoints.files import FileEndpoints
from entrypoints.http.openapi import files as contracts
from entrypoints.http.route import Access, Route, RouteClass
from entrypoints.http.schemas.files import FilePage, FileResponse

_own = partial(Route, access=Access.OWNER, route_class=RouteClass.SESSIONS)
_write = partial(Route, access=Access.WRITE_FILES, route_class=RouteClass.SESSIONS)


# Columns: method, path, endpoint, name, contract, type of the body, type of the response.


def file_routes(files: FileEndpoints) -> tuple[Route, ...]:
    """Return the routes of files."""
    every, one = "/api/v1/files", "/api/v1/files/{file_id}"
    content = f"{one}/content"
    return (
        _write("POST", every, files.upload, "upload_file", contracts.UPLOAD, None, FileResponse, status=201),
        _own("GET", every, files.list, "list_files", contracts.LIST, None, FilePage),
        _own("GET", one, files.get, "get_file", contracts.GET, None, FileResponse),
        _write("DELETE", one, files.delete, "delete_file", contracts.DELETE, status=204),
        _own("GET", content, files.content, "get_file_content", contracts.CONTENT),
    )
