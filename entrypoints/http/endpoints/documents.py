"""Endpoints of the OpenAPI document and of the page that shows it."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import cached_property

from entrypoints.http.answer import Answer, Headers
from entrypoints.http.docs_ui.page import CONTENT_SECURITY_POLICY, PAGE, Asset
from entrypoints.http.request import Request

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

    async def document(self, request: Request) -> Answer:
        """Return the OpenAPI document, or 304 to those who have it."""
        content, tag = self._tagged
        headers: Headers = ((b"etag", tag), _ASK_AGAIN, _NO_GUESSING)
        if tag in (request.raw_header(b"if-none-match") or b""):
            return Answer(_NOT_MODIFIED, headers=headers)
        return Answer(200, content, headers)

    async def page(self, _request: Request) -> Answer:
        """Return the page."""
        return Answer(200, PAGE, _PAGE_HEADERS, content_type=b"text/html; charset=utf-8")

    def asset(self, asset: Asset) -> Callable[[Request], Awaitable[Answer]]:
        """Return the endpoint of one of the page's files."""

        async def endpoint(_request: Request) -> Answer:
            return Answer(200, asset.content(), (_KEEP, _NO_GUESSING), content_type=asset.media_type)

        return endpoint

    @cached_property
    def _tagged(self) -> tuple[bytes, bytes]:
        content = self._render()
        return content, b'"%s"' % hashlib.sha256(content).hexdigest()[:32].encode()
