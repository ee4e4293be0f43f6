"""One execution of a script in a worker process, from the operation to the report."""

import os
from uuid import UUID

from attrs import evolve, field, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.failures import FailureRules, protocol_failure, too_deep, without_engine_noise
from adapters.sandbox.protocol.replies import WorkerReply, read_reply, read_result
from adapters.sandbox.workers.exchange import Ending, Exchange
from adapters.sandbox.workers.frames import Frame, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from domain.json_text import JsonText
from domain.scripts.limits import Limits
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.scripts.script import Script

_NONCE_SIZE = 12
_RETIRE_AT = 0.5
"""A worker that has used this part of its CPU time takes no further execution."""


@frozen
class ScriptTask:
    """What to execute: the script where the worker does not hold it yet, and the event's parts as JSON text."""

    script: Script | None
    session_id: UUID
    params: JsonText = field(repr=False)
    context: JsonText = field(repr=False)
    limits: Limits
    queue_time_ms: float
    cold_start: bool

    def event(self) -> bytes:
        """Return the event as JSON, put together without decoding anything."""
        return f'{{"params":{self.params},"context":{self.context},"request_id":"{self.session_id}"}}'.encode()


@frozen
class WorkerRun:
    """A report, and whether the worker may take another execution of the same session."""

    report: ScriptReport
    reusable: bool


@frozen
class Result:
    """What an exchange means: JSON text or a failure."""

    text: JsonText | None
    failure: Failure | None
    reusable: bool = False


async def execute(process: WorkerProcess, task: ScriptTask, options: SandboxOptions) -> WorkerRun:
    """Run the task to its end and return what came out. A process that misbehaves is killed on the way.

    Raises ExecutionUnknown when the host has killed the process.
    """
    nonce = os.urandom(_NONCE_SIZE).hex()
    rules = FailureRules(options, task.limits)
    timeout_s = task.limits.timeout_ms / 1000
    exchange = await process.exchange(_operations(task, nonce, options), timeout_s, rules.cpu_ms_max / 1000)
    if exchange.ending is Ending.REPLIED and exchange.frame is not None:
        result = _answered(exchange.frame, nonce, rules)
    else:
        result = Result(None, rules.ended(exchange, process.stderr.text()))
    is_fresh = exchange.cpu_before_s + (exchange.cpu_s or 0) < _RETIRE_AT * options.cpu_s_max
    reusable = result.reusable and is_fresh and not process.has_left_threads(exchange)
    if not reusable:
        process.kill()
        await process.gone()
    return WorkerRun(_report(process, task, exchange, _with_observed(result, process, exchange)), reusable)


def _operations(task: ScriptTask, nonce: str, options: SandboxOptions) -> bytes:
    run = b'{"op":"run","nonce":"%s","result_size_max":%d}' % (nonce.encode(), options.result_size_max)
    operations = encode_frame(run, task.event())
    if task.script is None:
        return operations
    return encode_frame(b'{"op":"load","nonce":""}', task.script.source.encode()) + operations


def _with_observed(result: Result, process: WorkerProcess, exchange: Exchange) -> Result:
    """Add what was observed from outside to a failure for memory or output."""
    if result.failure is None:
        return result
    if result.failure.code is FailureCode.MEMORY_LIMIT:
        observed = exchange.footprint.memory_bytes
    elif result.failure.code is FailureCode.OUTPUT_LIMIT:
        observed = max(process.stdout.size, process.stderr.size)
    else:
        return result
    return evolve(result, failure=evolve(result.failure, observed=observed))


def _answered(frame: Frame, nonce: str, rules: FailureRules) -> Result:
    try:
        answer = read_reply(frame, nonce)
        return _understood(answer, frame, rules)
    except ProtocolBroken as error:
        return Result(None, protocol_failure(str(error)))


def _understood(answer: WorkerReply, frame: Frame, rules: FailureRules) -> Result:
    if answer.failure is not None:
        return Result(None, rules.told(answer.failure), answer.reusable)
    if answer.kind != "result":
        raise ProtocolBroken("an answer of the wrong kind")
    try:
        return Result(read_result(frame), None, answer.reusable)
    except RecursionError:
        return Result(None, too_deep(), answer.reusable)


def _report(process: WorkerProcess, task: ScriptTask, exchange: Exchange, result: Result) -> ScriptReport:
    stderr = process.stderr.text()
    return ScriptReport(
        result=result.text,
        failure=result.failure,
        execution_time_ms=exchange.elapsed_s * 1000,
        stdout=process.stdout.text(),
        stderr=stderr if exchange.ending is not Ending.DIED else without_engine_noise(stderr),
        memory_usage_bytes=exchange.footprint.memory_bytes,
        cpu_time_ms=None if exchange.cpu_s is None else exchange.cpu_s * 1000,
        queue_time_ms=task.queue_time_ms,
        cold_start=task.cold_start,
    )
