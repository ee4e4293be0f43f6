"""The errors of a runtime host, and the response to each."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.runtime_replies import HostErrorCode
from domain.errors import Conflict, DomainError, Invalid, NotFound, Unauthorized, Unavailable
from domain.scripts.report import ExecutionUnknown
from domain.scripts.script import ScriptSyntaxError
from entrypoints.http.errors import MethodNotAllowed, RouteNotFound, SlowBody, status_of
from entrypoints.http.request import Request
from entrypoints.http.response import Headers, Response, encode_json


@define(eq=False)
class MalformedRequest(Invalid):
    """The body is not a message of the protocol."""

    code: ClassVar[str] = HostErrorCode.INVALID_REQUEST
    fault: str

    @property
    @override
    def message(self) -> str:
        return f"The body does not follow the protocol, so nothing was started. Send what it defines: {self.fault}."


@define(eq=False)
class WrongToken(Unauthorized):
    """The request does not have the token of this runtime host."""

    code: ClassVar[str] = HostErrorCode.UNAUTHORIZED

    @property
    @override
    def message(self) -> str:
        return (
            "The request does not have the token of this runtime host. Set RUNTIME_TOKEN to the same value here and at "
            "the controller, which sends it as Authorization: Bearer."
        )


@define(eq=False)
class SourceNeeded(Conflict):
    """The host does not have the script of this hash."""

    code: ClassVar[str] = HostErrorCode.SCRIPT_NEEDED

    @property
    @override
    def message(self) -> str:
        return "This host does not have the script of this hash. Send the request again with script_content."


@define(eq=False)
class PackagesNeeded(NotFound):
    """The host does not have the packages of an environment."""

    code: ClassVar[str] = HostErrorCode.TREE_NEEDED

    @property
    @override
    def message(self) -> str:
        return "This host does not have these packages. Send them with PUT /trees/{digest}, then the request again."


@define(eq=False)
class PackagesBusy(Conflict):
    """Another controller sends the same packages."""

    code: ClassVar[str] = HostErrorCode.TREE_BUSY

    @property
    @override
    def message(self) -> str:
        return "Another controller sends these packages. Wait until GET /trees/{digest} finds them."


@define(eq=False)
class DeadlinePassed(Conflict):
    """The controller no longer waits for the execution."""

    code: ClassVar[str] = HostErrorCode.DEADLINE_PASSED
    time_left_ms: int
    passed_ms: float

    @property
    @override
    def message(self) -> str:
        return (
            f"The request arrived with time_left_ms {self.time_left_ms}, and {self.passed_ms:.0f} ms have passed "
            "since, so "
            "nothing was started. Send the execution to a host that has less to do."
        )


@define(eq=False)
class NoSharedVersion(Conflict):
    """The controller asks for no version of the stream that this host speaks."""

    code: ClassVar[str] = HostErrorCode.UPGRADE_REQUIRED
    protocol: str

    @property
    @override
    def message(self) -> str:
        return (
            f"This host speaks {self.protocol} and no version that Upgrade names, so there is no stream. Use the same "
            "release for controllers and runtime hosts."
        )


@define(eq=False)
class ExecutionSeen(Conflict):
    """The host has received this execution before."""

    code: ClassVar[str] = HostErrorCode.EXECUTION_SEEN

    @property
    @override
    def message(self) -> str:
        return "This host has received the execution before and starts it once only. Do not send it again."


def host_error_response(error: DomainError, _request: Request) -> Response:
    """Return the response to an error: 500 if the script may have run, else a 4xx or 503, and nothing was started."""
    status, code, message = status_of(error), error.code, error.message
    if isinstance(error, ExecutionUnknown):
        status, code, message = HTTPStatus.INTERNAL_SERVER_ERROR, HostErrorCode.EXECUTION_UNKNOWN, error.reason
    elif isinstance(error, SlowBody):
        status, code = HTTPStatus.REQUEST_TIMEOUT, HostErrorCode.REQUEST_TIMEOUT
    elif isinstance(error, NoSharedVersion):
        status = HTTPStatus.UPGRADE_REQUIRED
    elif isinstance(error, ScriptSyntaxError):
        message = error.fault.message
    elif isinstance(error, RouteNotFound):
        message = "A runtime host has no such path. Use /stream, /execute, /check, /health or /metrics."
    content = error_content(code, message, _details(error))
    return Response(int(status), encode_json(content), _headers(error))


def error_content(code: str, message: str, details: Mapping[str, object] = MappingProxyType({})) -> object:
    """Return the one shape of a host's errors."""
    return {"error": {"code": code, "message": message, "details": dict(details)}}


def host_bug_response(_error_id: UUID, _request: Request) -> Response:
    """Return the response to any other exception. The script may have run.

    It is no JSON: a controller that does not know the host yet would take a message for the failure of the script.
    """
    return Response(
        HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error", content_type=b"text/plain; charset=utf-8"
    )


def _details(error: DomainError) -> Mapping[str, object]:
    has_details = isinstance(error, ScriptSyntaxError | Unavailable) and not isinstance(error, ExecutionUnknown)
    return error.details if has_details else {}


def _headers(error: DomainError) -> Headers:
    if isinstance(error, MethodNotAllowed):
        return ((b"allow", ", ".join(error.allowed).encode()),)
    if isinstance(error, NoSharedVersion):
        return ((b"upgrade", error.protocol.encode()),)
    if isinstance(error, Unauthorized):
        return ((b"www-authenticate", b"Bearer"),)
    if isinstance(error, Unavailable) and error.retry_after_ms is not None:
        return ((b"retry-after", b"%d" % -(-error.retry_after_ms // 1000)),)
    return ()
