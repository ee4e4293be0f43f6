"""Endpoints of files."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID

from attrs import define

from domain.errors import DomainError
from domain.files.file import Span, StoredFile
from domain.files.service import FileService
from entrypoints.http.content_response import ContentResponse
from entrypoints.http.errors import unread_error_response
from entrypoints.http.parsing.conditions import is_known
from entrypoints.http.parsing.cursors import FileCursor, write_cursor
from entrypoints.http.parsing.queries import Query
from entrypoints.http.parsing.ranges import span_of
from entrypoints.http.parsing.uploads import UploadBody, new_file
from entrypoints.http.request import Request
from entrypoints.http.response import (
    PRIVATE,
    Headers,
    Response,
    etag,
    json_response,
    next_link,
    not_modified,
)
from entrypoints.http.schemas.files import FilePage, FileResponse

_HARMLESS: Headers = (
    *PRIVATE,
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"accept-ranges", b"bytes"),
)
"""A browser must neither show nor run what a script or another caller has stored."""


@define(eq=False)
class FileEndpoints:
    """Upload, read, list and remove files."""

    _service: FileService
    _chunk_timeout_s: float
    _stall_s: float

    async def upload(self, request: Request) -> Response:
        """Store the body as a file."""
        new, body = new_file(request), UploadBody(request, self._chunk_timeout_s)
        try:
            file = await self._service.upload(request.owner, new, body.chunks())
        except DomainError as error:
            if body.is_whole:
                raise
            request.error_code = error.code
            return unread_error_response(error)
        location = (b"location", f"/api/v1/files/{file.file_id}".encode("ascii"))
        return json_response(FileResponse.of(file), HTTPStatus.CREATED, (location,))

    async def get(self, request: Request) -> Response:
        """Return what is known of a file."""
        file = await self._service.get(request.caller.reach, _file_id(request))
        return json_response(FileResponse.of(file))

    async def list(self, request: Request) -> Response:
        """Return a page of the caller's files, newest first."""
        query = Query(request.query_string, request.route.query_names)
        size, cursor = query.page_size(), query.cursor(FileCursor)
        query.require_valid()
        page = await self._service.page(request.owner, None if cursor is None else cursor.after, size)
        following = None if page.next_after is None else write_cursor(FileCursor(page.next_after))
        headers = () if following is None else next_link(request.path, {"limit": size, "cursor": following})
        return json_response(FilePage([FileResponse.of(each) for each in page.items], following), headers=headers)

    async def delete(self, request: Request) -> Response:
        """Remove a file."""
        await self._service.remove(request.caller.reach, _file_id(request))
        return Response(HTTPStatus.NO_CONTENT)

    async def content(self, request: Request) -> Response:
        """Return the content of a file, or one range of it."""
        file = await self._service.get(request.caller.reach, _file_id(request))
        if is_known(request, file.sha256):
            return not_modified(file.sha256)
        span = span_of(request, file.size, file.sha256)
        status, headers = HTTPStatus.OK, (etag(file.sha256), _disposition(file), *_HARMLESS)
        if span is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers += ((b"content-range", f"bytes {span.first}-{span.last}/{file.size}".encode()),)
        wanted = span or Span(0, file.size - 1)
        first, rest = await self._begun(request, file, wanted)
        content_type = file.content_type.encode("latin-1")
        return ContentResponse(
            int(status),
            headers=headers,
            content_type=content_type,
            size=wanted.size,
            stall_s=self._stall_s,
            first=first,
            rest=rest,
        )

    async def _begun(
        self, request: Request, file: StoredFile, span: Span
    ) -> tuple[bytes, AsyncGenerator[bytes, None] | None]:
        """Return the first piece, whose failure still gets a response, and the others."""
        if request.scope["method"] == "HEAD" or not span.size:
            return b"", None
        pieces = self._service.content(request.owner, file, span)
        return await anext(pieces), pieces


def _file_id(request: Request) -> UUID:
    file_id: UUID = request.parameters["file_id"]
    return file_id


def _disposition(file: StoredFile) -> tuple[bytes, bytes]:
    """Return the header by which a browser saves the content under the name of the file (RFC 6266)."""
    return b"content-disposition", f"attachment; filename*=UTF-8''{quote(file.name, safe='')}".encode("ascii")
