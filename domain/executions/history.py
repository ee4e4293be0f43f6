"""The history of executions: what it stores of each, and how callers read it."""

import json
from uuid import UUID

from attrs import asdict, evolve, frozen

from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.executions.execution import Execution, ExecutionNotFound, FinishedExecution, Payload
from domain.executions.ports import EVERY_EXECUTION, ExecutionFilter, ExecutionRepository
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.report import Failure, ScriptReport
from domain.sessions.ports import SessionRepository
from domain.sessions.session import Session, SessionClosed, SessionNotFound

PAYLOAD_LENGTH_MAX = 64 * 1024
"""Characters of each payload that the history stores."""


def history_row(finished: FinishedExecution, execution_count: int | None = None, *, full: bool = True) -> Execution:
    """Return the row of a finished execution.

    A payload is cut at PAYLOAD_LENGTH_MAX, and a failure is stored as JSON with its known facts. Without `full` the
    row has no payloads.
    """
    report = finished.report
    row = Execution(
        finished.execution.ref,
        finished.execution.execution_id,
        report.status,
        execution_count,
        report.execution_time_ms,
        report.cpu_time_ms,
        report.memory_usage_bytes,
        report.cold_start,
        *(_payloads(finished) if full else ()),
    )
    return row if finished.uses is None else evolve(row, uses=finished.uses)


def whole_row(open_row: Execution, report: ScriptReport | None) -> Execution:
    """Return the row of an execution with its whole report, if it has one yet; it has no params."""
    if report is None:
        return open_row
    result, error, stdout, stderr = (
        None if text is None else Payload.of(text, len(text))
        for text in (report.result, _error(report), report.stdout, report.stderr)
    )
    return evolve(
        open_row,
        execution_time_ms=report.execution_time_ms,
        cpu_time_ms=report.cpu_time_ms,
        memory_usage_bytes=report.memory_usage_bytes,
        cold_start=report.cold_start,
        result=result,
        error=error,
        stdout=stdout,
        stderr=stderr,
    )


def _payloads(finished: FinishedExecution) -> tuple[Payload | None, ...]:
    """Return params, result, error, stdout and stderr."""
    report = finished.report
    return (
        _payload(finished.params),
        _payload(report.result),
        _payload(_error(report)),
        _payload(_storable(report.stdout)),
        _payload(_storable(report.stderr)),
    )


def _payload(text: str | None) -> Payload | None:
    return None if text is None else Payload.of(text, PAYLOAD_LENGTH_MAX)


def _error(report: ScriptReport) -> str | None:
    return None if report.failure is None else _failure_json(report.failure)


def _failure_json(failure: Failure) -> str:
    facts = {name: fact for name, fact in asdict(failure).items() if fact is not None}
    storable = {name: _storable(fact) if isinstance(fact, str) else fact for name, fact in facts.items()}
    return json.dumps(storable, ensure_ascii=False)


def _storable(output: str) -> str:
    """Replace NUL and lone surrogates: a script may print them, and a database's text cannot hold them."""
    return output.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


@frozen
class HistoryService:
    """The use cases of the history. Every method may raise StorageUnavailable or Overloaded."""

    _sessions: SessionRepository
    _executions: ExecutionRepository
    _request_timeout_s: float

    async def page(
        self, ref: SessionRef, after: UUID | None, size: int, wanted: ExecutionFilter = EVERY_EXECUTION
    ) -> Page[Execution]:
        """Return a page of a session's history, also after the session has expired.

        Raises SessionNotFound or SessionClosed.
        """
        budget = Budget(self._request_timeout_s)
        session = await budget.spend(self._require_open(ref), StorageUnavailable)
        return await budget.spend(self._executions.page(session.ref, after, size, wanted), StorageUnavailable)

    async def get(self, owner: Owner, execution_id: UUID) -> Execution:
        """Return one execution, also after its session has expired.

        Raises SessionClosed, or ExecutionNotFound, also if the session was removed.
        """
        budget = Budget(self._request_timeout_s)
        execution = await budget.spend(self._executions.get(owner, execution_id), StorageUnavailable)
        try:
            await budget.spend(self._require_open(execution.ref), StorageUnavailable)
        except SessionNotFound:
            raise ExecutionNotFound from None
        return execution

    async def _require_open(self, ref: SessionRef) -> Session:
        session = await self._sessions.get(ref)
        if session.closed_at is not None:
            raise SessionClosed(session.closed_at)
        return session
