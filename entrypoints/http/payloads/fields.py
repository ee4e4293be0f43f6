"""Types of fields in bodies, with what callers are told of each."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from msgspec import Meta, Raw

from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX
from domain.scripts.limits import Isolation
from domain.scripts.report import Outcome
from domain.sessions.session import Renewal, Status

Item = TypeVar("Item")

JsonObject = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""A JSON object that nobody decodes on its way."""

RawArray = Annotated[Raw, Meta(extra_json_schema={"type": "array"})]
"""An array whose elements are decoded one by one, by a form of their own."""

Context = Annotated[JsonObject, Meta(description="What every execution is given beside its parameters.")]
Metadata = Annotated[JsonObject, Meta(description="Notes of the caller's own; scripts do not see them.")]
ScriptContent = Annotated[
    str,
    Meta(
        description="The script's source. Left out: the function that is registered under the language-title is "
        "used, as it is now."
    ),
]
StoredScript = Annotated[str | None, Meta(description="The script's source; null once the session has ended.")]
Params = Annotated[Raw, Meta(description="What the script is executed with: any JSON value, by default {}.")]

RequestId = Annotated[UUID, Meta(description="The session's id.")]
ExecutionId = Annotated[UUID, Meta(description="The execution's id.")]
Title = Annotated[
    str,
    Meta(description="Language and title, as in nodejs-calculator.", pattern=TITLE_PATTERN, max_length=TITLE_SIZE_MAX),
]
Owner = Annotated[str, Meta(description="Whose session it is.")]
ScriptHash = Annotated[
    str | None, Meta(description="SHA-256 of the script's UTF-8 bytes in hexadecimal; null once the session has ended.")
]
PinnedVersion = Annotated[
    int | None,
    Meta(description="The version of the function that it was initialized from; null where the script is its own."),
]
Version = Annotated[
    int, Meta(description="Moves with context, metadata, length and renewal; its number is the ETag.", ge=1)
]
InitializedStatus = Annotated[Literal["initialized"], Meta(description="Says that the session is there.")]
SyntaxChecked = Annotated[
    bool, Meta(description="Whether the script was parsed; false where a runtime host cannot do that.")
]

Instant = Annotated[datetime, Meta(tz=True)]
CreatedAt = Annotated[Instant, Meta(description="When the session was initialized.")]
ExpiresAt = Annotated[Instant, Meta(description="When the session's life ends; live while now is before it.")]
StartedAt = Annotated[Instant, Meta(description="When the execution was admitted.")]
LastExecutedAt = Annotated[Instant | None, Meta(description="When the last execution ended; null before the first.")]

TtlSeconds = Annotated[
    int,
    Meta(ge=1, le=86_400, description="Length of the session's life in seconds, from now on; it never gets shorter."),
]
RenewalField = Annotated[
    Renewal,
    Meta(description="fixed: the life ends when it was said to; sliding: each execution prolongs it, up to a maximum."),
]
StatusField = Annotated[Status, Meta(description="What the session is at this instant.")]

TimeoutMs = Annotated[int, Meta(ge=1, description="Wall time of an execution in milliseconds.")]
MemoryMb = Annotated[int, Meta(ge=1, description="Memory of an execution in MiB.")]
IsolationField = Annotated[
    Isolation,
    Meta(description="session: the worker stays for the session's next execution; process: a new one each time."),
]

Result = Annotated[Raw, Meta(description="What the script gave back: any JSON value.")]
ExecutionTimeMs = Annotated[float, Meta(description="Wall time of the run in milliseconds, measured outside.", ge=0)]
MemoryUsageBytes = Annotated[
    int | None, Meta(description="Peak memory of the run in bytes; null if the runtime does not report it.")
]
CpuTimeMs = Annotated[float | None, Meta(description="CPU time in milliseconds; null where the runtime does not tell.")]
QueueTimeMs = Annotated[
    float | None, Meta(description="Wait for a worker in milliseconds; null where the runtime does not tell.")
]
ColdStart = Annotated[
    bool | None, Meta(description="Whether the worker was new to the session; null where the runtime does not tell.")
]
ExecutionCount = Annotated[
    int, Meta(description="Executions of the session that have ended, failed ones included.", ge=0)
]
CountThen = Annotated[
    int | None, Meta(description="The session's count with this execution; null where its end was not recorded.")
]
Stdout = Annotated[str, Meta(description="What the script wrote to its standard output.")]
Stderr = Annotated[str, Meta(description="What the script wrote to its standard error.")]
OutcomeField = Annotated[Outcome, Meta(description="How it ended; unknown where nobody could record that.")]

KeptTimeMs = Annotated[float | None, Meta(description="Wall time of the run in milliseconds; null if unknown.")]
KeptParams = Annotated[Any, Meta(description="Its parameters; a string with their beginning where truncated says so.")]
KeptResult = Annotated[Any, Meta(description="Its result; a string with its beginning where truncated says so.")]
KeptError = Annotated[Any, Meta(description="Its failure; null where it succeeded.")]
KeptOutput = Annotated[str | None, Meta(description="Its output; cut short where truncated says so.")]
Truncated = Annotated[
    dict[str, int], Meta(description="Fields that were too large to keep whole, each with its length in characters.")
]
NextCursor = Annotated[str | None, Meta(description="Send it as cursor to get the next page; null on the last one.")]
Sessions = Annotated[list[Item], Meta(description="The sessions of this page, newest first.")]
Executions = Annotated[list[Item], Meta(description="The executions of this page, newest first.")]

Code = Annotated[str, Meta(description="What went wrong, for programs.")]
Message = Annotated[str, Meta(description="What is true and what to do about it, for people.")]
Details = Annotated[dict[str, Any], Meta(description="Facts that belong to the code.")]
