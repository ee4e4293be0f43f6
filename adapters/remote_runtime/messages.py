"""The messages of runtime hosts, in JSON."""

from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun
from domain.scripts.script import Script

_Figure = Annotated[float, Meta(ge=0)]
_Message = TypeVar("_Message", bound=Struct)


class MalformedReply(Exception):
    """An answer that no runtime host gives."""


class LimitFields(Struct, frozen=True):
    """Wall time in milliseconds, memory in MiB."""

    timeout_ms: int
    memory_mb: int


class ExecuteRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One execution; hosts of the old form read `request_id`, `params`, `context` and `script_content` alone.

    Times are what is left at the moment of sending, because the clocks of two machines need not agree: `time_left_ms`
    until the sender stops waiting for an answer, `session_left_ms` until the session expires.
    """

    request_id: UUID
    params: Raw
    context: Raw
    script_content: str | None = None
    execution_id: UUID
    owner: Owner
    language: Language
    isolation: Isolation
    limits: LimitFields
    time_left_ms: int
    session_left_ms: int
    script_hash: str


class CheckRequest(Struct, frozen=True):
    """A script to parse."""

    language: Language
    owner: Owner
    script_content: str


class EvictRequest(Struct, frozen=True):
    """A session that has ended."""

    request_id: UUID


class ErrorFields(Struct, frozen=True):
    """Why a script failed; of the old form, the message alone."""

    message: str
    code: str | None = None
    name: str | None = None
    stack: str | None = None
    line: int | None = None
    column: int | None = None
    limit: int | None = None
    observed: int | None = None


class ExecuteAnswer(Struct, frozen=True):
    """How an execution ended; what the host left out is an empty Raw, None or UNSET."""

    result: Raw = Raw()
    execution_time_ms: _Figure | None = None
    memory_usage_bytes: _Figure | None = None
    stdout: str | None = None
    stderr: str | None = None
    cpu_time_ms: _Figure | UnsetType | None = UNSET
    queue_time_ms: _Figure | UnsetType | None = UNSET
    cold_start: bool | UnsetType | None = UNSET
    error: Raw = Raw()

    @property
    def is_own_form(self) -> bool:
        """Whether it has the fields that only hosts of the new form write."""
        return bool(bytes(self.error)) and UNSET not in (self.cpu_time_ms, self.queue_time_ms, self.cold_start)

    @property
    def has_error(self) -> bool:
        """Whether there is an error that is not null."""
        return bytes(self.error) not in {b"", b"null"}


class CheckAnswer(Struct, frozen=True):
    """Whether a script was parsed."""

    parsed: bool


class FaultFields(Struct, frozen=True):
    """Where a script does not parse."""

    reason: str | None = None
    line: int | None = None
    column: int | None = None


class RefusalFields(Struct, frozen=True):
    """Why a host did not do what it was asked."""

    code: str
    message: str
    details: FaultFields = FaultFields()


class RefusalAnswer(Struct, frozen=True):
    """The one shape of a host's errors."""

    error: RefusalFields


def write_execute(run: ScriptRun, script: Script | None, time_left_s: float) -> bytes:
    """Return the body of an execute, with the script's source if it is given."""
    return msgspec.json.encode(
        ExecuteRequest(
            request_id=run.key.session_id,
            params=Raw(run.params.encode()),
            context=Raw(run.context.encode()),
            script_content=None if script is None else script.source,
            execution_id=run.execution_id,
            owner=run.key.owner,
            language=run.language,
            isolation=run.limits.isolation,
            limits=LimitFields(run.limits.timeout_ms, run.limits.memory_mb),
            time_left_ms=_whole_ms(time_left_s),
            session_left_ms=_whole_ms(run.session_left.total_seconds()),
            script_hash=run.script_hash,
        )
    )


def _whole_ms(time_s: float) -> int:
    return max(0, int(time_s * 1000))


def read_message(message_type: type[_Message], body: bytes | Raw) -> _Message:
    """Return the message in the body; raises Rubbish."""
    try:
        return msgspec.json.decode(body, type=message_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedReply(str(error)) from error


def json_text(raw: Raw) -> JsonText:
    """Return the value as text; raises Rubbish."""
    try:
        return JsonText(bytes(raw).decode())
    except UnicodeDecodeError as error:
        raise MalformedReply(str(error)) from error


def read_refusal(body: bytes) -> RefusalFields | None:
    """Return the refusal in the body, if there is one."""
    try:
        return read_message(RefusalAnswer, body).error
    except MalformedReply:
        return None
