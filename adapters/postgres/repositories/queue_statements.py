"""Calls of the queue that run in batches."""

import json
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from attrs import frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.asked_files import files_facts
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, Row, RowLocked
from adapters.postgres.codec import partition_of
from adapters.postgres.connections.statement import Statement
from adapters.postgres.reports import error_text, report_text
from adapters.postgres.repositories.executions import ROW_BYTES, execution_columns, finish_columns
from adapters.postgres.repositories.keyed_executions import answer_columns, keyed_end_size
from adapters.postgres.repositories.queue_reader import StateCall, state_columns
from adapters.postgres.repositories.queue_rows import expiring, kept_call, refusal
from adapters.postgres.statements.queue import QueueStatements
from domain.executions.execution import Executed, FinishedExecution
from domain.queue.entry import BY_DEFAULT, Entry
from domain.queue.state import CANCELLED, CancelResult
from domain.sessions.session import SessionNotFound


@frozen
class AcceptCall:
    """An entry to accept, and how long its run and its result may take beyond the session's time limit."""

    entry: Entry
    allowance: timedelta
    retention: timedelta


@frozen
class PutBackCall:
    """An execution to return to the queue, and the claim that has taken it."""

    session_id: UUID
    execution_id: UUID
    claim_id: UUID
    not_before: datetime
    expires_at: datetime | None = None
    """When it expires, if that is earlier than before."""


@frozen
class EndCall:
    """The end of a claimed entry, and its next attempt."""

    finished: FinishedExecution
    entry: Entry
    following: Entry | None


class AcceptPlainExecutions(BatchStatement[AcceptCall, Entry | None]):
    """Stores entries without a key, of sessions that live and need no renewal; the response to other calls is None.

    A copy for which a later one was announced stores nothing either; nobody waits for its responses.
    """

    name: ClassVar[str] = "accept_plain"
    divisible: ClassVar[bool] = True

    def __init__(self, statements: QueueStatements) -> None:
        super().__init__(statements.accept_plain_executions)
        self.fence = _fence_of(statements)

    @override
    def batch_key(self, call: AcceptCall) -> int:
        return call.entry.execution_id.int

    @override
    def size(self, call: AcceptCall) -> int:
        return _accept_size(call)

    @override
    def columns(self, calls: Sequence[AcceptCall]) -> Mapping[str, object]:
        kept_fors = codec.intervals(call.allowance + call.retention for call in calls)
        return {**_accept_columns(calls), "kept_fors": kept_fors}

    @override
    def responses(self, calls: Sequence[AcceptCall], rows: Sequence[Row]) -> Sequence[Entry | None]:
        expiries: Mapping[UUID, datetime] = dict(rows)  # type: ignore[arg-type]  # each is an id and an instant
        return [_stored(call.entry, expiries.get(call.entry.execution_id)) for call in calls]


class AcceptExecutions(LockingStatement[AcceptCall, Entry | Executed | UUID | None]):
    """Stores entries. The response is the execution that holds the key if that is under way, None as in begin_keyed.

    A copy for which a later one was announced stores nothing; nobody waits for its responses, which are wrong.
    """

    name: ClassVar[str] = "accept"
    divisible: ClassVar[bool] = True

    def __init__(self, statements: QueueStatements) -> None:
        super().__init__(statements.accept_executions)
        self.fence = _fence_of(statements)

    @override
    def batch_key(self, call: AcceptCall) -> int:
        return call.entry.ref.session_id.int

    @override
    def size(self, call: AcceptCall) -> int:
        return _accept_size(call)

    @override
    def columns(self, calls: Sequence[AcceptCall]) -> Mapping[str, object]:
        keys = [call.entry.idempotency_key for call in calls]
        return {
            **_accept_columns(calls),
            "allowances": codec.intervals(call.allowance for call in calls),
            "retentions": codec.intervals(call.retention for call in calls),
            "keys": codec.texts(key.value if key else None for key in keys),
            "payload_hashes": codec.texts(key.payload_hash if key else None for key in keys),
        }

    @override
    def decode(self, call: AcceptCall, row: Row) -> Entry | Executed | UUID | Exception | None:
        fate, start_until, session_until, closed_at, *kept = row
        if fate == "kept":
            return kept_call(call.entry, [start_until, *kept])
        if fate == "accepted":
            return call.entry if start_until is None else expiring(call.entry, start_until)
        return refusal(call.entry, fate, session_until, closed_at)

    @override
    def absent(self, call: AcceptCall) -> Exception:
        return SessionNotFound()


class PutBackExecutions(BatchStatement[PutBackCall, None]):
    """Returns entries to the queue, unless their cancel was requested."""

    name: ClassVar[str] = "put_back"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: PutBackCall) -> Hashable:
        return call.execution_id

    @override
    def size(self, call: PutBackCall) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[PutBackCall]) -> Mapping[str, object]:
        return {
            "request_ids": codec.uuids(call.session_id for call in calls),
            "execution_ids": codec.uuids(call.execution_id for call in calls),
            "claim_ids": codec.uuids(call.claim_id for call in calls),
            "not_befores": codec.instants(call.not_before for call in calls),
            "expiries": codec.instants(call.expires_at for call in calls),
            "cancelled": report_text(CANCELLED),
            "cancelled_error": error_text(CANCELLED.failure),
        }

    @override
    def absent(self, call: PutBackCall) -> None:
        return None


class FinishQueuedExecutions(LockingStatement[EndCall, int | None]):
    """Records ends with their responses and next attempts; the response to a call without an open record is None."""

    name: ClassVar[str] = "finish_queued"

    def __init__(self, sql: Statement, *, full: bool) -> None:
        super().__init__(sql)
        self._full = full

    @override
    def batch_key(self, call: EndCall) -> int:
        return call.finished.execution.ref.session_id.int

    @override
    def size(self, call: EndCall) -> int:
        return keyed_end_size(call.finished)

    @override
    def columns(self, calls: Sequence[EndCall]) -> Mapping[str, object]:
        ends = [call.finished for call in calls]
        return {
            **finish_columns(ends, full=self._full),
            **answer_columns(ends),
            "error_texts": codec.texts(error_text(call.finished.report.failure) for call in calls),
            "attempts": codec.numbers(call.entry.attempt for call in calls),
            **_following_columns([call.following for call in calls]),
        }

    @override
    def decode(self, call: EndCall, row: Row) -> int | Exception:
        return RowLocked() if row[0] is None else int(row[0])

    @override
    def absent(self, call: EndCall) -> None:
        return None


class CancelExecutions(BatchStatement[StateCall, CancelResult | None]):
    """Cancels; the response is None if the execution was in neither state, or has left it meanwhile."""

    name: ClassVar[str] = "cancel"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: StateCall) -> Hashable:
        return call[1]

    @override
    def size(self, call: StateCall) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[StateCall]) -> Mapping[str, object]:
        cancelled = {"cancelled": report_text(CANCELLED), "cancelled_error": error_text(CANCELLED.failure)}
        return {**state_columns(calls), **cancelled}

    @override
    def decode(self, call: StateCall, row: Row) -> CancelResult:
        return CancelResult(row[0])

    @override
    def absent(self, call: StateCall) -> None:
        return None


def _fence_of(statements: QueueStatements) -> Sequence[Statement]:
    return statements.announce_repeated_accepts, statements.wait_for_accepts


def _accept_size(call: AcceptCall) -> int:
    return ROW_BYTES + call.entry.size


def _accept_columns(calls: Sequence[AcceptCall]) -> dict[str, object]:
    """Return the parameters that accept entries, without their keys."""
    entries = [call.entry for call in calls]
    return {
        **execution_columns([(entry.ref, entry.execution_id) for entry in entries]),
        "partitions": codec.numbers(partition_of(entry.execution_id) for entry in entries),
        "started_ats": codec.instants(entry.accepted_at for entry in entries),
        "not_befores": codec.instants(entry.window.not_before for entry in entries),
        "expiries": codec.instants(entry.window.expires_at for entry in entries),
        "priorities_s": codec.numbers(entry.options.priority_s for entry in entries),
        "in_orders": codec.booleans(entry.options.in_order for entry in entries),
        "params": codec.texts(entry.params for entry in entries),
        "options": codec.texts(map(options_text, entries)),
    }


def _stored(entry: Entry, start_until: datetime | None) -> Entry | None:
    """Return the entry as it was stored; None if it was not."""
    if start_until is None:
        return None
    return entry if start_until == entry.window.expires_at else expiring(entry, start_until)


def options_text(entry: Entry) -> str | None:
    """Return what an entry was accepted with as JSON, beside its window; None if all is as by default."""
    retry, options = entry.options.retry, entry.options
    if (options is BY_DEFAULT or options == BY_DEFAULT) and entry.attempt == 1 and entry.retry_of is None:
        return None
    facts = {
        "attempt": entry.attempt,
        "retry_of": entry.retry_of and str(entry.retry_of),
        "priority_s": options.priority_s,
        "in_order": options.in_order,
        "retry": {"attempts_max": retry.attempts_max, "causes": sorted(retry.causes)},
        "webhook_id": options.webhook_id and str(options.webhook_id),
    }
    return json.dumps(facts if options.files is None else {**facts, "files": files_facts(options.files)})


def _following_columns(following: Sequence[Entry | None]) -> dict[str, object]:
    """Return the parameters that accept next attempts; null for calls that have none."""
    return {
        "next_ids": codec.uuids(each.execution_id if each else None for each in following),
        "next_partitions": codec.numbers(partition_of(each.execution_id) if each else None for each in following),
        "next_not_befores": codec.instants(each.window.not_before if each else None for each in following),
        "next_expiries": codec.instants(each.window.expires_at if each else None for each in following),
        "next_priorities_s": codec.numbers(each.options.priority_s if each else None for each in following),
        "next_options": codec.texts(options_text(each) if each else None for each in following),
    }
