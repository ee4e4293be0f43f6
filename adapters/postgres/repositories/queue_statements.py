"""Calls of the queue that run in batches, and the rows of its statements."""

import json
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from attrs import evolve, frozen
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, Row, RowLocked
from adapters.postgres.codec import partition_of
from adapters.postgres.connections.connection import Statement
from adapters.postgres.reports import error_text, report_of, report_text
from adapters.postgres.repositories.executions import ROW_BYTES, execution_columns
from adapters.postgres.repositories.idempotency_keys import ERASED, key_columns, replayed
from adapters.postgres.repositories.keyed_executions import keyed_end_columns, keyed_end_size
from domain.executions.execution import Executed, FinishedExecution, OpenExecution
from domain.idempotency import IdempotencyKey, KeptCall
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.queue.entry import (
    CANCELLED,
    POSITION_MAX,
    AcceptOptions,
    CancelResult,
    Claimed,
    Entry,
    ExecutionState,
    RetryCause,
    RetryPolicy,
    ScheduleRefused,
    StartWindow,
    Turn,
)
from domain.queue.ports import Claims
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound

StateCall = tuple[Owner, UUID, datetime]
"""Whose execution, which one, and the instant at which it is judged."""

_NO_TIME = timedelta(0)

_TURN_COLUMNS = 3
"""Columns of a claim about the turn that it examined last."""

_CLAIMED_COLUMNS = 8
"""Columns of a claim before those of the session."""


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


@frozen
class EndCall:
    """The end of a claimed entry, and its next attempt."""

    finished: FinishedExecution
    entry: Entry
    following: Entry | None


@frozen
class ReadState:
    """A state, and whether it is that of an entry that can no longer run."""

    state: ExecutionState
    is_ended: bool


class AcceptExecutions(LockingStatement[AcceptCall, Entry | Executed | UUID | None]):
    """Stores entries. The response is the execution that holds the key if that is under way, None as in begin_keyed."""

    name: ClassVar[str] = "accept"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: AcceptCall) -> int:
        return call.entry.ref.session_id.int

    @override
    def size(self, call: AcceptCall) -> int:
        return ROW_BYTES + len(call.entry.params)

    @override
    def columns(self, calls: Sequence[AcceptCall]) -> Mapping[str, object]:
        entries = [call.entry for call in calls]
        return {
            **execution_columns([(entry.ref, entry.execution_id) for entry in entries]),
            **key_columns([entry.idempotency_key for entry in entries]),
            "partitions": codec.numbers(partition_of(entry.execution_id) for entry in entries),
            "started_ats": codec.instants(entry.accepted_at for entry in entries),
            "allowances": codec.intervals(call.allowance for call in calls),
            "retentions": codec.intervals(call.retention for call in calls),
            "not_befores": codec.instants(entry.window.not_before for entry in entries),
            "expiries": codec.instants(entry.window.expires_at for entry in entries),
            "head_starts": codec.intervals(_head_start(entry) for entry in entries),
            "in_orders": codec.booleans(entry.options.in_order for entry in entries),
            "params": codec.texts(entry.params for entry in entries),
            "options": codec.texts(map(options_text, entries)),
        }

    @override
    def decode(self, call: AcceptCall, row: Row) -> Entry | Executed | UUID | Exception | None:
        fate, start_until, session_until, closed_at, *kept = row
        if fate == "kept":
            return kept_call(call.entry, [start_until, *kept])
        if fate == "accepted":
            return _expiring(call.entry, start_until)
        return _refusal(call.entry, fate, session_until, closed_at)

    @override
    def absent(self, call: AcceptCall) -> Exception:
        return SessionNotFound()


class PutBackExecutions(BatchStatement[PutBackCall, None]):
    """Returns entries to the queue, unless their cancel was requested."""

    name: ClassVar[str] = "put_back"

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
        ends = [(call.finished, call.entry.idempotency_key) for call in calls]
        return {
            **keyed_end_columns(ends, full=self._full),
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

    @override
    def batch_key(self, call: StateCall) -> Hashable:
        return call[1]

    @override
    def size(self, call: StateCall) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[StateCall]) -> Mapping[str, object]:
        cancelled = {"cancelled": report_text(CANCELLED), "cancelled_error": error_text(CANCELLED.failure)}
        return {**_state_columns(calls), **cancelled}

    @override
    def decode(self, call: StateCall, row: Row) -> CancelResult:
        return CancelResult(row[0])

    @override
    def absent(self, call: StateCall) -> None:
        return None


class SelectStates(BatchStatement[StateCall, ReadState | None]):
    """Reads the states of asynchronous executions; None for another one."""

    name: ClassVar[str] = "state"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: StateCall) -> Hashable:
        return call[:2]

    @override
    def size(self, call: StateCall) -> int:
        return ROW_BYTES

    @override
    def columns(self, calls: Sequence[StateCall]) -> Mapping[str, object]:
        return {**_state_columns(calls), "position_max": POSITION_MAX}

    @override
    def decode(self, call: StateCall, row: Row) -> ReadState:
        *asynchronous, status, is_ended, position, cancel_requested, count, answer, result, kept_until = row
        state = evolve(
            asynchronous_state(call[0], asynchronous, status, kept_until),
            position=position,
            cancel_requested=cancel_requested,
            report=answer and report_of(answer, result),
            execution_count=count,
        )
        return ReadState(state, is_ended)

    @override
    def absent(self, call: StateCall) -> None:
        return None


def options_text(entry: Entry) -> str:
    """Return what an entry was accepted with as JSON, beside its expiry."""
    retry, options = entry.options.retry, entry.options
    return json.dumps(
        {
            "attempt": entry.attempt,
            "retry_of": entry.retry_of and str(entry.retry_of),
            "priority_s": options.priority_s,
            "not_before": entry.window.not_before.isoformat(),
            "in_order": options.in_order,
            "retry": {"attempts_max": retry.attempts_max, "causes": sorted(retry.causes)},
            "webhook_id": options.webhook_id and str(options.webhook_id),
        }
    )


def claims_of(claim_id: UUID, rows: Sequence[Row]) -> tuple[Claims, bool]:
    """Return what a claim found, and whether it may find more behind the last turn."""
    *last, is_cut = rows[0][:_TURN_COLUMNS]
    entries = [_claimed(claim_id, row[_TURN_COLUMNS:]) for row in rows if row[_TURN_COLUMNS] is not None]
    if entries:
        return Claims(entries, entries[-1].turn), False
    language, owner = last
    return Claims(entries, Turn(Language(language), Owner(owner)) if owner else None), is_cut


def _claimed(claim_id: UUID, row: Row) -> Claimed:
    deadline_at, *accepted = row[:_CLAIMED_COLUMNS]
    session = codec.session_of(row[_CLAIMED_COLUMNS:])
    entry = entry_of(session.ref, accepted)
    return Claimed(entry, OpenExecution(entry.execution_id, session, deadline_at), claim_id)


def entry_of(ref: SessionRef, row: Sequence[Any]) -> Entry:
    """Return the entry in a row: execution, key, hash of the payload, params, options, and window of the start."""
    execution_id, key, payload_hash, params, text, not_before, start_until = row
    facts = json.loads(text)
    retry = RetryPolicy(facts["retry"]["attempts_max"], frozenset(map(RetryCause, facts["retry"]["causes"])))
    return Entry(
        ref,
        execution_id,
        JsonText(params),
        IdempotencyKey(key, payload_hash),
        StartWindow(not_before, start_until),
        AcceptOptions(facts["priority_s"], retry, facts["in_order"], _uuid(facts["webhook_id"])),
        facts["attempt"],
        _uuid(facts["retry_of"]),
    )


def asynchronous_state(owner: Owner, row: Row, status: str, kept_until: datetime) -> ExecutionState:
    """Return the state with what the execution was accepted with; nothing is kept of one that was erased."""
    session_id, _, execution_id, title, text, not_before, start_until = row
    facts = json.loads(text)
    return ExecutionState(
        SessionRef(owner, session_id),
        execution_id,
        ExecutionStatus(status),
        LanguageTitle.of(title),
        asynchronous=True,
        attempt=facts["attempt"],
        retry_of=_uuid(facts["retry_of"]),
        next_attempt=_uuid(facts.get("next_attempt")),
        window=StartWindow(not_before, start_until),
        kept_until=None if facts.get("erased") else kept_until,
    )


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _head_start(entry: Entry) -> timedelta:
    return timedelta(seconds=entry.options.priority_s)


def _expiring(entry: Entry, start_until: datetime) -> Entry:
    return evolve(entry, window=StartWindow(entry.window.not_before, start_until))


def _refusal(entry: Entry, fate: str, session_until: datetime, closed_at: datetime) -> Exception | None:
    if fate == "closed":
        return SessionClosed(closed_at)
    if fate == "expired":
        return SessionExpired(session_until, entry.accepted_at)
    if fate == "late":
        try:
            entry.window.within(session_until)
        except ScheduleRefused as refused:
            return refused
    return RowLocked() if fate == "skipped" else None


def kept_call(entry: Entry, row: Row) -> Entry | Executed | UUID | Exception:
    """Return the response of the call that holds the key, or its execution if that is under way."""
    start_until, payload_hash, winner, deadline_at, expires_at, title, count, answer, result, is_asynchronous = row
    if winner == entry.execution_id and is_asynchronous:
        return _expiring(entry, start_until)
    key, is_same = entry.idempotency_key, payload_hash == entry.idempotency_key.payload_hash
    is_erased = result == ERASED
    if is_asynchronous and is_same and answer is None and not is_erased:
        return winner  # type: ignore[no-any-return]  # the driver returns a UUID
    response = answer and Executed(
        entry.ref, winner, LanguageTitle.of(title), report_of(answer, result), count or 0, replayed=True
    )
    call = KeptCall(entry.ref.session_id, payload_hash, winner, deadline_at, expires_at, response, is_erased)
    return replayed(call, key, entry.accepted_at)


def _following_columns(following: Sequence[Entry | None]) -> dict[str, object]:
    """Return the parameters that accept next attempts; null for calls that have none."""
    return {
        "next_ids": codec.uuids(each.execution_id if each else None for each in following),
        "next_partitions": codec.numbers(partition_of(each.execution_id) if each else None for each in following),
        "next_not_befores": codec.instants(each.window.not_before if each else None for each in following),
        "next_expiries": codec.instants(each.window.expires_at if each else None for each in following),
        "next_head_starts": codec.intervals(_head_start(each) if each else _NO_TIME for each in following),
        "next_options": codec.texts(options_text(each) if each else None for each in following),
    }


def _state_columns(calls: Sequence[StateCall]) -> dict[str, object]:
    return {
        "owners": codec.texts(owner for owner, _, _ in calls),
        "execution_ids": codec.uuids(execution_id for _, execution_id, _ in calls),
        "nows": codec.instants(now for _, _, now in calls),
    }
