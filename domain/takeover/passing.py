"""A call that is passed on to the origin: what of its headers passes, and how it fails."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import ClassVar

from attrs import Factory, define, frozen

from domain.errors import Unavailable

Header = tuple[bytes, bytes]
"""Name as it was received, and value."""

REQUEST_SIZE_MAX = 64 * 1024 * 1024
"""Limit of the body of a request that is passed on. The origin by itself accepts 2 MiB."""

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers about one connection, which end with it (RFC 9110, section 7.6.1)."""

_ABOUT_MESSAGE = frozenset({b"content-length", b"host"})
"""Headers that pass although `Connection` names them. Without its length, a body would pass for a second request."""

FROM_FRONT: Header = (b"x-pglambda-front", b"1")
"""Added to what is passed on: a front that receives it is the origin of a front, perhaps its own.

`Via` would say the same, but proxies before the origin, such as nginx, then stop to compress replies.
"""

_LISTS_HEADERS = b"connection"
_AUTHORIZATION = b"authorization"
_DATE = b"date"
_HOST = b"host"


@frozen
class OriginRequest:
    """A request as the caller sent it: the target is the path with the query, and header names are in lower case.

    A body of pieces has the length that `Content-Length` declares, or is sent in chunks. With `expects_continue` no
    piece is taken before the origin wants the body, or a second has passed.
    """

    method: bytes
    target: bytes
    headers: Sequence[Header]
    body: bytes | AsyncIterator[bytes] = b""
    expects_continue: bool = False


def passed_headers(headers: Sequence[Header], host: bytes, *, is_authenticated: bool) -> list[Header]:
    """Return the headers of a request that the origin gets.

    Only the mark of the front is added, and the `Host` that HTTP/1.1 demands if the request has none. A credential for
    this service stays here: an authenticated caller's `Authorization` is left out.
    """
    dropped = _about_connection(headers)
    if is_authenticated:
        dropped |= {_AUTHORIZATION}
    passed = [header for header in headers if header[0] not in dropped]
    passed.append(FROM_FRONT)
    return passed if any(name == _HOST for name, _ in passed) else [(_HOST, host), *passed]


def is_from_front(headers: Iterable[Header]) -> bool:
    """Return whether a front has passed on the request with these headers."""
    return any(name == FROM_FRONT[0] for name, _ in headers)


def returned_headers(headers: Sequence[Header]) -> list[Header]:
    """Return the headers of a reply that the caller gets: all but `Date` and those about the connection."""
    dropped = _about_connection((name.lower(), value) for name, value in headers) | {_DATE}
    return [header for header in headers if header[0].lower() not in dropped]


def _about_connection(headers: Iterable[Header]) -> frozenset[bytes]:
    listed = [value for name, value in headers if name == _LISTS_HEADERS]
    if not listed:
        return _HOP_BY_HOP
    named = {name.strip(b" \t").lower() for value in listed for name in value.split(b",")}
    return _HOP_BY_HOP | (named - _ABOUT_MESSAGE)


@define(eq=False)
class OriginUnavailable(Unavailable):
    """The origin cannot be reached, or broke off. `executed` is "no" if it received nothing of the call."""

    code: ClassVar[str] = "ORIGIN_UNAVAILABLE"
    reason: str
    executed: str | None = "unknown"
    stored: str | None = Factory(lambda error: error.executed, takes_self=True)
    retry_after_ms: int | None = Factory(lambda error: 1000 if error.executed == "no" else None, takes_self=True)

    @property
    def message(self) -> str:
        if self.executed == "no":
            return f"The origin cannot be reached ({self.reason}), so nothing was done. Repeat the call after a moment."
        return (
            f"The origin received the call and did not complete its reply ({self.reason}). The script may have run, so "
            "repeat the call only if running it twice does no harm."
        )


@define(eq=False)
class OriginLoop(Unavailable):
    """The call comes from a front, so ORIGIN_URL does not lead to the origin."""

    code: ClassVar[str] = "ORIGIN_LOOP"
    stored: str | None = "no"
    executed: str | None = "no"

    @property
    def message(self) -> str:
        return (
            "ORIGIN_URL leads back to a front of pglambda instead of lambda-microservice, so nothing was done. Set it "
            "to the address of lambda-microservice itself."
        )


@define(eq=False)
class OriginTimeout(Unavailable):
    """The origin did not reply in time."""

    code: ClassVar[str] = "ORIGIN_TIMEOUT"
    timeout_s: float
    stored: str | None = "unknown"
    executed: str | None = "unknown"

    @property
    def message(self) -> str:
        return (
            f"The origin did not reply within {self.timeout_s:g} s (ORIGIN_TIMEOUT_SECONDS). The script may have run, "
            "so repeat the call only if running it twice does no harm."
        )
