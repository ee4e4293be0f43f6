"""Histories of idempotency keys, and what a key is at every step of one."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, field, frozen
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.executions.execution import Executed, ExecutionLost, OpenExecution
from domain.idempotency import KEPT_FOR, IdempotencyConflict, IdempotencyKey, KeyInFlight, KeyInterrupted
from domain.json_text import JsonText
from domain.scripts.report import ScriptReport
from domain.sessions.session import Session, SessionClosed, SessionExpired
from tests.contracts.storage import Storage, report_of

NAMES = ("a", "b")
TTL_SECONDS = 3 * 86_400

names = st.sampled_from(NAMES)
payloads = st.sampled_from("01")
spans = st.sampled_from([timedelta(seconds=1), timedelta(minutes=3), KEPT_FOR - timedelta(minutes=5), KEPT_FOR])
nth = st.integers(0, 5)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), names, payloads),
        st.tuples(st.just("finish"), nth, st.booleans()),
        st.tuples(st.just("withdraw"), nth, st.none()),
        st.tuples(st.just("pass"), spans, st.none()),
        st.tuples(st.just("close"), st.none(), st.none()),
    ),
    max_size=25,
)


@frozen
class Begun:
    """An execution that was admitted, and under which key."""

    execution: OpenExecution
    idempotency_key: IdempotencyKey

    @property
    def name(self) -> str:
        return self.idempotency_key.value


@define
class Kept:
    """What a key is by the rules: who has it, since when, and what was recorded in the end."""

    payload: str
    winner: UUID
    began_at: datetime
    deadline_at: datetime
    recorded: tuple[ScriptReport, int] | None = None


@define
class KeyHistory:
    """Follows steps on a storage, and on a model of it."""

    storage: Storage
    session: Session
    kept: dict[str, Kept] = field(factory=dict)
    begun: list[Begun] = field(factory=list)
    gone: set[UUID] = field(factory=set)
    counts: dict[UUID, int] = field(factory=dict)
    closed: bool = False

    @classmethod
    async def of(cls, storage: Storage) -> "KeyHistory":
        session = await storage.add(ttl_seconds=TTL_SECONDS, lifetime_seconds_max=TTL_SECONDS)
        return cls(storage, session)

    async def follow(self, history: list[tuple[str, Any, Any]]) -> None:
        for step, one, other in history:
            await getattr(self, f"_{step}")(one, other)
        assert (await self.storage.sessions.get(self.session.ref)).execution_count == len(self.counts)

    async def _begin(self, name: str, payload: str) -> None:
        now = self.storage.clock.now()
        expected = self._judged(name, payload, now)
        request, key = self.storage.request(self.session.ref), IdempotencyKey(name, payload * 64)
        try:
            response = await self.storage.keyed_executions.begin(*request, key)
        except DomainError as error:
            response = error
        if expected is OpenExecution:
            assert isinstance(response, OpenExecution), response
            self.begun.append(Begun(response, key))
            self.kept[name] = Kept(payload, response.execution_id, now, response.deadline_at)
        elif isinstance(expected, type):
            assert type(response) is expected
        else:
            assert response == expected

    def _judged(self, name: str, payload: str, now: datetime) -> object:
        kept = self.kept.get(name)
        if kept is not None and now < kept.began_at + KEPT_FOR:
            return self._replayed(kept, payload, now)
        if self.closed:
            return SessionClosed
        return OpenExecution if now < self.session.expires_at else SessionExpired

    def _replayed(self, kept: Kept, payload: str, now: datetime) -> object:
        if payload != kept.payload:
            return IdempotencyConflict
        if kept.recorded is not None:
            report, count = kept.recorded
            return Executed(self.session.ref, kept.winner, self.session.language_title, report, count, replayed=True)
        return KeyInFlight if now < kept.deadline_at else KeyInterrupted

    async def _finish(self, index: int, fails: bool) -> None:
        begun = self._nth(index)
        if begun is None:
            return
        identifier = begun.execution.execution_id
        report = report_of(stdout="late" if fails else "", result=JsonText(str(len(self.counts))))
        finished = self.storage.finished(begun.execution, report)
        try:
            count = await self.storage.keyed_executions.finish(finished, begun.idempotency_key)
        except ExecutionLost:
            assert identifier in self.gone
            return
        assert identifier not in self.gone
        first = identifier not in self.counts
        assert count == self.counts.setdefault(identifier, len(self.counts) + 1)
        kept = self.kept.get(begun.name)
        if first and kept is not None and kept.winner == identifier:
            kept.recorded = report, count

    async def _withdraw(self, index: int, _: None) -> None:
        begun = self._nth(index)
        if begun is None:
            return
        identifier = begun.execution.execution_id
        await self.storage.keyed_executions.withdraw(identifier, self.session.ref, begun.idempotency_key)
        if identifier not in self.counts:
            self.gone.add(identifier)
        kept = self.kept.get(begun.name)
        if kept is not None and kept.winner == identifier and kept.recorded is None:
            del self.kept[begun.name]

    async def _pass(self, span: timedelta, _: None) -> None:
        self.storage.clock.advance(span)

    async def _close(self, _: None, __: None) -> None:
        if self.storage.clock.now() < self.session.expires_at:
            await self.storage.close(self.session)
            self.closed = True

    def _nth(self, index: int) -> Begun | None:
        return self.begun[index] if index < len(self.begun) else None
