"""The contract of ExecutionQueue."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from domain.audit import ActName, AuditReader
from domain.executions.execution import Executed, ExecutionLost, ExecutionNotFound
from domain.files.asked import AskedFile, AskedFiles
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.idempotency import IdempotencyConflict, IdempotencyKey, KeyErased, KeyInFlight, KeyInterrupted
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner, SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.queue.entry import (
    AcceptOptions,
    Claimed,
    Entry,
    RetryCause,
    RetryPolicy,
    ScheduleRefused,
    StartWindow,
    Turn,
)
from domain.queue.ports import ClaimRequest, StateFilter
from domain.queue.state import CancelResult
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.report import ExecutionStatus, Failure, FailureCode
from domain.sessions.ports import SessionPurger
from domain.sessions.session import Renewal, Session, SessionClosed, SessionExpired, SessionNotFound
from domain.webhooks.delivery import DeliveryState
from domain.webhooks.ports import DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import ENDS, Event, SecretVersion, Webhook
from tests.contracts.storage import ALICE, ALLOWANCE, BOB, Storage, report_of
from tests.support.acts import act, recorded

MOMENT = timedelta(microseconds=1)
RETENTION = timedelta(days=1)
KEY = IdempotencyKey('order "4711", {\\ä}', "0" * 64)
SAME_NAME = IdempotencyKey(KEY.value, "f" * 64)
LONG = {"ttl_seconds": 10**6, "lifetime_seconds_max": 10**6}
EVERYTHING = AcceptOptions(
    priority_s=30,
    retry=RetryPolicy(3, frozenset({RetryCause.TIMEOUT, RetryCause.UNKNOWN})),
    in_order=True,
    webhook_id=UUID(int=7),
    files=AskedFiles((AskedFile("a/b", UUID(int=9)), AskedFile("c", content=b"\0\xff")), ("*.png", "d/?")),
)
FAILED = report_of(result=None, failure=Failure(FailureCode.EXECUTION_TIMEOUT, "too long \0\ud800"))


CleanUp = Callable[[], Awaitable[None]]


class QueueOfOne:
    """A process that accepts, claims and ends executions of a storage."""

    def __init__(self, storage: Storage) -> None:
        assert storage.queue is not None
        self.storage = storage
        self.queue = storage.queue

    def entry(self, ref: SessionRef, key: IdempotencyKey | None = None, **options: Any) -> Entry:
        now = self.storage.clock.now()
        execution_id = self.storage.ids.new(now, ref.session_id)
        delay, expires_in = options.pop("delay", timedelta(0)), options.pop("expires_in", timedelta(hours=1))
        window = StartWindow.after(now, delay, expires_in)
        return Entry(ref, execution_id, JsonText('{"ä": "\\u0000"}'), key, window, AcceptOptions(**options))

    async def add(self, session: Session, **options: Any) -> Entry:
        return await self.accept(self.entry(session.ref, **options))

    async def accept(self, entry: Entry) -> Entry:
        accepted = await self.queue.accept(entry, ALLOWANCE, RETENTION)
        assert isinstance(accepted, Entry)
        return accepted

    def wish(self, entries_max: int = 10, **wishes: Any) -> ClaimRequest:
        now = self.storage.clock.now()
        facts = {"owner_max": 10, "allowance": ALLOWANCE, "languages": list(Language)}
        return ClaimRequest(self.storage.ids.new(now), now, entries_max=entries_max, **facts | wishes)

    async def claim(self, entries_max: int = 10, **wishes: Any) -> Sequence[Claimed]:
        return (await self.queue.claim(self.wish(entries_max, **wishes))).entries

    async def claim_one(self) -> Claimed:
        (claimed,) = await self.claim()
        return claimed

    async def claimed_ids(self, entries_max: int = 10, **wishes: Any) -> list[UUID]:
        return [each.entry.execution_id for each in await self.claim(entries_max, **wishes)]

    async def finish(self, claimed: Claimed, report: Any = None, following: Entry | None = None) -> int:
        finished = self.storage.finished(claimed.execution, report)
        return await self.queue.finish(finished, claimed.entry, following)

    async def status(self, execution_id: UUID, owner: Owner = EVERY_OWNER) -> ExecutionStatus:
        return (await self.queue.state(owner, execution_id, self.storage.clock.now())).status

    async def cancel(self, execution_id: UUID, owner: Owner = EVERY_OWNER) -> CancelResult:
        result, _ = await self.queue.cancel(owner, execution_id, self.storage.clock.now())
        return result

    async def history(self, session: Session) -> list[tuple[UUID, str, int | None]]:
        rows = (await self.storage.executions.page(session.ref, None, 50)).items
        return [(row.execution_id, row.status, row.execution_count) for row in rows]


class ExecutionQueueContract(ABC):
    """Subclasses have these fixtures; `clean_up` ends overdue executions, and there is no webhook at first."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    @abstractmethod
    def purger(self, storage: Storage) -> SessionPurger: ...

    @pytest.fixture
    @abstractmethod
    def audit(self, storage: Storage) -> AuditReader: ...

    @pytest.fixture
    @abstractmethod
    def clean_up(self, storage: Storage) -> CleanUp: ...

    @pytest.fixture
    @abstractmethod
    def webhooks(self) -> WebhookRepository: ...

    @pytest.fixture
    @abstractmethod
    def deliveries(self) -> DeliveryQueue: ...

    @pytest.fixture
    async def session(self, storage: Storage) -> Session:
        return await storage.add(grants=Grants(StateGrant(StateMode.EXCLUSIVE)), **LONG)

    @pytest.fixture
    def process(self, storage: Storage) -> QueueOfOne:
        return QueueOfOne(storage)

    async def test_an_entry_is_claimed_as_it_was_accepted_with_its_session(self, process, session, storage):
        first = await process.accept(evolve(process.entry(session.ref, KEY), options=EVERYTHING))
        retry = await process.accept(evolve(process.entry(session.ref), attempt=2, retry_of=first.execution_id))
        one, other = await process.claim()
        assert (one.entry, other.entry) == (first, retry)
        assert (one.execution.execution_id, one.execution.session) == (first.execution_id, session)
        time_limit = timedelta(milliseconds=session.limits.timeout_ms)
        assert one.execution.deadline_at == storage.clock.now() + time_limit + ALLOWANCE

    async def test_an_entry_is_queued_then_running_then_ended_with_its_report(self, process, session, storage):
        entry = await process.add(session)
        queued = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (queued.status, queued.position, queued.window) == (ExecutionStatus.QUEUED, 0, entry.window)
        assert (queued.ref, queued.language_title) == (session.ref, session.language_title)
        claimed = await process.claim_one()
        running = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (running.status, running.position, running.report) == (ExecutionStatus.RUNNING, None, None)
        report = report_of(stdout="a\0b\ud800", memory_usage_bytes=1 << 40)
        assert await process.finish(claimed, report) == 1
        ended = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (ended.status, ended.report, ended.execution_count) == (ExecutionStatus.SUCCEEDED, report, 1)
        assert ended.executed == Executed(
            session.ref, entry.execution_id, session.language_title, report, 1, replayed=True
        )
        assert await process.history(session) == [(entry.execution_id, "succeeded", 1)]

    async def test_a_result_is_kept_for_its_retention_and_the_history_keeps_the_end(self, process, session, storage):
        entry = await process.add(session)
        await process.finish(await process.claim_one(), FAILED)
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        time_limit = timedelta(milliseconds=session.limits.timeout_ms)
        assert state.kept_until == entry.window.expires_at + time_limit + ALLOWANCE + RETENTION
        storage.clock.advance(state.kept_until - storage.clock.now() - MOMENT)
        assert (await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())).report == FAILED
        storage.clock.advance(MOMENT)
        kept = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (kept.status, kept.report, kept.execution_count) == (ExecutionStatus.FAILED, None, 1)
        assert (await process.queue.page(ANONYMOUS, None, 5, storage.clock.now())).items == []

    async def test_an_execution_that_waited_for_its_caller_has_a_state_too(self, process, session, storage):
        execution = await storage.begin(session.ref)
        identifier = execution.execution_id
        assert await process.status(identifier) is ExecutionStatus.RUNNING
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        assert await process.status(identifier, ANONYMOUS) is ExecutionStatus.UNKNOWN
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(execution, FAILED))
        assert await process.status(identifier) is ExecutionStatus.UNKNOWN, "a final state does not change"
        ended = await storage.begin(session.ref)
        await storage.executions.finish(storage.finished(ended, FAILED))
        state = await process.queue.state(ANONYMOUS, ended.execution_id, storage.clock.now())
        assert (state.ref, state.status, state.execution_count) == (session.ref, ExecutionStatus.FAILED, 1)
        assert not state.asynchronous

    async def test_executions_of_other_owners_are_not_found(self, process, storage):
        session = await storage.add(ALICE)
        entry, running = await process.add(session), await storage.begin(session.ref)
        now = storage.clock.now()
        for identifier in (entry.execution_id, running.execution_id, storage.ids.new(now)):
            for call in (process.queue.state, process.queue.cancel):
                with pytest.raises(ExecutionNotFound):
                    await call(BOB, identifier, now)
        assert await process.status(entry.execution_id, ALICE) is ExecutionStatus.QUEUED

    async def test_an_accept_is_judged_as_a_begin_is(self, process, storage):
        closed, expired, unknown = await storage.add(), await storage.add(), storage.new_session()
        await storage.close(closed)
        storage.clock.advance(expired.expires_at - storage.clock.now())
        for session, refusal in ((closed, SessionClosed), (expired, SessionExpired), (unknown, SessionNotFound)):
            for _ in range(2):
                with pytest.raises(refusal):
                    await process.accept(process.entry(session.ref, KEY))
        foreign = await storage.add(ALICE)
        with pytest.raises(SessionNotFound):
            await process.accept(process.entry(SessionRef(BOB, foreign.ref.session_id)))
        assert await process.queue.queued(EVERY_OWNER, 9) == 0

    async def test_an_accept_renews_a_sliding_session_and_a_repeat_does_not(self, process, storage):
        session = await storage.add(renewal=Renewal.SLIDING)
        storage.clock.advance(timedelta(seconds=50))
        entry = await process.accept(process.entry(session.ref, KEY))
        renewed = session.admit(storage.clock.now())
        assert await storage.sessions.get(session.ref) == renewed
        assert entry.window.expires_at == renewed.expires_at
        storage.clock.advance(timedelta(seconds=50))
        await process.queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION)
        assert await storage.sessions.get(session.ref) == renewed

    async def test_an_entry_expires_with_its_session_at_the_latest(self, process, storage):
        session = await storage.add()
        entry = await process.add(session, expires_in=timedelta(days=2))
        assert entry.window.expires_at == session.expires_at
        assert (await process.claim_one()).entry == entry
        span = session.expires_at - storage.clock.now()
        assert await process.add(session, delay=span - MOMENT)
        with pytest.raises(ScheduleRefused) as refused:
            await process.accept(process.entry(session.ref, KEY, delay=span))
        assert refused.value.message.count(session.expires_at.isoformat()) == 2, "both instants are named"
        assert await process.accept(process.entry(session.ref, SAME_NAME)), "a refused call takes no key"

    async def test_accepting_again_changes_nothing_in_any_state(self, process, session, storage):
        entry = process.entry(session.ref, KEY)
        first = await process.accept(entry)
        assert await process.accept(entry) == first
        claimed = await process.claim_one()
        assert await process.accept(entry) == first
        assert await process.claim() == []
        await process.finish(claimed)
        assert await process.accept(entry) == first
        assert await process.claim() == []
        assert len(await process.history(session)) == 1

    async def test_a_repeated_key_gets_the_state_and_then_the_response(self, process, session, storage):
        entry = await process.accept(process.entry(session.ref, KEY))
        for status in (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING):
            repeated = await process.queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION)
            assert (repeated.execution_id, repeated.status) == (entry.execution_id, status)
            with pytest.raises(KeyInFlight) as caught:
                await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
            assert caught.value.execution_id == entry.execution_id
            with pytest.raises(IdempotencyConflict):
                await process.accept(process.entry(session.ref, SAME_NAME))
            await process.claim()

    async def test_a_waiting_call_with_the_key_of_a_later_one_learns_when_that_may_start(
        self, process, session, storage
    ):
        delay = timedelta(seconds=40)
        entry = await process.accept(process.entry(session.ref, KEY, delay=delay))
        request = storage.request(session.ref)
        with pytest.raises(KeyInFlight) as caught:
            await storage.keyed_executions.begin(*request, KEY)
        assert caught.value.execution_id == entry.execution_id
        left = entry.ready_at - uuid7_time(request[0])
        assert timedelta(0) <= timedelta(milliseconds=caught.value.retry_after_ms) - left < timedelta(milliseconds=1)

    async def test_the_response_of_a_key_is_the_same_for_both_kinds_of_calls(self, process, session, storage):
        for key, report in ((KEY, report_of()), (IdempotencyKey("another", "0" * 64), FAILED)):
            entry = await process.accept(process.entry(session.ref, key))
            count = await process.finish(await process.claim_one(), report)
            expected = Executed(session.ref, entry.execution_id, session.language_title, report, count, replayed=True)
            assert await process.queue.accept(process.entry(session.ref, key), ALLOWANCE, RETENTION) == expected
            assert await storage.keyed_executions.begin(*storage.request(session.ref), key) == expected

    async def test_a_key_that_is_held_is_found_without_an_accept(self, process, session, storage):
        queue = process.queue
        assert await queue.replayed(process.entry(session.ref, KEY)) is None
        entry = await process.accept(process.entry(session.ref, KEY))
        state = await queue.replayed(process.entry(session.ref, KEY))
        assert (state.execution_id, state.status) == (entry.execution_id, ExecutionStatus.QUEUED)
        with pytest.raises(IdempotencyConflict):
            await queue.replayed(process.entry(session.ref, SAME_NAME))
        await process.finish(await process.claim_one())
        response = await queue.replayed(process.entry(session.ref, KEY))
        assert response == await queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION)
        assert await queue.replayed(process.entry(SessionRef(BOB, session.ref.session_id), KEY)) is None
        await storage.keyed_executions.begin(*storage.request(session.ref), IdempotencyKey("waits", "0" * 64))
        with pytest.raises(KeyInFlight):
            await queue.replayed(process.entry(session.ref, IdempotencyKey("waits", "0" * 64)))

    async def test_the_key_of_a_call_that_waits_is_in_flight_and_then_answered(self, process, session, storage):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        with pytest.raises(KeyInFlight) as caught:
            await process.accept(process.entry(session.ref, KEY))
        assert caught.value.execution_id == execution.execution_id
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        with pytest.raises(KeyInterrupted):
            await process.accept(process.entry(session.ref, KEY))
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        repeated = await process.queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION)
        assert repeated.execution_id == execution.execution_id

    async def test_an_execution_past_its_deadline_is_unknown_once_it_was_ended(
        self, process, session, storage, clean_up
    ):
        late, lost = [await process.add(session) for _ in range(2)]
        claimed, _ = await process.claim()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now() - MOMENT)
        await clean_up()
        assert await process.status(late.execution_id) is ExecutionStatus.RUNNING
        storage.clock.advance(MOMENT)
        assert await process.finish(claimed) == 1
        await clean_up()
        assert await process.status(late.execution_id) is ExecutionStatus.SUCCEEDED
        assert await process.status(lost.execution_id) is ExecutionStatus.UNKNOWN
        assert (lost.execution_id, "unknown", None) in await process.history(session)
        assert await process.queue.queued(EVERY_OWNER, 9) == 0, "nothing runs again that was not to"

    async def test_an_execution_past_its_deadline_has_ended_for_whoever_reads_it(self, process, session, storage):
        read, cancelled = [await process.add(session) for _ in range(2)]
        claimed, other = await process.claim()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now())
        assert await process.status(read.execution_id) is ExecutionStatus.UNKNOWN
        assert await process.cancel(cancelled.execution_id) is CancelResult.ENDED
        for each in (claimed, other):
            with pytest.raises(ExecutionLost):
                await process.finish(each)
        history = await process.history(session)
        assert history == [(each.execution_id, "unknown", None) for each in (cancelled, read)]

    async def test_no_attempt_follows_an_execution_whose_cancel_was_requested(self, process, session, storage):
        policy = RetryPolicy(2, frozenset({RetryCause.TIMEOUT, RetryCause.UNKNOWN}))
        failed, lost = [await process.add(session, retry=policy) for _ in range(2)]
        claimed, other = await process.claim()
        for each in (failed, lost):
            assert await process.cancel(each.execution_id) is CancelResult.CANCELLING
        following = failed.next_attempt(storage.ids.new(storage.clock.now(), failed.ref.session_id), timedelta(0))
        await process.finish(claimed, FAILED, following)
        storage.clock.advance(other.execution.deadline_at - storage.clock.now())
        assert await process.status(lost.execution_id) is ExecutionStatus.UNKNOWN
        assert await process.queue.queued(EVERY_OWNER, 9) == 0
        for each in (failed, lost):
            state = await process.queue.state(ANONYMOUS, each.execution_id, storage.clock.now())
            assert state.next_attempt is None

    async def test_an_execution_runs_again_after_an_unknown_end_if_it_was_accepted_for_that(
        self, process, session, storage, clean_up
    ):
        policy = RetryPolicy(2, frozenset({RetryCause.UNKNOWN}))
        entry = await process.accept(evolve(process.entry(session.ref, KEY), options=AcceptOptions(5, policy, True)))
        claimed = await process.claim_one()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now())
        await clean_up()
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert state.status is ExecutionStatus.UNKNOWN
        storage.clock.advance(timedelta(seconds=1))
        again = await process.claim_one()
        assert again.entry.execution_id == state.next_attempt
        assert (again.entry.attempt, again.entry.retry_of) == (2, entry.execution_id)
        assert (again.entry.options, again.entry.params) == (entry.options, entry.params)
        assert again.entry.window.expires_at == entry.window.expires_at
        storage.clock.advance(again.execution.deadline_at - storage.clock.now())
        await clean_up()
        assert await process.queue.queued(EVERY_OWNER, 9) == 0, "that was the last attempt"

    async def test_the_key_of_an_interrupted_execution_stays_interrupted(self, process, session, storage, clean_up):
        await process.accept(process.entry(session.ref, KEY))
        claimed = await process.claim_one()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now())
        await clean_up()
        with pytest.raises(KeyInterrupted) as caught:
            await process.accept(process.entry(session.ref, KEY))
        assert caught.value.execution_id == claimed.entry.execution_id

    async def test_a_key_is_free_again_after_the_retention(self, process, storage):
        session = await storage.add(**LONG)
        entry = await process.accept(process.entry(session.ref, KEY))
        await process.finish(await process.claim_one())
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        storage.clock.advance(state.kept_until - storage.clock.now())
        again = await process.accept(process.entry(session.ref, SAME_NAME))
        assert (await process.claim_one()).entry == again

    async def test_a_call_that_waits_takes_over_a_key_whose_time_is_over(self, process, session, storage):
        entry = await process.accept(process.entry(session.ref, KEY))
        await process.finish(await process.claim_one())
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        storage.clock.advance(state.kept_until - storage.clock.now())
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        taken = await process.queue.state(ANONYMOUS, execution.execution_id, storage.clock.now())
        assert (taken.status, taken.asynchronous) == (ExecutionStatus.RUNNING, False)
        assert (await process.queue.page(ANONYMOUS, None, 5, storage.clock.now())).items == []

    async def test_one_of_several_concurrent_accepts_with_one_key_is_stored(self, process, session):
        entries = [process.entry(session.ref, KEY) for _ in range(10)]
        accepted = await asyncio.gather(*(process.queue.accept(each, ALLOWANCE, RETENTION) for each in entries))
        assert len({each.execution_id for each in accepted}) == 1
        assert len(await process.claim()) == 1

    async def test_entries_of_an_owner_are_claimed_by_instant_and_head_start(self, process, session, storage):
        plain = await process.add(session)
        ahead = await process.add(session, priority_s=5)
        storage.clock.advance(timedelta(seconds=3))
        late_ahead = await process.add(session, priority_s=5)
        late = await process.add(session)
        assert await process.claimed_ids() == [each.execution_id for each in (ahead, late_ahead, plain, late)]

    async def test_an_entry_with_a_delay_is_claimed_at_its_instant(self, process, session, storage):
        entry = await process.add(session, delay=timedelta(minutes=1), priority_s=3600)
        storage.clock.advance(timedelta(minutes=1) - MOMENT)
        assert await process.claim() == []
        storage.clock.advance(MOMENT)
        assert await process.claimed_ids() == [entry.execution_id]

    async def test_an_entry_is_claimed_until_its_expiry_and_then_ends(self, process, session, storage):
        kept, lost = [await process.add(session, expires_in=timedelta(minutes=1)) for _ in range(2)]
        storage.clock.advance(timedelta(minutes=1) - MOMENT)
        assert await process.claimed_ids(1) == [kept.execution_id]
        storage.clock.advance(MOMENT)
        assert await process.claim() == []
        state = await process.queue.state(ANONYMOUS, lost.execution_id, storage.clock.now())
        assert (state.status, state.execution_count) == (ExecutionStatus.EXPIRED, None)
        assert state.report is not None
        assert state.report.failure is not None
        assert state.report.failure.code is FailureCode.EXECUTION_EXPIRED
        assert (lost.execution_id, "expired", None) in await process.history(session)

    async def test_owners_take_turns_behind_the_last_one(self, process, storage):
        owners = [Owner(name) for name in ("a", "b", "c")]
        sessions = [await storage.add(owner, **LONG) for owner in owners]
        for session in sessions:
            for _ in range(2):
                await process.add(session)
        title = sessions[0].language_title.language
        after = None
        served = []
        for _ in range(6):
            (claimed,) = await process.claim(1, after=after)
            after = Turn(title, claimed.entry.ref.owner)
            served.append(claimed.entry.ref.owner)
        assert served == ["a", "b", "c"] * 2

    async def test_turns_with_nothing_due_keep_no_other_waiting(self, process, storage):
        sessions = [await storage.add(Owner(f"owner {n:04}"), **LONG) for n in range(60)]
        await asyncio.gather(*(process.add(session, delay=timedelta(hours=1)) for session in sessions[:-1]))
        due = await process.add(sessions[-1])
        claims = await process.queue.claim(process.wish())
        while not claims.entries and claims.last is not None:
            claims = await process.queue.claim(process.wish(after=claims.last))
        assert [each.entry for each in claims.entries] == [due]

    async def test_places_are_shared_among_the_owners_that_wait(self, process, storage):
        for owner, waiting in (("a", 9), ("b", 1), ("c", 9)):
            session = await storage.add(Owner(owner), **LONG)
            for _ in range(waiting):
                await process.add(session)
        claimed = await process.claim(6)
        assert [each.entry.ref.owner for each in claimed] == ["a", "b", "c", "a", "c"]
        capped = await process.claim(6, owner_max=1)
        assert sorted(each.entry.ref.owner for each in capped) == ["a", "c"]
        assert {each.entry.ref.owner for each in await process.claim(6, blocked=["a"])} == {"c"}

    async def test_an_owner_has_a_turn_for_each_language(self, process, storage):
        sessions = [await storage.add(language_title=LanguageTitle(each, "x"), **LONG) for each in Language]
        entries = [await process.add(session) for session in sessions]
        for language, entry in zip(Language, entries, strict=True):
            assert await process.claimed_ids(languages=[language]) == [entry.execution_id]
        both = [await process.add(session) for session in sessions]
        assert len(await process.claim(2, owner_max=1)) == 1
        assert len(await process.claim(2)) == len(both) - 1

    async def test_a_claim_takes_no_entry_of_a_session_that_is_closed(self, process, storage):
        closed, other = await storage.add(**LONG), await storage.add(**LONG)
        entry, kept = await process.add(closed), await process.add(other)
        await storage.close(closed)
        assert await process.claimed_ids() == [kept.execution_id]
        assert await process.queue.end_entries(storage.clock.now(), other.ref) == 0
        assert await process.queue.end_entries(storage.clock.now(), closed.ref) == 1
        assert await process.queue.end_entries(storage.clock.now(), closed.ref) == 0
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert state.status is ExecutionStatus.CANCELLED
        assert state.report.failure.code is FailureCode.EXECUTION_CANCELLED
        assert await process.history(closed) == [(entry.execution_id, "cancelled", None)]

    async def test_entries_that_can_no_longer_run_end_wherever_they_are(self, process, storage):
        sessions = [await storage.add(owner, **LONG) for owner in (ALICE, BOB)]
        cancelled = [await process.add(session) for session in sessions]
        expired = [await process.add(sessions[0], expires_in=timedelta(seconds=n)) for n in (1, 2)]
        kept = await process.add(await storage.add(**LONG))
        for session in sessions:
            await storage.close(session)
        storage.clock.advance(timedelta(seconds=3))
        assert await self.ended(process) == 4
        statuses = [await process.status(each.execution_id) for each in (*cancelled, *expired, kept)]
        assert statuses == [*["cancelled"] * 4, "queued"], "their session was closed before they expired"

    async def ended(self, process: QueueOfOne) -> int:
        """End all entries that can no longer run; return how many."""
        total = 0
        for _ in range(10):
            ended = await process.queue.end_entries(process.storage.clock.now())
            total += ended
            if not ended:
                return total
        raise AssertionError("there is always one more")

    async def test_of_concurrent_claims_each_entry_goes_to_one(self, process, session, storage):
        other = await storage.add(ALICE, **LONG)
        entries = [await process.add(each) for each in (session, other) for _ in range(20)]
        claims = await asyncio.gather(*(process.claimed_ids(4) for _ in range(10)))
        claimed = [identifier for each in claims for identifier in each]
        assert len(claimed) == len(set(claimed))
        for _ in range(40):
            claimed += await process.claimed_ids(4)
        assert sorted(claimed) == sorted(each.execution_id for each in entries)

    async def test_executions_in_order_run_one_at_a_time(self, process, session, storage):
        first, second, third = [await process.add(session, in_order=True) for _ in range(3)]
        beside = await process.add(session)
        one, other = await process.claim()
        assert [one.entry, other.entry] == [first, beside]
        assert await process.claim() == []
        await process.finish(one)
        following = await process.claim_one()
        assert following.entry == second
        await process.queue.put_back(following, storage.clock.now() + timedelta(seconds=1))
        assert await process.claim() == [], "the third one waits for the second"
        assert await process.cancel(second.execution_id) is CancelResult.CANCELLED
        assert (await process.claim_one()).entry == third

    async def test_an_expired_entry_keeps_no_other_waiting(self, process, session, storage):
        await process.add(session, in_order=True, expires_in=timedelta(seconds=1))
        following = await process.add(session, in_order=True)
        storage.clock.advance(timedelta(seconds=1))
        assert (await process.claim_one()).entry == following

    async def test_concurrent_claims_start_one_execution_in_order(self, process, session):
        entries = [await process.add(session, in_order=True) for _ in range(5)]
        for entry in entries:
            claims = await asyncio.gather(*(process.claim(3) for _ in range(5)))
            (claimed,) = [each for claim in claims for each in claim]
            assert claimed.entry == entry
            await process.finish(claimed)

    async def test_an_entry_that_is_put_back_keeps_its_place(self, process, session, storage):
        first, second = [await process.add(session, priority_s=7) for _ in range(2)]
        claimed, _ = await process.claim()
        await process.queue.put_back(claimed, storage.clock.now() + timedelta(seconds=1))
        assert await process.status(first.execution_id) is ExecutionStatus.QUEUED
        assert await process.claim() == []
        storage.clock.advance(timedelta(seconds=1))
        third = await process.add(session, priority_s=7)
        assert [each.entry for each in await process.claim()] == [first, third]
        assert await process.history(session) == []
        assert await process.status(second.execution_id) is ExecutionStatus.RUNNING

    async def test_an_entry_that_is_put_back_with_an_earlier_expiry_expires_then(self, process, session, storage):
        entry = await process.add(session, in_order=True)
        behind = await process.add(session, in_order=True)
        claimed, now = await process.claim_one(), storage.clock.now()
        await process.queue.put_back(evolve(claimed, entry=claimed.entry.expired(now)), now)
        assert await process.claimed_ids() == [behind.execution_id]
        assert await process.queue.end_entries(now, session.ref) == 1
        assert await process.status(entry.execution_id) is ExecutionStatus.EXPIRED

    async def test_putting_back_twice_does_not_take_the_entry_from_the_next_claim(self, process, session, storage):
        await process.add(session)
        earlier = await process.claim_one()
        await process.queue.put_back(earlier, storage.clock.now())
        later = await process.claim_one()
        await process.queue.put_back(earlier, storage.clock.now())
        assert await process.claim() == []
        assert await process.finish(later) == 1
        await process.queue.put_back(later, storage.clock.now())
        assert await process.claim() == []

    async def test_a_claim_whose_response_was_lost_is_returned_whole(self, process, session, storage):
        entries = [await process.add(session) for _ in range(3)]
        kept, *_ = await process.claim(1)
        lost = process.wish()
        await process.queue.claim(lost)
        assert await process.queue.unclaim(lost.claim_id, storage.clock.now()) == 2
        assert await process.queue.unclaim(lost.claim_id, storage.clock.now()) == 0
        assert await process.claimed_ids() == [each.execution_id for each in entries[1:]]
        assert await process.finish(kept) == 1

    async def test_a_queued_execution_that_is_cancelled_never_runs(self, process, session, storage):
        entry = await process.accept(process.entry(session.ref, KEY))
        result, state = await process.queue.cancel(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (result, state.status) == (CancelResult.CANCELLED, ExecutionStatus.CANCELLED)
        again, same = await process.queue.cancel(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (again, same) == (CancelResult.ENDED, state)
        assert await process.claim() == []
        assert await process.history(session) == [(entry.execution_id, "cancelled", None)]
        assert (await storage.sessions.get(session.ref)).execution_count == 0
        repeated = await process.queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION)
        assert repeated == state.executed

    @pytest.mark.parametrize("is_asynchronous", [True, False])
    async def test_a_running_execution_that_is_cancelled_is_to_be_stopped(
        self, process, session, storage, is_asynchronous
    ):
        if is_asynchronous:
            await process.add(session)
            execution = (await process.claim_one()).execution
        else:
            execution = await storage.begin(session.ref)
        other = await storage.begin(session.ref)
        running = [(session.ref.session_id, each.execution_id) for each in (execution, other)]
        assert list(await process.queue.to_stop(running)) == []
        for _ in range(2):
            now = storage.clock.now()
            result, state = await process.queue.cancel(ANONYMOUS, execution.execution_id, now)
            assert (result, state.status) == (CancelResult.CANCELLING, ExecutionStatus.RUNNING)
        assert list(await process.queue.to_stop(running)) == [execution.execution_id]
        assert (await process.queue.state(ANONYMOUS, execution.execution_id, now)).cancel_requested
        await storage.executions.withdraw(other.execution_id, session.ref)
        assert set(await process.queue.to_stop(running)) == {execution.execution_id, other.execution_id}
        assert list(await process.queue.to_stop([])) == []

    async def test_all_executions_of_a_session_that_run_are_to_be_stopped_at_once(self, process, storage):
        session, other = await storage.add(ALICE, **LONG), await storage.add(ALICE, **LONG)
        waiting = await storage.begin(session.ref)
        for each in (session, other):
            await process.add(each)
        running = await process.claimed_ids()
        queued = await process.add(session)
        now = storage.clock.now()
        assert not await process.queue.cancel_running(SessionRef(BOB, session.ref.session_id), now)
        cancelled = await process.queue.cancel_running(session.ref, now)
        assert set(cancelled) == {waiting.execution_id, running[0]}
        named = [(session.ref.session_id, each) for each in cancelled]
        assert set(await process.queue.to_stop([*named, (other.ref.session_id, running[1])])) == set(cancelled)
        assert await process.status(queued.execution_id) is ExecutionStatus.QUEUED

    async def test_an_execution_is_returned_as_it_was_accepted_while_its_result_is_kept(
        self, process, session, storage
    ):
        entry = await process.accept(evolve(process.entry(session.ref, KEY), options=EVERYTHING))
        synchronous = await storage.begin(session.ref)
        for _ in range(2):
            assert await process.queue.entry(ANONYMOUS, entry.execution_id, storage.clock.now()) == entry
            assert await process.queue.entry(EVERY_OWNER, entry.execution_id, storage.clock.now()) == entry
            for claimed in await process.claim():
                await process.finish(claimed)
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        unkept = (
            (BOB, entry.execution_id, storage.clock.now()),
            (ANONYMOUS, synchronous.execution_id, storage.clock.now()),
            (ANONYMOUS, entry.execution_id, state.kept_until),
        )
        for call in unkept:
            with pytest.raises(ExecutionNotFound):
                await process.queue.entry(*call)

    async def test_what_an_execution_had_and_gave_is_erased_and_its_state_stays(self, process, session, storage, audit):
        entry = await process.accept(process.entry(session.ref, KEY))
        await process.finish(await process.claim_one(), FAILED)
        erasing = process.queue.erase
        await erasing(BOB, entry.execution_id, session.ref.session_id, act(ActName.EXECUTIONS_ERASE))
        assert await process.queue.entry(ANONYMOUS, entry.execution_id, storage.clock.now()) == entry
        for _ in range(2):
            await erasing(ANONYMOUS, entry.execution_id, session.ref.session_id, act(ActName.EXECUTIONS_ERASE))
            state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
            assert (state.status, state.execution_count) == (ExecutionStatus.FAILED, 1)
            assert (state.report, state.kept_until) == (None, None)
            (listed,) = (await process.queue.page(ANONYMOUS, None, 5, storage.clock.now())).items
            assert (listed.status, listed.kept_until) == (ExecutionStatus.FAILED, None)
        row = await storage.executions.get(ANONYMOUS, entry.execution_id)
        assert (row.params, row.result, row.error, row.stdout, row.stderr) == (None,) * 5
        with pytest.raises(ExecutionNotFound):
            await process.queue.entry(ANONYMOUS, entry.execution_id, storage.clock.now())
        for call in (
            process.queue.accept(process.entry(session.ref, KEY), ALLOWANCE, RETENTION),
            storage.keyed_executions.begin(*storage.request(session.ref), KEY),
        ):
            with pytest.raises(KeyErased):
                await call
        found = [(each.act, each.owner, each.subject) for each in await recorded(audit)]
        assert found == [("executions.erase", ANONYMOUS, str(entry.execution_id))] * 2

    async def test_the_response_of_a_call_that_waited_is_erased_too(self, process, session, storage):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        erased = execution.execution_id, session.ref.session_id
        await process.queue.erase(EVERY_OWNER, *erased, act(ActName.EXECUTIONS_ERASE))
        with pytest.raises(KeyErased):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert await process.status(execution.execution_id) is ExecutionStatus.SUCCEEDED

    async def test_the_end_of_a_cancelled_execution_is_recorded_as_it_was(self, process, session, storage):
        entry = await process.add(session)
        claimed = await process.claim_one()
        await process.cancel(entry.execution_id)
        stopped = report_of(result=None, stdout="partly", failure=Failure(FailureCode.EXECUTION_CANCELLED, "stopped"))
        assert await process.finish(claimed, stopped) == 1
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (state.status, state.report) == (ExecutionStatus.CANCELLED, stopped)
        assert await process.history(session) == [(entry.execution_id, "cancelled", 1)]
        assert await process.cancel(entry.execution_id) is CancelResult.ENDED

    async def test_putting_back_a_cancelled_execution_ends_it(self, process, session, storage):
        entry = await process.add(session)
        claimed = await process.claim_one()
        await process.cancel(entry.execution_id)
        await process.queue.put_back(claimed, storage.clock.now())
        assert await process.status(entry.execution_id) is ExecutionStatus.CANCELLED
        assert await process.claim() == []
        assert await process.history(session) == [(entry.execution_id, "cancelled", None)]

    async def test_a_cancel_beside_a_claim_stops_the_execution_before_or_while_it_runs(self, process, session):
        for _ in range(10):
            entry = await process.add(session)
            claimed, result = await asyncio.gather(process.claim(), process.cancel(entry.execution_id))
            assert result is (CancelResult.CANCELLING if claimed else CancelResult.CANCELLED)
            status = await process.status(entry.execution_id)
            assert status is (ExecutionStatus.RUNNING if claimed else ExecutionStatus.CANCELLED)
            for each in claimed:
                await process.finish(each)

    async def test_a_cancel_beside_putting_back_is_not_lost(self, process, session, storage):
        for _ in range(10):
            entry = await process.add(session)
            claimed = await process.claim_one()
            now = storage.clock.now()
            await asyncio.gather(process.queue.put_back(claimed, now), process.cancel(entry.execution_id))
            assert await process.status(entry.execution_id) is ExecutionStatus.CANCELLED

    async def test_an_entry_beside_a_close_runs_or_is_cancelled(self, process, storage):
        for _ in range(10):
            session = await storage.add(**LONG)
            entry = await process.add(session)
            claimed, _ = await asyncio.gather(process.claim(), storage.close(session))
            status = await process.status(entry.execution_id)
            assert status is (ExecutionStatus.RUNNING if claimed else ExecutionStatus.CANCELLED)
            for each in claimed:
                assert await process.finish(each) == 1

    async def test_an_entry_that_ends_beside_a_claim_does_not_run(self, process, session, storage):
        for _ in range(10):
            entry = await process.add(session)
            await asyncio.gather(
                process.cancel(entry.execution_id), process.queue.end_entries(storage.clock.now()), process.claim()
            )
            status = await process.status(entry.execution_id)
            assert status in (ExecutionStatus.RUNNING, ExecutionStatus.CANCELLED)

    async def test_the_end_and_the_next_attempt_are_recorded_together(self, process, session, storage):
        options = evolve(EVERYTHING, in_order=False)
        entry = await process.accept(evolve(process.entry(session.ref, KEY), options=options))
        claimed = await process.claim_one()
        storage.clock.advance(timedelta(seconds=1))
        following = entry.next_attempt(
            storage.ids.new(storage.clock.now(), entry.ref.session_id), timedelta(seconds=40)
        )
        assert await process.finish(claimed, FAILED, following) == 1
        state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
        assert (state.status, state.next_attempt) == (ExecutionStatus.FAILED, following.execution_id)
        queued = await process.queue.state(ANONYMOUS, following.execution_id, storage.clock.now())
        assert (queued.attempt, queued.retry_of, queued.window) == (2, entry.execution_id, following.window)
        assert await process.finish(claimed, FAILED, following) == 1
        assert await process.claim() == []
        storage.clock.advance(timedelta(seconds=40))
        assert (await process.claim_one()).entry == following

    async def test_there_is_no_next_attempt_without_its_session(self, process, storage):
        closed, short = await storage.add(), await storage.add()
        for session, pause in ((closed, timedelta(0)), (short, timedelta(days=1))):
            entry = await process.add(session)
            claimed = await process.claim_one()
            if session is closed:
                await storage.close(session)
            following = entry.next_attempt(storage.ids.new(storage.clock.now(), entry.ref.session_id), pause)
            assert await process.finish(claimed, FAILED, following) == 1
            state = await process.queue.state(ANONYMOUS, entry.execution_id, storage.clock.now())
            assert (state.status, state.next_attempt) == (ExecutionStatus.FAILED, None)
            with pytest.raises(ExecutionNotFound):
                await process.queue.state(ANONYMOUS, following.execution_id, storage.clock.now())

    async def test_executions_that_wait_and_those_that_do_not_count_together(self, process, session, storage):
        for _ in range(10):
            await process.add(session)
        claimed = await process.claim()
        counts = await asyncio.gather(*map(process.finish, claimed), *(storage.execute(session.ref) for _ in range(10)))
        assert sorted(counts) == list(range(1, 21))
        assert await asyncio.gather(*map(process.finish, claimed)) == counts[:10], "a repeated finish"

    async def test_a_purge_leaves_nothing_of_what_is_queued_and_of_what_runs(self, process, storage, purger):
        session, other = await storage.add(ALICE, **LONG), await storage.add(ALICE, **LONG)
        ended = await process.add(session)
        await process.finish(await process.claim_one())
        running = await process.add(session)
        claimed = await process.claim_one()
        queued = [await process.add(session) for _ in range(5)]
        kept = await process.add(other)
        await storage.close(session)
        await purger.purge(session.ref, act(ActName.SESSIONS_PURGE))
        named = [(session.ref.session_id, running.execution_id)]
        assert list(await process.queue.to_stop(named)) == [running.execution_id]
        with pytest.raises(ExecutionLost):
            await process.finish(claimed)
        await process.queue.put_back(claimed, storage.clock.now())
        for entry in (ended, running, *queued):
            with pytest.raises(ExecutionNotFound):
                await process.queue.state(ALICE, entry.execution_id, storage.clock.now())
        assert await process.history(session) == []
        assert await process.claimed_ids() == [kept.execution_id]

    async def test_a_list_shows_asynchronous_executions_newest_first(self, process, storage):
        session, other = await storage.add(ALICE, **LONG), await storage.add(ALICE, **LONG)
        await process.add(await storage.add(BOB, **LONG))
        ended = await process.add(session)
        await process.finish((await process.claim(1, blocked=[BOB]))[0], FAILED)
        await storage.execute(session.ref)
        storage.clock.advance(timedelta(seconds=1))
        since = storage.clock.now()
        running = await process.add(other)
        await process.claim(1, blocked=[BOB])
        queued = await process.add(session, in_order=True)
        now = storage.clock.now()
        first = await process.queue.page(ALICE, None, 2, now)
        rest = await process.queue.page(ALICE, first.next_after, 2, now)
        found = [(each.execution_id, each.status) for each in (*first.items, *rest.items)]
        assert found == [
            (queued.execution_id, "queued"),
            (running.execution_id, "running"),
            (ended.execution_id, "failed"),
        ]
        assert rest.next_after is None
        for wanted, shown in (
            (StateFilter(ExecutionStatus.FAILED), [ended]),
            (StateFilter(session_id=session.ref.session_id), [queued, ended]),
            (StateFilter(since=since), [queued, running]),
            (StateFilter(ExecutionStatus.QUEUED, other.ref.session_id), []),
        ):
            page = await process.queue.page(ALICE, None, 5, now, wanted)
            assert [each.execution_id for each in page.items] == [each.execution_id for each in shown]
        (one,) = (await process.queue.page(ALICE, None, 5, now, StateFilter(ExecutionStatus.FAILED))).items
        full = await process.queue.state(ALICE, ended.execution_id, now)
        assert one == evolve(full, report=None)

    async def test_a_page_shows_no_entry_as_queued_that_can_no_longer_run(self, process, storage):
        lives, closed = await storage.add(ALICE, **LONG), await storage.add(ALICE, **LONG)
        expired = await process.add(lives, expires_in=timedelta(minutes=1))
        stays, cancelled = await process.add(lives), await process.add(closed)
        await storage.close(closed)  # by a process that ended before the entries of the session
        storage.clock.advance(timedelta(minutes=1))
        now = storage.clock.now()
        (queued,) = (await process.queue.page(ALICE, None, 5, now, StateFilter(ExecutionStatus.QUEUED))).items
        assert queued.execution_id == stays.execution_id
        shown = {each.execution_id: each.status for each in (await process.queue.page(ALICE, None, 5, now)).items}
        assert shown == {
            stays.execution_id: "queued",
            cancelled.execution_id: "cancelled",
            expired.execution_id: "expired",
        }

    async def test_the_queue_is_counted_by_owner_and_language(self, process, storage):
        python, node = [
            await storage.add(ALICE, language_title=LanguageTitle(each, "x"), **LONG)
            for each in (Language.PYTHON, Language.NODEJS)
        ]
        await process.add(await storage.add(BOB, language_title=LanguageTitle(Language.PYTHON, "x"), **LONG))
        await process.add(python)
        await process.claim(5, blocked=[BOB])
        due_at = storage.clock.now()
        for _ in range(3):
            await process.add(python)
        await process.add(python, delay=timedelta(hours=1))
        await process.add(node, delay=timedelta(hours=1))
        now = storage.clock.now()
        mine = {each.language: each for each in await process.queue.facts(ALICE, now, 100)}
        found = mine[Language.PYTHON]
        assert (found.queued, found.due_at, found.running) == (4, due_at, 1)
        assert (mine[Language.NODEJS].queued, mine[Language.NODEJS].due_at) == (1, None)
        every = {each.language: each for each in await process.queue.facts(EVERY_OWNER, now, 100)}
        assert (every[Language.PYTHON].queued, every[Language.PYTHON].running) == (5, 1)
        assert [await process.queue.queued(owner, 100) for owner in (ALICE, BOB, EVERY_OWNER)] == [5, 1, 6]
        assert [await process.queue.queued(owner, 3) for owner in (ALICE, BOB, EVERY_OWNER)] == [3, 1, 3]

    async def test_a_position_counts_what_is_before_it_in_its_turn(self, process, session, storage):
        await process.add(await storage.add(ALICE, **LONG))
        entries = [await process.add(session, priority_s=priority_s) for priority_s in (0, 0, 60)]
        states = [await process.queue.state(ANONYMOUS, each.execution_id, storage.clock.now()) for each in entries]
        assert [each.position for each in states] == [1, 2, 0]

    # Webhooks

    async def registered(
        self, webhooks: WebhookRepository, storage: Storage, owner: Owner = ANONYMOUS, events: Collection[Event] = ENDS
    ) -> Webhook:
        secret, webhook_id = SecretVersion("0123456789abcdef"), storage.ids.new(storage.clock.now())
        webhook = Webhook(webhook_id, owner, "https://example.com/", frozenset(events), secret)
        await webhooks.add(webhook, 20, act(ActName.WEBHOOKS_CREATE))
        return webhook

    async def told(self, deliveries: DeliveryQueue, webhook: Webhook) -> dict[UUID | None, tuple[Event, Any]]:
        """Return what a webhook hears of executions: the event and the data of the message."""
        page = await deliveries.page(EVERY_OWNER, webhook.webhook_id, None, 100, None)
        assert {each.state for each in page.items} <= {DeliveryState.PENDING}
        assert len({each.execution_id for each in page.items}) == len(page.items), "one message for each end"
        return {each.execution_id: (each.event, json.loads(each.payload)["data"]) for each in page.items}

    async def test_every_end_is_told_to_the_webhooks_that_hear_of_it(  # noqa: PLR0917  # fixtures, given by name
        self, process, session, storage, webhooks, deliveries, clean_up
    ):
        hears, other = [await self.registered(webhooks, storage, owner) for owner in (ANONYMOUS, ALICE)]
        succeeded = await process.add(session)
        await process.finish(await process.claim_one(), report_of())
        failed = await process.add(session)
        failure = Failure(FailureCode.SCRIPT_ERROR, "no")
        await process.finish(await process.claim_one(), report_of(result=None, failure=failure))
        cancelled = await process.add(session)
        await process.cancel(cancelled.execution_id)
        put_back = await process.add(session)
        claimed = await process.claim_one()
        await process.cancel(put_back.execution_id)
        await process.queue.put_back(claimed, storage.clock.now())
        lost = await process.add(session)
        claimed = await process.claim_one()
        storage.clock.advance(claimed.execution.deadline_at - storage.clock.now())
        await clean_up()
        expired = await process.add(session, expires_in=timedelta(seconds=5))
        storage.clock.advance(timedelta(seconds=5))
        await process.queue.end_entries(storage.clock.now())
        told = await self.told(deliveries, hears)
        ends = {
            succeeded: Event.SUCCEEDED,
            failed: Event.FAILED,
            cancelled: Event.CANCELLED,
            put_back: Event.CANCELLED,
            lost: Event.UNKNOWN,
            expired: Event.EXPIRED,
        }
        assert {key: event for key, (event, _) in told.items()} == {each.execution_id: ends[each] for each in ends}
        codes = [told[each.execution_id][1].get("error", {}).get("code") for each in ends]
        expected = [None, "SCRIPT_ERROR", "EXECUTION_CANCELLED", "EXECUTION_CANCELLED", None, "EXECUTION_EXPIRED"]
        assert codes == expected
        assert told[succeeded.execution_id][1] == {
            "execution_id": str(succeeded.execution_id),
            "request_id": str(session.ref.session_id),
            "status": "succeeded",
            "language_title": str(session.language_title),
            "attempt": 1,
            "result": json.loads(report_of().result),
        }
        assert await self.told(deliveries, other) == {}

    async def test_a_webhook_without_events_hears_of_executions_that_name_it(
        self, process, session, storage, webhooks, deliveries
    ):
        silent = await self.registered(webhooks, storage, events=())
        for webhook_id in (None, silent.webhook_id):
            entry = await process.add(session, webhook_id=webhook_id)
            await process.finish(await process.claim_one(), report_of())
        assert list(await self.told(deliveries, silent)) == [entry.execution_id]

    async def test_messages_about_an_erased_execution_lose_its_result_and_its_error(
        self, process, session, storage, webhooks, deliveries
    ):
        webhook = await self.registered(webhooks, storage)
        failure = Failure(FailureCode.SCRIPT_ERROR, 'a "quoted",\n"result":{ of ä}')
        for report in (report_of(result=JsonText('{"error": [1, "}}"]}')), report_of(result=None, failure=failure)):
            entry = await process.add(session)
            await process.finish(await process.claim_one(), report)
            (event, before) = (await self.told(deliveries, webhook))[entry.execution_id]
            (newest,) = (await deliveries.page(EVERY_OWNER, webhook.webhook_id, None, 1, None)).items
            await deliveries.record(evolve(newest, attempts=1, answer="an echo of it"), webhook, webhook)
            await process.queue.erase(
                ANONYMOUS, entry.execution_id, session.ref.session_id, act(ActName.EXECUTIONS_ERASE)
            )
            after = (await self.told(deliveries, webhook))[entry.execution_id]
            assert len(before) == 6
            assert (await deliveries.find(EVERY_OWNER, newest.delivery_id)).answer is None
            kept = {name: each for name, each in before.items() if name not in {"result", "error"}}
            assert after == (event, kept)

    async def test_of_several_attempts_the_last_one_is_told(self, process, session, storage, webhooks, deliveries):
        hears = await self.registered(webhooks, storage)
        first = await process.add(session, retry=RetryPolicy(2, frozenset({RetryCause.SCRIPT_ERROR})))
        claimed = await process.claim_one()
        following = first.next_attempt(storage.ids.new(storage.clock.now(), first.ref.session_id), timedelta(0))
        await process.finish(claimed, report_of(), following)
        assert await self.told(deliveries, hears) == {}
        await process.finish(await process.claim_one(), report_of())
        ((execution_id, (_, data)),) = (await self.told(deliveries, hears)).items()
        assert (execution_id, data["attempt"]) == (following.execution_id, 2)

    async def test_a_purge_leaves_no_message(  # noqa: PLR0917  # fixtures, given by name
        self, process, session, storage, webhooks, deliveries, purger
    ):
        hears = await self.registered(webhooks, storage)
        await process.add(session)
        await process.finish(await process.claim_one(), report_of())
        await purger.purge(session.ref, act(ActName.SESSIONS_PURGE))
        assert await self.told(deliveries, hears) == {}
