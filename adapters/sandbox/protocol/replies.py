"""What workers answer, read with the distrust that a process full of foreign code deserves."""

from typing import Literal

import msgspec

from adapters.sandbox.workers.frames import Frame, ProtocolBroken
from domain.json_text import JsonText, is_deeper
from domain.scripts.report import FailureCode


class ReportedFailure(msgspec.Struct):
    """A failure as the worker tells it; its limit is the service's to add."""

    code: FailureCode
    message: str
    name: str | None = None
    stack: str | None = None
    line: int | None = None
    column: int | None = None
    observed: int | None = None


class ReportedFault(msgspec.Struct):
    """Why a script does not parse."""

    message: str
    line: int | None = None
    column: int | None = None


class WorkerReply(msgspec.Struct):
    """The header of an answer."""

    nonce: str
    kind: Literal["ready", "result", "failure", "checked"]
    reusable: bool = False
    failure: ReportedFailure | None = None
    fault: ReportedFault | None = None


RESULT_DEPTH_MAX = 512
"""How deep a result may be nested: less than what decoders of every language bear."""

_ANSWERS = msgspec.json.Decoder(WorkerReply)
_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)


def read_reply(frame: Frame, nonce: str) -> WorkerReply:
    """Return the answer's header; raises ProtocolBroken when it does not answer the operation with this nonce."""
    try:
        answer = _ANSWERS.decode(frame.header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolBroken("an answer that cannot be read") from error
    if answer.nonce != nonce:
        raise ProtocolBroken("an answer to a question that was not asked")
    return answer


def read_result(frame: Frame) -> JsonText:
    """Return the body as JSON text, exactly as it came.

    Raises RecursionError when it is nested too deeply, and ProtocolBroken when it is no JSON, or JSON with lone
    surrogates.
    """
    if is_deeper(frame.body, RESULT_DEPTH_MAX):
        raise RecursionError
    try:
        _ANY_JSON.decode(frame.body)
        return JsonText(frame.body.decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolBroken("a result that is not JSON") from error
