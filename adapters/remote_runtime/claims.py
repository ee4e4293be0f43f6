"""What a host claims of a run, judged by what the run was given: a host may be broken, or in the hands of another."""

from attrs import evolve

from adapters.runtime_protocol import MalformedMessage
from domain.json_text import VALUE_DEPTH_MAX, JsonText, has_unreadable_number, is_deeper
from domain.scripts.ports import RunState, ScriptRun
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.states.limits import StateLimits

_UNREADABLE = Failure(
    FailureCode.RESULT_NOT_SERIALIZABLE,
    f"The result has more than {VALUE_DEPTH_MAX} levels, or a number that many programs cannot read. Return a flatter "
    "value, and such a number as text.",
)


def judged(report: ScriptReport, run: ScriptRun, limits: StateLimits) -> ScriptReport:
    """Return the report as it may be stored; raises MalformedMessage if no host could have made it of this run.

    A result that many programs cannot read, and a state beyond the limits, fail the run, as they do in a sandbox.
    """
    if report.failure is not None and report.failure.code is FailureCode.EXECUTION_EXPIRED:
        raise MalformedMessage("it reports that the run expired before it started")
    if report.traffic is not None and not run.network:
        raise MalformedMessage("it reports connections of a run without a network")
    if report.dropped and run.state is None:
        raise MalformedMessage("it reports names that are not kept, of a run without a state")
    if report.result is not None and _is_unreadable(report.result):
        return evolve(report, result=None, state=None, failure=_UNREADABLE)
    if report.state is None:
        return report
    _require_writable(report, run.state)
    fault = limits.fault(report.state)
    if fault is None:
        return report
    failure = Failure(FailureCode(fault.kind), fault.message, limit=fault.limit, observed=fault.observed)
    return evolve(report, result=None, state=None, failure=report.failure or failure)


def _is_unreadable(result: JsonText) -> bool:
    encoded = result.encode()
    return is_deeper(encoded, VALUE_DEPTH_MAX) or has_unreadable_number(encoded)


def _require_writable(report: ScriptReport, state: RunState | None) -> None:
    assert report.state is not None
    if state is None or state.is_shared or (report.failure is not None and not state.saves_failures):
        raise MalformedMessage("it reports a state that the run does not write")
