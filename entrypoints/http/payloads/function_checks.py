"""Bodies of checks of functions, by their field names in JSON."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from domain.functions.examples import ExampleOutcome
from domain.functions.service import CheckedFunction
from domain.json_text import JsonText
from domain.scripts.report import Failure, FailureCode
from entrypoints.http.payloads import fields
from entrypoints.http.payloads.functions import ExampleParams, ExampleResult, FunctionVersion
from entrypoints.http.payloads.values import embedded

_QUOTED_LENGTH_MAX = 64 * 1024


class ExampleError(Struct):
    """How an example's script failed."""

    code: Annotated[FailureCode, Meta(description="Which way.")]
    message: Annotated[str, Meta(description="The error, as its language prints it.")]
    line: Annotated[int | None, Meta(description="The line in the script, from 1; null if unknown.")]
    column: Annotated[int | None, Meta(description="The column in that line, from 1; null if unknown.")]

    @classmethod
    def of(cls, failure: Failure) -> "ExampleError":
        """Return the payload of a failure."""
        return cls(failure.code, failure.summary, failure.line, failure.column)


class CheckedExample(Struct, kw_only=True):
    """What became of an example."""

    index: Annotated[int, Meta(ge=0, description="Its place among the examples, from 0 on.")]
    holds: Annotated[bool, Meta(description="Whether it gave the result that it says.")]
    reason: Annotated[str | None, Meta(description="Why it does not hold; null when it does.")]
    params: ExampleParams
    expected: ExampleResult
    result: Annotated[
        Any,
        Meta(
            description="What it gave; null where it failed or was not run. One of more than "
            f"{_QUOTED_LENGTH_MAX} characters is a string with its beginning."
        ),
    ]
    error: Annotated[ExampleError | None, Meta(description="How the script failed; null where it did not.")]
    stdout: fields.Stdout
    stderr: fields.Stderr
    execution_time_ms: Annotated[float | None, Meta(description="Wall time in milliseconds; null if it was not run.")]

    @classmethod
    def of(cls, index: int, verdict: ExampleOutcome) -> "CheckedExample":
        """Return the payload of a verdict."""
        report = verdict.report
        failure = None if report is None else report.failure
        return cls(
            index=index,
            holds=verdict.holds,
            reason=verdict.reason,
            params=embedded(verdict.example.params),
            expected=embedded(verdict.example.result),
            result=None if report is None or report.result is None else _shown(report.result),
            error=None if failure is None else ExampleError.of(failure),
            stdout="" if report is None else report.stdout,
            stderr="" if report is None else report.stderr,
            execution_time_ms=None if report is None else report.execution_time_ms,
        )


class FunctionCheck(Struct):
    """Which examples of a function hold."""

    language_title: fields.Title
    version: FunctionVersion
    holds: Annotated[bool, Meta(description="Whether all examples hold.")]
    examples: Annotated[list[CheckedExample], Meta(description="What became of each, in their order.")]

    @classmethod
    def of(cls, checked: CheckedFunction) -> "FunctionCheck":
        """Return the payload of a check."""
        verdicts = checked.verdicts
        return cls(
            language_title=str(checked.function.language_title),
            version=checked.function.version,
            holds=all(verdict.holds for verdict in verdicts),
            examples=[CheckedExample.of(index, verdict) for index, verdict in enumerate(verdicts)],
        )


def _shown(result: JsonText) -> Any:
    return embedded(result) if len(result) <= _QUOTED_LENGTH_MAX else result[:_QUOTED_LENGTH_MAX]
