"""Errors of HTTP, the one table of status codes, and the response to each error."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

import msgspec
from attrs import define
from typing_extensions import override

from domain.access.credentials import CredentialRefused
from domain.access.principal import ScopeMissing
from domain.errors import (
    Conflict,
    DomainError,
    FieldTooLarge,
    Forbidden,
    Gone,
    Invalid,
    InvalidRequest,
    LimitReached,
    NotFound,
    PreconditionFailed,
    Problem,
    ScriptFailed,
    ShuttingDown,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from domain.executions.execution import ExecutionFailed
from domain.files.file import StorageFull
from domain.scripts.report import FailureCode
from entrypoints.http.request import Request
from entrypoints.http.response import REPLAYED, Headers, Response, embedded, json_response
from entrypoints.http.schemas.errors import Error, ErrorBody

INTERNAL_ERROR = "INTERNAL_ERROR"

_SHOWN_MAX = 128
_REALM = b'Bearer realm="pglambda"'
_CLOSE = (b"connection", b"close")


@define(eq=False)
class HostNotAllowed(Invalid):
    """The `Host` header names another server, or a name that somebody made up for this one."""

    code: ClassVar[str] = "INVALID_REQUEST"
    host: str | None

    @property
    @override
    def message(self) -> str:
        found = "has no Host header" if self.host is None else f"is for the host {self.host[:_SHOWN_MAX]!r}"
        return (
            f"The request {found}, and this server accepts its own names only. Use one of them, or have the operator "
            "add the name to ALLOWED_HOSTS."
        )


@define(eq=False)
class RouteNotFound(NotFound):
    """No route has this path."""

    code: ClassVar[str] = "NOT_FOUND"

    @property
    @override
    def message(self) -> str:
        return "No route has this path. Correct it: the API begins at /api/v1/, and /openapi.json lists its routes."


@define(eq=False)
class MethodNotAllowed(DomainError):
    """A route has this path, but not this method."""

    code: ClassVar[str] = "METHOD_NOT_ALLOWED"
    allowed: tuple[str, ...]

    @property
    @override
    def message(self) -> str:
        return f"This path does not accept the method of the request. Use one of: {', '.join(self.allowed)}."

    @property
    @override
    def details(self) -> Mapping[str, object]:
        return {"allowed": self.allowed}


@define(eq=False)
class ExpectationFailed(DomainError):
    """The header `Expect` has something else than 100-continue."""

    code: ClassVar[str] = "EXPECTATION_FAILED"
    expected: str

    @property
    @override
    def message(self) -> str:
        return (
            f"The service knows no expectation {self.expected[:_SHOWN_MAX]!r}. Send Expect: 100-continue, or omit it."
        )


@define(eq=False)
class UnsupportedMediaType(DomainError):
    """The headers do not declare the body as plain JSON in UTF-8, or that of an upload as the bytes of a file."""

    code: ClassVar[str] = "UNSUPPORTED_MEDIA_TYPE"
    header: str
    value: str | None
    is_upload: bool = False

    @property
    @override
    def message(self) -> str:
        if self.is_upload:
            return (
                f"The header {self.header} does not declare the bytes of one file as they are, so nothing was stored. "
                "Send them uncompressed and in no form: curl --data-binary @FILE -H 'Content-Type: text/csv'."
            )
        return (
            f"The header {self.header} does not declare plain JSON in UTF-8. Send the body uncompressed, with the "
            "header Content-Type: application/json."
        )

    @property
    @override
    def details(self) -> Mapping[str, object]:
        return {"header": self.header, "value": self.value if self.value is None else self.value[:_SHOWN_MAX]}


@define(eq=False)
class RangeNotSatisfiable(DomainError):
    """The range begins behind the end of the content."""

    code: ClassVar[str] = "RANGE_NOT_SATISFIABLE"
    size: int

    @property
    @override
    def message(self) -> str:
        return f"The content has {self.size} bytes, and the range begins behind them. Send a Range within the content."

    @property
    @override
    def details(self) -> Mapping[str, object]:
        return {"size": self.size}


@define(eq=False)
class SlowBody(Invalid):
    """The body did not arrive in time."""

    code: ClassVar[str] = "INVALID_REQUEST"
    timeout_s: float

    @property
    @override
    def message(self) -> str:
        return (
            f"The body did not arrive within {self.timeout_s:g} seconds, so nothing was done. Send the request again."
        )


@define(eq=False)
class InvalidParams(InvalidRequest):
    """The body is valid except for the parameters of the script."""

    code: ClassVar[str] = "INVALID_PARAMS"


def invalid(problems: Iterable[Problem], kind: type[InvalidRequest] = InvalidRequest) -> InvalidRequest:
    """Return the error of a request that has these problems."""
    return kind(tuple(problems))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


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
    (ExpectationFailed, HTTPStatus.EXPECTATION_FAILED),
    (RangeNotSatisfiable, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    (LimitReached, HTTPStatus.TOO_MANY_REQUESTS),
    (ScriptFailed, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (StorageFull, HTTPStatus.INSUFFICIENT_STORAGE),
)
"""The status of each category of errors."""

STATUS_OF_CODE: Mapping[str, HTTPStatus] = {
    FailureCode.EXECUTION_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    FailureCode.EXECUTION_CANCELLED: HTTPStatus.CONFLICT,
    FailureCode.EXECUTION_EXPIRED: HTTPStatus.GONE,
    FailureCode.FILES_LOST: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Codes whose status is not the status of their category."""


def status_of(error: DomainError) -> HTTPStatus:
    """Return the status of an error."""
    by_category = (status for category, status in STATUS if isinstance(error, category))
    return STATUS_OF_CODE.get(error.code) or next(by_category)


def respond_to_error(error: DomainError, request: Request) -> Response:
    """Return the response to an error of this request."""
    return error_response(error, request.parameters.get("request_id"))


def respond_to_bug(error_id: UUID, request: Request) -> Response:
    """Return the response of this request to an unexpected exception."""
    return internal_error_response(error_id, request.parameters.get("request_id"))


def error_response(error: DomainError, session_id: UUID | None) -> Response:
    """Return the response to an error; `session_id` is the session in the path, if there is one."""
    content = error_content(error)
    body = ErrorBody(content, session_id or msgspec.UNSET)
    return json_response(body, status_of(error), error_headers(error), is_body_unread=is_body_unread(error))


def unread_error_response(error: DomainError) -> Response:
    """Return the response to an error that stops an upload; its connection ends with it."""
    body = ErrorBody(error_content(error), msgspec.UNSET)
    headers = dict.fromkeys((*error_headers(error), _CLOSE))
    return json_response(body, status_of(error), tuple(headers), is_body_unread=True)


def internal_error_response(error_id: UUID, session_id: UUID | None) -> Response:
    """Return the response to an unexpected exception: no internals, and the id under which the log has the cause."""
    body = ErrorBody(internal_error_content(error_id), session_id or msgspec.UNSET)
    return json_response(body, HTTPStatus.INTERNAL_SERVER_ERROR)


def error_content(error: DomainError) -> Error:
    """Return code, message and details of an error."""
    details = dict(error.details)
    if isinstance(details.get("result"), str):
        details["result"] = embedded(str(details["result"]))
    return Error(error.code, error.message, details)


def internal_error_content(error_id: UUID) -> Error:
    """Return code, message and details of an unexpected exception."""
    message = (
        "The request failed because of an error in the server. Report the error_id in the details to the operator: the "
        "log has the cause under it."
    )
    return Error(INTERNAL_ERROR, message, {"error_id": error_id})


def error_headers(error: DomainError) -> Headers:
    """Return the headers that programs need: when to repeat, what is allowed, which credential is missing."""
    headers: list[tuple[bytes, bytes]] = []
    retry_after_ms = error.details.get("retry_after_ms")
    if isinstance(retry_after_ms, int):
        headers.append((b"retry-after", b"%d" % -(-retry_after_ms // 1000)))
    if isinstance(error, ExecutionFailed) and error.replayed:
        headers += REPLAYED
    if isinstance(error, RangeNotSatisfiable):
        headers.append((b"content-range", b"bytes */%d" % error.size))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, Unauthorized | Forbidden):
        headers.append(_challenge(error))
    if isinstance(error, SlowBody | ShuttingDown) or is_body_unread(error):
        headers.append(_CLOSE)
    return tuple(headers)


def is_body_unread(error: DomainError) -> bool:
    """Return whether the error stops the request while its client may still send the body."""
    return isinstance(error, FieldTooLarge) and not error.pointer


def _challenge(error: Unauthorized | Forbidden) -> tuple[bytes, bytes]:
    """Return the `WWW-Authenticate` header (RFC 6750); it names no error if the request had no credential."""
    value = _REALM
    if isinstance(error, CredentialRefused):
        value += b', error="invalid_token"'
    elif isinstance(error, ScopeMissing):
        value += b', error="insufficient_scope", scope="%s"' % error.needed[0].encode()
    return b"www-authenticate", value
