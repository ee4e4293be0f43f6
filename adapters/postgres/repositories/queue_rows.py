"""The rows of the statements about the queue."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import evolve, frozen

from adapters.postgres import codec
from adapters.postgres.asked_files import asked_of
from adapters.postgres.batching.statement import Row, RowLocked
from adapters.postgres.reports import report_of
from adapters.postgres.repositories.idempotency_keys import ERASED, replayed
from domain.executions.execution import Executed, OpenExecution
from domain.idempotency import IdempotencyKey, KeptCall
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.queue.entry import (
    BY_DEFAULT,
    AcceptOptions,
    Claimed,
    Entry,
    RetryCause,
    RetryPolicy,
    ScheduleRefused,
    StartWindow,
    Turn,
)
from domain.queue.ports import Claims
from domain.queue.state import ExecutionState
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import SessionClosed, SessionExpired

_TURN_COLUMNS = 3
"""Columns of a claim about the turn that it examined last."""

_CLAIMED_COLUMNS = 8
"""Columns of a claim before those of the session."""


@frozen
class ReadState:
    """A state, and whether it is that of an entry that can no longer run."""

    state: ExecutionState
    is_ended: bool


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
    """Return the entry in a row: execution, key, its hash, params, options, place in the queue, and expiry."""
    execution_id, key, payload_hash, params, text, ready_at, start_until = row
    accepted = _Accepted.of(text)
    return Entry(
        ref,
        execution_id,
        JsonText(params),
        None if key is None else IdempotencyKey(key, payload_hash),
        accepted.window(ready_at, start_until),
        accepted.options,
        accepted.attempt,
        accepted.retry_of,
    )


def asynchronous_state(owner: Owner, row: Row, status: str, kept_until: datetime) -> ExecutionState:
    """Return the state with what the execution was accepted with; nothing is kept of one that was erased."""
    session_id, _, execution_id, title, text, ready_at, start_until, next_attempt, is_erased = row
    accepted = _Accepted.of(text)
    return ExecutionState(
        SessionRef(owner, session_id),
        execution_id,
        ExecutionStatus(status),
        LanguageTitle.of(title),
        asynchronous=True,
        attempt=accepted.attempt,
        retry_of=accepted.retry_of,
        next_attempt=next_attempt,
        window=accepted.window(ready_at, start_until),
        kept_until=None if is_erased else kept_until,
    )


@frozen
class _Accepted:
    """What an execution was accepted with, beside its window."""

    options: AcceptOptions = BY_DEFAULT
    attempt: int = 1
    retry_of: UUID | None = None

    @classmethod
    def of(cls, text: str | None) -> "_Accepted":
        """Return what a row has; what it does not name is by default, and null stands for nothing."""
        if text is None:
            return _ACCEPTED_BY_DEFAULT
        facts = json.loads(text)
        retry = facts.get("retry")
        options = AcceptOptions(
            facts.get("priority_s", 0),
            RetryPolicy(retry["attempts_max"], frozenset(map(RetryCause, retry["causes"]))) if retry else RetryPolicy(),
            facts.get("in_order", False),
            _uuid(facts.get("webhook_id")),
            asked_of(facts["files"]) if "files" in facts else None,
        )
        return cls(options, facts.get("attempt", 1), _uuid(facts.get("retry_of")))

    def window(self, ready_at: datetime, start_until: datetime) -> StartWindow:
        """Return when it may start, by its place in the queue."""
        return StartWindow(ready_at + timedelta(seconds=self.options.priority_s), start_until)


_ACCEPTED_BY_DEFAULT = _Accepted()


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def expiring(entry: Entry, start_until: datetime) -> Entry:
    """Return the entry with the expiry that the database has stored."""
    return evolve(entry, window=StartWindow(entry.window.not_before, start_until))


def refusal(entry: Entry, fate: str, session_until: datetime, closed_at: datetime) -> Exception | None:
    """Return why an entry was not stored; None if the call has to be sent again."""
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
        return expiring(entry, start_until)
    key = entry.idempotency_key
    assert key is not None
    is_same = payload_hash == key.payload_hash
    is_erased = result == ERASED
    if is_asynchronous and is_same and answer is None and not is_erased:
        return winner  # type: ignore[no-any-return]  # the driver returns a UUID
    response = answer and Executed(
        entry.ref, winner, LanguageTitle.of(title), report_of(answer, result), count or 0, replayed=True
    )
    call = KeptCall(entry.ref.session_id, payload_hash, winner, deadline_at, expires_at, response, is_erased)
    return replayed(call, key, entry.accepted_at)
