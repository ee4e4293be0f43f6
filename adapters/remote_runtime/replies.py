"""The meaning of a runtime host's reply: a report, or that nothing was started, or that neither is certain."""

from collections.abc import Mapping
from enum import Enum
from math import ceil

import msgspec
from attrs import frozen
from msgspec import UnsetType
from msgspec.structs import replace

from adapters.remote_runtime.claims import judged
from adapters.remote_runtime.connection import HostReply
from adapters.runtime_protocol import FAULT_SIZE_MAX, MalformedMessage, decode, json_text
from adapters.runtime_replies import CheckReply, ErrorReply, ExecuteReply, FailureFields, HostErrorCode, HostErrorFields
from domain.json_text import JsonText
from domain.scripts.dropped import DroppedName
from domain.scripts.ports import ScriptRun
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault
from domain.states.limits import StateLimits

_OK = 200
_BAD_REQUEST = 400
_TOO_MANY_REQUESTS = 429
_INTERNAL_SERVER_ERROR = 500
_SERVICE_UNAVAILABLE = 503
NO_SUCH_PATH = frozenset({404, 405})

_OWN_CODES = frozenset(HostErrorCode)
_OLD_REFUSALS = frozenset({401, 403, 404, 405, 429})
"""Statuses with which a host of the old form has not looked at the script: no access, no such path, too many calls."""
_OLD_MESSAGE_MEMBERS = ("error", "detail", "message")
_NO_REPLY = ExecuteReply()
_FAILURE_CODES = frozenset(FailureCode)


class Form(Enum):
    """The form of the protocol that a host speaks, as far as its replies have shown."""

    UNKNOWN = "unknown"
    OLD = "old"
    OWN = "own"


class RunRefused(Exception):
    """The host has started nothing, so another host may run the script."""


class HostFull(RunRefused):
    """The host has too much to do."""


class ScriptNeeded(Exception):
    """The host has started nothing, because it does not have the script's source."""


class TreeNeeded(Exception):
    """The host has started nothing, because it does not have the packages of the environment."""


class OldFailure(Exception):
    """A host of the old form reports that the script failed, with a message only."""


class Uncertain(Exception):
    """The host may have started the script."""


def read_execute(reply: HostReply, form: Form) -> ExecuteReply:
    """Return the reply of an execution that has ended.

    Raises RunRefused, ScriptNeeded or TreeNeeded when nothing was started; OldFailure; else Uncertain.
    """
    if reply.status == _OK:
        return _ended(reply)
    error = _error_of(reply)
    if form is Form.OWN or (form is Form.UNKNOWN and error is not None and error.code in _OWN_CODES):
        raise _own_error(reply.status, error)
    raise _old_error(reply)


def read_check(reply: HostReply) -> InputForm | None:
    """Return the form of the script, None if it was not parsed; raises ScriptSyntaxError or RunRefused."""
    if reply.status in NO_SUCH_PATH:
        return None
    if reply.status == _OK:
        return _parsed(reply)
    error = _error_of(reply)
    if reply.status == _BAD_REQUEST and error is not None and error.code == ScriptSyntaxError.code:
        fault = error.details
        raise ScriptSyntaxError(SyntaxFault(error.message, fault.line, fault.column))
    raise _not_started(reply.status, error)


def health_of(reply: HostReply) -> dict[str, object]:
    """Return the reply to `GET /health` as facts; `status` is "ok", "degraded" or "failing"."""
    if reply.status != _OK:
        return {"status": "degraded", "reason": f"it replied to GET /health with status {reply.status}"}
    try:
        health = msgspec.json.decode(reply.body, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"status": "ok"}
    status = health.get("status")
    return health | {"status": status if status in ("degraded", "failing") else "ok"}


def refusal_of(reply: HostReply) -> Exception:
    """Return the refusal that a reply other than a success stands for: nothing was started."""
    return _not_started(reply.status, _error_of(reply))


@frozen
class ReportReader:
    """Makes reports within sizes in bytes (results) and characters (texts), and with states within `state_limits`."""

    result_size_max: int
    text_size_max: int
    state_limits: StateLimits

    def read(self, reply: ExecuteReply, run: ScriptRun, elapsed_ms: float, waited_ms: float) -> ScriptReport:
        """Return the report of an execution that has ended.

        Raises MalformedMessage without a result and an error, and with what the run cannot have.
        """
        return judged(self._claimed(reply, elapsed_ms, waited_ms), run, self.state_limits)

    def _claimed(self, reply: ExecuteReply, elapsed_ms: float, waited_ms: float) -> ScriptReport:
        if reply.has_error:
            return self._report(reply, None, self._failure(reply), elapsed_ms, waited_ms)
        if not bytes(reply.result):
            raise MalformedMessage("its reply has neither a result nor an error")
        size = len(bytes(reply.result))
        if size > self.result_size_max:
            return self._report(reply, None, self._too_large(size), elapsed_ms, waited_ms)
        result = None if reply.result_given is False else json_text(reply.result)
        return self._report(reply, result, None, elapsed_ms, waited_ms)

    def read_oversized(self, size: int | None, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution whose reply is too large to be read, because its result must be."""
        return self._report(_NO_REPLY, None, self._too_large(size), elapsed_ms, 0)

    def read_old_failure(self, message: str, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution of which a host of the old form sent only the error's message."""
        failure = Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        return self._report(_NO_REPLY, None, failure, elapsed_ms, 0)

    def _report(
        self,
        reply: ExecuteReply,
        result: JsonText | None,
        failure: Failure | None,
        elapsed_ms: float,
        waited_ms: float,
    ) -> ScriptReport:
        queue_time_ms = _known(reply.queue_time_ms)
        return ScriptReport(
            result=result,
            failure=failure,
            execution_time_ms=elapsed_ms if reply.execution_time_ms is None else reply.execution_time_ms,
            stdout=self._text(reply.stdout or ""),
            stderr=self._text(reply.stderr or ""),
            memory_usage_bytes=None if reply.memory_usage_bytes is None else ceil(reply.memory_usage_bytes),
            cpu_time_ms=_known(reply.cpu_time_ms),
            queue_time_ms=None if queue_time_ms is None else queue_time_ms + waited_ms,
            cold_start=None if isinstance(reply.cold_start, UnsetType) else reply.cold_start,
            state=None if isinstance(reply.state, UnsetType) else json_text(reply.state),
            traffic=None if isinstance(reply.traffic, UnsetType) else reply.traffic.traffic(),
            dropped=() if isinstance(reply.dropped, UnsetType) else tuple(DroppedName(*each) for each in reply.dropped),
        )

    def _failure(self, reply: ExecuteReply) -> Failure:
        if not reply.is_own_form:
            message = _old_message(reply.error) or "The script failed, and the runtime host does not say why."
            return Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        fields = decode(FailureFields, reply.error)
        return Failure(
            code=_failure_code(fields.code),
            message=self._text(fields.message),
            name=fields.name and self._text(fields.name),
            stack=fields.stack and self._text(fields.stack),
            line=fields.line,
            column=fields.column,
            limit=fields.limit,
            observed=fields.observed,
        )

    def _too_large(self, size: int | None) -> Failure:
        limit = self.result_size_max
        message = f"The result is larger than the {limit} bytes that are allowed"
        return Failure(FailureCode.RESULT_TOO_LARGE, message, limit=limit, observed=size)

    def _text(self, text: str) -> str:
        return text[: self.text_size_max].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _failure_code(code: str | None) -> FailureCode:
    return FailureCode(code) if code in _FAILURE_CODES else FailureCode.SCRIPT_ERROR


def _known(measured: "float | UnsetType | None") -> float | None:
    return None if isinstance(measured, UnsetType) else measured


def _old_message(body: bytes | msgspec.Raw) -> str | None:
    """Return the message of an error of the old form: a text, or one in `error`, `detail` or `message`; else None."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _text_in(value, depth_max=2)


def _text_in(value: object, depth_max: int) -> str | None:
    if isinstance(value, str):
        return value or None
    if not isinstance(value, Mapping) or depth_max == 0:
        return None
    found = (_text_in(value.get(name), depth_max - 1) for name in _OLD_MESSAGE_MEMBERS)
    return next((text for text in found if text is not None), None)


def _ended(reply: HostReply) -> ExecuteReply:
    try:
        return decode(ExecuteReply, reply.body)
    except MalformedMessage as error:
        raise Uncertain(f"its reply is malformed: {error}") from error


def _parsed(reply: HostReply) -> InputForm | None:
    try:
        checked = decode(CheckReply, reply.body)
    except MalformedMessage as error:
        raise RunRefused(f"its reply is malformed: {error}") from error
    return checked.form if checked.parsed else None


def _error_of(reply: HostReply) -> HostErrorFields | None:
    """Return the error with texts that may get into messages, logs and rows; None if the reply has none."""
    try:
        error = decode(ErrorReply, reply.body).error
    except MalformedMessage:
        return None
    return replace(error, code=_shown(error.code), message=_shown(error.message))


def _shown(text: str) -> str:
    return text[:FAULT_SIZE_MAX].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _own_error(status: int, error: HostErrorFields | None) -> Exception:
    code = None if error is None else error.code
    if code == HostErrorCode.EXECUTION_SEEN:
        return Uncertain("it had received this execution before")
    if code == HostErrorCode.EXECUTION_UNKNOWN and error is not None:
        return Uncertain(error.message)
    if code == HostErrorCode.SCRIPT_NEEDED:
        return ScriptNeeded()
    if code == HostErrorCode.TREE_NEEDED:
        return TreeNeeded()
    if 400 <= status < 500 or status == _SERVICE_UNAVAILABLE:
        return _not_started(status, error)
    return Uncertain(_summary(status, error))


def _old_error(reply: HostReply) -> Exception:
    if reply.status in _OLD_REFUSALS:
        return _not_started(reply.status, None)
    message = _old_message(reply.body)
    # An error beyond 500 is that of a proxy on the way, not the script's.
    if 400 <= reply.status <= _INTERNAL_SERVER_ERROR and message is not None:
        return OldFailure(message)
    return Uncertain(f"it replied with status {reply.status}")


def _not_started(status: int, error: HostErrorFields | None) -> Exception:
    if status == _TOO_MANY_REQUESTS or (error is not None and error.code == HostErrorCode.OVERLOADED):
        return HostFull("it has too much to do")
    summary = _summary(status, error)
    if error is not None and error.code == HostErrorCode.INVALID_REQUEST:
        summary += " Use the same release for controllers and runtime hosts"
    return RunRefused(summary)


def _summary(status: int, error: HostErrorFields | None) -> str:
    status_text = f"it replied with status {status}"
    return status_text if error is None else f"{status_text} {error.code}: {error.message}"
