"""The messages of a runtime host, in JSON."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Raw, Struct

from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.ports import ScriptRun
from domain.scripts.report import Failure, ScriptReport
from domain.scripts.script import Script
from entrypoints.runtime_host.errors import invalid

TIME_LEFT_MS_MAX = 4_200_000
"""What a controller waits at most: SCRIPT_TIMEOUT_MAX_MS and RUNTIME_TIMEOUT_SECONDS, both at their upper limits."""

_TimeLeft = Annotated[int, Meta(ge=0, le=TIME_LEFT_MS_MAX)]
_SessionLeft = Annotated[int, Meta(ge=0, le=1 << 53)]
_Positive = Annotated[int, Meta(ge=1, le=1 << 31)]
_OwnerName = Annotated[str, Meta(min_length=1, max_length=512)]
_Message = TypeVar("_Message", bound=Struct)


class LimitFields(Struct, frozen=True):
    """Wall time in milliseconds, memory in MiB."""

    timeout_ms: _Positive
    memory_mb: _Positive


class ExecuteRequest(Struct, frozen=True, kw_only=True):
    """One execution to run; `script_content` only where the host may lack the script of this hash.

    `time_left_ms` is how long the controller still waits for the answer, `session_left_ms` how long the session still
    lives. The host counts both on its own monotonic clock, from the arrival of the request.
    """

    request_id: UUID
    execution_id: UUID
    owner: _OwnerName
    language: Language
    isolation: Isolation
    limits: LimitFields
    time_left_ms: _TimeLeft
    session_left_ms: _SessionLeft
    script_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    params: Raw
    context: Raw
    script_content: str | None = None


class CheckRequest(Struct, frozen=True):
    """A script to parse."""

    language: Language
    owner: _OwnerName
    script_content: str


class EvictRequest(Struct, frozen=True):
    """A session that has ended."""

    request_id: UUID


class ErrorFields(Struct, frozen=True):
    """Why a script failed; field by field `domain.scripts.report.Failure`."""

    code: str
    message: str
    name: str | None
    stack: str | None
    line: int | None
    column: int | None
    limit: int | None
    observed: int | None


class ExecuteAnswer(Struct, frozen=True):
    """How an execution ended; times in milliseconds, `result` null with an error."""

    result: Raw
    execution_time_ms: float
    memory_usage_bytes: int | None
    stdout: str
    stderr: str
    cpu_time_ms: float | None
    queue_time_ms: float | None
    cold_start: bool | None
    error: ErrorFields | None


def read_message(message_type: type[_Message], body: bytes) -> _Message:
    """Return the message in the body; raises Refusal (400)."""
    try:
        return msgspec.json.decode(body, type=message_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(str(error)) from error


def script_run(request: ExecuteRequest, source: Callable[[], Awaitable[Script]]) -> ScriptRun:
    """Return the run that was asked for; raises Refusal (400)."""
    return ScriptRun(
        key=SessionRef(Owner(request.owner), request.request_id),
        execution_id=request.execution_id,
        language=request.language,
        limits=Limits(request.limits.timeout_ms, request.limits.memory_mb, request.isolation),
        session_left=timedelta(milliseconds=request.session_left_ms),
        script_hash=request.script_hash,
        context=_json_text(request.context),
        params=_json_text(request.params),
        source=source,
    )


def write_report(report: ScriptReport) -> bytes:
    """Return the answer to an execution that has ended."""
    return msgspec.json.encode(
        ExecuteAnswer(
            result=Raw((report.result or "null").encode()),
            execution_time_ms=report.execution_time_ms,
            memory_usage_bytes=report.memory_usage_bytes,
            stdout=_encodable(report.stdout),
            stderr=_encodable(report.stderr),
            cpu_time_ms=report.cpu_time_ms,
            queue_time_ms=report.queue_time_ms,
            cold_start=report.cold_start,
            error=None if report.failure is None else _error_fields(report.failure),
        )
    )


def _error_fields(failure: Failure) -> ErrorFields:
    return ErrorFields(
        code=failure.code,
        message=_encodable(failure.message),
        name=failure.name and _encodable(failure.name),
        stack=failure.stack and _encodable(failure.stack),
        line=failure.line,
        column=failure.column,
        limit=failure.limit,
        observed=failure.observed,
    )


def _json_text(raw: Raw) -> JsonText:
    try:
        return JsonText(bytes(raw).decode())
    except UnicodeDecodeError as error:
        raise invalid(str(error)) from error


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()
