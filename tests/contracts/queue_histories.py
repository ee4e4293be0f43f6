"""Histories of a queue, and what each of its executions is at every step of one."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, field
from hypothesis import strategies as st

from domain.executions.execution import ExecutionLost
from domain.identity import EVERY_OWNER
from domain.queue.entry import Claimed, Entry, ScheduleRefused
from domain.queue.state import CancelResult
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Session, SessionClosed
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.storage import Storage

SESSIONS = 2
LONG = {"ttl_seconds": 10**6, "lifetime_seconds_max": 10**6}
PAUSE = timedelta(seconds=2)

nth = st.integers(0, 5)
spans = st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(seconds=3)])
which = st.integers(0, SESSIONS - 1)
options = st.fixed_dictionaries(
    {
        "in_order": st.booleans(),
        "priority_s": st.sampled_from([0, 2]),
        "delay": spans,
        "expires_in": st.sampled_from([timedelta(seconds=2), timedelta(hours=1)]),
    }
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), which, options),
        st.tuples(st.just("accept"), which, options),
        st.tuples(st.just("claim"), st.integers(1, 3), st.none()),
        st.tuples(st.just("claim"), st.integers(1, 3), st.none()),
        st.tuples(st.just("finish"), nth, st.none()),
        st.tuples(st.just("put_back"), nth, st.none()),
        st.tuples(st.just("cancel"), nth, st.none()),
        st.tuples(st.just("pass"), spans, st.none()),
        st.tuples(st.just("close"), which, st.none()),
        st.tuples(st.just("end"), st.none(), st.none()),
    ),
    max_size=25,
)


@define
class Lived:
    """What an entry is by the rules."""

    entry: Entry
    not_before: datetime
    status: ExecutionStatus = ExecutionStatus.QUEUED
    claimed: Claimed | None = None
    is_cancelled: bool = False

    @property
    def order(self) -> tuple[datetime, UUID]:
        return self.entry.ready_at, self.entry.execution_id


@define
class QueueHistory:
    """Follows steps on a queue, and on a model of it."""

    process: QueueOfOne
    sessions: list[Session]
    lived: list[Lived] = field(factory=list)
    closed: dict[UUID, datetime] = field(factory=dict)

    @classmethod
    async def of(cls, storage: Storage) -> "QueueHistory":
        return cls(QueueOfOne(storage), [await storage.add(**LONG) for _ in range(SESSIONS)])

    async def follow(self, history: list[tuple[str, Any, Any]]) -> None:
        for step, one, other in history:
            await getattr(self, f"_{step}")(one, other)
            await self._compare()

    async def _compare(self) -> None:
        """Compare every execution; looking at an entry that can no longer run ends it."""
        self._end_entries()
        for each in self.lived:
            assert await self.process.status(each.entry.execution_id) is each.status, each

    async def _accept(self, index: int, wishes: dict[str, Any]) -> None:
        session = self.sessions[index]
        entry = self.process.entry(session.ref, **wishes)
        try:
            accepted = await self.process.accept(entry)
        except (SessionClosed, ScheduleRefused):
            assert session.ref.session_id in self.closed
            return
        assert accepted == entry
        assert session.ref.session_id not in self.closed
        self.lived.append(Lived(entry, entry.window.not_before))

    async def _claim(self, entries_max: int, _: None) -> None:
        expected = sorted(filter(self._is_runnable, self.lived), key=lambda each: each.order)[:entries_max]
        claims = await self.process.claim(entries_max)
        assert [each.entry for each in claims] == [each.entry for each in expected]
        for lived, claimed in zip(expected, claims, strict=True):
            lived.status, lived.claimed = ExecutionStatus.RUNNING, claimed

    async def _finish(self, index: int, _: None) -> None:
        lived = self._nth(index)
        if lived is None or lived.claimed is None:
            return
        try:
            await self.process.finish(lived.claimed)
        except ExecutionLost:
            assert lived.status in (ExecutionStatus.QUEUED, ExecutionStatus.CANCELLED, ExecutionStatus.EXPIRED)
            return
        assert lived.status in (ExecutionStatus.RUNNING, ExecutionStatus.SUCCEEDED)
        lived.status = ExecutionStatus.SUCCEEDED

    async def _put_back(self, index: int, _: None) -> None:
        lived = self._nth(index)
        if lived is None or lived.claimed is None:
            return
        not_before = self.process.storage.clock.now() + PAUSE
        await self.process.queue.put_back(lived.claimed, not_before)
        if lived.status is ExecutionStatus.RUNNING:
            lived.status = ExecutionStatus.CANCELLED if lived.is_cancelled else ExecutionStatus.QUEUED
            lived.not_before = not_before

    async def _cancel(self, index: int, _: None) -> None:
        lived = self._nth(index)
        if lived is None:
            return
        result = await self.process.cancel(lived.entry.execution_id)
        if lived.status is ExecutionStatus.QUEUED:
            assert result is CancelResult.CANCELLED
            lived.status = ExecutionStatus.CANCELLED
        elif lived.status is ExecutionStatus.RUNNING:
            assert result is CancelResult.CANCELLING
            lived.is_cancelled = True
        else:
            assert result is CancelResult.ENDED

    async def _pass(self, span: timedelta, _: None) -> None:
        self.process.storage.clock.advance(span)

    async def _close(self, index: int, _: None) -> None:
        session = self.sessions[index]
        await self.process.storage.close(session)
        self.closed.setdefault(session.ref.session_id, self.process.storage.clock.now())

    async def _end(self, _: None, __: None) -> None:
        due = [each for each in self.lived if each.status is ExecutionStatus.QUEUED and not self._can_run(each)]
        ended = 0
        while found := await self.process.queue.end_entries(self.process.storage.clock.now()):
            ended += found
        assert ended <= len(due)

    def _end_entries(self) -> None:
        for each in self.lived:
            if each.status is ExecutionStatus.QUEUED and not self._can_run(each):
                closed_at = self.closed.get(each.entry.ref.session_id)
                is_cancelled = closed_at is not None and closed_at < each.entry.window.expires_at
                each.status = ExecutionStatus.CANCELLED if is_cancelled else ExecutionStatus.EXPIRED

    def _can_run(self, lived: Lived) -> bool:
        now = self.process.storage.clock.now()
        return lived.entry.ref.session_id not in self.closed and now < lived.entry.window.expires_at

    def _is_runnable(self, lived: Lived) -> bool:
        now = self.process.storage.clock.now()
        is_due = lived.entry.ready_at <= now and lived.not_before <= now
        is_queued = lived.status is ExecutionStatus.QUEUED
        return is_queued and is_due and self._can_run(lived) and self._is_first(lived)

    def _is_first(self, lived: Lived) -> bool:
        if not lived.entry.options.in_order:
            return True
        others = [each for each in self.lived if each.entry.ref == lived.entry.ref and each.entry.options.in_order]
        runs = any(each.status is ExecutionStatus.RUNNING for each in others)
        waits = any(
            each.status is ExecutionStatus.QUEUED and each.entry.execution_id < lived.entry.execution_id
            for each in others
        )
        return not (runs or waits)

    def _nth(self, index: int) -> Lived | None:
        return self.lived[index] if index < len(self.lived) else None


async def follows(storage: Storage, history: list[tuple[str, Any, Any]]) -> None:
    """Follow a history on a storage whose queue may have entries of other histories, which can no longer run."""
    assert storage.queue is not None
    await (await QueueHistory.of(storage)).follow(history)
    for _ in range(3):
        storage.clock.advance(timedelta(days=1))
        await storage.queue.end_entries(storage.clock.now())
    assert await storage.queue.queued(EVERY_OWNER, 1) == 0
