"""The access log: one line for every request."""

import logging
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, structs
from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from domain.identity import Owner
from entrypoints.http.pipeline import RequestObserver
from entrypoints.http.request import Request
from entrypoints.telemetry.logs import json_lines

_EVENT = "request"
_LEVEL = "info"
_OWNERS_MAX = 4096
_HASH_BYTES = 6


class AccessLine(Struct, omit_defaults=True):
    """The fields of a line. It does not name the owner, and contains no text of callers except plain ids."""

    timestamp: datetime
    level: str
    logger: str
    event: str
    method: str
    status: int
    duration_ms: float
    db_ms: float | None = None
    x_request_id: str | None = None
    owner_hash: str | None = None
    route: str | None = None
    client: str | None = None
    code: str | None = None
    request_id: UUID | None = None
    execution_id: UUID | None = None
    trace_id: str | None = None
    span_id: str | None = None


class AccessLog(RequestObserver):
    """Writes the line if the log level admits it.

    JSON lines bypass the logger, which takes a tenth of the time. `logger` is the name in the lines. Without
    `has_owners` they have neither an owner nor the time spent waiting for the database.
    """

    def __init__(self, log: FilteringBoundLogger, logger: str = "http.access", *, has_owners: bool = True) -> None:
        self._logger = logger
        self._has_owners = has_owners
        self._log = log.bind(logger=logger)
        self._enabled = self._log.is_enabled_for(logging.INFO)
        self._lines = json_lines()
        self._encode = msgspec.json.Encoder().encode

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        if not self._enabled:
            return
        line = self._line(request, status, duration_s)
        if self._lines is not None:
            self._lines.write(self._encode(line))
        else:
            self._log.info(_EVENT, **_facts(line))

    def _line(self, request: Request, status: int, duration_s: float) -> AccessLine:
        scope, route = request.scope, request.route
        client = scope.get("client")
        span = request.trace.context if request.trace is not None else None
        # Positional: naming the fields would take a third of the time of the whole line.
        return AccessLine(
            datetime.now(UTC),
            _LEVEL,
            self._logger,
            _EVENT,
            scope["method"],
            status,
            round(duration_s * 1000, 3),
            round(request.database_s * 1000, 3) if self._has_owners else None,
            request.id.decode() or None,
            owner_hash(request.caller.owner) if self._has_owners else None,
            route.path if route is not None else None,
            client[0] if client else None,
            request.error_code,
            request.created_session_id or request.parameters.get("request_id"),
            request.execution_id or request.parameters.get("execution_id"),
            span.trace_id if span is not None else None,
            span.span_id if span is not None else None,
        )


@lru_cache(maxsize=_OWNERS_MAX)
def owner_hash(owner: Owner) -> str:
    """Return the hash that replaces an owner in logs. It is the same in every process and release."""
    return blake2b(owner.encode(errors="replace"), digest_size=_HASH_BYTES, person=b"pglambda owner").hexdigest()


def _facts(line: AccessLine) -> dict[str, Any]:
    """Return the fields that the logger does not add itself."""
    facts = structs.asdict(line)
    for name in ("timestamp", "level", "logger", "event"):
        del facts[name]
    return {name: str(fact) if isinstance(fact, UUID) else fact for name, fact in facts.items() if fact is not None}
