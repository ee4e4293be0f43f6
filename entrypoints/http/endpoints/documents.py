"""The OpenAPI document, and the page that shows it (Swagger UI)."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import cache, cached_property
from importlib.resources import files

from attrs import frozen

from entrypoints.http.parsing.conditions import is_known
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, etag, not_modified

# `docs_ui/` has the files of swagger-ui-dist 5.35.0 from npm, unchanged (Apache-2.0, see LICENSE and NOTICE).

CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and styles of this server only, none of them inline or made from text. Icons in the style sheet are data."""

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pglambda</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/{style}">
</head>
<body>
<div id="ui"></div>
<noscript>This page needs JavaScript. The document is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/{bundle}"></script>
<script src="docs/{start}"></script>
</body>
</html>
"""

_REVALIDATE = (b"cache-control", b"no-cache")
_IMMUTABLE = (b"cache-control", b"public, max-age=31536000, immutable")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_PAGE_HEADERS: Headers = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY),
    (b"referrer-policy", b"no-referrer"),
    _NO_SNIFFING,
    _REVALIDATE,
)


@frozen
class Asset:
    """A file of the page, its media type, and its SHA-256 in hexadecimal."""

    file: str
    media_type: bytes
    sha256: str

    @property
    def name(self) -> str:
        """The name under which it is served. It contains the hash, so browsers may keep the file for ever."""
        stem, _, suffix = self.file.rpartition(".")
        return f"{stem}.{self.sha256[:16]}.{suffix}"

    def content(self) -> bytes:
        """Return the file, which is read once."""
        return _content(self.file)


@cache
def _content(file: str) -> bytes:
    return (files("entrypoints.http") / "docs_ui" / file).read_bytes()


_SCRIPT = b"text/javascript; charset=utf-8"
BUNDLE = Asset("swagger-ui-bundle.js", _SCRIPT, "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2")
STYLE = Asset(
    "swagger-ui.css", b"text/css; charset=utf-8", "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d"
)
START = Asset("start.js", _SCRIPT, hashlib.sha256(_content("start.js")).hexdigest())
ASSETS = (BUNDLE, STYLE, START)

PAGE = _PAGE.format(style=STYLE.name, bundle=BUNDLE.name, start=START.name).encode()
"""The page. Its links are relative to `/docs`."""


class DocumentEndpoints:
    """Serve what is the same for every caller. `render` returns the document, and is called once."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render

    async def document(self, request: Request) -> Response:
        """Return the OpenAPI document, or 304 if the caller has it."""
        content, tag = self._tagged
        headers: Headers = (_REVALIDATE, _NO_SNIFFING)
        if is_known(request, tag):
            return not_modified(tag, headers)
        return Response(200, content, (etag(tag), *headers))

    async def page(self, _request: Request) -> Response:
        """Return the page."""
        return Response(200, PAGE, _PAGE_HEADERS, content_type=b"text/html; charset=utf-8")

    def asset(self, asset: Asset) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of one file of the page."""

        async def endpoint(_request: Request) -> Response:
            return Response(200, asset.content(), (_IMMUTABLE, _NO_SNIFFING), content_type=asset.media_type)

        return endpoint

    @cached_property
    def _tagged(self) -> tuple[bytes, str]:
        content = self._render()
        return content, hashlib.sha256(content).hexdigest()[:32]
