"""Whether an attack has succeeded, by what it returned and by what it did to the host."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from attrs import frozen

from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.selftest.corpus import Attack, AttackState
from domain.scripts.report import FailureCode, ScriptReport

_KILL_MS = 1000
"""How long after its limit an execution may end on a busy host."""
_REFUSED_MB = 64
"""How far beyond its limit a script may come that is stopped for it, by shared mappings for example."""


class AttackResult(StrEnum):
    """How an attack ended; unclear if its script did not do what it should try."""

    HELD = "held"
    SUCCEEDED = "succeeded"
    UNCLEAR = "unclear"


@frozen
class Trial:
    """An attack that was made, and its verdict. The evidence says what stopped it, or what it got."""

    attack: Attack
    verdict: AttackResult
    evidence: str
    elapsed_ms: float


@frozen
class Judge:
    """Decides about attacks by the limits that they ran under."""

    options: SandboxOptions
    memory_mb: int

    def judge(self, attack: Attack, reports: Sequence[ScriptReport], harm: str | None) -> tuple[AttackResult, str]:
        """Return the verdict and its evidence; there is one report for each step of the attack."""
        success = harm or next(self._successes(attack, reports), None)
        if success is not None:
            return AttackResult.SUCCEEDED, success
        unexpected = next(_unexpected_failures(attack, reports), None) or _missing_refusal(attack, reports)
        if unexpected is not None:
            return AttackResult.UNCLEAR, unexpected
        return AttackResult.HELD, _stopped_by(reports)

    def _successes(self, attack: Attack, reports: Sequence[ScriptReport]) -> Iterator[str]:
        last = reports[-1]
        if last.result not in {None, "null"}:
            yield f"it got {last.result[:200] if last.result else ''}"
        if attack.trace is not None and attack.trace in last.stdout + last.stderr:
            yield f"its trace is in the output: {attack.trace}"
        for report in reports:
            yield from self._limits_broken(attack, report)

    def _limits_broken(self, attack: Attack, report: ScriptReport) -> Iterator[str]:
        if report.execution_time_ms > attack.timeout_ms + _KILL_MS:
            yield f"it ran for {report.execution_time_ms:.0f} ms of {attack.timeout_ms}"
        memory = report.memory_usage_bytes or 0
        if memory > (self.memory_mb + (0 if report.failure is None else _REFUSED_MB)) * MIB:
            yield f"it had {memory // MIB} MiB of {self.memory_mb}"
        if max(len(report.stdout), len(report.stderr)) > self.options.output_size_max:
            yield "more output was kept than is allowed"
        fault = None if report.state is None else self.options.state_limits.fault(report.state)
        if fault is not None:
            yield f"a state was kept that nobody may save: {fault.message}"
        if attack.state is AttackState.SHARED and report.state is not None:
            yield "a shared state was kept"


def _unexpected_failures(attack: Attack, reports: Sequence[ScriptReport]) -> Iterator[str]:
    for report in reports:
        failure = report.failure
        if failure is not None and failure.code not in attack.ends:
            yield f"{failure.code}: {failure.summary}"


def _missing_refusal(attack: Attack, reports: Sequence[ScriptReport]) -> str | None:
    refused = {refusal.reason for report in reports if report.traffic for refusal in report.traffic.refusals}
    if attack.refused is None or attack.refused in refused:
        return None
    return f"no connection was refused for this reason: {attack.refused}"


def _stopped_by(reports: Sequence[ScriptReport]) -> str:
    for report in reports:
        if report.failure is not None and report.failure.code is not FailureCode.SCRIPT_ERROR:
            return f"{report.failure.code} after {report.execution_time_ms:.0f} ms"
        if report.failure is not None:
            return report.failure.summary
    said = [line for report in reports for line in report.stdout.splitlines()]
    return said[0] if said else "nothing was there"
