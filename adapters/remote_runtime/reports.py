"""Reports of executions, made from what runtime hosts answer."""

from math import ceil

from attrs import frozen
from msgspec import UnsetType

from adapters.remote_runtime.messages import ErrorFields, ExecuteAnswer, MalformedReply, json_text, read_message
from adapters.remote_runtime.old_errors import error_message
from domain.json_text import JsonText
from domain.scripts.report import Failure, FailureCode, ScriptReport

_NO_ANSWER = ExecuteAnswer()


@frozen
class ReportReader:
    """Makes reports within sizes in bytes (results) and characters (texts)."""

    result_size_max: int
    text_size_max: int

    def read(self, answer: ExecuteAnswer, elapsed_ms: float, waited_ms: float) -> ScriptReport:
        """Return the report of an execution that has ended; raises Rubbish when there is neither result nor error."""
        if answer.has_error:
            return self._report(answer, None, self._failure(answer), elapsed_ms, waited_ms)
        if not bytes(answer.result):
            raise MalformedReply("there is neither a result nor an error in the answer")
        size = len(bytes(answer.result))
        if size > self.result_size_max:
            return self._report(answer, None, self._too_large(size), elapsed_ms, waited_ms)
        return self._report(answer, json_text(answer.result), None, elapsed_ms, waited_ms)

    def read_oversized(self, size: int | None, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution whose answer is so large that its result must be."""
        return self._report(_NO_ANSWER, None, self._too_large(size), elapsed_ms, 0)

    def read_old_failure(self, message: str, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution of which a host of the old form tells only that it failed."""
        failure = Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        return self._report(_NO_ANSWER, None, failure, elapsed_ms, 0)

    def _report(
        self,
        answer: ExecuteAnswer,
        result: JsonText | None,
        failure: Failure | None,
        elapsed_ms: float,
        waited_ms: float,
    ) -> ScriptReport:
        queue_time_ms = _known(answer.queue_time_ms)
        return ScriptReport(
            result=result,
            failure=failure,
            execution_time_ms=elapsed_ms if answer.execution_time_ms is None else answer.execution_time_ms,
            stdout=self._text(answer.stdout or ""),
            stderr=self._text(answer.stderr or ""),
            memory_usage_bytes=None if answer.memory_usage_bytes is None else ceil(answer.memory_usage_bytes),
            cpu_time_ms=_known(answer.cpu_time_ms),
            queue_time_ms=None if queue_time_ms is None else queue_time_ms + waited_ms,
            cold_start=None if isinstance(answer.cold_start, UnsetType) else answer.cold_start,
        )

    def _failure(self, answer: ExecuteAnswer) -> Failure:
        if not answer.is_own_form:
            message = error_message(answer.error) or "The script has failed; the runtime host does not say why"
            return Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        fields = read_message(ErrorFields, answer.error)
        return Failure(
            code=_failure_code(fields.code),
            message=self._text(fields.message),
            name=fields.name and self._text(fields.name),
            stack=fields.stack and self._text(fields.stack),
            line=fields.line,
            column=fields.column,
            limit=fields.limit,
            observed=fields.observed,
        )

    def _too_large(self, size: int | None) -> Failure:
        limit = self.result_size_max
        message = f"The result is larger than the {limit} bytes that are allowed"
        return Failure(FailureCode.RESULT_TOO_LARGE, message, limit=limit, observed=size)

    def _text(self, text: str) -> str:
        return text[: self.text_size_max].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _failure_code(code: str | None) -> FailureCode:
    return FailureCode(code) if code in set(FailureCode) else FailureCode.SCRIPT_ERROR


def _known(figure: "float | UnsetType | None") -> float | None:
    return None if isinstance(figure, UnsetType) else figure
