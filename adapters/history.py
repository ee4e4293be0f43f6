"""A finished execution as its row in the history."""

import json
from collections.abc import Sequence

from attrs import asdict

from domain.executions.execution import Execution, Payload
from domain.executions.ports import FinishedExecution
from domain.scripts.report import Failure

PAYLOAD_LENGTH_MAX = 64 * 1024
"""Characters of each payload that the history keeps."""


def history_of(finished: FinishedExecution, execution_count: int | None = None, *, full: bool = True) -> Execution:
    """Return the row: payloads as their beginnings, the failure as JSON text with the facts that are known.

    A history that is not `full` has no payloads.
    """
    report = finished.report
    return Execution(
        finished.execution.ref,
        finished.execution.execution_id,
        report.outcome,
        execution_count,
        report.execution_time_ms,
        report.cpu_time_ms,
        report.memory_usage_bytes,
        report.cold_start,
        *(_payloads(finished) if full else ()),
    )


def _payloads(finished: FinishedExecution) -> Sequence[Payload | None]:
    """Return params, result, error, stdout and stderr."""
    report = finished.report
    return (
        _payload(finished.params),
        _payload(report.result),
        None if report.failure is None else _payload(_failure_json(report.failure)),
        _payload(_storable(report.stdout)),
        _payload(_storable(report.stderr)),
    )


def _payload(text: str | None) -> Payload | None:
    return None if text is None else Payload.of(text, PAYLOAD_LENGTH_MAX)


def _failure_json(failure: Failure) -> str:
    facts = {name: fact for name, fact in asdict(failure).items() if fact is not None}
    storable = {name: _storable(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
    return json.dumps(storable, ensure_ascii=False)


def _storable(output: str) -> str:
    """Replace what a database's text cannot hold; a script may print anything."""
    return output.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
