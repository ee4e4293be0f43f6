"""Types of fields in bodies with their descriptions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.executions.history import PAYLOAD_LENGTH_MAX
from domain.grants.secrets import NAME_PATTERN
from domain.scripts.convention import Convention
from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX
from domain.scripts.limits import MEMORY_MB_MIN, Isolation
from domain.scripts.report import ExecutionStatus
from domain.scripts.syntax_check import ScriptWarning
from domain.sessions.session import Renewal, Status

Item = TypeVar("Item")

JsonObject = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""A JSON object that stays JSON text on its way."""

RawArray = Annotated[Raw, Meta(extra_json_schema={"type": "array"})]
"""An array whose elements are decoded one by one, by a parser of their own."""

Context = Annotated[JsonObject, Meta(description="A JSON object that every execution receives beside its params.")]
StoredContext = Annotated[
    Raw,
    Meta(
        description="What every execution receives beside its params: a JSON object. In a session that was taken over "
        "with the calling convention origin it is any JSON value."
    ),
]
Metadata = Annotated[JsonObject, Meta(description="Notes of the caller. Scripts do not receive them.")]
ScriptContent = Annotated[
    str,
    Meta(
        description="The source of the script. Without it, the session uses the current version of the function that "
        "is registered under the language-title."
    ),
]
StoredScript = Annotated[str | None, Meta(description="The source of the script; null after the session has ended.")]
Params = Annotated[Raw, Meta(description="The JSON value that the script receives; the default is {}.")]

Redacted = Annotated[
    int,
    Meta(
        ge=1,
        description="How often a secret of the execution stood in what its script wrote, and was replaced by [secret "
        "NAME]. Absent if none did, and in the stored response to an earlier call.",
    ),
]
SecretName = Annotated[
    str, Meta(pattern=NAME_PATTERN, description="The name by which sessions and scripts get the secret.")
]

RequestId = Annotated[UUID, Meta(description="The id of the session.")]
ExecutionId = Annotated[UUID, Meta(description="The id of the execution.")]
Title = Annotated[
    str,
    Meta(
        description="The language, a hyphen and a title, such as nodejs-calculator.",
        pattern=TITLE_PATTERN,
        max_length=TITLE_SIZE_MAX,
    ),
]
Owner = Annotated[str, Meta(description="The account to which the session belongs.")]
ScriptHash = Annotated[
    str | None,
    Meta(description="SHA-256 of the script in UTF-8, in hexadecimal; null after the session has ended."),
]
PinnedVersion = Annotated[
    int | None,
    Meta(
        description="The version of the function that the session was initialized from; null for a script of its own."
    ),
]
Version = Annotated[
    int,
    Meta(
        description="Increases when context, metadata, lifetime or renewal change. Quoted, it may stand in If-Match.",
        ge=1,
    ),
]
InitializedStatus = Annotated[Literal["initialized"], Meta(description="Always initialized.")]
SyntaxChecked = Annotated[
    bool, Meta(description="Whether the script was parsed; false if the runtime host cannot parse scripts.")
]

Instant = Annotated[datetime, Meta(tz=True)]
CreatedAt = Annotated[Instant, Meta(description="When the session was initialized.")]
ExpiresAt = Annotated[Instant, Meta(description="When the session expires. It is live before this instant.")]
StartedAt = Annotated[Instant, Meta(description="When the execution was admitted.")]
LastExecutedAt = Annotated[
    Instant | None, Meta(description="When the last execution ended; null before the first one has ended.")
]

TtlSeconds = Annotated[
    int,
    Meta(
        ge=1,
        description="Lifetime of the session in seconds from now, at most SESSION_MAX_LIFETIME_SECONDS of the server, "
        "which is 30 days by default. A change never shortens it.",
    ),
]
KeptTtlSeconds = Annotated[
    int,
    Meta(ge=1, description="The length in seconds that was set last. It is the length of each renewal, if sliding."),
]
RenewalField = Annotated[
    Renewal,
    Meta(description="fixed: the session expires at its set end. sliding: each execution renews it, up to a maximum."),
]
ConventionField = Annotated[
    Convention,
    Meta(
        description="How the script is called, and how its result becomes JSON. own: as documented. origin: "
        "as lambda-microservice does. event-first: as own, but a function with one parameter receives the event, "
        "whatever the parameter's name is."
    ),
]


class WarningBody(Struct):
    """What a script that was accepted may do otherwise than its author expects."""

    code: Annotated[ScriptWarning, Meta(description="The code of the warning.")]
    message: Annotated[str, Meta(description="The warning for people, with what to do.")]


Warnings = Annotated[
    list[WarningBody], Meta(description="What the script may do otherwise than expected. Absent if there is nothing.")
]
StatusField = Annotated[Status, Meta(description="The status of the session at the time of the response.")]

TimeoutMs = Annotated[int, Meta(ge=1, description="Limit on the wall time of an execution, in milliseconds.")]
MemoryMb = Annotated[
    int,
    Meta(ge=MEMORY_MB_MIN, description="Limit on the memory that an execution uses beside its interpreter, in MiB."),
]
IsolationField = Annotated[
    Isolation,
    Meta(description="session: executions of the session share a worker. process: each execution gets a new worker."),
]

Result = Annotated[Raw, Meta(description="The JSON value that the script returned.")]
ResultGiven = Annotated[
    bool,
    Meta(
        description="Whether the script gave a result. False if it has no handler and no `result`, or returned "
        "nothing; result is null then."
    ),
]
KeptResultGiven = Annotated[
    bool | None,
    Meta(
        description="Whether the script gave a result; null if it did not succeed, or if the history has no payloads."
    ),
]
ExecutionTimeMs = Annotated[
    float, Meta(description="Wall time of the run in milliseconds, measured outside the sandbox.", ge=0)
]
MemoryUsageBytes = Annotated[
    int | None,
    Meta(
        description="Peak of the memory that the execution used beside its interpreter, in bytes; null if the runtime "
        "does not report it."
    ),
]
CpuTimeMs = Annotated[
    float | None, Meta(description="CPU time in milliseconds; null if the runtime does not report it.")
]
QueueTimeMs = Annotated[
    float | None, Meta(description="Wait for a worker in milliseconds; null if the runtime does not report it.")
]
ColdStart = Annotated[
    bool | None, Meta(description="Whether the worker was new to the session; null if the runtime does not report it.")
]
ExecutionCount = Annotated[
    int, Meta(description="Number of executions of the session that have ended, including failed ones.", ge=0)
]
StateVersion = Annotated[
    int,
    Meta(
        description="The version of the state of the session after this execution. Absent without a state, and in a "
        "response that is repeated.",
        ge=0,
    ),
]
CountThen = Annotated[
    int | None,
    Meta(description="The execution count of the session including this execution; null if its end was not recorded."),
]
Stdout = Annotated[str, Meta(description="The text that the script wrote to standard output.")]
Stderr = Annotated[str, Meta(description="The text that the script wrote to standard error.")]
OutcomeField = Annotated[
    ExecutionStatus | None, Meta(description="As status; null before the end. The next release omits it: use status.")
]

KeptTimeMs = Annotated[float | None, Meta(description="Wall time of the run in milliseconds; null if unknown.")]
KeptParams = Annotated[Any, Meta(description="The params of the execution; null if truncated names them.")]
KeptResult = Annotated[Any, Meta(description="The result of the execution; null if truncated names it.")]
KeptError = Annotated[
    Any, Meta(description="The error of the execution; null if it succeeded, or if truncated names it.")
]
KeptOutput = Annotated[
    str | None, Meta(description="The output of the script; only its beginning if truncated names it.")
]
Truncated = Annotated[
    dict[str, int],
    Meta(
        description=f"The fields that have more than the {PAYLOAD_LENGTH_MAX} characters that are stored, with their "
        "lengths in characters."
    ),
]
Beginnings = Annotated[
    dict[str, str],
    Meta(description="The beginning of the JSON text of params, result and error, for those that truncated names."),
]
Uses = Annotated[
    JsonObject,
    Meta(
        description="What the execution has used of the grants of its session, by their names. `state` has the "
        "version of the state that it has saved, and the keys that it has changed; `secrets` has the versions of the "
        "secrets that it got. Absent if it has used nothing."
    ),
]
NextCursor = Annotated[str | None, Meta(description="Send it as cursor to read the next page; null on the last page.")]
Sessions = Annotated[list[Item], Meta(description="The sessions of this page, newest first.")]
Executions = Annotated[list[Item], Meta(description="The executions of this page, newest first.")]

Index = Annotated[int, Meta(ge=0, description="The position of the item in the batch, from 0.")]
ItemStatus = Annotated[int, Meta(description="The HTTP status that the item would have as a call of its own.")]

Code = Annotated[str, Meta(description="The kind of error, for programs.")]
Message = Annotated[str, Meta(description="What happened, why, and what to do next, for people.")]
Details = Annotated[dict[str, Any], Meta(description="Facts about the error, for programs. They depend on the code.")]


def given(value: Any) -> Any:
    """Return a value, or None if the field was absent."""
    return None if value is UNSET else value


def warning_bodies(warnings: Sequence[ScriptWarning]) -> list[WarningBody] | UnsetType:
    """Return the member `warnings` of a response; absent without any."""
    return [WarningBody(each, each.message) for each in warnings] or UNSET
