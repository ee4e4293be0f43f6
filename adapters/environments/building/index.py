"""The index from which a build installs: its URL, its credentials, and the hosts that builds may reach for it."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from attrs import field, frozen
from typing_extensions import override

_PORTS = {"http": 80, "https": 443}
_HIDDEN = "[hidden]"
_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")


@frozen
class Destination:
    """A host and a port that a build may reach."""

    host: str
    port: int

    @override
    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@frozen
class PackageIndex:
    """An index. `more` are further hosts that it refers to for files, and `roots` a file of certificates for TLS."""

    url: str = field(repr=False)
    more: Sequence[Destination] = ()
    roots: Path | None = None

    @property
    def destinations(self) -> Sequence[Destination]:
        """The hosts that a build reaches, the one of the URL first."""
        parts = urlsplit(self.url)
        own = Destination(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
        return list(dict.fromkeys((own, *self.more)))

    @property
    def plain_url(self) -> str:
        """The URL without credentials."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def basic(self) -> str | None:
        """The credentials in the form of Basic authentication; None without any."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return None
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return base64.b64encode(pair.encode()).decode()

    def hide(self, text: str) -> str:
        """Return a text of a tool without the credentials, in whatever form."""
        parts = urlsplit(self.url)
        pair = f"{parts.username}:{parts.password}" if parts.password else parts.username  # a token alone, without one
        words = [parts.password, pair, self.basic]
        spellings = {form for word in words if word for form in (word, unquote(word), quote(unquote(word), safe=""))}
        for spelling in sorted(spellings, key=len, reverse=True):
            text = text.replace(spelling, _HIDDEN)
        return _IN_URL.sub(f"{_HIDDEN}@", text)
