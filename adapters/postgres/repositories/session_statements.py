"""Statements about sessions, in batches."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, MeasuredStatement, Row, RowLocked
from adapters.postgres.connections.statement import Statement
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.script import Script
from domain.sessions.session import Session, SessionNotFound

_ROW_BYTES = 512
"""What a session takes beside its texts, roughly."""

_Addition = tuple[Session, Script]
_Change = tuple[Session, Session]
"""A session as it was read, and as it was changed."""


class InsertSessions(BatchStatement[_Addition, None]):
    """Stores new sessions."""

    name: ClassVar[str] = "add"

    @override
    def batch_key(self, call: _Addition) -> int:
        return call[0].ref.session_id.int

    @override
    def size(self, call: _Addition) -> int:
        return _session_size(call[0]) + len(call[1].source)

    @override
    def columns(self, calls: Sequence[_Addition]) -> Mapping[str, object]:
        sessions = [session for session, _ in calls]
        return {
            **codec.new_session_columns(sessions, [script for _, script in calls]),
            "created_ats": codec.instants(session.foreign_created_at for session in sessions),
        }

    @override
    def absent(self, call: _Addition) -> None:
        return None


class SelectSessions(MeasuredStatement[SessionRef, Session]):
    """Reads sessions."""

    name: ClassVar[str] = "get"
    divisible: ClassVar[bool] = True
    response_size_min: ClassVar[int] = _ROW_BYTES

    @override
    def batch_key(self, call: SessionRef) -> SessionRef:
        return call

    @override
    def columns(self, calls: Sequence[SessionRef]) -> Mapping[str, object]:
        return codec.ref_columns(calls)

    @override
    def decode(self, call: SessionRef, row: Row) -> Session:
        return codec.session_of(row)

    @override
    def absent(self, call: SessionRef) -> Exception:
        return SessionNotFound()

    @override
    def response_size(self, response: Session | Exception) -> int:
        return _session_size(response)


class SelectScripts(BatchStatement[SessionRef, Script | None]):
    """Reads scripts; each counts `size_max` bytes."""

    name: ClassVar[str] = "script"

    def __init__(self, sql: Statement, size_max: int) -> None:
        super().__init__(sql)
        self._size_max = size_max

    @override
    def batch_key(self, call: SessionRef) -> SessionRef:
        return call

    @override
    def size(self, call: SessionRef) -> int:
        return self._size_max

    @override
    def columns(self, calls: Sequence[SessionRef]) -> Mapping[str, object]:
        return codec.ref_columns(calls)

    @override
    def decode(self, call: SessionRef, row: Row) -> Script | None:
        source, script_hash = row
        return None if source is None else Script(source, script_hash)

    @override
    def absent(self, call: SessionRef) -> Exception:
        return SessionNotFound()


class UpdateSessions(LockingStatement[_Change, Session | None]):
    """Replaces sessions; the response to a call that lost a race is None.

    The statement is not retried by itself: it would take its own first write for one of another process.
    """

    name: ClassVar[str] = "update"
    repeatable: ClassVar[bool] = False

    @override
    def batch_key(self, call: _Change) -> int:
        return call[1].ref.session_id.int

    @override
    def size(self, call: _Change) -> int:
        return _session_size(call[1])

    @override
    def columns(self, calls: Sequence[_Change]) -> Mapping[str, object]:
        changed = [after for _, after in calls]
        return {
            **codec.ref_columns([session.ref for session in changed]),
            "versions_read": codec.numbers(read.version for read, _ in calls),
            "versions": codec.numbers(session.version for session in changed),
            "script_hashes": codec.texts(session.script_hash for session in changed),
            "renewals": codec.texts(session.renewal for session in changed),
            "ttls_seconds": codec.numbers(session.ttl_seconds for session in changed),
            "expiries": codec.instants(session.expires_at for session in changed),
            "closings": codec.instants(session.closed_at for session in changed),
            "contexts": codec.texts(_replacement(read.context, after.context) for read, after in calls),
            "metadatas": codec.texts(_replacement(read.metadata, after.metadata) for read, after in calls),
        }

    @override
    def decode(self, call: _Change, row: Row) -> Session | Exception:
        is_written, expires_at, last_executed_at, execution_count = row
        if not is_written:
            return RowLocked()
        # Other writers may have changed these meanwhile.
        return evolve(
            call[1], expires_at=expires_at, last_executed_at=last_executed_at, execution_count=execution_count
        )

    @override
    def absent(self, call: _Change) -> None:
        return None


def _session_size(response: Session | Exception) -> int:
    if isinstance(response, Exception):
        return _ROW_BYTES
    return _ROW_BYTES + len(response.context) + len(response.metadata)


def _replacement(read: JsonText, changed: JsonText) -> JsonText | None:
    """Return the text to write; None keeps the stored one."""
    return None if changed == read else changed
