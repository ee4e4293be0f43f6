"""Errors as the origin's clients know them: one table from an error to a status and a text."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import ClassVar
from uuid import UUID

from attrs import define, frozen
from typing_extensions import override

from domain.errors import (
    DomainError,
    FieldTooLarge,
    Forbidden,
    Gone,
    Invalid,
    InvalidRequest,
    LimitReached,
    NotFound,
    Problem,
    RuntimeUnavailable,
    StorageUnavailable,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from domain.executions.execution import ExecutionLost, ExecutionNotStored
from domain.functions.function import FunctionNotFound
from domain.scripts.language import LanguageNotServed
from domain.scripts.report import ExecutionUnknown
from domain.sessions.session import SessionNotFound
from domain.takeover.front import SessionMoving, StageUnknown
from domain.takeover.passing import OriginLoop, OriginTimeout, OriginUnavailable
from entrypoints.http.errors import (
    INTERNAL_ERROR,
    RouteNotFound,
    SlowBody,
    UnsupportedMediaType,
    error_headers,
    internal_error_content,
    is_body_unread,
)
from entrypoints.http.request import Request
from entrypoints.http.response import PRIVATE, TEXT, Headers, Response, json_response

NO_SESSION = "Session not found or expired"

_CODE_HEADER = b"x-error-code"
_NOT_SAVED = (
    "The script ran, but its end could not be saved yet. Saving continues in the background. Do not repeat the call "
    "unless the script may run twice."
)


class BodyRefused(InvalidRequest):
    """The body is not the JSON that the call takes."""

    @property
    @override
    def message(self) -> str:
        return "Json deserialize error: " + "; ".join(map(_described, self.problems))


class QueryRefused(InvalidRequest):
    """A parameter of the query string is no number."""

    @property
    @override
    def message(self) -> str:
        return "Query deserialize error: " + "; ".join(map(_described, self.problems))


class MediaTypeRefused(UnsupportedMediaType):
    """The headers do not declare the body as plain JSON."""

    @property
    @override
    def message(self) -> str:
        return f"Content type error: the header {self.header} does not declare plain JSON. Send application/json."


class ScriptTooLarge(FieldTooLarge):
    """The script takes more bytes than MAX_SCRIPT_SIZE."""

    @property
    @override
    def message(self) -> str:
        return "Script content exceeds maximum size"


@define(eq=False)
class TitleRefused(Invalid):
    """The header Language-Title is missing, or cannot name a script."""

    code: ClassVar[str] = "INVALID_LANGUAGE_TITLE"
    reason: str

    @property
    @override
    def message(self) -> str:
        return self.reason


@define(eq=False)
class UnknownFunction(NotFound):
    """No function has the language-title of the path."""

    code: ClassVar[str] = "FUNCTION_NOT_FOUND"
    language_title: str

    @property
    @override
    def message(self) -> str:
        return f"Function with language_title '{self.language_title}' not found"


def _described(problem: Problem) -> str:
    return f"{problem.message} (at {problem.pointer})" if problem.pointer else f"the body {problem.message}"


_PREFIXES: Mapping[str, str] = {
    "origin_initialize": "Failed to create session: ",
    "origin_execute": "Failed to execute function: ",
    "origin_get_session": "Failed to get session: ",
    "origin_list_functions": "Failed to get functions: ",
    "origin_get_function": "Failed to get function: ",
}
"""What comes before the message of an error, by the name of the route."""

Wording = Callable[[DomainError, str], str]
"""Returns the text for an error; the second argument is the prefix of the route."""


def _alone(error: DomainError, _prefix: str) -> str:
    return error.message


def _after(inner: str = "") -> Wording:
    return lambda error, prefix: f"{prefix}{inner}{error.message}"


def _no_session(_error: DomainError, _prefix: str) -> str:
    return NO_SESSION


def _not_saved(_error: DomainError, _prefix: str) -> str:
    return f"Failed to update session: Database error: {_NOT_SAVED}"


def _unsupported(error: DomainError, prefix: str) -> str:
    return f"{prefix}Validation error: Unsupported language title: {error.details['value']}. {error.message}"


def _always(_error: DomainError) -> bool:
    return True


def _may_be_repeated(error: DomainError) -> bool:
    return isinstance(error, Unavailable) and error.retry_after_ms is not None


@frozen
class _Row:
    """What the errors of these classes become, if the condition holds.

    A plain one is a text, as the origin's framework writes it. One of the front says in `executed` whether the script
    ran: "no" or "unknown".
    """

    kinds: tuple[type[DomainError], ...]
    status: HTTPStatus
    wording: Wording
    plain: bool = False
    when: Callable[[DomainError], bool] = _always
    shows_executed: bool = False

    def covers(self, error: DomainError) -> bool:
        """Return whether the row is for this error."""
        return isinstance(error, self.kinds) and self.when(error)


_FRONT_AWAY = (OriginUnavailable, OriginLoop, StageUnknown, SessionMoving)

_TABLE: tuple[_Row, ...] = (
    _Row((BodyRefused, QueryRefused, MediaTypeRefused, SlowBody), HTTPStatus.BAD_REQUEST, _alone, plain=True),
    _Row((TitleRefused, ScriptTooLarge), HTTPStatus.BAD_REQUEST, _alone),
    _Row((TooLarge,), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _alone, plain=True),
    _Row((SessionNotFound, Gone), HTTPStatus.NOT_FOUND, _no_session),
    _Row((UnknownFunction,), HTTPStatus.NOT_FOUND, _alone),
    _Row((LanguageNotServed,), HTTPStatus.BAD_REQUEST, _unsupported),
    _Row((FunctionNotFound, Invalid), HTTPStatus.BAD_REQUEST, _after()),
    _Row((Unauthorized,), HTTPStatus.UNAUTHORIZED, _after()),
    _Row((Forbidden,), HTTPStatus.FORBIDDEN, _after()),
    _Row((LimitReached,), HTTPStatus.TOO_MANY_REQUESTS, _after()),
    _Row((ExecutionNotStored,), HTTPStatus.INTERNAL_SERVER_ERROR, _not_saved),
    _Row((ExecutionLost,), HTTPStatus.INTERNAL_SERVER_ERROR, _after("Database error: ")),
    _Row((ExecutionUnknown, RuntimeUnavailable), HTTPStatus.INTERNAL_SERVER_ERROR, _after("Runtime error: ")),
    _Row((OriginTimeout,), HTTPStatus.GATEWAY_TIMEOUT, _after(), shows_executed=True),
    _Row(_FRONT_AWAY, HTTPStatus.SERVICE_UNAVAILABLE, _after(), shows_executed=True),
    _Row((StorageUnavailable,), HTTPStatus.INTERNAL_SERVER_ERROR, _after("Database error: ")),
    _Row((Unavailable,), HTTPStatus.SERVICE_UNAVAILABLE, _after(), when=_may_be_repeated),
    _Row((DomainError,), HTTPStatus.INTERNAL_SERVER_ERROR, _after()),
)
"""The first row counts that has a class of the error.

The origin has no status but 400, 404, 413 and 500. States that it does not have get the status of HTTP: an unknown
caller, a missing scope, a limit, and a call that was refused before anything began. Proxies repeat calls after 503 by
themselves, so a call that may have had an effect is never 503, but where the origin is away: its own proxies say so.
"""


def origin_error(error: DomainError, request: Request) -> Response:
    """Return the response to an error: `{"error": "<prefix>: <message>"}`, and the code of this service in a header."""
    if isinstance(error, RouteNotFound):
        return Response(int(HTTPStatus.NOT_FOUND), headers=(_code(error.code),), content_type=None)
    row = next(row for row in _TABLE if row.covers(error))
    prefix = "" if request.route is None else _PREFIXES.get(request.route.name, "")
    return _response(row, row.wording(error, prefix), error)


def origin_bug(error_id: UUID, _request: Request) -> Response:
    """Return the response to an unexpected exception: no internals, and the id under which the log has the cause."""
    text = f"Internal error: {internal_error_content(error_id).message} error_id: {error_id}"
    return json_response({"error": text}, HTTPStatus.INTERNAL_SERVER_ERROR, (_code(INTERNAL_ERROR),))


def _response(row: _Row, text: str, error: DomainError) -> Response:
    headers: Headers = (_code(error.code), *error_headers(error))
    unread = is_body_unread(error)
    if row.plain:
        body = text.encode(errors="replace")
        return Response(int(row.status), body, headers + PRIVATE, is_body_unread=unread, content_type=TEXT)
    executed = {"executed": error.details["executed"]} if row.shows_executed else {}
    return json_response({"error": text, **executed}, row.status, headers, is_body_unread=unread)


def _code(code: str) -> tuple[bytes, bytes]:
    return _CODE_HEADER, code.encode()
