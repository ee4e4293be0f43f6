"""Endpoints of the OpenAPI document and of the page that shows it."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import cached_property

from entrypoints.http.docs_ui.page import CONTENT_SECURITY_POLICY, PAGE, Asset
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response

_NOT_MODIFIED = 304
_ASK_AGAIN = (b"cache-control", b"no-cache")
_KEEP = (b"cache-control", b"public, max-age=31536000, immutable")
_NO_GUESSING = (b"x-content-type-options", b"nosniff")
_PAGE_HEADERS: Headers = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY),
    (b"referrer-policy", b"no-referrer"),
    _NO_GUESSING,
    _ASK_AGAIN,
)


class DocumentEndpoints:
    """Answers with what is the same for everybody; `render` gives the document, and is asked once."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render

    async def document(self, request: Request) -> Response:
        """Return the OpenAPI document, or 304 to those who have it."""
        content, tag = self._tagged
        headers: Headers = ((b"etag", tag), _ASK_AGAIN, _NO_GUESSING)
        if tag in (request.raw_header(b"if-none-match") or b""):
            return Response(_NOT_MODIFIED, headers=headers)
        return Response(200, content, headers)

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        return Response(200, PAGE, _PAGE_HEADERS, content_type=b"text/html; charset=utf-8")

    def asset(self, asset: Asset) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of one of the page's files."""

        async def endpoint(_request: Request) -> Response:
            return Response(200, asset.content(), (_KEEP, _NO_GUESSING), content_type=asset.media_type)

        return endpoint

    @cached_property
    def _tagged(self) -> tuple[bytes, bytes]:
        content = self._render()
        return content, b'"%s"' % hashlib.sha256(content).hexdigest()[:32].encode()
