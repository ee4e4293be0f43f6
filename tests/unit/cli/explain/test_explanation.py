"""The explanations of ids: what stored rows prove, and what they do not."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from attrs import evolve

from domain.executions.execution import Execution
from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import ANONYMOUS, NO_ID, Owner, SessionRef, is_own_id, uuid7_at
from domain.scripts.convention import Convention
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Renewal, Status
from domain.storage.storage import ShortenedDay
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
    RetentionTimes,
    StateTrace,
    Timeline,
    TreeTrace,
)
from domain.webhooks.delivery import DeliveryState
from entrypoints.cli.explain import environment, executions, explanation, files, messages, schedules, sentences
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import SENTENCES, span, written
from tests.foreign_ids import EXTREMES, random_v4
from tests.unit.domain.builders import START, session_at

ID = uuid7_at(START, 0)
KEY = SessionRef(ANONYMOUS, ID)
RETENTION = RetentionTimes(sessions=timedelta(days=1), history_days=7, lifetime_max=timedelta(days=30))
BOB = Owner("bob")
SECOND = timedelta(seconds=1)
MESSAGES = {DeliveryState.DELIVERED: 2, DeliveryState.FAILED: 1}


def timeline(after=SECOND * 10, **facts):
    return Timeline(ID, ClockReading(START + after, error_bound_ms=2.0, offset_ms=-3.5), **facts)


def texts(found, topic):
    return [each.text for each in found.statements if each.topic == topic]


def explained(after=SECOND * 10, session=None, **facts):
    return explain(timeline(after, session=session or session_at(), **facts), RETENTION)


class TestAnExecutionThatRunsLater:
    NEXT, FIRST = uuid7_at(START + SECOND, 1), uuid7_at(START, 2)

    def explained(self, after=SECOND * 10, ended=None, messages=None, **facts):
        times = {"not_before": START + SECOND * 5, "expires_at": START + SECOND * 60, "kept_until": START + SECOND * 99}
        defaults = {"name": "order 4711", "attempt": 2, "retry_of": None, "next_attempt": None}
        accepted = AcceptedTrace(KEY, ID, **{**defaults, **times, **facts})
        return explain(
            timeline(after, execution=ExecutionTrace(3, ended=ended, accepted=accepted, messages=messages or {})),
            RETENTION,
        )

    def test_one_that_waits_says_from_when_until_when(self):
        found = self.explained(SECOND, may_start_at=START + SECOND * 5)
        assert found.state == "queued"
        assert written(START + SECOND * 5) in found.summary
        assert written(START + SECOND * 60) in found.summary
        assert "attempt 2" in texts(found, "admitted")[0]
        assert texts(found, "queue") == [f"It waits for its earliest start at {written(START + SECOND * 5)}."]
        kept_until = written(START + SECOND * 99)
        assert texts(found, "result") == [f"Its result will be kept until {kept_until}."]
        assert texts(found, "key") == [
            f"It has the Idempotency-Key 'order 4711' until {kept_until}. A repeated call gets 202 with its state."
        ]

    def test_one_that_may_start_waits_for_a_place(self):
        found = self.explained(SECOND * 5, may_start_at=START + SECOND * 5)
        assert texts(found, "queue") == ["It waits for a place, and has not begun."]

    def test_one_without_a_key_of_its_caller_has_none(self):
        found = self.explained(name=None)
        assert texts(found, "key") == []
        assert len(texts(found, "result")) == 1

    def test_one_that_was_put_back_says_so(self):
        found = self.explained(SECOND * 20, may_start_at=START + SECOND * 30)
        assert "put back" in texts(found, "queue")[0]

    def test_one_that_ended_names_its_other_attempts_and_its_result(self):
        ended = Execution(KEY, ID, ExecutionStatus.CANCELLED)
        others = {"retry_of": self.FIRST, "next_attempt": self.NEXT, "schedule_id": NO_ID}
        found = self.explained(ended=ended, status=ExecutionStatus.CANCELLED, messages=MESSAGES, **others)
        assert (found.state, found.summary) == ("ended", "This execution has ended: it was cancelled.")
        assert texts(found, "admitted")[1] == f"The schedule {NO_ID} has started it."
        assert str(self.FIRST) in texts(found, "admitted")[2]
        assert str(self.NEXT) in " ".join(texts(found, "ended"))
        assert texts(found, "result")[0].startswith("Its result is kept until ")
        assert texts(found, "key")[0].endswith("A repeated call gets its response.")
        assert texts(found, "messages") == ["Messages to webhooks about it: 2 delivered, 1 failed."]

    def test_one_that_was_erased_says_so(self):
        ended = Execution(KEY, ID, ExecutionStatus.SUCCEEDED)
        found = self.explained(ended=ended, status=ExecutionStatus.SUCCEEDED, is_erased=True)
        assert texts(found, "result") == ["Its params and its result were erased."]
        assert texts(found, "key")[0].endswith("A repeated call gets 409.")

    def test_a_session_says_how_many_wait_and_are_stored_and_which_schedules_it_has(self):
        later = [KeyTrace(f" {each}", each, START, START, is_answered=True) for each in (self.FIRST, self.NEXT)]
        found = explained(queued=3, schedules=1, keys=later)
        assert texts(found, "open") == ["In the queue: 3 executions of it."]
        assert texts(found, "schedules") == ["It is the target of 1 schedule."]
        assert texts(found, "results") == ["Params and results of 2 executions that run later are stored."]
        assert texts(found, "keys") == []


class TestATakeover:
    def explained(self, state, **facts):
        move = MoveTrace(state, "nodejs-adder", **facts)
        return explained(move=move), explain(timeline(move=move), RETENTION)

    @pytest.mark.parametrize(
        ("state", "summary", "text"),
        [
            (None, "at-origin", "A copy is stored here"),
            (TakenState.FENCING, "between", "pglambda takeover adopt"),
            (TakenState.RETURNING, "between", "pglambda takeover back"),
            (TakenState.RETURNED, "at-origin", "It moved to the origin at 2026"),
        ],
    )
    def test_a_session_that_this_service_does_not_own_is_at_the_origin_or_between(self, state, summary, text):
        for found in self.explained(state, returned_at=START):
            assert found.state == summary
            (evidence,) = texts(found, "takeover")
            assert text in evidence

    def test_recorded_calls_are_told(self):
        found = explain(timeline(recorded_calls=2), RETENTION)
        assert "2 calls of it, with params and results, are stored" in texts(found, "takeover")[0]

    def test_a_session_that_was_taken_over_is_one_of_this_service(self):
        found, absent = self.explained(TakenState.OWNED, count_at_fence=1, owned_at=START)
        assert (found.state, absent.state) == ("active", "never-here")
        assert texts(found, "takeover") == [
            (
                "It was taken over from the origin at 2026-01-02 03:04:05.678901Z, where it is called 'nodejs-adder'. The "
                "origin had counted 1 execution."
            ),
            "Executions that ended at the origin after that were not looked at yet.",
        ]

    @pytest.mark.parametrize(
        ("late", "told"), [(0, []), (2, ["2 executions ended at the origin after that, and were added."])]
    )
    def test_executions_that_ended_later_were_added(self, late, told):
        found, _ = self.explained(TakenState.OWNED, count_at_fence=1, owned_at=START, late_count=late)
        assert texts(found, "takeover")[1:] == told


class TestAForeignId:
    def test_an_id_that_is_not_a_uuid7_was_not_made_by_this_service(self):
        found = explain(evolve(timeline(), identifier=UUID(int=0)), RETENTION)
        assert found.state == "foreign"
        assert "not made by this service" in found.summary
        assert texts(found, "id") == ["Its version is none, not 7."]
        assert texts(found, "execution") == []

    def test_an_id_with_an_impossible_time_was_not_made_by_this_service(self):
        beyond = UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")
        found = explain(evolve(timeline(), identifier=beyond), RETENTION)
        assert texts(found, "id") == ["The time in it is after the year 3000."]

    @pytest.mark.parametrize("identifiers", [EXTREMES, random_v4(10_000)], ids=["extreme", "random"])
    def test_every_id_has_an_explanation(self, identifiers):
        for identifier in identifiers:
            found = explain(evolve(timeline(), identifier=identifier), RETENTION)
            assert found.state in ({"never-here", "removed-or-never-here"} if is_own_id(identifier) else {"foreign"})

    def test_a_session_that_was_taken_over_has_its_creation_from_its_row(self):
        ref, created_at = SessionRef(ANONYMOUS, random_v4(1)[0]), START - SECOND
        taken = session_at(ref=ref, foreign_created_at=created_at, convention=Convention.ORIGIN)
        found = explain(evolve(timeline(session=taken), identifier=ref.session_id), RETENTION)
        assert found.state == "active"
        assert texts(found, "created") == [
            "It was created at 2026-01-02 03:04:04.678901Z, by the clock of the service that made its id."
        ]
        assert "Its script is called by the convention origin." in texts(found, "script")

    def test_a_session_with_a_state_shows_its_version_and_who_writes_it(self):
        runs, late = uuid7_at(START + SECOND, 1), uuid7_at(START, 2)
        state = StateTrace(3, 512, START + SECOND, runs)
        opened = [OpenTrace(KEY, runs, START + SECOND * 60), OpenTrace(KEY, late, START + SECOND * 60)]
        saved, held = texts(explained(state=state, open=opened), "state")
        assert "version 3 and 512 bytes" in saved
        assert str(runs) in held
        overdue = [OpenTrace(KEY, runs, START + SECOND)]
        for each in (overdue, []):
            assert len(texts(explained(state=state, open=each), "state")) == 1
        assert texts(explained(), "state") == []

    def test_a_session_with_grants_shows_them(self):
        granted = session_at(grants=Grants(StateGrant(StateMode.SHARED)))
        found = explain(timeline(session=granted), RETENTION)
        shown = '{"state":{"mode":"shared","repl":false,"save_on":"success"}}'
        assert f"Its script may use more than its params: {shown}" in texts(found, "script")
        assert len(texts(explain(timeline(session=session_at()), RETENTION), "script")) == 1

    @pytest.mark.parametrize(
        ("trees", "shown"),
        [
            ([], "no build of it is stored"),
            ([TreeTrace("p1", "ready", "abc"), TreeTrace("p2", "failed", None)], "p1 has the tree abc, p2 failed"),
        ],
    )
    def test_a_session_and_an_execution_show_their_environment(self, trees, shown):
        granted = session_at(grants=Grants(environment=EnvironmentGrant("data", 3)))
        expected = f"It imports packages of the environment data@3: {shown}."
        assert expected in texts(explained(session=granted, trees=trees), "script")
        execution = ExecutionTrace(0, open=OpenTrace(KEY, ID, START + SECOND * 60))
        assert expected in texts(explained(session=granted, trees=trees, execution=execution), "script")

    def test_days_of_history_that_were_removed_count_from_its_creation(self):
        ref = SessionRef(ANONYMOUS, random_v4(1)[0])
        taken = session_at(ref=ref, foreign_created_at=START, execution_count=1, last_executed_at=START)
        shortened = [ShortenedDay(START.date() + timedelta(days=n), START, 1) for n in (-1, 0)]
        found = explain(evolve(timeline(session=taken, shortened=shortened), identifier=ref.session_id), RETENTION)
        assert texts(found, "history")[-1].endswith("these days of history: 2026-01-02.")

    def test_the_history_proves_one_that_was_removed(self):
        history = HistoryTrace({ExecutionStatus.SUCCEEDED: 1}, BOB, ID, ID)
        found = explain(evolve(timeline(history=history), identifier=random_v4(1)[0]), RETENTION)
        assert found.state == "removed"


class TestAbsence:
    def test_an_id_without_a_row_within_the_retention_never_existed(self):
        found = explain(timeline(timedelta(hours=23)), RETENTION)
        assert found.state == "never-here"
        assert "its row would still exist" in found.summary
        assert "or withdrawn before it had a worker, leaves no record" in texts(found, "execution")[0]

    def test_an_id_from_the_future_never_existed(self):
        found = explain(timeline(-SECOND), RETENTION)
        assert found.state == "never-here"
        assert "1.000 s ahead of the database's clock" in found.summary

    def test_an_id_that_is_ahead_within_the_error_of_the_clock_is_not_from_the_future(self):
        assert "ahead" not in explain(timeline(-timedelta(milliseconds=2)), RETENTION).summary

    def test_an_id_past_the_retention_may_have_existed(self):
        found = explain(timeline(timedelta(days=2)), RETENTION)
        assert found.state == "removed-or-never-here"
        assert "A session that is live" in found.summary

    def test_an_id_past_the_longest_life_names_the_latest_removal(self):
        found = explain(timeline(timedelta(days=31)), RETENTION)
        assert "would have been removed by 2026-02-02 03:04:05.678901Z" in found.summary
        assert texts(found, "execution") == ["There is no execution with this id. Executions are kept for 7 days."]

    @pytest.mark.parametrize(
        ("trace", "topic", "text"),
        [
            (
                {"history": HistoryTrace({ExecutionStatus.FAILED: 2}, Owner("alice"), ID, ID)},
                "executed",
                "The history has 2 executions of it, of alice.",
            ),
            (
                {"taken": KeyTrace("k", ID, START, START, is_answered=True)},
                "created",
                "The call that created it had the Idempotency-Key 'k'.",
            ),
            (
                {"keys": [KeyTrace("k", ID, START, START, is_answered=True)]},
                "keys",
                "Keys or results of 1 execution are still stored.",
            ),
            ({"open": [OpenTrace(KEY, ID, START)]}, "open", "It has open records: 1."),
        ],
    )
    def test_a_trace_of_a_session_proves_that_it_existed(self, trace, topic, text):
        found = explain(timeline(timedelta(days=2), **trace), RETENTION)
        assert found.state == "removed"
        assert text in texts(found, topic)

    def test_a_day_that_the_storage_budget_removed_leaves_the_execution_unknown(self):
        shortened = [ShortenedDay(START.date(), START, 5)]
        found = explain(timeline(shortened=shortened), RETENTION)
        assert "it is unknown whether" in texts(found, "execution")[0]


class TestASession:
    def test_a_live_session_says_for_how_long(self):
        found = explained()
        assert found.state == "active"
        assert found.summary == "The session is live, for 1 min 30 s more, until 2026-01-02 03:05:45.678901Z."
        assert texts(found, "renewed") == [
            "It was never renewed: its life of 1 min 40 s is its time to live. It is fixed: executions do not renew it."
        ]
        assert texts(found, "executed") == ["No execution of it has reached a worker and ended."]
        assert texts(found, "expires") == ["It expires at 2026-01-02 03:05:45.678901Z."]
        assert texts(found, "removal") == [
            "Its row is kept until 2026-01-03 03:05:45.678901Z. Until then the service can distinguish it from a session that never existed."
        ]

    def test_an_expired_session_says_since_when_by_the_databases_clock(self):
        found = explained(SECOND * 130)
        assert found.state == "expired"
        assert found.summary.startswith("The session expired 30.000 s ago")
        assert texts(found, "clock") == [
            (
                "The database's clock, by which all times are judged, says 2026-01-02 03:06:15.678901Z, known to 2.0 ms. "
                "It is 3.5 ms behind this host's clock."
            )
        ]

    @pytest.mark.parametrize("after_ms", [99_999, 100_000, 100_001])
    def test_close_to_the_expiry_the_summary_names_the_error_of_the_clock(self, after_ms):
        assert "another controller may judge differently" in explained(timedelta(milliseconds=after_ms)).summary

    def test_a_closed_session_says_when_it_was_closed_and_emptied(self):
        closed = evolve(session_at(), closed_at=START + SECOND, script_hash=None, version=2)
        found = explained(session=closed)
        assert found.state == "closed"
        assert "closed at 2026-01-02 03:04:06.678901Z, by its owner or an admin" in found.summary
        assert texts(found, "closed")
        assert texts(found, "emptied")
        assert texts(found, "changed") == ["Its version is 2, so it was changed or closed 1 time."]
        assert texts(found, "expires") == ["It would have expired at 2026-01-02 03:05:45.678901Z."]

    def test_a_session_past_its_retention_is_removed_by_the_next_cleanup(self):
        assert "the next cleanup" in texts(explained(timedelta(days=2)), "removal")[0]

    def test_the_expiry_proves_a_renewal(self):
        renewed = evolve(session_at(), renewal=Renewal.SLIDING, expires_at=START + SECOND * 142)
        assert texts(explained(session=renewed), "renewed") == [
            (
                "It was renewed: it ends 42.000 s later than its time to live of 100 s after its creation. The last renewal was "
                "at 2026-01-02 03:04:47.678901Z (its expiry minus its time to live), by an execution that was admitted then."
            )
        ]

    def test_a_sliding_session_without_a_renewal_says_what_renews_it(self):
        (text,) = texts(explained(session=evolve(session_at(), renewal=Renewal.SLIDING)), "renewed")
        assert text.endswith("It is sliding: an execution renews it once a tenth of its time to live has passed.")

    @pytest.mark.parametrize("renewal", Renewal)
    def test_a_changed_session_does_not_show_what_renewed_it(self, renewal):
        changed = evolve(session_at(), renewal=renewal, version=2, ttl_seconds=10, expires_at=START + SECOND * 142)
        assert texts(explained(session=changed), "renewed") == [
            (
                "It ends 2 min 22 s after its creation, and its time to live is now 10 s. It was changed, so its row does not "
                "show whether the change or an execution renewed it, or when."
            )
        ]

    def test_a_deletion_is_not_a_change_of_the_time_to_live(self):
        closed = evolve(session_at(), closed_at=START + SECOND * 60, script_hash=None, version=2)
        renewed = evolve(closed, renewal=Renewal.SLIDING, expires_at=START + SECOND * 142)
        assert "by an execution that was admitted then" in texts(explained(session=renewed), "renewed")[0]

    def test_a_session_at_its_maximum_lifetime_says_so(self):
        longest = evolve(session_at(), expires_at=START + SECOND * 1000)
        assert "up to its maximum lifetime" in texts(explained(session=longest), "renewed")[0]

    def test_executions_that_the_history_lost_are_counted_with_the_reason(self):
        executed = evolve(session_at(), execution_count=5, last_executed_at=START + SECOND)
        history = HistoryTrace(
            {ExecutionStatus.SUCCEEDED: 2, ExecutionStatus.FAILED: 1}, ANONYMOUS, ID, uuid7_at(START + SECOND, 0)
        )
        shortened = [ShortenedDay(START.date(), START, 1), ShortenedDay(START.date() - timedelta(days=9), START, 1)]
        found = explained(session=executed, history=history, shortened=shortened)
        assert texts(found, "executed") == [
            "5 executions reached a worker and ended, the latest at 2026-01-02 03:04:06.678901Z."
        ]
        assert texts(found, "history") == [
            (
                "The history has 3 of its executions, admitted from 2026-01-02 03:04:05.678901Z to "
                "2026-01-02 03:04:06.678901Z: 2 succeeded, 1 failed."
            ),
            "2 of its executions are no longer in the history, which is kept for 7 days.",
            "STORAGE_MAX_GB has removed these days of history: 2026-01-02.",
        ]

    @pytest.mark.parametrize(("count", "lost"), [(7, []), (9, ["2 of its executions are no longer in the history"])])
    def test_executions_that_the_origin_counted_were_never_in_the_history(self, count, lost):
        executed = evolve(session_at(), execution_count=count, last_executed_at=START + SECOND)
        history = HistoryTrace({ExecutionStatus.SUCCEEDED: 2}, ANONYMOUS, ID, uuid7_at(START + SECOND, 0))
        move = MoveTrace(TakenState.OWNED, "nodejs-adder", count_at_fence=4, late_count=1, owned_at=START)
        found = texts(explained(session=executed, history=history, move=move), "history")[1:]
        assert [text.partition(",")[0] for text in found] == lost

    def test_executions_past_the_retention_have_no_reason_of_size(self):
        executed = evolve(session_at(), execution_count=1, last_executed_at=START)
        (text,) = texts(explained(session=executed), "history")
        assert "STORAGE_MAX_GB" not in text

    def test_a_running_execution_differs_from_an_overdue_one(self):
        running = OpenTrace(KEY, ID, START + SECOND * 60)
        overdue = OpenTrace(KEY, ID, START + SECOND)
        first, second = texts(explained(open=[running, overdue]), "open")
        assert "may end until" in first
        assert "its outcome is unknown" in second

    def test_idempotency_keys_are_counted(self):
        kept = KeyTrace("k", ID, START, START, is_answered=True)
        found = explained(taken=kept, keys=[kept, evolve(kept, is_answered=False)])
        assert texts(found, "keys") == [
            "2 executions had an Idempotency-Key that is still stored, and 1 response can be replayed."
        ]
        assert "The call that created it had the Idempotency-Key 'k'." in texts(found, "created")

    @pytest.mark.parametrize(
        ("function", "text"),
        [
            (None, "It uses version 2 of a function that is no longer stored."),
            (
                FunctionTrace(BOB, 2, None, None, None),
                "It uses version 2 of the function of bob, which is the current one.",
            ),
            (
                FunctionTrace(BOB, 3, None, None, None),
                "It uses version 2 of the function of bob. The current version is 3.",
            ),
            (
                FunctionTrace(BOB, 2, START, None, None),
                (
                    "It uses version 2 of the function of bob, which was deactivated at 2026-01-02 03:04:05.678901Z. The "
                    "session can still be executed."
                ),
            ),
        ],
    )
    def test_the_state_of_the_function_is_named(self, function, text):
        assert texts(explained(session=session_at(function_version=2), function=function), "script") == [text]

    def test_a_hidden_session_says_what_it_is_for(self):
        assert len(texts(explained(session=session_at()), "owner")) == 1
        _, text = texts(explained(session=session_at(hidden=True)), "owner")
        assert text.startswith("It is hidden: it serves the calls of its function by name")

    @pytest.mark.parametrize(("author", "name"), [(Owner("carol"), "carol"), (None, "an unrecorded author")])
    def test_the_author_and_the_time_of_its_version_are_named(self, author, name):
        function = FunctionTrace(BOB, 2, None, START, author)
        _, text = texts(explained(session=session_at(function_version=2), function=function), "script")
        assert text == f"Version 2 was registered at 2026-01-02 03:04:05.678901Z, by {name}."


class TestAnExecution:
    @staticmethod
    def explained(after=SECOND, session=None, **facts):
        trace = ExecutionTrace(partition=3, **{name: facts.pop(name) for name in ("open", "ended") if name in facts})
        return explain(timeline(after, execution=trace, session=session, **facts), RETENTION)

    def test_a_running_execution_says_until_when_it_may_end(self):
        found = self.explained(open=OpenTrace(KEY, ID, START + SECOND * 9), session=session_at())
        assert found.state == "under-way"
        assert "is active" in texts(found, "session")[0]
        assert texts(found, "partition") == ["The history keeps it in partition 3, that of its day."]
        assert texts(found, "removal")[0].startswith("Its end will be kept until")

    def test_an_execution_past_its_deadline_is_unknown(self):
        found = self.explained(SECOND * 9, open=OpenTrace(KEY, ID, START + SECOND * 9))
        assert found.state == "unknown"
        assert texts(found, "open")

    def test_an_ended_execution_says_how_it_ended_and_what_it_used(self):
        ended = Execution(KEY, ID, ExecutionStatus.SUCCEEDED, 4, 1.5, 0.5, 1024, cold_start=True)
        found = self.explained(ended=ended)
        assert (found.state, found.summary) == ("ended", "This execution has ended: it succeeded.")
        assert texts(found, "ended") == [
            "It is number 4 of its session.",
            "It used 1.5 ms of wall time, 0.5 ms of processor time, 1024 bytes of memory.",
            "It was cold: its worker was new to the session.",
        ]
        assert "which has been removed" in texts(found, "session")[0]

    def test_an_execution_of_the_history_may_be_unknown(self):
        found = self.explained(ended=Execution(KEY, ID, ExecutionStatus.UNKNOWN))
        assert found.state == "unknown"
        assert texts(found, "ended") == ["It was not counted."]

    @pytest.mark.parametrize(
        ("answered", "text"), [(True, "is replayed to repeated calls"), (False, "No response is stored")]
    )
    def test_its_key_says_whether_a_response_is_stored(self, answered, text):
        taken = KeyTrace("k1", ID, START, START + SECOND, is_answered=answered)
        found = self.explained(ended=Execution(KEY, ID, ExecutionStatus.FAILED, cold_start=False), taken=taken)
        assert text in texts(found, "key")[0]


def test_statements_name_their_sources():
    found = explained(open=[OpenTrace(KEY, ID, START)])
    assert {each.source for each in found.statements} >= {
        "the id",
        "the session's row",
        "the open records",
        "the clocks",
    }


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=2, hours=3, minutes=59), "2 d 3 h"),
        (timedelta(hours=1, minutes=2), "1 h 2 min"),
        (timedelta(minutes=-2, seconds=-5), "2 min 5 s"),
        (timedelta(milliseconds=1500), "1.500 s"),
    ],
)
def test_lengths_of_time_have_two_units(length, text):
    assert span(length) == text


def test_instants_have_microseconds():
    assert written(START) == "2026-01-02 03:04:05.678901Z"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "Its rows belong to bucket 3. `pglambda migrate status` names the node of each bucket."),
        (0, "Its rows belong to bucket 0, which is the schema `meta` on the coordinator."),
    ],
)
def test_an_id_in_a_distributed_database_has_a_bucket(number, text):
    assert texts(explained(bucket=number), "bucket") == [text]
    assert texts(explained(), "bucket") == []


MODULES = (environment, executions, explanation, files, messages, schedules, sentences)


def test_every_sentence_is_used():
    source = "".join(Path(module.__file__).read_text() for module in MODULES)
    names = {name.removeprefix("summary.") for name in SENTENCES} - set(Status)
    assert {name for name in names if f'"{name}"' not in source} == set()
