"""Turns every end of an execution other than a result into its failure."""

import math
import os
import re
import signal

import msgspec
from attrs import frozen

from adapters.sandbox.isolation.control_group import USED_UP
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.workers.channel import Ending, ProtocolBroken
from adapters.sandbox.workers.process import Death, Exchange
from domain.json_text import VALUE_DEPTH_MAX
from domain.scripts.limits import Limits
from domain.scripts.report import CANCELLED, PROTOCOL_BROKEN, ExecutionUnknown, Failure, FailureCode

_OUT_OF_MEMORY = re.compile(
    r"out of memory|OOM error|Zone Allocation failed|Check failed: SetPermissions\(", re.IGNORECASE
)
_ENGINE_NOISE = re.compile(
    r"(?:\n?<--- Last few GCs --->|\n?\n#\n# Fatal|FATAL ERROR: |\n?----- Native stack trace).*", re.DOTALL
)
_PROCESSORS = os.cpu_count() or 1

_OF_THE_SERVICE = frozenset({FailureCode.EXECUTION_CANCELLED, FailureCode.EXECUTION_EXPIRED})


class ReportedFailure(msgspec.Struct):
    """A failure as the worker reports it. The service adds the limit."""

    code: FailureCode
    message: str
    name: str | None = None
    stack: str | None = None
    line: int | None = None
    column: int | None = None
    observed: int | None = None


@frozen
class FailureRules:
    """Makes the failure of one execution from what was observed; `limits` are those of the execution."""

    options: SandboxOptions
    limits: Limits

    def reported(self, reported: ReportedFailure) -> Failure:
        """Return the failure that the worker reports, with the limit that it exceeded.

        Raises ProtocolBroken for an end that only the service reports: a script that has run did not expire.
        """
        if reported.code in _OF_THE_SERVICE:
            raise ProtocolBroken("a report that it was cancelled, or has expired")
        limit, message = self._limit_of(reported)
        return Failure(
            code=reported.code,
            message=_clean(message.rstrip()) or ("" if reported.name else reported.code),
            name=_clean(reported.name),
            stack=_clean(reported.stack),
            line=_position(reported.line),
            column=_position(reported.column),
            limit=limit,
            observed=_count(reported.observed),
        )

    def _limit_of(self, reported: ReportedFailure) -> tuple[int | None, str]:
        if reported.code is FailureCode.MEMORY_LIMIT:
            return self._memory, f"{self._memory_message} {reported.message}"
        if reported.code is FailureCode.PROCESS_LIMIT:
            limit = self.options.processes_max
            text = f"A script cannot start processes, and can have {limit} threads at most. Use fewer threads."
            return limit, f"{text} {reported.message}"
        if reported.code is FailureCode.RESULT_TOO_LARGE:
            limit = self.options.result_size_max
            return limit, f"The result has {reported.observed} bytes as JSON; at most {limit} are allowed. Return less."
        if reported.code is FailureCode.STATE_TOO_LARGE:
            limit = self.options.state_limits.size_max
            text = f"The state has {reported.observed} bytes as JSON; at most {limit} are allowed. Keep less in it."
            return limit, text
        return None, reported.message

    def ended(self, exchange: Exchange, stderr: str) -> Failure:
        """Return the failure of an execution without a reply.

        Raises ExecutionUnknown if the worker was killed for a reason outside the script.
        """
        if exchange.ending is Ending.TIMED_OUT:
            return self._timed_out(exchange)
        if exchange.ending is Ending.CPU_LIMIT:
            return self._cpu_limit(exchange)
        if exchange.ending is Ending.OUTPUT_LIMIT:
            return self._output_limit()
        if exchange.ending is Ending.PROTOCOL_BROKEN:
            return protocol_failure(exchange.detail)
        if exchange.ending is Ending.CANCELLED:
            return CANCELLED
        return self._died(exchange, exchange.death or Death(None), stderr)

    def _timed_out(self, exchange: Exchange) -> Failure:
        limit = self.limits.timeout_ms
        return Failure(
            FailureCode.EXECUTION_TIMEOUT,
            f"The script was still running at its limit of {limit} ms and was stopped. "
            "Do less in one execution, or give the session a higher limits.timeout_ms.",
            limit=limit,
            observed=int(exchange.elapsed_s * 1000),
        )

    @property
    def cpu_ms_max(self) -> int:
        """The CPU time that all threads of an execution may use together, in milliseconds."""
        return int(self.limits.timeout_ms * self.options.cpu_per_wall)

    def _cpu_limit(self, exchange: Exchange) -> Failure:
        limit = self.cpu_ms_max
        return Failure(
            FailureCode.CPU_LIMIT,
            f"The script was stopped because its threads had used more than {limit} ms of CPU time together. "
            "Compute less in one execution, or give the session a higher limits.timeout_ms, which this limit follows.",
            limit=limit,
            observed=math.ceil((exchange.cpu_s or 0.0) * 1000),
        )

    def _output_limit(self) -> Failure:
        limit = self.options.output_size_max
        return Failure(
            FailureCode.OUTPUT_LIMIT,
            f"The script was stopped because it wrote more than {limit} bytes to stdout or stderr. Write less.",
            limit=limit,
        )

    def _died(self, exchange: Exchange, death: Death, stderr: str) -> Failure:
        number = _signal_of(death.status)
        if number is None:
            message = f"The script ended its process with exit code {death.status}. Return a value instead."
            return Failure(FailureCode.SCRIPT_EXITED, message)
        if _OUT_OF_MEMORY.search(stderr):
            return self.memory_limit()
        if number == signal.SIGKILL:
            return self._killed(exchange, death)
        message = f"The script's process was ended by {_name_of(number)}. Remove what raises it, such as native code."
        return Failure(FailureCode.SCRIPT_EXITED, message)

    def _killed(self, exchange: Exchange, death: Death) -> Failure:
        """Return the failure for the limit that the killed worker had reached; raises ExecutionUnknown without one.

        A script cannot kill its own worker: as the first process of its namespace, the worker ignores its own SIGKILL.
        """
        if death.closed_channel:
            return protocol_failure("it was closed")
        if exchange.cpu_before_s + exchange.elapsed_s * _PROCESSORS >= self.options.cpu_s_max:
            limit_ms = self.options.cpu_s_max * 1000
            message = (
                f"The worker was stopped at its limit of {limit_ms} ms of CPU time for all its executions. "
                "The next execution gets a new worker."
            )
            return Failure(FailureCode.CPU_LIMIT, message, limit=limit_ms)
        if (exchange.memory_bytes or 0) >= self._memory:
            return self.memory_limit()
        raise ExecutionUnknown(self._reason_outside(exchange.memory_bytes, death))

    def _reason_outside(self, memory_bytes: int | None, death: Death) -> str:
        """Return why a worker within its limits was killed."""
        held = "" if memory_bytes is None else f", at {memory_bytes // MIB} of its {self.limits.memory_mb} MiB"
        if death.memory_was_short:
            return f"{USED_UP}, and the kernel killed the worker of this script{held}"
        return f"its worker was killed from outside (SIGKILL){held}, perhaps because the host is short of memory"

    def is_over_memory(self, exchange: Exchange) -> bool:
        """Return whether the script has held more than its limit, even if it ended well."""
        return (exchange.memory_bytes or 0) > self._memory

    def memory_limit(self) -> Failure:
        """Return the failure of a script that needed more memory than its limit."""
        return Failure(FailureCode.MEMORY_LIMIT, self._memory_message, limit=self._memory)

    @property
    def _memory_message(self) -> str:
        return (
            f"The script needed more memory than its limit of {self.limits.memory_mb} MiB. "
            "Use less, or give the session a higher limits.memory_mb."
        )

    @property
    def _memory(self) -> int:
        return self.limits.memory_mb * MIB


def protocol_failure(observed: str) -> Failure:
    """Return the failure of a script that wrote to its worker's channel, or closed it."""
    message = (
        f"The script wrote to the control channel of its worker, or closed it ({observed}): protocol broken, worker "
        "stopped. Use only descriptors that the script has opened."
    )
    return Failure(FailureCode.SCRIPT_ERROR, message, name=PROTOCOL_BROKEN)


def too_deep() -> Failure:
    """Return the failure of a result that is nested too deeply."""
    return Failure(
        FailureCode.RESULT_NOT_SERIALIZABLE,
        f"The result is nested too deeply: more than {VALUE_DEPTH_MAX} levels, as many as params may have. "
        "Return a flatter value.",
    )


def unreadable_number() -> Failure:
    """Return the failure of a result with a number that many JSON decoders refuse, or read as infinity."""
    return Failure(
        FailureCode.RESULT_NOT_SERIALIZABLE,
        "The result has a number with more than 4,300 digits, or one beyond 1.8e308, which many programs cannot read. "
        "Return it as text.",
    )


def without_engine_noise(stderr: str) -> str:
    """Return what the script wrote, without what the engine adds when it dies."""
    return _ENGINE_NOISE.sub("", stderr)


def _signal_of(exit_status: int | None) -> int | None:
    """Return the signal that ended a process with this status; without a status, it was killed and still ends."""
    if exit_status is None:
        return signal.SIGKILL
    return -exit_status if exit_status < 0 else None


def _name_of(number: int) -> str:
    # As the first process of its namespace, a worker ignores its own SIGABRT, and abort(3) crashes instead.
    crashed = number in {signal.SIGSEGV, signal.SIGTRAP, signal.SIGILL, signal.SIGABRT}
    try:
        return f"a crash or abort ({signal.Signals(number).name})" if crashed else signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\ufffd")


def _position(number: int | None) -> int | None:
    return number if number is not None and 1 <= number < 1 << 31 else None


def _count(number: int | None) -> int | None:
    return number if number is not None and 0 <= number < 1 << 63 else None
