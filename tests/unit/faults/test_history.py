"""The checker of histories explains what may be, and rejects what may not."""

import itertools

import pytest
from attrs import evolve

from tests.faults.history import (
    DELETE,
    EXECUTE,
    GET,
    INITIALIZE,
    PATCH,
    Call,
    Outcome,
    Response,
    Stored,
    problems,
    unrecorded,
)

ERRORS = frozenset({"STORAGE_UNAVAILABLE", "SESSION_CLOSED", "SESSION_NOT_FOUND", "OVERLOADED"})
SAFE = {"retry_after_ms": 1000}
NOT_STORED = Response(503, "STORAGE_UNAVAILABLE", {"stored": "no", **SAFE}, "1")
NOT_READ = Response(503, "STORAGE_UNAVAILABLE", SAFE, "1")
MAYBE_STORED = Response(503, "STORAGE_UNAVAILABLE", {"stored": "unknown"})
NOT_EXECUTED = Response(503, "STORAGE_UNAVAILABLE", {"stored": "no", "executed": "no", **SAFE}, "1")
MAYBE_COUNTED = Response(503, "STORAGE_UNAVAILABLE", {"stored": "unknown", "executed": "yes", "execution_id": "e"})
CLOSED = Response(410, "SESSION_CLOSED")
ABSENT = Response(404, "SESSION_NOT_FOUND")


class Calls:
    """Calls one after the other, a tenth of a second each; the first initializes the session with mark 1."""

    def __init__(self):
        self._now_s = itertools.count()
        self.calls = []
        self.call(INITIALIZE, Response(200), mark=1)

    def call(self, operation, response, mark=None, lasting_s=0.1, session_id="s"):
        began_s = float(next(self._now_s))
        self.calls.append(Call(operation, session_id, began_s, began_s + lasting_s, 2.0, response, mark))
        return self

    def execute(self, count, **more):
        return self.call(EXECUTE, Response(200, count=count), **more)

    def get(self, count=0, mark=1, **more):
        return self.call(GET, Response(200, count=count, mark=mark), **more)

    def patch(self, mark, **more):
        return self.call(PATCH, Response(200, count=0, mark=mark), mark=mark, **more)

    def delete(self):
        return self.call(DELETE, Response(204))

    def problems(self, count=0, mark=1, closed=False, lost=False):
        stored = {} if lost else {"s": Stored(count, closed, None if closed else mark)}
        return problems(self.calls, stored, 1.0, ERRORS)


def test_a_history_of_successes_is_explained():
    history = Calls().get().patch(2).execute(1).get(1, 2).execute(2).get(2, 2).delete().call(GET, CLOSED)
    assert history.problems(2, closed=True) == []


@pytest.mark.parametrize("count", [1, 2])
def test_an_execution_that_may_be_counted_explains_either_count(count):
    history = Calls().execute(1).call(EXECUTE, MAYBE_COUNTED)
    assert history.problems(count) == []


@pytest.mark.parametrize("count", [0, 2])
def test_counts_beyond_what_may_be_are_rejected(count):
    assert "executions are counted" in " ".join(Calls().execute(1).call(EXECUTE, NOT_EXECUTED).problems(count))


def test_a_call_without_response_may_have_done_anything():
    for count, mark in itertools.product((0, 1), (1, 2)):
        history = Calls().call(EXECUTE, None).call(PATCH, None, mark=2)
        assert history.problems(count, mark) == []


def test_a_count_that_is_reported_twice_is_rejected():
    assert "s: count 1 was reported 2 times" in Calls().execute(1).execute(1).problems(2)


def test_a_count_that_falls_behind_is_rejected():
    assert Calls().execute(1).execute(2).get(1).problems(2) == ["s: get reported count 1, where 2 to 2 can be"]


def test_a_count_that_is_ahead_is_rejected():
    assert Calls().get(1).execute(1).problems(1) == ["s: get reported count 1, where 0 to 0 can be"]


def test_a_lost_session_is_rejected():
    assert Calls().problems(lost=True) == ["s: acknowledged, and lost"]
    assert "s: get did not find an acknowledged session" in Calls().call(GET, ABSENT).problems()


def test_a_session_without_a_request_is_rejected():
    history = Calls().call(INITIALIZE, NOT_STORED, session_id=None)
    assert problems(history.calls, {"s": Stored(0, False, 1), "t": Stored(0, False, 1)}, 1.0, ERRORS) == [
        "2 sessions are stored, where at most 1 can be"
    ]


def test_a_session_that_may_have_been_made_is_explained():
    history = Calls().call(INITIALIZE, MAYBE_STORED, session_id=None)
    assert problems(history.calls, {"s": Stored(0, False, 1), "t": Stored(0, False, 1)}, 1.0, ERRORS) == []


def test_a_revived_session_is_rejected():
    assert Calls().delete().get().problems(closed=True) == ["s: get succeeded on a session that was closed"]
    assert Calls().delete().problems() == ["s: it is open again"]
    after_a_look = Calls().call(DELETE, MAYBE_STORED).call(GET, CLOSED).get()
    assert after_a_look.problems(closed=True) == ["s: get succeeded on a session that was closed"]


def test_what_had_begun_before_a_close_may_end_after_it():
    history = Calls().call(EXECUTE, Response(200, count=1), lasting_s=1.5).delete()
    assert history.problems(1, closed=True) == []


def test_a_close_that_may_be_stored_explains_either_end():
    for closed in (True, False):
        assert Calls().call(DELETE, MAYBE_STORED).problems(closed=closed) == []


def test_a_close_without_a_request_is_rejected():
    assert Calls().problems(closed=True) == ["s: it is closed, and no call closed it"]
    refused = Calls().call(DELETE, NOT_STORED).problems(closed=True)
    assert refused == ["s: it is closed, and no call closed it"]
    assert "found it gone" in Calls().call(GET, CLOSED).delete().problems(closed=True)[0]


def test_a_patch_that_is_not_seen_is_rejected():
    assert Calls().patch(2).get(mark=1).problems(mark=2) == ["s: it showed 1, which had been replaced"]
    assert Calls().patch(2).problems(mark=1) == ["s: it showed 1, which had been replaced"]


def test_a_patch_that_was_not_stored_is_not_seen():
    assert Calls().call(PATCH, NOT_STORED, mark=2).problems(mark=2) == ["s: it showed 2, which no call had written"]


@pytest.mark.parametrize("mark", [1, 2])
def test_a_patch_that_may_be_stored_explains_either_value(mark):
    assert Calls().call(PATCH, MAYBE_STORED, mark=2).get(mark=mark).problems(mark=mark) == []


def test_a_value_that_was_replaced_does_not_come_back():
    history = Calls().call(PATCH, MAYBE_STORED, mark=2).patch(3)
    assert history.problems(mark=2) == ["s: it showed 2, which had been replaced"]


def test_patches_at_the_same_time_may_end_either_way():
    for mark in (2, 3):
        assert Calls().patch(2, lasting_s=1.5).patch(3).problems(mark=mark) == []


def test_a_response_beyond_its_budget_is_rejected():
    assert Calls().get(lasting_s=2.9).problems() == []
    assert "1.10 s beyond its budget" in Calls().get(lasting_s=3.1).problems()[0]


@pytest.mark.parametrize(
    ("operation", "response"),
    [
        (GET, Response(500, "INTERNAL_ERROR")),
        (GET, MAYBE_STORED),
        (GET, evolve(NOT_READ, retry_after=None)),
        (GET, Response(503, "STORAGE_UNAVAILABLE")),
        (PATCH, NOT_READ),
        (PATCH, evolve(MAYBE_STORED, details={"stored": "unknown", **SAFE}, retry_after="1")),
        (EXECUTE, NOT_STORED),
        (EXECUTE, evolve(MAYBE_COUNTED, details={"stored": "unknown", "executed": "yes"})),
        (EXECUTE, evolve(MAYBE_COUNTED, details={"stored": "unknown", "executed": "no"})),
    ],
)
def test_an_error_that_says_too_little_or_too_much_is_rejected(operation, response):
    assert Calls().call(operation, response).problems() != []


@pytest.mark.parametrize(
    ("operation", "response", "outcome"),
    [
        (GET, NOT_READ, Outcome.NOT_DONE),
        (PATCH, NOT_STORED, Outcome.NOT_DONE),
        (PATCH, MAYBE_STORED, Outcome.UNKNOWN),
        (EXECUTE, NOT_EXECUTED, Outcome.NOT_DONE),
        (EXECUTE, MAYBE_COUNTED, Outcome.UNKNOWN),
        (EXECUTE, Response(503, "OVERLOADED", {"stored": "no", "executed": "no", **SAFE}, "1"), Outcome.NOT_DONE),
    ],
)
def test_an_error_that_says_what_it_must_is_explained(operation, response, outcome):
    history = Calls().call(operation, response, mark=2 if operation == PATCH else None)
    assert history.problems() == []
    assert history.calls[-1].outcome is outcome


@pytest.mark.parametrize(("count", "missing"), [(1, 1), (2, 0), (3, 0)])
def test_runs_that_are_never_recorded_are_reported(count, missing):
    history = Calls().execute(1).call(EXECUTE, MAYBE_COUNTED).call(EXECUTE, NOT_EXECUTED).call(EXECUTE, None)
    assert len(unrecorded(history.calls, {"s": Stored(count, False, 1)})) == missing
