"""The meaning of a runtime host's reply: a script ended, nothing was started, or neither is certain."""

from collections.abc import Mapping
from enum import Enum

import msgspec

from adapters.remote_runtime.connection import HostReply
from adapters.runtime_protocol import (
    CheckReply,
    ErrorReply,
    ExecuteReply,
    HostErrorCode,
    HostErrorFields,
    MalformedMessage,
    decode,
)
from domain.errors import Overloaded
from domain.scripts.script import ScriptSyntaxError, SyntaxFault

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


class Form(Enum):
    """The form of the protocol that a host speaks, as far as its replies have shown."""

    UNKNOWN = "unknown"
    OLD = "old"
    OWN = "own"


class RunRefused(Exception):
    """The host has started nothing, so another host may run the script."""


class ScriptNeeded(Exception):
    """The host has started nothing, because it does not have the script's source."""


class OldFailure(Exception):
    """A host of the old form reports that the script failed, with a message only."""


class Uncertain(Exception):
    """The host may have started the script."""


def read_execute(reply: HostReply, form: Form) -> ExecuteReply:
    """Return the reply of an execution that has ended.

    Raises Overloaded, RunRefused or ScriptNeeded when nothing was started, OldFailure, and Uncertain in all other cases.
    """
    if reply.status == _OK:
        return _ended(reply)
    error = _error_of(reply)
    if form is Form.OWN or (form is Form.UNKNOWN and error is not None and error.code in _OWN_CODES):
        raise _own_error(reply.status, error)
    raise _old_error(reply)


def read_check(reply: HostReply) -> bool:
    """Return whether the script was parsed; raises ScriptSyntaxError, Overloaded or RunRefused."""
    if reply.status in NO_SUCH_PATH:
        return False
    if reply.status == _OK:
        return _parsed(reply)
    error = _error_of(reply)
    if reply.status == _BAD_REQUEST and error is not None and error.code == ScriptSyntaxError.code:
        fault = error.details
        raise ScriptSyntaxError(SyntaxFault(error.message, fault.line, fault.column))
    raise _not_started(reply.status, error)


def old_message(body: bytes | msgspec.Raw) -> str | None:
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


def _parsed(reply: HostReply) -> bool:
    try:
        return decode(CheckReply, reply.body).parsed
    except MalformedMessage as error:
        raise RunRefused(f"its reply is malformed: {error}") from error


def _error_of(reply: HostReply) -> HostErrorFields | None:
    try:
        return decode(ErrorReply, reply.body).error
    except MalformedMessage:
        return None


def _own_error(status: int, error: HostErrorFields | None) -> Exception:
    code = None if error is None else error.code
    if code == HostErrorCode.EXECUTION_SEEN:
        return Uncertain("it had received this execution before")
    if code == HostErrorCode.EXECUTION_UNKNOWN and error is not None:
        return Uncertain(error.message)
    if code == HostErrorCode.SCRIPT_NEEDED:
        return ScriptNeeded()
    if 400 <= status < 500 or status == _SERVICE_UNAVAILABLE:
        return _not_started(status, error)
    return Uncertain(_summary(status, error))


def _old_error(reply: HostReply) -> Exception:
    if reply.status in _OLD_REFUSALS:
        return _not_started(reply.status, None)
    message = old_message(reply.body)
    # An error beyond 500 is that of a proxy on the way, not the script's.
    if 400 <= reply.status <= _INTERNAL_SERVER_ERROR and message is not None:
        return OldFailure(message)
    return Uncertain(f"it replied with status {reply.status}")


def _not_started(status: int, error: HostErrorFields | None) -> Exception:
    if status == _TOO_MANY_REQUESTS or (error is not None and error.code == HostErrorCode.OVERLOADED):
        return Overloaded("the runtime host")
    return RunRefused(_summary(status, error))


def _summary(status: int, error: HostErrorFields | None) -> str:
    status_text = f"it replied with status {status}"
    return status_text if error is None else f"{status_text} {error.code}: {error.message}"
