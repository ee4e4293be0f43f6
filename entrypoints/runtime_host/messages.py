"""Converts the messages of the protocol to runs, and reports to replies."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from adapters.runtime_protocol import (
    CheckRequest,
    ExecuteRequest,
    MalformedMessage,
    decode,
    granted_name,
    json_text,
    language_called,
)
from adapters.runtime_replies import ExecuteReply, FailureFields, TrafficFields
from domain.egress.rule import EgressRule, InvalidRule
from domain.identity import SessionRef
from domain.scripts.convention import Convention
from domain.scripts.environment import Environment
from domain.scripts.files import RunFiles, path_fault
from domain.scripts.language import Language
from domain.scripts.limits import Limits
from domain.scripts.output import OutputListener
from domain.scripts.ports import RunState, ScriptRun
from domain.scripts.report import Failure, ScriptReport
from domain.scripts.script import InputForm, Script, ScriptSyntaxError, SyntaxFault
from domain.scripts.syntax import Syntax
from entrypoints.runtime_host.errors import MalformedRequest
from entrypoints.runtime_host.streamed import StreamedRun

_Message = TypeVar("_Message", bound=Struct)


def read_message(message_type: type[_Message], body: bytes) -> _Message:
    """Return the message in the body; raises MalformedRequest."""
    try:
        return decode(message_type, body)
    except MalformedMessage as error:
        raise MalformedRequest(str(error)) from error


def read_language(name: str) -> tuple[Language, Convention]:
    """Return the language and the calling convention of a name of the protocol; raises MalformedRequest."""
    try:
        return language_called(name)
    except MalformedMessage as error:
        raise MalformedRequest(str(error)) from error


def script_run(
    request: ExecuteRequest, script: Script, listener: OutputListener | None = None, files: RunFiles | None = None
) -> ScriptRun:
    """Return the run that the request describes; raises MalformedRequest."""

    async def source() -> Script:
        return script

    try:
        context, params = json_text(request.context), json_text(request.params)
    except MalformedMessage as error:
        raise MalformedRequest(str(error)) from error
    language, convention, state = _granted(request)
    grants = request.grants
    network = () if grants is None else _rules(grants.network)
    return ScriptRun(
        ref=SessionRef(request.owner, request.request_id),
        execution_id=request.execution_id,
        language=language,
        limits=Limits(request.limits.timeout_ms, request.limits.memory_mb, request.isolation),
        session_left=timedelta(milliseconds=request.session_left_ms),
        script_hash=request.script_hash,
        context=context,
        params=params,
        source=source,
        convention=convention,
        listener=listener,
        state=state,
        network=network,
        guarded=() if grants is None else grants.guarded,
        secrets={} if grants is None else grants.secrets,
        syntax=None if grants is None else grants.syntax,
        environment=_environment(request),
        files=files,
    )


def files_of(request: ExecuteRequest, streamed: StreamedRun | None) -> RunFiles | None:
    """Return the files of the run, which come and go on its stream; raises MalformedRequest."""
    if request.grants is None or request.grants.files is None:
        return None
    if streamed is None or streamed.files is None:
        raise MalformedRequest("files need a stream")
    if any(path_fault(each.path) for each in request.grants.files.given):
        raise MalformedRequest("a path of files names no file")
    return streamed.files.of_run(_granted_language(request.language))


def _environment(request: ExecuteRequest) -> Environment | None:
    fields = None if request.grants is None else request.grants.environment
    return None if fields is None else Environment(fields.name, fields.version, fields.digest, fields.preload)


def _rules(texts: Sequence[str]) -> tuple[EgressRule, ...]:
    try:
        return tuple(map(EgressRule.parse, texts))
    except InvalidRule as error:
        raise MalformedRequest(f"a rule of the network {error}") from error


def _granted(request: ExecuteRequest) -> tuple[Language, Convention, RunState | None]:
    """Return the language, the calling convention and the state of a run; raises MalformedRequest."""
    grants = request.grants
    if grants is None:
        return *read_language(request.language), None
    named = _granted_language(request.language)
    if grants.state is None:
        return named, grants.convention, None
    try:
        text = json_text(grants.state.text)
    except MalformedMessage as error:
        raise MalformedRequest(str(error)) from error
    shared, always, repl = grants.state.shared, grants.state.always, grants.state.repl
    return named, grants.convention, RunState(text, is_shared=shared, saves_failures=always, is_repl=repl)


def _granted_language(name: str) -> Language:
    named = next((each for each in Language if granted_name(each) == name), None)
    if named is None:
        raise MalformedRequest(f"language must be one of {', '.join(map(granted_name, Language))} with grants")
    return named


def check_call(request: CheckRequest) -> tuple[Language, Convention, Syntax | None]:
    """Return the language, the calling convention and the syntax of a script to parse; raises MalformedRequest."""
    grants = request.grants
    if grants is None:
        return *read_language(request.language), None
    return _granted_language(request.language), grants.convention, grants.syntax


def require_form(form: InputForm | None, request: CheckRequest) -> None:
    """Raise ScriptSyntaxError for a module of a controller that does not know modules."""
    if form is InputForm.MODULE and not request.modules:
        raise ScriptSyntaxError(SyntaxFault("it is an ES module, which needs a controller of release 0.3.0 or newer"))


def write_report(report: ScriptReport) -> bytes:
    """Return the reply to an execution that has ended."""
    failure = None if report.failure is None else _failure_fields(report.failure)
    return msgspec.json.encode(
        ExecuteReply(
            result=Raw((report.result or "null").encode()),
            execution_time_ms=report.execution_time_ms,
            memory_usage_bytes=report.memory_usage_bytes,
            stdout=_encodable(report.stdout),
            stderr=_encodable(report.stderr),
            cpu_time_ms=report.cpu_time_ms,
            queue_time_ms=report.queue_time_ms,
            cold_start=report.cold_start,
            error=Raw(msgspec.json.encode(failure)),
            result_given=False if report.result is None and report.failure is None else UNSET,
            state=UNSET if report.state is None else Raw(report.state.encode()),
            traffic=UNSET if report.traffic is None else TrafficFields.of(report.traffic),
            dropped=tuple((each.name, each.type) for each in report.dropped) or UNSET,
        )
    )


def _failure_fields(failure: Failure) -> FailureFields:
    return FailureFields(
        code=failure.code,
        message=_encodable(failure.message),
        name=failure.name and _encodable(failure.name),
        stack=failure.stack and _encodable(failure.stack),
        line=failure.line,
        column=failure.column,
        limit=failure.limit,
        observed=failure.observed,
    )


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()
