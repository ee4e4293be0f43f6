"""The body of errors."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.access.principal import Scope
from domain.scripts.report import FailureCode
from entrypoints.http.schemas import fields

_Text = str | UnsetType
_Count = int | UnsetType
_Known = Annotated[str, Meta(description='"no", "yes" or "unknown".')]


class Error(Struct):
    """The error: a code for programs, a message for people, details for both."""

    code: fields.Code
    message: fields.Message
    details: fields.Details


class ErrorBody(Struct, omit_defaults=True):
    """The body of every error. `request_id` is the id of the session, if the path names one."""

    error: Error
    request_id: fields.RequestId | UnsetType = UNSET


class ErrorProblem(Struct):
    """One fault in a request."""

    pointer: Annotated[str, Meta(description="The place: a JSON pointer (RFC 6901) into the body, /headers or /query.")]
    message: Annotated[str, Meta(description="What is wrong there.")]
    line: Annotated[int | UnsetType, Meta(description="The line of a lock, from 1 on.")] = UNSET


class ErrorDetails(Struct):
    """Facts about an error. Which of them are present depends on its code."""

    problems: Annotated[list[ErrorProblem] | UnsetType, Meta(description="All faults of the request.")] = UNSET
    pointer: Annotated[_Text, Meta(description="The field that is too large; empty for the body itself.")] = UNSET
    limit: Annotated[
        int | str | UnsetType, Meta(description="The limit: in milliseconds, in bytes, as a count, or its name.")
    ] = UNSET
    observed: Annotated[int | UnsetType | None, Meta(description="The observed value, in the unit of the limit.")] = (
        UNSET
    )
    size: Annotated[_Count, Meta(description="The size of the content in bytes.")] = UNSET
    declared_sha256: Annotated[_Text, Meta(description="The SHA-256 that Content-Digest declares.")] = UNSET
    sha256: Annotated[_Text, Meta(description="The SHA-256 of the body.")] = UNSET
    stored: Annotated[_Known | UnsetType, Meta(description="Whether the write is stored.")] = UNSET
    executed: Annotated[_Known | UnsetType, Meta(description="Whether the script has run.")] = UNSET
    retry_after_ms: Annotated[
        _Count, Meta(description="Repeat the call after this time. Present only if repeating is safe.")
    ] = UNSET
    value: Annotated[str | UnsetType | None, Meta(description="The value that was rejected.")] = UNSET
    header: Annotated[_Text, Meta(description="The header that was rejected.")] = UNSET
    languages: Annotated[list[str] | UnsetType, Meta(description="The languages that the service runs.")] = UNSET
    language_title: Annotated[_Text, Meta(description="The language-title of the function.")] = UNSET
    allowed: Annotated[
        list[str] | int | UnsetType, Meta(description="The methods of the path, or the size of the quota.")
    ] = UNSET
    needed_scopes: Annotated[list[Scope] | UnsetType, Meta(description="The scopes of which the call needs one.")] = (
        UNSET
    )
    status: Annotated[_Text, Meta(description="How far the environment is.")] = UNSET
    reason: Annotated[_Text, Meta(description="Why, as far as the service may say.")] = UNSET
    version: Annotated[
        _Count, Meta(description="The current version, the wanted one, or that to which the session is pinned.")
    ] = UNSET
    kept_versions: Annotated[
        list[int] | UnsetType, Meta(description="The versions of the function that are kept, the newest first.")
    ] = UNSET
    owner: Annotated[_Text, Meta(description="The owner of the function.")] = UNSET
    rule: Annotated[_Text, Meta(description="The rule that the owner may not have.")] = UNSET
    secret: Annotated[_Text, Meta(description="The name of the secret.")] = UNSET
    functions: Annotated[
        list[str] | UnsetType, Meta(description="The functions to whose sessions the secret is limited.")
    ] = UNSET
    redacted: Annotated[
        _Count, Meta(description="How often a secret stood in what the script wrote, and was replaced by its name.")
    ] = UNSET
    running: Annotated[_Text, Meta(description="The execution that writes the state of the session.")] = UNSET
    expired_at: Annotated[_Text, Meta(description="When the session or the file expired.")] = UNSET
    closed_at: Annotated[_Text, Meta(description="When the session was closed.")] = UNSET
    now: Annotated[_Text, Meta(description="The time of the check.")] = UNSET
    policy: Annotated[_Text, Meta(description="The name of the rate limit.")] = UNSET
    window_seconds: Annotated[_Count, Meta(description="The window of the rate limit, in seconds.")] = UNSET
    cost: Annotated[_Count, Meta(description="The number of calls that this call counts as.")] = UNSET
    remaining: Annotated[_Count, Meta(description="The calls that are left.")] = UNSET
    idempotency_key: Annotated[_Text, Meta(description="The key of the call, which an earlier call has.")] = UNSET
    request_id: Annotated[_Text, Meta(description="The session that the earlier call was for, or that it made.")] = (
        UNSET
    )
    execution_id: Annotated[_Text, Meta(description="The id of the execution in the history of the session.")] = UNSET
    execution_count: Annotated[_Count, Meta(description="The execution count of the session including it.")] = UNSET
    result: Annotated[Any, Meta(description="The result of the script, which could not be saved.")] = UNSET
    execution_time_ms: Annotated[float | UnsetType, Meta(description="Wall time of the run in milliseconds.")] = UNSET
    cpu_time_ms: Annotated[float | UnsetType, Meta(description="CPU time of the run in milliseconds.")] = UNSET
    memory_usage_bytes: Annotated[_Count, Meta(description="Peak memory beside the interpreter, in bytes.")] = UNSET
    stdout: Annotated[_Text, Meta(description="The text on standard output until the script ended.")] = UNSET
    stderr: Annotated[_Text, Meta(description="The text on standard error until the script ended.")] = UNSET
    error: Annotated[FailureCode | UnsetType, Meta(description="How the script failed, if that is not the code.")] = (
        UNSET
    )
    name: Annotated[_Text, Meta(description="The name of the error that the script raised.")] = UNSET
    message: Annotated[
        _Text, Meta(description="The message of that error, if it is not the message beside the code.")
    ] = UNSET
    stack: Annotated[_Text, Meta(description="The stack of that error, with the lines of the script only.")] = UNSET
    line: Annotated[int | UnsetType | None, Meta(description="The line in the script, from 1.")] = UNSET
    column: Annotated[int | UnsetType | None, Meta(description="The column in that line, from 1.")] = UNSET
    error_id: Annotated[_Text, Meta(description="The id under which the log has the cause of the failure.")] = UNSET
