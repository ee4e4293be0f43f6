"""From errors to HTTP: the one table of status codes, and the one shape."""

from collections.abc import Mapping
from http import HTTPStatus
from uuid import UUID

import msgspec

from domain.errors import (
    Conflict,
    DomainError,
    FieldTooLarge,
    Forbidden,
    Gone,
    Invalid,
    LimitReached,
    NotFound,
    PreconditionFailed,
    ScriptFailed,
    ShuttingDown,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from domain.executions.execution import ExecutionFailed
from domain.limits.rate import RateLimited
from domain.scripts.report import FailureCode
from entrypoints.http.contracts.error_codes import INTERNAL_ERROR
from entrypoints.http.errors import MethodNotAllowed, SlowBody, UnsupportedMediaType
from entrypoints.http.middleware.challenges import challenge
from entrypoints.http.middleware.rate_headers import rate_headers
from entrypoints.http.parameters.idempotency import REPLAYED
from entrypoints.http.payloads.errors import Error, ErrorBody
from entrypoints.http.payloads.values import embedded
from entrypoints.http.response import Headers, Response, json_answer

STATUS: tuple[tuple[type[DomainError], HTTPStatus], ...] = (
    (Invalid, HTTPStatus.BAD_REQUEST),
    (Unauthorized, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (MethodNotAllowed, HTTPStatus.METHOD_NOT_ALLOWED),
    (Conflict, HTTPStatus.CONFLICT),
    (Gone, HTTPStatus.GONE),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UnsupportedMediaType, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    (LimitReached, HTTPStatus.TOO_MANY_REQUESTS),
    (ScriptFailed, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The status of each category of errors."""

STATUS_OF_CODE: Mapping[str, HTTPStatus] = {FailureCode.EXECUTION_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT}
"""Codes whose status is not their category's."""


def status_of(error: DomainError) -> HTTPStatus:
    """Return the status of an error."""
    by_category = (status for category, status in STATUS if isinstance(error, category))
    return STATUS_OF_CODE.get(error.code) or next(by_category)


def error_answer(error: DomainError, session_id: UUID | None) -> Response:
    """Return the answer that tells of an error; `request_id` is the session's, where it is known."""
    told = told_of(error)
    body = ErrorBody(told, session_id or msgspec.UNSET)
    return json_answer(body, status_of(error), _headers(error, told.details), ahead=_is_of_body(error))


def internal_error_answer(error_id: UUID, session_id: UUID | None) -> Response:
    """Return the answer to a bug: no internals, and the id to find it by."""
    body = ErrorBody(told_of_bug(error_id), session_id or msgspec.UNSET)
    return json_answer(body, HTTPStatus.INTERNAL_SERVER_ERROR)


def told_of(error: DomainError) -> Error:
    """Return what is told of an error, whatever it is told in."""
    details = dict(error.details)
    if isinstance(details.get("result"), str):
        details["result"] = embedded(str(details["result"]))
    return Error(error.code, error.message, details)


def told_of_bug(error_id: UUID) -> Error:
    """Return what is told of a bug: no internals, and the id to find it by."""
    message = "This is an error of the server. The log has the cause under the error_id in the details."
    return Error(INTERNAL_ERROR, message, {"error_id": error_id})


def _headers(error: DomainError, details: Mapping[str, object]) -> Headers:
    headers: list[tuple[bytes, bytes]] = []
    retry_after_ms = details.get("retry_after_ms")
    if isinstance(retry_after_ms, int):
        headers.append((b"retry-after", b"%d" % -(-retry_after_ms // 1000)))
    if isinstance(error, ExecutionFailed) and error.replayed:
        headers += REPLAYED
    if isinstance(error, RateLimited):
        headers += rate_headers(error.policy, error.verdict)
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, Unauthorized | Forbidden):
        headers.append(challenge(error))
    if _leaves_body_unread(error) or isinstance(error, ShuttingDown):
        headers.append((b"connection", b"close"))
    return tuple(headers)


def _leaves_body_unread(error: DomainError) -> bool:
    return isinstance(error, SlowBody) or _is_of_body(error)


def _is_of_body(error: DomainError) -> bool:
    return isinstance(error, FieldTooLarge) and not error.pointer
