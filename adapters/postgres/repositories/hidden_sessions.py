"""Hidden sessions in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import SessionStatements
from domain.errors import StorageUnavailable
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.sessions.ports import HiddenSessionRepository
from domain.sessions.session import Session

_ROW_BYTES = 512
_LISTED_MAX = 100
"""Versions whose hidden sessions are listed together."""


class OpenHiddenSessions(BatchStatement[tuple[Session, Script], SessionRef]):
    """Stores hidden sessions, or finds those that are stored."""

    name: ClassVar[str] = "open_hidden"

    @override
    def batch_key(self, call: tuple[Session, Script]) -> tuple[object, ...]:
        return call[0].ref.owner, call[0].function_id, call[0].function_version

    @override
    def size(self, call: tuple[Session, Script]) -> int:
        return _ROW_BYTES + len(call[1].source)

    @override
    def columns(self, calls: Sequence[tuple[Session, Script]]) -> Mapping[str, object]:
        sessions, scripts = [session for session, _ in calls], [script for _, script in calls]
        nows = codec.instants(session.created_at for session in sessions)
        return {**codec.new_session_columns(sessions, scripts), "nows": nows}

    @override
    def decode(self, call: tuple[Session, Script], row: Row) -> SessionRef:
        return SessionRef(call[0].ref.owner, row[0])

    @override
    def absent(self, call: tuple[Session, Script]) -> Exception:
        # The stored session was closed while the statement ran.
        return StorageUnavailable(stored="no")


class PostgresHiddenSessionRepository(HiddenSessionRepository):
    """Stores hidden sessions in `meta.sessions`."""

    def __init__(
        self, gateway: Gateway, statements: SessionStatements, batches: CoalescerOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        opening = OpenHiddenSessions(statements.open_hidden_sessions)
        self._openings = Coalescer(gateway, opening, batches or CoalescerOptions(), share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return (self._openings,)

    @override
    async def open(self, session: Session, script: Script) -> SessionRef:
        return await self._openings.submit((session, script))

    @override
    async def refs(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, version: int | None = None
    ) -> Sequence[SessionRef]:
        wanted = {"owner": owner, "function_id": function_id, "version": version, "rows_max": _LISTED_MAX}
        rows = await self._gateway.fetch(self._statements.select_hidden_sessions, wanted)
        return [SessionRef(owner, session_id) for (session_id,) in rows]

    @override
    async def key_holder(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, idempotency_key: IdempotencyKey, now: datetime
    ) -> SessionRef | None:
        wanted = {"owner": owner, "function_id": function_id, "key": idempotency_key.value, "now": now}
        rows = await self._gateway.fetch(self._statements.select_key_holder, wanted)
        return SessionRef(owner, rows[0][0]) if rows else None
