"""The stories of ids: what stored facts prove, and what they do not."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from attrs import evolve

from domain.executions.execution import Execution
from domain.identity import ANONYMOUS, Owner, SessionRef, uuid7_at
from domain.scripts.report import Outcome
from domain.sessions.session import Renewal
from domain.storage.storage import ShortenedDay
from domain.timeline import (
    ClockReading,
    ExecutionTrace,
    ExplainedState,
    FunctionTrace,
    HistoryTrace,
    KeyTrace,
    OpenTrace,
    RetentionTimes,
    Source,
    Timeline,
    span,
    written,
)
from entrypoints.cli.explanation.explanation import explain, explain_foreign, is_own
from tests.foreign_ids import EXTREMES, random_v4
from tests.unit.domain.builders import START, session_at

ID = uuid7_at(START, 0)
KEY = SessionRef(ANONYMOUS, ID)
KEEPING = RetentionTimes(sessions=timedelta(days=1), history_days=7, lifetime_max=timedelta(days=30))
SECOND = timedelta(seconds=1)


def chronicle(after=SECOND * 10, **facts):
    return Timeline(ID, ClockReading(START + after, error_bound_ms=2.0, offset_ms=-3.5), **facts)


def told(found, topic):
    return [each.text for each in found.statements if each.topic == topic]


def story(after=SECOND * 10, session=None, **facts):
    return explain(chronicle(after, session=session or session_at(), **facts), KEEPING)


class TestAnIdOfSomebodyElse:
    def test_an_id_that_is_no_uuid7_was_never_made_here(self):
        assert not is_own(uuid4())
        found = explain_foreign(UUID(int=0))
        assert found.verdict is ExplainedState.FOREIGN
        assert "not made by this service" in found.summary
        assert told(found, "id") == ["Its version is none, not 7."]

    def test_an_id_of_a_time_that_no_clock_has_was_never_made_here(self):
        beyond = UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")
        assert not is_own(beyond)
        assert told(explain_foreign(beyond), "id") == ["The time in it lies beyond the year 3000."]

    @pytest.mark.parametrize("identifiers", [EXTREMES, random_v4(10_000)], ids=["extreme", "random"])
    def test_no_id_is_without_a_story(self, identifiers):
        absent = {ExplainedState.FOREIGN, ExplainedState.NEVER_HERE, ExplainedState.REMOVED_OR_NEVER_HERE}
        for identifier in identifiers:
            empty = evolve(chronicle(), identifier=identifier)
            found = explain(empty, KEEPING) if is_own(identifier) else explain_foreign(identifier)
            assert found.verdict in absent
            assert "never" in found.summary
            assert explain(empty, KEEPING).verdict in absent

    def test_every_id_of_the_service_is_its_own(self):
        assert is_own(ID)


class TestAbsence:
    def test_a_young_id_without_a_row_was_never_here(self):
        found = explain(chronicle(timedelta(hours=23)), KEEPING)
        assert found.verdict is ExplainedState.NEVER_HERE
        assert "its row would still be here" in found.summary
        assert "refused or withdrawn before a worker took it leaves no trace" in told(found, "execution")[0]

    def test_an_id_from_the_future_was_never_here(self):
        found = explain(chronicle(-SECOND), KEEPING)
        assert found.verdict is ExplainedState.NEVER_HERE
        assert "1.000 s ahead of the database's clock" in found.summary

    def test_an_id_that_is_ahead_within_the_error_is_not_called_foreign(self):
        assert "ahead" not in explain(chronicle(-timedelta(milliseconds=2)), KEEPING).summary

    def test_an_id_past_retention_may_have_been_here(self):
        found = explain(chronicle(timedelta(days=2)), KEEPING)
        assert found.verdict is ExplainedState.REMOVED_OR_NEVER_HERE
        assert "A session that is still live" in found.summary

    def test_an_id_past_any_life_would_be_gone_for_certain(self):
        found = explain(chronicle(timedelta(days=31)), KEEPING)
        assert "it would have been removed by 2026-02-02 03:04:05.678901Z" in found.summary
        assert told(found, "execution") == [
            "Nor is there an execution with this id; after 7 days executions are no longer kept."
        ]

    @pytest.mark.parametrize(
        ("trace", "topic", "said"),
        [
            (
                {"history": HistoryTrace({Outcome.FAILED: 2}, Owner("alice"), ID, ID)},
                "executed",
                "The history keeps 2 executions of it, of alice.",
            ),
            (
                {"taken": KeyTrace("k", ID, START, START, is_answered=True)},
                "made",
                "The call that made it had the Idempotency-Key 'k'.",
            ),
            (
                {"keys": [KeyTrace("k", ID, START, START, is_answered=True)]},
                "keys",
                "1 key of its executions can be told.",
            ),
            ({"open": [OpenTrace(KEY, ID, START)]}, "open", "There are open records of it: 1."),
        ],
    )
    def test_what_a_session_left_behind_proves_that_it_was_here(self, trace, topic, said):
        found = explain(chronicle(timedelta(days=2), **trace), KEEPING)
        assert found.verdict is ExplainedState.REMOVED
        assert said in told(found, topic)

    def test_a_day_that_was_emptied_for_its_size_tells_nothing(self):
        shortened = [ShortenedDay(START.date(), START, 5)]
        found = explain(chronicle(shortened=shortened), KEEPING)
        assert "cannot be told" in told(found, "execution")[0]


class TestASession:
    def test_a_live_one_says_for_how_long(self):
        found = story()
        assert found.verdict is ExplainedState.ACTIVE
        assert found.summary == "The session is live, for 1 min 30 s more, until 2026-01-02 03:05:45.678901Z."
        assert told(found, "renewed") == [
            "It was never prolonged: its life of 1 min 40 s is its length. It is fixed, so executions do not prolong it."
        ]
        assert told(found, "executed") == ["No execution of it has reached a worker and ended."]
        assert told(found, "expires") == ["It expires on 2026-01-02 03:05:45.678901Z."]
        assert told(found, "removal") == [
            "Its row is kept until 2026-01-03 03:05:45.678901Z; until then it can be told from one that was never here."
        ]

    def test_an_expired_one_says_since_when_by_the_databases_clock(self):
        found = story(SECOND * 130)
        assert found.verdict is ExplainedState.EXPIRED
        assert found.summary.startswith("The session expired 30.000 s ago")
        assert told(found, "clock") == [
            (
                "All this is judged by the database's clock, which says 2026-01-02 03:06:15.678901Z, known to 2.0 ms. "
                "It is 3.5 ms behind this host's clock."
            )
        ]

    @pytest.mark.parametrize("after_ms", [99_999, 100_000, 100_001])
    def test_near_its_expiry_the_error_of_the_clock_is_told(self, after_ms):
        assert "closer than the clock is known" in story(timedelta(milliseconds=after_ms)).summary

    def test_a_closed_one_says_when_it_was_closed_and_emptied(self):
        closed = evolve(session_at(), closed_at=START + SECOND, script_hash=None, version=2)
        found = story(session=closed)
        assert found.verdict is ExplainedState.CLOSED
        assert "closed on 2026-01-02 03:04:06.678901Z, by its owner or an admin" in found.summary
        assert told(found, "closed")
        assert told(found, "emptied")
        assert told(found, "changed") == ["Its version is 2, so it was changed or closed 1 time."]
        assert told(found, "expires") == ["It would have expired on 2026-01-02 03:05:45.678901Z."]

    def test_one_that_could_be_removed_says_so(self):
        assert "the next sweep" in told(story(timedelta(days=2)), "removal")[0]

    def test_a_renewal_is_proved_by_its_expiry(self):
        renewed = evolve(session_at(), renewal=Renewal.SLIDING, expires_at=START + SECOND * 142)
        assert told(story(session=renewed), "renewed") == [
            (
                "It was prolonged: it ends 42.000 s later than 100 s, its length, after its making. The latest time was on "
                "2026-01-02 03:04:47.678901Z, by an execution that was admitted then; that is its expiry less its length."
            )
        ]

    def test_a_sliding_one_that_was_not_prolonged_says_what_would_have_done_it(self):
        (text,) = told(story(session=evolve(session_at(), renewal=Renewal.SLIDING)), "renewed")
        assert text.endswith("It is sliding, so an execution prolongs it once a tenth of its length has passed.")

    @pytest.mark.parametrize("renewal", Renewal)
    def test_of_one_that_was_changed_nobody_knows_what_has_prolonged_it(self, renewal):
        changed = evolve(session_at(), renewal=renewal, version=2, ttl_seconds=10, expires_at=START + SECOND * 142)
        assert told(story(session=changed), "renewed") == [
            (
                "It ends 2 min 22 s after its making, and its length is now 10 s. It was changed, so its row does not tell "
                "whether that or an execution has prolonged it, or when."
            )
        ]

    def test_a_deletion_is_no_change_of_the_length(self):
        closed = evolve(session_at(), closed_at=START + SECOND * 60, script_hash=None, version=2)
        renewed = evolve(closed, renewal=Renewal.SLIDING, expires_at=START + SECOND * 142)
        assert "by an execution that was admitted then" in told(story(session=renewed), "renewed")[0]

    def test_one_that_may_live_no_longer_says_so(self):
        longest = evolve(session_at(), expires_at=START + SECOND * 1000)
        assert "up to the most that it may live" in told(story(session=longest), "renewed")[0]

    def test_executions_are_counted_and_what_the_history_lacks_is_told(self):
        executed = evolve(session_at(), execution_count=5, last_executed_at=START + SECOND)
        history = HistoryTrace({Outcome.SUCCEEDED: 2, Outcome.FAILED: 1}, ANONYMOUS, ID, uuid7_at(START + SECOND, 0))
        shortened = [ShortenedDay(START.date(), START, 1), ShortenedDay(START.date() - timedelta(days=9), START, 1)]
        found = story(session=executed, history=history, shortened=shortened)
        assert told(found, "executed") == [
            "5 executions reached a worker and ended, the latest on 2026-01-02 03:04:06.678901Z."
        ]
        assert told(found, "history") == [
            (
                "The history keeps 3 of its executions, admitted from 2026-01-02 03:04:05.678901Z to "
                "2026-01-02 03:04:06.678901Z: 2 succeeded, 1 failed."
            ),
            (
                "2 of them are in the history no more, which is kept for 7 days. STORAGE_MAX_GB has cost these days: "
                "2026-01-02."
            ),
        ]

    def test_a_history_that_is_too_old_is_told_without_a_reason_of_size(self):
        executed = evolve(session_at(), execution_count=1, last_executed_at=START)
        (text,) = told(story(session=executed), "history")
        assert "STORAGE_MAX_GB" not in text

    def test_executions_under_way_and_unknown_ones_are_told_apart(self):
        running = OpenTrace(KEY, ID, START + SECOND * 60)
        overdue = OpenTrace(KEY, ID, START + SECOND)
        first, second = told(story(open=[running, overdue]), "open")
        assert "may end until" in first
        assert "its outcome is unknown" in second

    def test_keys_are_told(self):
        kept = KeyTrace("k", ID, START, START, is_answered=True)
        found = story(taken=kept, keys=[kept, evolve(kept, is_answered=False)])
        assert told(found, "keys") == [
            "2 executions had an Idempotency-Key that is remembered; 1 answer of theirs can be told again."
        ]
        assert "The call that made it had the Idempotency-Key 'k'." in told(found, "made")

    @pytest.mark.parametrize(
        ("function", "said"),
        [
            (None, "It is pinned to version 2 of the function, of which nothing is left."),
            (FunctionTrace(2, None), "It is pinned to version 2 of the function."),
            (FunctionTrace(3, None), "It is pinned to version 2 of the function; the current one is 3."),
            (
                FunctionTrace(2, START),
                (
                    "It is pinned to version 2 of the function, which was deactivated on 2026-01-02 03:04:05.678901Z; the "
                    "session goes on with it."
                ),
            ),
        ],
    )
    def test_a_pinned_function_is_told(self, function, said):
        assert told(story(session=session_at(function_version=2), function=function), "script") == [said]


class TestAnExecution:
    @staticmethod
    def story(after=SECOND, session=None, **facts):
        trace = ExecutionTrace(partition=3, **{name: facts.pop(name) for name in ("open", "ended") if name in facts})
        return explain(chronicle(after, execution=trace, session=session, **facts), KEEPING)

    def test_one_under_way_says_until_when_it_may_end(self):
        found = self.story(open=OpenTrace(KEY, ID, START + SECOND * 9), session=session_at())
        assert found.verdict is ExplainedState.UNDER_WAY
        assert "is active" in told(found, "session")[0]
        assert told(found, "partition") == ["The history keeps it in partition 3, that of its day."]
        assert told(found, "removal")[0].startswith("Its end will be kept until")

    def test_one_past_its_deadline_is_unknown(self):
        found = self.story(SECOND * 9, open=OpenTrace(KEY, ID, START + SECOND * 9))
        assert found.verdict is ExplainedState.UNKNOWN
        assert told(found, "open")

    def test_one_that_ended_says_how_and_with_what(self):
        ended = Execution(KEY, ID, Outcome.SUCCEEDED, 4, 1.5, 0.5, 1024, cold_start=True)
        found = self.story(ended=ended)
        assert (found.verdict, found.summary) == (ExplainedState.ENDED, "This execution has ended: it succeeded.")
        assert told(found, "ended") == [
            (
                "It is the session's number 4. It used 1.5 ms of wall time, 0.5 ms of processor time, 1024 bytes of memory. "
                "Its worker was prepared for it."
            )
        ]
        assert "which has been removed" in told(found, "session")[0]

    def test_one_in_the_history_may_be_unknown_too(self):
        found = self.story(ended=Execution(KEY, ID, Outcome.UNKNOWN))
        assert found.verdict is ExplainedState.UNKNOWN
        assert told(found, "ended") == ["It was not counted."]

    @pytest.mark.parametrize(("answered", "said"), [(True, "is kept for whoever"), (False, "no answer is kept")])
    def test_its_key_is_told(self, answered, said):
        taken = KeyTrace("k1", ID, START, START + SECOND, is_answered=answered)
        found = self.story(ended=Execution(KEY, ID, Outcome.FAILED, cold_start=False), taken=taken)
        assert said in told(found, "key")[0]


def test_every_statement_has_its_source():
    found = story(open=[OpenTrace(KEY, ID, START)])
    assert {each.source for each in found.statements} >= {Source.ID, Source.SESSION, Source.OPEN, Source.CLOCK}


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(days=2, hours=3, minutes=59), "2 d 3 h"),
        (timedelta(hours=1, minutes=2), "1 h 2 min"),
        (timedelta(minutes=-2, seconds=-5), "2 min 5 s"),
        (timedelta(milliseconds=1500), "1.500 s"),
    ],
)
def test_lengths_are_told_in_their_two_largest_units(length, said):
    assert span(length) == said


def test_instants_are_told_to_the_microsecond():
    assert written(START) == "2026-01-02 03:04:05.678901Z"
