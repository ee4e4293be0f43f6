"""The states of sessions in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import LockingWrites
from adapters.postgres.batching.statement import BatchStatement, LockingStatement, Row, RowLocked
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import StateStatements
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.sessions.session import SessionNotFound
from domain.states.ports import StateRepository
from domain.states.state import SessionState, SlotClaim, StateTaken

_STATE_BYTES = 64 * 1024
"""What a state counts in a batch before it is read; few are larger."""


_TakeCall = tuple[SlotClaim, datetime]


class TakeStates(LockingStatement[_TakeCall, SessionState]):
    """Takes the slots of sessions for executions."""

    name: ClassVar[str] = "take_state"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: _TakeCall) -> int:
        return call[0].ref.session_id.int

    @override
    def size(self, call: _TakeCall) -> int:
        return _STATE_BYTES

    @override
    def columns(self, calls: Sequence[_TakeCall]) -> Mapping[str, object]:
        return {
            "request_ids": codec.uuids(claim.ref.session_id for claim, _ in calls),
            "execution_ids": codec.uuids(claim.execution_id for claim, _ in calls),
            "nows": codec.instants(now for _, now in calls),
            "untils": codec.instants(claim.deadline_at for claim, _ in calls),
        }

    @override
    def decode(self, call: _TakeCall, row: Row) -> SessionState | Exception:
        is_taken, version, state, writer, writer_until = row
        if is_taken is None:
            return RowLocked()
        return SessionState(version, JsonText(state), writer) if is_taken else StateTaken(writer, writer_until)

    @override
    def absent(self, call: _TakeCall) -> Exception:
        return SessionNotFound()


class SelectSessionStates(BatchStatement[tuple[SessionRef, datetime], SessionState]):
    """Reads states."""

    name: ClassVar[str] = "state"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: tuple[SessionRef, datetime]) -> SessionRef:
        return call[0]

    @override
    def size(self, call: object) -> int:
        return _STATE_BYTES

    @override
    def columns(self, calls: Sequence[tuple[SessionRef, datetime]]) -> Mapping[str, object]:
        return {**codec.ref_columns([ref for ref, _ in calls]), "nows": codec.instants(now for _, now in calls)}

    @override
    def decode(self, call: object, row: Row) -> SessionState:
        version, state, writer, held_until = row
        held, stale = (writer, None) if held_until is not None else (None, writer)
        return SessionState(version, JsonText(state), held, stale)

    @override
    def absent(self, call: object) -> Exception:
        return SessionNotFound()


class PostgresStateRepository(StateRepository):
    """Stores states in `meta.session_states`."""

    def __init__(self, gateway: Gateway, statements: StateStatements, options: CoalescerOptions | None = None) -> None:
        self._gateway = gateway
        self._statements = statements
        options = options or CoalescerOptions()
        self._takes = LockingWrites(gateway, TakeStates(statements.take_states), options, exclusive=BatchKeys())
        self._reads = Coalescer(gateway, SelectSessionStates(statements.select_session_states), options, share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return *self._takes.coalescers, self._reads

    @override
    async def take(self, claim: SlotClaim, now: datetime) -> SessionState:
        return await self._takes.submit((claim, now))

    @override
    async def read(self, ref: SessionRef, now: datetime) -> SessionState:
        return await self._reads.submit((ref, now))

    @override
    async def write(self, ref: SessionRef, read: SessionState, text: JsonText, now: datetime) -> int | None:
        written: dict[str, int | UUID | str | datetime | None] = {
            "request_id": ref.session_id,
            "owner": ref.owner,
            "version_read": read.version,
            "writer_read": read.stale_writer,
            "state": text,
            "now": now,
        }
        # A second copy would find its own version, and be taken for one that lost a race.
        rows = await self._gateway.fetch(self._statements.write_state, written, repeatable=False)
        return int(rows[0][0]) if rows else None
