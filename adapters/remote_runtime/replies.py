"""What the answers of runtime hosts mean: a report, a refusal before anything was started, or nothing certain."""

from enum import Enum

from adapters.remote_runtime.connection import HostReply
from adapters.remote_runtime.messages import (
    CheckAnswer,
    ExecuteAnswer,
    MalformedReply,
    RefusalFields,
    read_message,
    read_refusal,
)
from adapters.remote_runtime.old_errors import error_message, refuses_before_the_run, tells_failure
from domain.errors import Overloaded
from domain.scripts.script import ScriptSyntaxError, SyntaxFault

_OK = 200
_BAD_REQUEST = 400
_SERVICE_UNAVAILABLE = 503
_TOO_MANY_REQUESTS = 429
NO_SUCH_PATH = frozenset({404, 405})

_OWN_CODES = frozenset(
    {
        "CLIENT_GONE",
        "DEADLINE_PASSED",
        "EXECUTION_SEEN",
        "EXECUTION_UNKNOWN",
        "INVALID_REQUEST",
        "METHOD_NOT_ALLOWED",
        "OVERLOADED",
        "PAYLOAD_TOO_LARGE",
        "REQUEST_TIMEOUT",
        "RUNTIME_UNAVAILABLE",
        "SCRIPT_NEEDED",
        "SHUTTING_DOWN",
        "UNAUTHORIZED",
        "UNSUPPORTED_MEDIA_TYPE",
    }
)


class Form(Enum):
    """Which form of the protocol a host speaks, as far as its answers have shown."""

    UNKNOWN = "unknown"
    OLD = "old"
    OWN = "own"


class RunRefused(Exception):
    """The host has started nothing, and another one may."""


class ScriptNeeded(Exception):
    """The host has started nothing, because it lacks the script."""


class OldFailure(Exception):
    """A host of the old form tells that the script has failed, and no more than a message."""


class Uncertain(Exception):
    """The script may have been started."""


def read_execute(answer: HostReply, form: Form) -> ExecuteAnswer:
    """Return the answer of an execution that has ended.

    Raises Overloaded, Refused or ScriptNeeded when nothing was started, OldFailure, and Uncertain for all else.
    """
    if answer.status == _OK:
        return _ended(answer)
    refusal = read_refusal(answer.body)
    if form is Form.OWN or (form is Form.UNKNOWN and refusal is not None and refusal.code in _OWN_CODES):
        raise _own_refusal(answer.status, refusal)
    raise _old_refusal(answer)


def read_check(answer: HostReply) -> bool:
    """Return whether the script was parsed; raises ScriptSyntaxError, Overloaded or Refused."""
    if answer.status in NO_SUCH_PATH:
        return False
    if answer.status == _OK:
        return _parsed(answer)
    refusal = read_refusal(answer.body)
    if answer.status == _BAD_REQUEST and refusal is not None and refusal.code == "SCRIPT_SYNTAX_ERROR":
        fault = refusal.details
        raise ScriptSyntaxError(SyntaxFault(refusal.message, fault.line, fault.column))
    raise _not_started(answer.status, refusal)


def _ended(answer: HostReply) -> ExecuteAnswer:
    try:
        return read_message(ExecuteAnswer, answer.body)
    except MalformedReply as error:
        raise Uncertain(f"its answer cannot be read: {error}") from error


def _parsed(answer: HostReply) -> bool:
    try:
        return read_message(CheckAnswer, answer.body).parsed
    except MalformedReply as error:
        raise RunRefused(f"its answer cannot be read: {error}") from error


def _own_refusal(status: int, refusal: RefusalFields | None) -> Exception:
    if refusal is not None and refusal.code == "EXECUTION_SEEN":
        return Uncertain("this execution had reached it before")
    if refusal is not None and refusal.code == "EXECUTION_UNKNOWN":
        return Uncertain(refusal.message)
    if refusal is not None and refusal.code == "SCRIPT_NEEDED":
        return ScriptNeeded()
    if 400 <= status < 500 or status == _SERVICE_UNAVAILABLE:
        return _not_started(status, refusal)
    return Uncertain(_told(status, refusal))


def _old_refusal(answer: HostReply) -> Exception:
    message = error_message(answer.body)
    if refuses_before_the_run(answer.status):
        return _not_started(answer.status, None)
    if tells_failure(answer.status) and message is not None:
        return OldFailure(message)
    return Uncertain(f"it answered {answer.status}")


def _not_started(status: int, refusal: RefusalFields | None) -> Exception:
    if status == _TOO_MANY_REQUESTS or (refusal is not None and refusal.code == "OVERLOADED"):
        return Overloaded("the runtime host")
    return RunRefused(_told(status, refusal))


def _told(status: int, refusal: RefusalFields | None) -> str:
    return f"it answered {status}" if refusal is None else f"it answered {status} {refusal.code}: {refusal.message}"
