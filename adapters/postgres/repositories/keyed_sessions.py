"""Sessions that are initialized under idempotency keys, in PostgreSQL."""

import json
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.idempotency_keys import key_columns, replayed, until_settled
from adapters.postgres.statements.calls import KeyedCallStatements
from domain.grants.grants import Grants
from domain.idempotency import KEPT_FOR, NO_SESSION, IdempotencyKey, KeptCall
from domain.identity import Owner, SessionRef
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.scripts.syntax_check import ScriptWarning
from domain.sessions.ports import Initialized, KeyedSessionRepository
from domain.sessions.session import Session

_Initialization = tuple[Initialized, Session, Script, IdempotencyKey]
_Lookup = tuple[Owner, IdempotencyKey, datetime]

_ROW_BYTES = 512
_BATCHES = CoalescerOptions(overlap_s=0.005)
"""The overlap is that of executions: commits rarely take longer."""


class InsertKeyedSessions(BatchStatement[_Initialization, Initialized | None]):
    """Stores sessions under keys; the response to a call that neither took its key nor saw its holder is None."""

    name: ClassVar[str] = "add_keyed"

    @override
    def batch_key(self, call: _Initialization) -> Hashable:
        _, session, _, key = call
        return session.ref.owner, key.value

    @override
    def size(self, call: _Initialization) -> int:
        _, session, script, _ = call
        return _ROW_BYTES + len(session.context) + len(session.metadata) + len(script.source)

    @override
    def columns(self, calls: Sequence[_Initialization]) -> Mapping[str, object]:
        sessions, scripts = [session for _, session, _, _ in calls], [script for _, _, script, _ in calls]
        return {
            **codec.new_session_columns(sessions, scripts),
            **key_columns([key for _, _, _, key in calls]),
            "created_ats": codec.instants(session.created_at for session in sessions),
            "answers": codec.texts(initialized_text(initialized) for initialized, _, _, _ in calls),
            "no_session": NO_SESSION,
            "kept_for": KEPT_FOR,
        }

    @override
    def decode(self, call: _Initialization, row: Row) -> Initialized | Exception:
        initialized, session, _, key = call
        if row[0] is None:
            return initialized
        return _replayed_initialize(session.ref.owner, key, session.created_at, row)

    @override
    def absent(self, call: _Initialization) -> None:
        return None


class SelectKeyedSessions(BatchStatement[_Lookup, Initialized | None]):
    """Reads the responses that are stored under keys."""

    name: ClassVar[str] = "get_keyed"

    @override
    def batch_key(self, call: _Lookup) -> Hashable:
        return call[:2]

    @override
    def size(self, call: _Lookup) -> int:
        return _ROW_BYTES

    @override
    def columns(self, calls: Sequence[_Lookup]) -> Mapping[str, object]:
        return {
            "owners": codec.texts(owner for owner, _, _ in calls),
            "keys": codec.texts(key.value for _, key, _ in calls),
            "nows": codec.instants(now for _, _, now in calls),
            "no_session": NO_SESSION,
        }

    @override
    def decode(self, call: _Lookup, row: Row) -> Initialized | Exception:
        return _replayed_initialize(*call, row)

    @override
    def absent(self, call: _Lookup) -> None:
        return None


class PostgresKeyedSessionRepository(KeyedSessionRepository):
    """Stores keys in `meta.idempotency_keys`; all writers of sessions in this process share `writing`."""

    def __init__(
        self,
        gateway: Gateway,
        statements: KeyedCallStatements,
        writing: BatchKeys,
        batches: CoalescerOptions = _BATCHES,
    ) -> None:
        insert = InsertKeyedSessions(statements.insert_keyed_sessions)
        self._insertions = Coalescer(gateway, insert, batches, exclusive=writing)
        self._lookups = Coalescer(gateway, SelectKeyedSessions(statements.select_keyed_sessions), batches)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return self._insertions, self._lookups

    @override
    async def initialize(
        self, initialized: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        call = initialized, session, script, idempotency_key
        return await until_settled(idempotency_key, lambda: self._insertions.submit(call))

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        return await self._lookups.submit((owner, idempotency_key, now))


def initialized_text(initialized: Initialized) -> str:
    """Return as JSON what the response contains beside the row of its key."""
    facts: dict[str, object] = {
        "expires_at": initialized.expires_at.isoformat(),
        "script_hash": initialized.script_hash,
        "syntax_checked": initialized.syntax_checked,
    }
    if initialized.warnings:
        facts["warnings"] = initialized.warnings
    if initialized.grants is not None:
        facts["grants"] = initialized.grants.text()
    return json.dumps(facts, separators=(",", ":"))


def _replayed_initialize(owner: Owner, key: IdempotencyKey, now: datetime, kept: Row) -> Initialized | Exception:
    payload_hash, winner, deadline_at, expires_at, title, text = kept
    facts = json.loads(text)
    response = Initialized(
        SessionRef(owner, winner),
        LanguageTitle.of(title),
        datetime.fromisoformat(facts["expires_at"]),
        facts["script_hash"],
        facts["syntax_checked"],
        replayed=True,
        warnings=tuple(map(ScriptWarning, facts.get("warnings", ()))),
        grants=Grants.of(facts["grants"]) if "grants" in facts else None,
    )
    return replayed(KeptCall(winner, payload_hash, winner, deadline_at, expires_at, response), key, now)
