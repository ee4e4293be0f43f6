"""The page itself, its files, and what a browser may do with them."""

import hashlib
from functools import cache
from importlib.resources import files

from attrs import frozen

SWAGGER_UI_VERSION = "5.35.0"
"""The release of swagger-ui-dist on npm that the vendored files are from, unchanged (Apache-2.0, see LICENSE, NOTICE)."""

CONTENT_SECURITY_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Own scripts and styles alone, none of them inline and none made of text; icons in the style sheet are data."""

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


@frozen
class Asset:
    """A file of the page, its media type, and its SHA-256 in hexadecimal."""

    file: str
    media_type: bytes
    sha256: str

    @property
    def name(self) -> str:
        """The name that it is served under: its content is in it, so that it may be kept for ever."""
        stem, _, suffix = self.file.rpartition(".")
        return f"{stem}.{self.sha256[:16]}.{suffix}"

    def content(self) -> bytes:
        """Return the file; it is read once."""
        return _content(self.file)


@cache
def _content(file: str) -> bytes:
    return (files(__package__) / "assets" / file).read_bytes()


_SCRIPT = b"text/javascript; charset=utf-8"
BUNDLE = Asset("swagger-ui-bundle.js", _SCRIPT, "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2")
STYLE = Asset(
    "swagger-ui.css", b"text/css; charset=utf-8", "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d"
)
START = Asset("start.js", _SCRIPT, hashlib.sha256(_content("start.js")).hexdigest())
ASSETS = (BUNDLE, STYLE, START)

PAGE = _PAGE.format(style=STYLE.name, bundle=BUNDLE.name, start=START.name).encode()
"""The page; its links are relative to `/docs`."""
