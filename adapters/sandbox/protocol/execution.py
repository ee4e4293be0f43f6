"""One execution of a script in a worker process, from the operation to the report."""

import os
from collections.abc import Mapping

import msgspec
from attrs import evolve, field, frozen

from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.protocol.failures import (
    FailureRules,
    protocol_failure,
    too_deep,
    unreadable_number,
    without_engine_noise,
)
from adapters.sandbox.protocol.files import collect
from adapters.sandbox.protocol.progress import ProgressNotices
from adapters.sandbox.protocol.replies import REPLIES, WorkerReply, dropped_names
from adapters.sandbox.workers.channel import Ending, Frame, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import Exchange, WorkerProcess
from domain.json_text import VALUE_DEPTH_MAX, JsonText, has_unreadable_number, is_deeper
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import RunState, ScriptRun
from domain.scripts.report import PROTOCOL_BROKEN, Failure, FailureCode, ScriptReport
from domain.scripts.script import Script
from domain.scripts.syntax import Syntax

_NONCE_SIZE = 12
_RETIRE_AT = 0.5
"""A worker that has used this share of its CPU time takes no further execution."""
_KEEPING = (FailureCode.SCRIPT_ERROR, FailureCode.RESULT_NOT_SERIALIZABLE, FailureCode.RESULT_TOO_LARGE)
"""Failures with a reply of the worker, which has the state if failures keep it."""
_KEPT_MAX = 0.5
"""A worker that keeps this share of its memory takes no further execution."""


@frozen
class LoadFacts:
    """What a worker learns with its script, if it is one of an equipped zygote: environment variables, and a syntax."""

    variables: Mapping[str, str] = field(factory=dict)
    syntax: Syntax | None = None

    def members(self) -> dict[str, object]:
        """Return the members of the operation."""
        members = {"variables": self.variables, "syntax": self.syntax}
        return {name: value for name, value in members.items() if value}


_PLAIN = LoadFacts()
_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)


async def execute(  # noqa: PLR0913  # two of them only go into the report
    process: WorkerProcess,
    run: ScriptRun,
    script: Script | None,
    options: SandboxOptions,
    *,
    queue_time_ms: float = 0.0,
    cold_start: bool = True,
) -> ScriptReport:
    """Execute a run to its end, and return its report. Afterwards the process is alive only if it may be used again.

    `script` is None if the process holds it already. Raises ExecutionUnknown if the process was killed from outside.
    """
    nonce = os.urandom(_NONCE_SIZE).hex()
    rules = FailureRules(options, run.limits)
    operations = operations_of(run, script, nonce, options, LoadFacts(process.variables, process.syntax))
    notices = ProgressNotices(nonce, run.listener)
    exchange = await process.exchange(
        operations,
        run.limits.timeout_ms / 1000,
        rules.cpu_ms_max / 1000,
        run.listener,
        notices.take,
        0 if run.state is None else options.state_limits.size_max,
    )
    result, failure, reusable = _outcome(process, exchange, nonce, rules)
    stdout, stderr = process.output.stdout.text(), process.output.stderr.text()
    if run.files is not None and exchange.ending is Ending.REPLIED and (failure is None or not _is_broken(failure)):
        fault, is_settled = await collect(process, run.files)
        failure, reusable = failure or fault, reusable and is_settled
        result = result if failure is None else None
    state = None
    if run.state is not None and exchange.frame is not None:
        state, failure = kept_state(exchange.frame, run.state, failure, options)
        result = result if failure is None else None
    is_fresh = exchange.cpu_before_s + (exchange.cpu_s or 0) < _RETIRE_AT * options.cpu_s_max
    has_room = not _leaves_too_little(process, exchange, run)
    if not (reusable and is_fresh and has_room) or process.has_left_threads(exchange):
        process.kill()
        await process.gone()
    return ScriptReport(
        result=result,
        failure=failure,
        execution_time_ms=exchange.elapsed_s * 1000,
        stdout=stdout,
        stderr=stderr if exchange.ending is not Ending.DIED else without_engine_noise(stderr),
        memory_usage_bytes=exchange.memory_bytes,
        cpu_time_ms=None if exchange.cpu_s is None else exchange.cpu_s * 1000,
        queue_time_ms=queue_time_ms,
        cold_start=cold_start,
        state=state,
        dropped=() if run.state is None or exchange.frame is None else dropped_names(exchange.frame),
    )


def kept_state(
    frame: Frame, state: RunState, failure: Failure | None, options: SandboxOptions
) -> tuple[JsonText | None, Failure | None]:
    """Return the state that the script has left, if it is to be saved, and the failure of the run."""
    if state.is_shared or not (failure is None or (state.saves_failures and _keeps(failure))):
        return None, failure
    try:
        text = read_state(frame)
    except ProtocolBroken as error:
        return None, failure or protocol_failure(str(error))
    fault = None if text is None else options.state_limits.fault(text)
    if fault is None:
        return text, failure
    return None, failure or Failure(FailureCode(fault.kind), fault.message, limit=fault.limit, observed=fault.observed)


def _keeps(failure: Failure) -> bool:
    """Return whether a failure leaves a state to save: the worker has reported it, in a reply that is its own."""
    return failure.code in _KEEPING and not _is_broken(failure)


def _is_broken(failure: Failure) -> bool:
    return failure.name == PROTOCOL_BROKEN


def _leaves_too_little(process: WorkerProcess, exchange: Exchange, run: ScriptRun) -> bool:
    """Return whether the next execution would find less than half of its memory.

    V8 keeps what nothing refers to until memory is short, so Node.js is not judged by what it holds.
    """
    if run.language is not Language.PYTHON:
        return False
    return process.has_kept_memory(exchange, int(run.limits.memory_mb * MIB * _KEPT_MAX))


def read_reply(frame: Frame, nonce: str) -> WorkerReply:
    """Return the header of a reply; raises ProtocolBroken if it is not the reply to the operation with this nonce."""
    try:
        reply = REPLIES.decode(frame.header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolBroken("a reply that cannot be read") from error
    if reply.nonce != nonce:
        raise ProtocolBroken("a reply to no operation of the service")
    return reply


def read_result(body: bytes) -> JsonText | None:
    """Return the body as JSON text, exactly as it came; None if it is empty, because the script gave no result.

    Raises RecursionError if it is nested too deeply, OverflowError if it has a number that many decoders cannot read,
    and ProtocolBroken if it is not JSON or has lone surrogates.
    """
    if not body:
        return None
    if is_deeper(body, VALUE_DEPTH_MAX):
        raise RecursionError
    text = _json(body, "a result")
    if has_unreadable_number(body):
        raise OverflowError
    return text


def read_state(frame: Frame) -> JsonText | None:
    """Return the state behind the result as JSON text; None without one. Raises ProtocolBroken if it is not JSON."""
    try:
        size = REPLIES.decode(frame.header).state_size
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolBroken("a reply that cannot be read") from error
    return _json(frame.body[-size:], "a state") if size else None


def _json(body: bytes, what: str) -> JsonText:
    try:
        _ANY_JSON.decode(body)
        return JsonText(body.decode())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolBroken(f"{what} that is not JSON") from error


def operations_of(
    run: ScriptRun, script: Script | None, nonce: str, options: SandboxOptions, facts: LoadFacts
) -> bytes:
    """Return the bytes of a run, with its script unless the worker holds it already."""
    # The event is put together as text, so that nothing is decoded.
    event = f'{{"params":{run.params},"context":{run.context},"request_id":"{run.ref.session_id}"}}'.encode()
    header = b'{"op":"run","nonce":"%s","result_size_max":%d}' % (nonce.encode(), options.result_size_max)
    if run.state is not None:
        event = b'%s,"state":%s}' % (event[:-1], run.state.text.encode())
        header = b'%s,"state":%s}' % (header[:-1], _state_options(run.state, options))
    if run.files is not None:
        header = b'%s,"files":true}' % header[:-1]
    if run.secrets:
        header = b'%s,"secrets":%s}' % (header[:-1], msgspec.json.encode(run.secrets))
    operations = encode_frame(header, event)
    if script is None:
        return operations
    return encode_frame(_load_header(run, options, facts), script.source.encode()) + operations


def _state_options(state: RunState, options: SandboxOptions) -> bytes:
    wanted = {"size_max": options.state_limits.size_max, "shared": state.is_shared, "always": state.saves_failures}
    return msgspec.json.encode({**wanted, "repl": True} if state.is_repl else wanted)


def _load_header(run: ScriptRun, options: SandboxOptions, facts: LoadFacts) -> bytes:
    if run.convention is Convention.OWN and facts == _PLAIN:
        return b'{"op":"load","nonce":""}'
    environment = {"NODE_ENV": options.node_env} if run.convention is Convention.ORIGIN else {}
    header = {"op": "load", "nonce": "", "convention": run.convention, "environment": environment}
    return msgspec.json.encode(header | facts.members())


def _outcome(
    process: WorkerProcess, exchange: Exchange, nonce: str, rules: FailureRules
) -> tuple[JsonText | None, Failure | None, bool]:
    """Return the result or the failure, and whether the worker says that it may be used again."""
    if exchange.ending is not Ending.REPLIED or exchange.frame is None:
        return None, _with_observed(rules.ended(exchange, process.output.stderr.text()), process, exchange), False
    try:
        reply = read_reply(exchange.frame, nonce)
        if reply.failure is not None:
            return None, _with_observed(rules.reported(reply.failure), process, exchange), reply.reusable
        if rules.is_over_memory(exchange):
            return None, _with_observed(rules.memory_limit(), process, exchange), False
        return _result(reply, exchange.frame, rules.options.result_size_max), None, reply.reusable
    except ProtocolBroken as error:
        return None, protocol_failure(str(error)), False
    except (RecursionError, OverflowError) as error:
        return None, too_deep() if isinstance(error, RecursionError) else unreadable_number(), reply.reusable


def _result(reply: WorkerReply, frame: Frame, size_max: int) -> JsonText | None:
    if reply.kind != "result":
        raise ProtocolBroken("a reply of the wrong kind")
    if not 0 <= reply.state_size <= len(frame.body):
        raise ProtocolBroken("a state that is larger than the reply")
    size = len(frame.body) - reply.state_size
    if size > size_max:
        raise ProtocolBroken("a result that is too large")  # in the space of a state
    return read_result(frame.body[:size])


def _with_observed(failure: Failure, process: WorkerProcess, exchange: Exchange) -> Failure:
    """Add the observed memory or output to a failure for it."""
    if failure.code is FailureCode.MEMORY_LIMIT:
        # Memory that was refused was not held, but it was needed: more than the limit.
        return evolve(failure, observed=max(failure.limit or 0, exchange.memory_bytes or 0))
    if failure.code is FailureCode.OUTPUT_LIMIT:
        return evolve(failure, observed=max(process.output.stdout.size, process.output.stderr.size))
    return failure
