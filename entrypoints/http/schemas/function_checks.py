"""Bodies of checks of functions."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from domain.functions.examples import ExampleOutcome
from domain.functions.service import CheckedFunction
from domain.json_text import JsonText
from domain.scripts.report import Failure, FailureCode
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.functions import ExampleParams, ExampleResult, FunctionVersion

_QUOTED_LENGTH_MAX = 64 * 1024


class ExampleError(Struct):
    """How the script of an example failed."""

    code: Annotated[FailureCode, Meta(description="The kind of failure.")]
    message: Annotated[str, Meta(description="The error as the language of the script prints it.")]
    line: Annotated[int | None, Meta(description="The line in the script, from 1; null if unknown.")]
    column: Annotated[int | None, Meta(description="The column in that line, from 1; null if unknown.")]

    @classmethod
    def of(cls, failure: Failure) -> "ExampleError":
        """Return the body for a failure."""
        return cls(failure.code, failure.summary, failure.line, failure.column)


class CheckedExample(Struct, kw_only=True):
    """The outcome of one example."""

    index: Annotated[int, Meta(ge=0, description="The position of the example, from 0.")]
    holds: Annotated[bool, Meta(description="Whether the script returned the expected result.")]
    reason: Annotated[str | None, Meta(description="Why the example does not hold; null if it holds.")]
    params: ExampleParams
    expected: ExampleResult
    result: Annotated[
        Any,
        Meta(
            description="The result of the script; null if it failed or did not run. A result of more than "
            f"{_QUOTED_LENGTH_MAX} characters is a string with its beginning."
        ),
    ]
    error: Annotated[ExampleError | None, Meta(description="How the script failed; null if it did not fail.")]
    stdout: fields.Stdout
    stderr: fields.Stderr
    execution_time_ms: Annotated[
        float | None, Meta(description="Wall time in milliseconds; null if the example did not run.")
    ]

    @classmethod
    def of(cls, index: int, outcome: ExampleOutcome) -> "CheckedExample":
        """Return the body for an outcome."""
        report = outcome.report
        failure = None if report is None else report.failure
        return cls(
            index=index,
            holds=outcome.holds,
            reason=outcome.reason,
            params=embedded(outcome.example.params),
            expected=embedded(outcome.example.result),
            result=None if report is None or report.result is None else _shown(report.result),
            error=None if failure is None else ExampleError.of(failure),
            stdout="" if report is None else report.stdout,
            stderr="" if report is None else report.stderr,
            execution_time_ms=None if report is None else report.execution_time_ms,
        )


class FunctionCheck(Struct):
    """The outcomes of all examples of a function."""

    language_title: fields.Title
    version: FunctionVersion
    holds: Annotated[
        bool | None,
        Meta(description="Whether all examples hold; null if the function has no examples, as nothing was checked."),
    ]
    examples: Annotated[list[CheckedExample], Meta(description="The outcome of each example, in order.")]

    @classmethod
    def of(cls, checked: CheckedFunction) -> "FunctionCheck":
        """Return the body for a check."""
        return cls(
            language_title=str(checked.function.language_title),
            version=checked.function.version,
            holds=checked.holds,
            examples=[CheckedExample.of(index, outcome) for index, outcome in enumerate(checked.outcomes)],
        )


def _shown(result: JsonText) -> Any:
    return embedded(result) if len(result) <= _QUOTED_LENGTH_MAX else result[:_QUOTED_LENGTH_MAX]
