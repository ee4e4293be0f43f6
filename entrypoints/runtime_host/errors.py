"""What a runtime host answers when it did not start what was asked for."""

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from attrs import define, field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from domain.errors import DomainError, Unavailable
from domain.scripts.report import ExecutionUnknown
from domain.scripts.script import ScriptSyntaxError

JSON = "application/json"


@define(eq=False)
class HostError(Exception):
    """The request is answered with an error, and nothing was started."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(factory=dict)

    @override
    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def invalid(message: str) -> HostError:
    """Return the refusal of a body that is not what it must be."""
    return HostError(HTTPStatus.BAD_REQUEST, "INVALID_REQUEST", message)


def too_large(size_max: int) -> HostError:
    """Return the refusal of a body or a script over its size in bytes."""
    return HostError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PAYLOAD_TOO_LARGE", f"{size_max} bytes are allowed")


def client_gone() -> HostError:
    """Return the refusal that nobody is left to read."""
    return HostError(HTTPStatus.REQUEST_TIMEOUT, "CLIENT_GONE", "the connection was closed")


async def answer_refusal(_request: Request, refusal: Exception) -> Response:
    """Answer a refusal as it says."""
    assert isinstance(refusal, HostError)
    return _response(refusal.status, refusal.code, refusal.message, {}, refusal.headers)


async def answer_http_error(_request: Request, error: Exception) -> Response:
    """Answer an unknown path or method in the one shape of errors."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name
    return _response(error.status_code, code, error.detail, {}, error.headers or {})


async def answer_domain_error(_request: Request, error: Exception) -> Response:
    """Answer what the runner raised: 503 unless a script does not parse, or may have run to an unknown end."""
    assert isinstance(error, DomainError)
    if isinstance(error, ExecutionUnknown):
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "EXECUTION_UNKNOWN", error.reason, {}, {})
    if isinstance(error, ScriptSyntaxError):
        return _response(HTTPStatus.BAD_REQUEST, error.code, error.fault.message, error.details, {})
    assert isinstance(error, Unavailable)
    return _response(HTTPStatus.SERVICE_UNAVAILABLE, error.code, error.message, error.details, _retry_after(error))


def _retry_after(error: Unavailable) -> dict[str, str]:
    if error.retry_after_ms is None:
        return {}
    return {"Retry-After": str(math.ceil(error.retry_after_ms / 1000))}


def _response(
    status: int, code: str, message: str, details: Mapping[str, object], headers: Mapping[str, str]
) -> Response:
    body = msgspec.json.encode({"error": {"code": code, "message": message, "details": details}})
    return Response(body, status, dict(headers), media_type=JSON)
