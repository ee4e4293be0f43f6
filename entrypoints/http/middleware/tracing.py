"""An id for every request, and one line in the log."""

import itertools
import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")
_HEADER = b"x-request-id"
_CLIENT_GONE = 499


class Tracing:
    """Takes over or makes `X-Request-ID`, sends it back, and writes the access line."""

    def __init__(self, app: ASGIApp, log: FilteringBoundLogger) -> None:
        self._app = app
        self._log = log
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        identifier = self._identifier(scope)
        status = _CLIENT_GONE

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, identifier)]
            await send(message)

        scope["x_request_id"] = identifier.decode()
        try:
            await self._app(scope, receive, send_traced)
        finally:
            if self._log.is_enabled_for(logging.INFO):
                self._write(scope, status, started_s)

    def _identifier(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == _HEADER and _ID.fullmatch(value):
                identifier: bytes = value
                return identifier
        return f"{self._prefix}-{next(self._numbers):x}".encode()

    def _write(self, scope: Scope, status: int, started_s: float) -> None:
        operation = scope.get("route")
        session_id = scope.get("path_params", {}).get("request_id")
        self._log.info(
            "request",
            x_request_id=scope["x_request_id"],
            request_id=session_id and str(session_id),
            method=scope["method"],
            route=operation and operation.path,
            status=status,
            duration_ms=round((time.perf_counter() - started_s) * 1000, 3),
        )
