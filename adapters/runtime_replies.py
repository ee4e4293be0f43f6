"""The replies of runtime hosts to the requests of `runtime_protocol.py`, and the lines of a run."""

from enum import StrEnum
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.addresses import HOST_SIZE_MAX
from domain.egress.rule import RULES_MAX
from domain.egress.traffic import REFUSALS_MAX, ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.live.buffer import STREAM_SIZE_MAX
from domain.scripts.dropped import DROPPED_MAX, NAME_SIZE_MAX
from domain.scripts.script import InputForm

OUTPUT_LENGTH_MAX = 3 * STREAM_SIZE_MAX
"""Characters of stdout, and of stderr, that a host sends of one run: a script may write so many bytes.

Each of these may become U+FFFD, which takes 3 bytes.
"""

_Measured = Annotated[float, Meta(ge=0, le=1 << 53)]
_ShortText = Annotated[str, Meta(max_length=NAME_SIZE_MAX)]
_Dropped = Annotated[tuple[tuple[_ShortText, _ShortText], ...], Meta(max_length=DROPPED_MAX)]
_HOSTS_MAX = RULES_MAX + 64
"""Those of rules, and those of patterns that an execution may name."""
_HostName = Annotated[str, Meta(min_length=1, max_length=HOST_SIZE_MAX)]
_Port = Annotated[int, Meta(ge=1, le=65_535)]
_Count = Annotated[int, Meta(ge=0, le=1 << 31)]
_Bytes = Annotated[int, Meta(ge=0, le=1 << 36)]
"""MAX_EGRESS_MB is at most 65,536. What hosts claim must not leave the range of the columns that add it up."""
_Fact = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Status = Annotated[int, Meta(ge=100, le=599)]


class HostErrorCode(StrEnum):
    """The codes by which a controller knows that a host speaks this form of the protocol."""

    CLIENT_GONE = "CLIENT_GONE"  # from hosts of 0.1.0: it ended a request whose client disconnected
    DEADLINE_PASSED = "DEADLINE_PASSED"
    EXECUTION_SEEN = "EXECUTION_SEEN"
    EXECUTION_UNKNOWN = "EXECUTION_UNKNOWN"
    INVALID_REQUEST = "INVALID_REQUEST"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    OVERLOADED = "OVERLOADED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    RUNTIME_UNAVAILABLE = "RUNTIME_UNAVAILABLE"
    SCRIPT_NEEDED = "SCRIPT_NEEDED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    TREE_BUSY = "TREE_BUSY"
    TREE_NEEDED = "TREE_NEEDED"
    UNAUTHORIZED = "UNAUTHORIZED"
    UPGRADE_REQUIRED = "UPGRADE_REQUIRED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"


class ProgressFields(Struct, frozen=True):
    """Progress, field by field `domain.scripts.output.ScriptProgress`."""

    value: float | None
    message: str


class Line(Struct, frozen=True, omit_defaults=True):
    """What a script has written since the last line; or, as the last line, the reply: a status and a body."""

    stdout: str = ""
    stderr: str = ""
    progress: ProgressFields | None = None
    status: _Status | None = None
    reply: Raw = Raw()


class FailureFields(Struct, frozen=True, kw_only=True):
    """Why a script failed, field by field `domain.scripts.report.Failure`."""

    code: str | None = None
    message: str
    name: str | None = None
    stack: str | None = None
    line: _Fact | None = None
    column: _Fact | None = None
    limit: _Fact | None = None
    observed: _Fact | None = None


class TrafficFields(Struct, frozen=True, omit_defaults=True):
    """What a run with a network used: HostTraffic and Refusal of `domain.egress.traffic`, field by field."""

    hosts: Annotated[
        tuple[tuple[_HostName, _Port, _Count, _Bytes, _Bytes, _Count], ...], Meta(max_length=_HOSTS_MAX)
    ] = ()
    refusals: Annotated[tuple[tuple[_HostName, _Port, RefusalReason], ...], Meta(max_length=REFUSALS_MAX)] = ()
    lost: bool = False

    @classmethod
    def of(cls, traffic: ExecutionTraffic) -> "TrafficFields":
        """Return the fields of the traffic."""
        hosts = tuple((x.host, x.port, x.connections, x.sent_bytes, x.received_bytes, x.refused) for x in traffic.hosts)
        refusals = tuple((each.host, each.port, each.reason) for each in traffic.refusals)
        return cls(hosts[:_HOSTS_MAX], refusals[:REFUSALS_MAX], traffic.is_lost)

    def traffic(self) -> ExecutionTraffic:
        """Return the traffic of the fields."""
        hosts = tuple(HostTraffic(*each) for each in self.hosts)
        return ExecutionTraffic(hosts, tuple(Refusal(*each) for each in self.refusals), self.lost)


class ExecuteReply(Struct, frozen=True):
    """How an execution ended; times in milliseconds, memory beside the interpreter in bytes.

    With an error, `result` is null and `error` is FailureFields; otherwise `error` is null. `result_given` is
    written only as false, if the script gave no result; `result` is null then too. `state` is written only if the
    script has changed its state, and `traffic` if the run has a network.

    A field that the host left out is an empty Raw, None or UNSET.
    """

    result: Raw = Raw()
    execution_time_ms: _Measured | None = None
    memory_usage_bytes: _Measured | None = None
    stdout: str | None = None
    stderr: str | None = None
    cpu_time_ms: _Measured | UnsetType | None = UNSET
    queue_time_ms: _Measured | UnsetType | None = UNSET
    cold_start: bool | UnsetType | None = UNSET
    error: Raw = Raw()
    result_given: bool | UnsetType = UNSET
    state: Raw | UnsetType = UNSET
    traffic: TrafficFields | UnsetType = UNSET
    dropped: _Dropped | UnsetType = UNSET
    """Names that are no part of the state, with their types."""

    @property
    def is_own_form(self) -> bool:
        """Whether it has the fields that hosts of the old form do not write."""
        return bool(bytes(self.error)) and UNSET not in (self.cpu_time_ms, self.queue_time_ms, self.cold_start)

    @property
    def has_error(self) -> bool:
        """Whether there is an error that is not null."""
        return bytes(self.error) not in {b"", b"null"}


class CheckReply(Struct, frozen=True, omit_defaults=True):
    """Whether the script was parsed, and its form."""

    parsed: bool
    form: InputForm = InputForm.PLAIN


class FaultFields(Struct, frozen=True):
    """Where a script does not parse: the members of `details` that a controller reads."""

    reason: str | None = None
    line: _Fact | None = None
    column: _Fact | None = None


class HostErrorFields(Struct, frozen=True):
    """Why the host rejected the request, or does not know its outcome."""

    code: str
    message: str
    details: FaultFields = FaultFields()


class ErrorReply(Struct, frozen=True):
    """The one shape of a host's errors."""

    error: HostErrorFields
