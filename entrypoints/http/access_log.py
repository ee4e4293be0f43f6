"""One line in the log for every request."""

import logging

from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from entrypoints.http.guards import Observer
from entrypoints.http.request import Request
from entrypoints.http.routes import Operation


class AccessLog(Observer):
    """Writes the line, where the level lets it through; it has no payload in it."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    @override
    def seen(self, request: Request, operation: Operation | None, status: int, duration_s: float) -> None:
        if not self._log.is_enabled_for(logging.INFO):
            return
        session_id = request.parameters.get("request_id")
        self._log.info(
            "request",
            x_request_id=request.identifier.decode(),
            request_id=session_id and str(session_id),
            method=request.scope["method"],
            route=operation and operation.path,
            status=status,
            duration_ms=round(duration_s * 1000, 3),
        )
