"""Calls under idempotency keys, in PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

from attrs import evolve
from typing_extensions import override

from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.batching.locking_writes import SKIPPED, LockingWrites, Skipped
from adapters.postgres.batching.response_size import ResponseSize
from adapters.postgres.codec import array_literals, rows
from adapters.postgres.codec.stored_responses import initialized_of, initialized_text, report_of, report_text
from adapters.postgres.gateway import Gateway, PoolName
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.retention.partitions import slot_of
from adapters.postgres.statements import KeyedCallStatements
from domain.errors import DomainError
from domain.executions.executed import Executed
from domain.executions.ports import Admission, ExecutionRequest, FinishedExecution, KeyedExecutionRepository
from domain.idempotency import KEPT_FOR, NO_SESSION, IdempotencyKey, KeptCall, KeyInFlight
from domain.identity import Owner, SessionRef
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.sessions.initialized import Initialized
from domain.sessions.ports import KeyedSessionRepository
from domain.sessions.session import Session, SessionNotFound

_Beginning = tuple[ExecutionRequest, IdempotencyKey]
_Withdrawal = tuple[SessionRef, UUID, str]
_Ending = tuple[FinishedExecution, str]
_Making = tuple[Initialized, Session, Script, IdempotencyKey]
_Question = tuple[Owner, IdempotencyKey, datetime]
_Begun = Admission | Executed
Answer = TypeVar("Answer")

_ROW_BYTES = 512
_ASKED_MAX = 3
"""Statements that one call may take to win its key or to see who has it."""


class PostgresKeyedCallRepository(KeyedExecutionRepository, KeyedSessionRepository):
    """Keeps keys in `meta.idempotency_keys`; `writing` is shared by all writers of sessions in this process."""

    def __init__(
        self,
        gateway: Gateway,
        statements: KeyedCallStatements,
        executions: PostgresExecutionRepository,
        writing: BatchKeys,
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        self._executions = executions
        self._answer_bytes = ResponseSize(_ROW_BYTES)
        batches = executions.options.batches
        self._begins: LockingWrites[_Beginning, _Begun | None] = LockingWrites(
            "begin_keyed",
            self._begin,
            key=lambda call: call[0].ref.session_id.int,
            size=self._answer_bytes.expect,
            options=batches,
            exclusive=writing,
        )
        self._withdrawals: Coalescer[_Withdrawal, None] = Coalescer(
            "withdraw_keyed",
            self._withdraw,
            key=lambda call: call[0].session_id.int,
            size=lambda _: _ROW_BYTES,
            options=batches,
            exclusive=writing,
        )
        self._finishes: LockingWrites[_Ending, int | None] = LockingWrites(
            "finish_keyed",
            self._finish,
            key=lambda call: call[0].execution.ref.session_id.int,
            size=_ending_size,
            options=batches,
            exclusive=writing,
        )
        self._makings: Coalescer[_Making, Initialized | None] = Coalescer(
            "add_keyed", self._make, key=_making_key, size=_making_size, options=batches, exclusive=writing
        )
        self._questions: Coalescer[_Question, Initialized | None] = Coalescer(
            "get_keyed", self._look, key=lambda call: call[:2], size=lambda _: _ROW_BYTES, options=batches
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All of this repository's, to be watched and closed."""
        others = (self._withdrawals, self._makings, self._questions)
        return *self._begins.coalescers, *self._finishes.coalescers, *others

    @override
    async def begin(self, request: ExecutionRequest, idempotency_key: IdempotencyKey) -> Admission | Executed:
        return await _settled(lambda: self._begins.ask((request, idempotency_key)))

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef, name: str) -> None:
        await self._withdrawals.ask((ref, execution_id, name))

    @override
    async def finish(self, finished: FinishedExecution, name: str) -> int:
        count = await self._finishes.ask((finished, name))
        return await self._executions.history.stored_count(finished.execution) if count is None else count

    @override
    async def initialize(
        self, made: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        return await _settled(lambda: self._makings.ask((made, session, script, idempotency_key)))

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        return await self._questions.ask((owner, idempotency_key, now))

    async def _begin(
        self, calls: Sequence[_Beginning], lane: PoolName
    ) -> Sequence[_Begun | Exception | Literal[Skipped.SKIPPED] | None]:
        """Begin; None is the answer to a call that neither took its key nor saw who has it."""
        requests = [request for request, _ in calls]
        found = await self._gateway.fetch(
            self._statements.begin_keyed_executions,
            {
                **rows.key_columns([request.ref for request in requests]),
                **_key_columns([key for _, key in calls]),
                "execution_ids": array_literals.uuids(request.execution_id for request in requests),
                "slots": array_literals.numbers(slot_of(request.execution_id) for request in requests),
                "started_ats": array_literals.instants(request.started_at for request in requests),
                "allowances": array_literals.intervals(request.allowance for request in requests),
                "kept_for": KEPT_FOR,
                "waits": lane == "waiting",
            },
            lane=lane,
            parts=len(calls),
        )
        answers: list[_Begun | Exception | Literal[Skipped.SKIPPED] | None] = [SessionNotFound()] * len(calls)
        for ordinal, fate, *facts in found:
            answers[ordinal - 1] = _begun(calls[ordinal - 1], fate, facts)
        self._answer_bytes.learn(len(calls), sum(_begun_size(answer) for answer in answers))
        return answers

    async def _withdraw(self, calls: Sequence[_Withdrawal]) -> Sequence[None]:
        await self._gateway.fetch(
            self._statements.withdraw_keyed_executions,
            {
                **rows.key_columns([key for key, _, _ in calls]),
                "keys": array_literals.texts(name for _, _, name in calls),
                "execution_ids": array_literals.uuids(execution_id for _, execution_id, _ in calls),
            },
        )
        return [None] * len(calls)

    async def _finish(
        self, calls: Sequence[_Ending], lane: PoolName
    ) -> Sequence[int | Literal[Skipped.SKIPPED] | None]:
        """Record the ends; None is the answer to a call whose open record is gone."""
        ended = [finished for finished, _ in calls]
        found = await self._gateway.fetch(
            self._statements.finish_keyed_executions,
            {
                **self._executions.finish_columns(ended),
                "keys": array_literals.texts(name for _, name in calls),
                "answers": array_literals.texts(report_text(finished.report) for finished in ended),
                "whole_results": array_literals.texts(finished.report.result for finished in ended),
                "waits": lane == "waiting",
            },
            lane=lane,
        )
        answers: list[int | Literal[Skipped.SKIPPED] | None] = [None] * len(calls)
        for ordinal, count in found:
            answers[ordinal - 1] = SKIPPED if count is None else count
        return answers

    async def _make(self, calls: Sequence[_Making]) -> Sequence[Initialized | Exception | None]:
        found = await self._gateway.fetch(
            self._statements.insert_keyed_sessions,
            {
                **rows.new_session_columns([(session, script) for _, session, script, _ in calls]),
                **_key_columns([key for _, _, _, key in calls]),
                "created_ats": array_literals.instants(session.created_at for _, session, _, _ in calls),
                "answers": array_literals.texts(initialized_text(made) for made, _, _, _ in calls),
                "no_session": NO_SESSION,
                "kept_for": KEPT_FOR,
            },
        )
        answers: list[Initialized | Exception | None] = [None] * len(calls)
        for ordinal, *facts in found:
            made, session, _, key = calls[ordinal - 1]
            kept = facts[0] is not None
            answers[ordinal - 1] = _told(session.ref.owner, key, session.created_at, facts) if kept else made
        return answers

    async def _look(self, calls: Sequence[_Question]) -> Sequence[Initialized | Exception | None]:
        found = await self._gateway.fetch(
            self._statements.select_keyed_sessions,
            {
                "owners": array_literals.texts(owner for owner, _, _ in calls),
                "keys": array_literals.texts(key.value for _, key, _ in calls),
                "nows": array_literals.instants(now for _, _, now in calls),
                "no_session": NO_SESSION,
            },
        )
        answers: list[Initialized | Exception | None] = [None] * len(calls)
        for ordinal, *facts in found:
            owner, key, now = calls[ordinal - 1]
            answers[ordinal - 1] = _told(owner, key, now, facts)
        return answers


async def _settled(ask: Callable[[], Awaitable[Answer | None]]) -> Answer:
    """Ask until there is an answer; raises KeyInFlight when others are faster every time."""
    for _ in range(_ASKED_MAX):
        answer = await ask()
        if answer is not None:
            return answer
    raise KeyInFlight


def _begun(call: _Beginning, fate: str, facts: Sequence[Any]) -> _Begun | Exception | Literal[Skipped.SKIPPED] | None:
    request, key = call
    deadline_at, *others = facts
    session, kept = others[:-_KEPT_COLUMNS], others[-_KEPT_COLUMNS:]
    if fate == "judged":
        return rows.admission_of(request, deadline_at, session)
    if fate == "kept":
        return _executed(request, key, deadline_at, kept)
    return SKIPPED if fate == "skipped" else None


_KEPT_COLUMNS = 7


def _executed(
    request: ExecutionRequest, idempotency_key: IdempotencyKey, deadline_at: datetime, kept: Sequence[Any]
) -> Executed | Exception:
    payload_hash, winner, expires_at, title, count, text, result = kept
    answer = text and Executed(request.ref, winner, LanguageTitle.of(title), report_of(text, result), count, True)
    return _replayed(
        KeptCall(payload_hash, winner, deadline_at, expires_at, answer), idempotency_key, request.started_at
    )


def _told(owner: Owner, idempotency_key: IdempotencyKey, now: datetime, kept: Sequence[Any]) -> Initialized | Exception:
    payload_hash, winner, deadline_at, expires_at, title, text = kept
    made = initialized_of(text, SessionRef(owner, winner), LanguageTitle.of(title))
    answer = evolve(made, replayed=True)
    return _replayed(KeptCall(payload_hash, winner, deadline_at, expires_at, answer), idempotency_key, now)


def _replayed(kept: KeptCall[Answer], idempotency_key: IdempotencyKey, now: datetime) -> Answer | Exception:
    try:
        return kept.replay(idempotency_key, now)
    except DomainError as verdict:
        return verdict


def _key_columns(keys: Sequence[IdempotencyKey]) -> dict[str, object]:
    return {
        "keys": array_literals.texts(key.value for key in keys),
        "payload_hashes": array_literals.texts(key.payload_hash for key in keys),
    }


def _ending_size(call: _Ending) -> int:
    report = call[0].report
    payloads = (call[0].params, report.result or "", report.stdout, report.stderr)
    return _ROW_BYTES + 2 * sum(map(len, payloads))


def _making_key(call: _Making) -> tuple[Owner, str]:
    _, session, _, key = call
    return session.ref.owner, key.value


def _making_size(call: _Making) -> int:
    _, session, script, _ = call
    return _ROW_BYTES + len(session.context) + len(session.metadata) + len(script.source)


def _begun_size(answer: object) -> int:
    if isinstance(answer, Admission):
        return _ROW_BYTES + len(answer.session.context) + len(answer.session.metadata)
    if isinstance(answer, Executed):
        report = answer.report
        return _ROW_BYTES + sum(map(len, (report.result or "", report.stdout, report.stderr)))
    return _ROW_BYTES
