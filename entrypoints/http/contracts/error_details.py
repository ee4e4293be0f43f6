"""What the details of errors hold."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.access.principal import Scope
from domain.scripts.report import FailureCode

_Text = str | UnsetType
_Count = int | UnsetType
_Known = Annotated[str, Meta(description='"no", "yes" or "unknown".')]


class ErrorProblem(Struct):
    """One thing that is wrong with a request."""

    pointer: Annotated[str, Meta(description="Where: a JSON pointer (RFC 6901) into the body, /headers or /query.")]
    message: Annotated[str, Meta(description="What is wrong there.")]


class ErrorDetails(Struct):
    """Facts that belong to the code of an error: those that are known are there."""

    problems: Annotated[list[ErrorProblem] | UnsetType, Meta(description="All that is wrong.")] = UNSET
    pointer: Annotated[_Text, Meta(description="The field that is too large; empty for the body itself.")] = UNSET
    limit: Annotated[
        int | str | UnsetType, Meta(description="The limit: milliseconds, bytes, a count, or its name.")
    ] = UNSET
    observed: Annotated[int | UnsetType | None, Meta(description="What was observed, in the limit's unit.")] = UNSET
    stored: Annotated[_Known | UnsetType, Meta(description="Whether the write is stored.")] = UNSET
    executed: Annotated[_Known | UnsetType, Meta(description="Whether the script has run.")] = UNSET
    retry_after_ms: Annotated[_Count, Meta(description="When to repeat the call, where that is safe.")] = UNSET
    value: Annotated[str | UnsetType | None, Meta(description="What was refused.")] = UNSET
    header: Annotated[_Text, Meta(description="The header that was refused.")] = UNSET
    languages: Annotated[list[str] | UnsetType, Meta(description="The languages that are served.")] = UNSET
    language_title: Annotated[_Text, Meta(description="The function by its title.")] = UNSET
    allowed: Annotated[
        list[str] | int | UnsetType, Meta(description="The methods of the path, or what a quota grants.")
    ] = UNSET
    needed_scopes: Annotated[list[Scope] | UnsetType, Meta(description="Scopes of which one is needed.")] = UNSET
    reason: Annotated[_Text, Meta(description="Why, as far as it can be told.")] = UNSET
    version: Annotated[_Count, Meta(description="The version that it is at, or that the session is pinned to.")] = UNSET
    expired_at: Annotated[_Text, Meta(description="When the session expired.")] = UNSET
    closed_at: Annotated[_Text, Meta(description="When the session was closed.")] = UNSET
    now: Annotated[_Text, Meta(description="The instant at which that was judged.")] = UNSET
    policy: Annotated[_Text, Meta(description="The rate policy by its name.")] = UNSET
    window_seconds: Annotated[_Count, Meta(description="The window of the quota.")] = UNSET
    cost: Annotated[_Count, Meta(description="What the call counts as.")] = UNSET
    remaining: Annotated[_Count, Meta(description="What is left of the quota.")] = UNSET
    execution_id: Annotated[_Text, Meta(description="The execution, to be found in the session's history.")] = UNSET
    execution_count: Annotated[_Count, Meta(description="The session's count with it.")] = UNSET
    result: Annotated[Any, Meta(description="The script's result, which could not be recorded.")] = UNSET
    execution_time_ms: Annotated[float | UnsetType, Meta(description="Wall time of the run.")] = UNSET
    cpu_time_ms: Annotated[float | UnsetType, Meta(description="CPU time of the run.")] = UNSET
    memory_usage_bytes: Annotated[_Count, Meta(description="Peak memory of the run.")] = UNSET
    stdout: Annotated[_Text, Meta(description="What it wrote to its standard output, up to its end.")] = UNSET
    stderr: Annotated[_Text, Meta(description="What it wrote to its standard error, up to its end.")] = UNSET
    error: Annotated[FailureCode | UnsetType, Meta(description="How the script failed.")] = UNSET
    name: Annotated[_Text, Meta(description="The name of the script's own error.")] = UNSET
    message: Annotated[_Text, Meta(description="The message of the script's own error.")] = UNSET
    stack: Annotated[_Text, Meta(description="Its stack, in the caller's own lines.")] = UNSET
    line: Annotated[int | UnsetType | None, Meta(description="The line in the caller's own script, from 1.")] = UNSET
    column: Annotated[int | UnsetType | None, Meta(description="The column in that line, from 1.")] = UNSET
    error_id: Annotated[_Text, Meta(description="The id to find a bug by in the log.")] = UNSET
