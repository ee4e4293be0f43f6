"""Cross-origin requests of browsers (the CORS protocol of the Fetch standard)."""

from collections.abc import Iterable
from http import HTTPStatus

from attrs import define
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.response import SINGLE_WRITE, Headers, Relay, SingleWrite

ANY_ORIGIN = "*"

_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS = (
    b"Authorization, Content-Digest, Content-Type, Language-Title, Idempotency-Key, If-Match, If-None-Match, "
    b"If-Range, Last-Event-ID, Prefer, Range, X-Request-ID, traceparent, tracestate"
)
_RESPONSE_HEADERS = (
    b"Content-Disposition, Content-Range, ETag, Idempotent-Replayed, Kept-Until, Link, Location, Preference-Applied, "
    b"RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Api-Key-Expires-At, X-Request-ID"
)
_MAX_AGE_S = 7200
_VARY: Headers = ((b"vary", b"Origin"),)


class Cors:
    """Responds to preflights of every path, and lets pages of the origins read every response, errors included.

    It wraps the pipeline, because a preflight has no route, no caller and no token. It never allows credentials that a
    browser adds by itself: callers send tokens. Pages may send `request_headers` and read `response_headers`.
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Iterable[str],
        request_headers: bytes = _REQUEST_HEADERS,
        response_headers: bytes = _RESPONSE_HEADERS,
    ) -> None:
        self._app = app
        self._preflight: Headers = (
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", request_headers),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        )
        self._exposed: Headers = ((b"access-control-expose-headers", response_headers),)
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any = ANY_ORIGIN.encode() in self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is None:
            await self._app(scope, receive, send)
            return
        granted = self._granted(origin)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _send_preflight(send, (*granted, *(self._preflight if granted else ())))
            return
        added = (*_VARY, *granted, *(self._exposed if granted else ()))

        async def send_granted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        extensions = dict(scope.get("extensions") or {})
        if SINGLE_WRITE in extensions:
            extensions[SINGLE_WRITE] = _GrantedSingleWrite(extensions[SINGLE_WRITE], added)
        await self._app({**scope, "extensions": extensions}, receive, send_granted)

    def _granted(self, origin: bytes) -> Headers:
        if self._any:
            return ((b"access-control-allow-origin", b"*"),)
        return ((b"access-control-allow-origin", origin),) if origin in self._origins else ()


@define(eq=False)
class _GrantedSingleWrite:
    """The single write of the server, with the headers added."""

    _write: SingleWrite
    _added: Headers

    @property
    def target(self) -> bytes:
        """The target of the request as it was received."""
        return self._write.target

    def __call__(self, status: int, headers: Headers, body: bytes) -> bool:
        return self._write(status, (*headers, *self._added), body)

    def relay(self) -> Relay | None:
        """Return what sends a response of another server, which has such headers of its own."""
        return self._write.relay()

    def abort(self) -> None:
        """Close the connection at once."""
        self._write.abort()


async def _send_preflight(send: Send, granted: Headers) -> None:
    start = {"type": "http.response.start", "status": int(HTTPStatus.NO_CONTENT), "headers": [*_VARY, *granted]}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
