"""Reads from PostgreSQL everything that is stored about one id."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.codec import day_at, first_day_of, partition_of, partitions_between
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import entry_of
from adapters.postgres.repositories.files import PostgresFileRepository
from adapters.postgres.repositories.schedules import PostgresScheduleRepository
from adapters.postgres.repositories.webhooks import PostgresDeliveryQueue, PostgresWebhookRepository
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.catalogue import Statements
from domain.audit import AuditEntry
from domain.executions.execution import Execution
from domain.files.file import FileNotFound, StoredFile
from domain.identity import EVERY_OWNER, NO_ID, Owner, SessionRef, is_own_id, uuid7_at, uuid7_time
from domain.schedules.schedule import ScheduleNotFound
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Session
from domain.takeover.moving import TakenState
from domain.timeline import (
    AcceptedTrace,
    ClockReading,
    ExecutionTrace,
    FunctionTrace,
    HistoryTrace,
    KeyTrace,
    MoveTrace,
    OpenTrace,
    ScheduleTrace,
    StateTrace,
    Timeline,
    TimelineReader,
    TreeTrace,
)
from domain.webhooks.delivery import Delivery, DeliveryNotFound, DeliveryState
from domain.webhooks.webhook import Webhook, WebhookNotFound

_OPEN_MAX = 20
_KEYS_MAX = 100_000
_FIRINGS_MAX = 20


@define(eq=False)
class PostgresTimelineReader(TimelineReader):
    """Reads every table by an index; `key_lifetime` is how long idempotency keys are kept.

    `home` is where functions are, if it is another bucket.
    """

    _gateway: Gateway
    _statements: Statements
    _clock: DisciplinedClock
    _key_lifetime: timedelta
    _home: Gateway | None = None

    @override
    async def read(self, identifier: UUID) -> Timeline:
        execution = await self._execution(identifier)
        session_id = identifier if execution is None else execution.ref.session_id
        session = await self._session(session_id)
        return Timeline(
            identifier=identifier,
            clock=self._reading(),
            session=session,
            execution=execution,
            history=await self._history(session_id),
            open=await self._open(session_id),
            state=await self._state(session_id),
            trees=() if session is None else await self._trees(session),
            queued=await self._queued(session_id),
            schedules=await self._schedules(session_id),
            keys=await self._keys(session_id),
            taken=await self._taken(identifier),
            function=None if session is None else await self._function(session),
            purge=await self._purge(session_id, session),
            move=await self._move(session_id),
            recorded_calls=await self._recorded_calls(session_id),
            shortened=await StorageGauge(self._gateway, self._statements.storage).shortened(),
            delivery=None if execution or session else await self._delivery(identifier),
            schedule=None if execution or session else await self._schedule(identifier),
            webhook=None if execution or session else await self._webhook(identifier),
            file=None if execution or session else await self._file(identifier),
        )

    async def _delivery(self, delivery_id: UUID) -> Delivery | None:
        try:
            return await PostgresDeliveryQueue(self._gateway, self._statements.webhooks).find(EVERY_OWNER, delivery_id)
        except DeliveryNotFound:
            return None

    async def _webhook(self, webhook_id: UUID) -> Webhook | None:
        try:
            return await PostgresWebhookRepository(self._gateway, self._statements.webhooks).find(
                EVERY_OWNER, webhook_id
            )
        except WebhookNotFound:
            return None

    async def _file(self, file_id: UUID) -> StoredFile | None:
        try:
            return await PostgresFileRepository(self._gateway, self._statements.files).find(EVERY_OWNER, file_id)
        except FileNotFound:
            return None

    async def _schedule(self, schedule_id: UUID) -> ScheduleTrace | None:
        stored = PostgresScheduleRepository(self._gateway, self._statements.schedules)
        try:
            schedule = await stored.find(EVERY_OWNER, schedule_id)
        except ScheduleNotFound:
            return None
        return ScheduleTrace(schedule, await stored.firings(schedule_id, None, _FIRINGS_MAX))

    def _reading(self) -> ClockReading:
        return ClockReading(self._clock.now(), self._clock.error_bound_ms or 0.0, self._clock.offset_ms or 0.0)

    async def _execution(self, execution_id: UUID) -> ExecutionTrace | None:
        named, partition = {"execution_id": execution_id}, partition_of(execution_id)
        found = await self._rows(self._statements.explain.select_accepted_trace, named)
        accepted = _accepted(found[0]) if found else None
        found = await self._rows(self._statements.explain.select_open_trace, named)
        if found:
            return ExecutionTrace(partition, open=_open_execution(found[0]), accepted=accepted)
        found = await self._rows(self._statements.explain.select_execution_trace, {**named, "partition": partition})
        ended = _execution(found[0]) if found else None
        if not (ended or accepted):
            return None
        trace = ExecutionTrace(partition, ended=ended, accepted=accepted)
        of_session = {**named, "request_id": trace.ref.session_id}
        messages = await self._rows(self._statements.explain.select_message_trace, of_session)
        return evolve(trace, messages={DeliveryState(state): number for state, number in messages})

    async def _session(self, session_id: UUID) -> Session | None:
        found = await self._rows(self._statements.explain.select_session_trace, {"request_id": session_id})
        return codec.session_of(found[0]) if found else None

    async def _history(self, session_id: UUID) -> HistoryTrace:
        now = self._clock.now()
        partitions = list(partitions_between(first_day_of(session_id, now), day_at(now)))
        if not partitions:
            return HistoryTrace()
        rows = await self._rows(
            self._statements.explain.select_history_trace,
            {"partitions": codec.numbers(partitions), "request_id": session_id},
        )
        return HistoryTrace(
            counts={ExecutionStatus(outcome): count for outcome, count, *_ in rows},
            owner=Owner(rows[0][2]) if rows else None,
            first=min((row[3] for row in rows), default=None),
            last=max((row[4] for row in rows), default=None),
        )

    async def _open(self, session_id: UUID) -> Sequence[OpenTrace]:
        parameters = {"request_id": session_id, "rows_max": _OPEN_MAX}
        return [
            _open_execution(row) for row in await self._rows(self._statements.explain.select_open_traces, parameters)
        ]

    async def _state(self, session_id: UUID) -> StateTrace | None:
        found = await self._rows(self._statements.explain.select_state_trace, {"request_id": session_id})
        return StateTrace(*found[0]) if found else None

    async def _trees(self, session: Session) -> Sequence[TreeTrace]:
        environment = None if session.grants is None else session.grants.environment
        if environment is None:
            return ()
        parameters = {"name": environment.name, "version": environment.version}
        home = self._home or self._gateway
        rows = await home.fetch(self._statements.explain.select_tree_traces, parameters)
        return [TreeTrace(*row) for row in rows]

    async def _queued(self, session_id: UUID) -> int:
        ((number,),) = await self._rows(self._statements.explain.select_queued_trace, {"request_id": session_id})
        return int(number)

    async def _schedules(self, session_id: UUID) -> int:
        ((number,),) = await self._rows(self._statements.explain.count_schedules_of, {"request_id": session_id})
        return int(number)

    async def _keys(self, session_id: UUID) -> Sequence[KeyTrace]:
        parameters = {"request_id": session_id, "rows_max": _KEYS_MAX}
        return [KeyTrace(*row) for row in await self._rows(self._statements.explain.select_key_traces, parameters)]

    async def _taken(self, winner: UUID) -> KeyTrace | None:
        expires_at = uuid7_time(winner) + self._key_lifetime
        parameters = {"winner": winner, "expires_at": expires_at}
        rows = await self._rows(self._statements.explain.select_taken_key, parameters)
        return KeyTrace(*rows[0]) if rows else None

    async def _purge(self, session_id: UUID, session: Session | None) -> AuditEntry | None:
        subjects = [str(session_id), *([] if session is None else [session.ref.owner])]
        parameters = {"subjects": codec.texts(subjects), "since": _least_act(session_id, session)}
        rows = await self._rows(self._statements.explain.select_purge, parameters)
        return entry_of(rows[0]) if rows else None

    async def _function(self, session: Session) -> FunctionTrace | None:
        if session.pinned is None:
            return None
        parameters = {"function_id": session.pinned.function_id, "version": session.pinned.version}
        home = self._home or self._gateway
        rows = await home.fetch(self._statements.explain.select_function_trace, parameters)
        return FunctionTrace(*rows[0]) if rows else None

    async def _move(self, session_id: UUID) -> MoveTrace | None:
        rows = await self._rows(self._statements.explain.select_move_trace, {"request_id": session_id})
        if not rows:
            return None
        state, *facts = rows[0]
        return MoveTrace(state and TakenState(state), *facts)

    async def _recorded_calls(self, session_id: UUID) -> int:
        ((calls,),) = await self._rows(self._statements.explain.count_recorded_calls, {"request_id": session_id})
        return int(calls)

    async def _rows(self, statement: Statement, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return await self._gateway.fetch(statement, parameters)


def _least_act(session_id: UUID, session: Session | None) -> UUID:
    """Return an id that is less than that of every act since the session was made."""
    if is_own_id(session_id):
        return session_id
    return NO_ID if session is None else uuid7_at(session.created_at, 0)


def _open_execution(row: tuple[Any, ...]) -> OpenTrace:
    session_id, owner, execution_id, deadline_at = row
    return OpenTrace(SessionRef(Owner(owner), session_id), execution_id, deadline_at)


def _accepted(row: tuple[Any, ...]) -> AcceptedTrace:
    session_id, owner, *facts, outcome, may_start_at, schedule_id, is_erased = row
    status = None if outcome is None else ExecutionStatus(outcome)
    return AcceptedTrace(SessionRef(Owner(owner), session_id), *(*facts, status, may_start_at, schedule_id, is_erased))


def _execution(row: tuple[Any, ...]) -> Execution:
    session_id, owner, execution_id, outcome, *facts, uses = row
    ref = SessionRef(Owner(owner), session_id)
    return Execution(ref, execution_id, ExecutionStatus(outcome), *facts, uses=uses)
