"""Reports of executions, made from the replies of runtime hosts."""

from math import ceil

from attrs import frozen
from msgspec import UnsetType

from adapters.remote_runtime.replies import old_message
from adapters.runtime_protocol import ExecuteReply, FailureFields, MalformedMessage, decode, json_text
from domain.json_text import JsonText
from domain.scripts.report import Failure, FailureCode, ScriptReport

_NO_REPLY = ExecuteReply()
_FAILURE_CODES = frozenset(FailureCode)


@frozen
class ReportReader:
    """Makes reports within sizes in bytes (results) and characters (texts)."""

    result_size_max: int
    text_size_max: int

    def read(self, reply: ExecuteReply, elapsed_ms: float, waited_ms: float) -> ScriptReport:
        """Return the report of an execution that has ended; raises MalformedMessage without a result and an error."""
        if reply.has_error:
            return self._report(reply, None, self._failure(reply), elapsed_ms, waited_ms)
        if not bytes(reply.result):
            raise MalformedMessage("its reply has neither a result nor an error")
        size = len(bytes(reply.result))
        if size > self.result_size_max:
            return self._report(reply, None, self._too_large(size), elapsed_ms, waited_ms)
        return self._report(reply, json_text(reply.result), None, elapsed_ms, waited_ms)

    def read_oversized(self, size: int | None, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution whose reply is too large to be read, because its result must be."""
        return self._report(_NO_REPLY, None, self._too_large(size), elapsed_ms, 0)

    def read_old_failure(self, message: str, elapsed_ms: float) -> ScriptReport:
        """Return the report of an execution of which a host of the old form sent only the error's message."""
        failure = Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        return self._report(_NO_REPLY, None, failure, elapsed_ms, 0)

    def _report(
        self,
        reply: ExecuteReply,
        result: JsonText | None,
        failure: Failure | None,
        elapsed_ms: float,
        waited_ms: float,
    ) -> ScriptReport:
        queue_time_ms = _known(reply.queue_time_ms)
        return ScriptReport(
            result=result,
            failure=failure,
            execution_time_ms=elapsed_ms if reply.execution_time_ms is None else reply.execution_time_ms,
            stdout=self._text(reply.stdout or ""),
            stderr=self._text(reply.stderr or ""),
            memory_usage_bytes=None if reply.memory_usage_bytes is None else ceil(reply.memory_usage_bytes),
            cpu_time_ms=_known(reply.cpu_time_ms),
            queue_time_ms=None if queue_time_ms is None else queue_time_ms + waited_ms,
            cold_start=None if isinstance(reply.cold_start, UnsetType) else reply.cold_start,
        )

    def _failure(self, reply: ExecuteReply) -> Failure:
        if not reply.is_own_form:
            message = old_message(reply.error) or "The script failed, and the runtime host does not say why."
            return Failure(FailureCode.SCRIPT_ERROR, self._text(message))
        fields = decode(FailureFields, reply.error)
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
    return FailureCode(code) if code in _FAILURE_CODES else FailureCode.SCRIPT_ERROR


def _known(measured: "float | UnsetType | None") -> float | None:
    return None if isinstance(measured, UnsetType) else measured
