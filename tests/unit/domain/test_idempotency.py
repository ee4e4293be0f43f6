"""Replies to calls that repeat another one with its idempotency key."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.idempotency import KEPT_FOR, IdempotencyConflict, IdempotencyKey, KeptCall, KeyInFlight, KeyInterrupted
from domain.identity import uuid7_at
from tests.unit.domain.builders import START

KEY = IdempotencyKey("k", "0" * 64)
LASTING = timedelta(seconds=69.5)
SESSION = UUID(int=7)
RUN = uuid7_at(START, 1)
KEPT: KeptCall[str] = KeptCall(SESSION, KEY.payload_hash, RUN, START + LASTING, START + KEPT_FOR)
LATER = evolve(KEPT, deadline_at=START + timedelta(days=31), ready_at=START + timedelta(days=30))


@pytest.mark.parametrize(
    ("after_s", "retry_after_ms"),
    [(-0.5, 1000), (0, 1000), (0.9, 1000), (2.5, 2500), (9.999, 9999), (10, 10_000), (58, 10_000), (65, 4500)],
)
def test_the_wait_is_the_elapsed_time_within_limits_and_ends_at_the_deadline(after_s, retry_after_ms):
    with pytest.raises(KeyInFlight) as caught:
        KEPT.replay(KEY, START + timedelta(seconds=after_s))
    assert caught.value.details == {
        "idempotency_key": "k",
        "request_id": SESSION,
        "execution_id": RUN,
        "retry_after_ms": retry_after_ms,
    }
    assert f"GET /api/v1/executions/{RUN}" in caught.value.message


@pytest.mark.parametrize(
    ("after", "retry_after"),
    [
        (timedelta(0), timedelta(days=30)),
        (timedelta(days=29, hours=23), timedelta(hours=1)),
        (timedelta(days=30), timedelta(seconds=1)),
        (timedelta(days=30, seconds=5), timedelta(seconds=5)),
        (timedelta(days=30, hours=1), timedelta(seconds=10)),
    ],
)
def test_a_call_that_runs_later_is_worth_repeating_once_it_may_have_started(after, retry_after):
    with pytest.raises(KeyInFlight) as caught:
        LATER.replay(KEY, START + after)
    assert timedelta(milliseconds=caught.value.retry_after_ms) == retry_after


def test_a_conflict_names_the_key_and_the_session_and_nothing_of_the_payload():
    with pytest.raises(IdempotencyConflict) as caught:
        KEPT.replay(IdempotencyKey("k", "1" * 64), START)
    assert caught.value.details == {"idempotency_key": "k", "request_id": SESSION}


def test_a_call_that_lost_to_others_every_time_names_the_key_alone():
    assert KeyInFlight("k", None).details == {"idempotency_key": "k", "retry_after_ms": 1000}


def test_just_before_the_deadline_the_wait_is_a_millisecond():
    with pytest.raises(KeyInFlight) as caught:
        KEPT.replay(KEY, START + LASTING - timedelta(microseconds=1))
    assert caught.value.retry_after_ms == 1


def test_a_caller_that_waits_learns_of_the_interruption_at_the_deadline():
    now, calls = START, 0
    while now < START + LASTING:
        with pytest.raises(KeyInFlight) as caught:
            KEPT.replay(KEY, now)
        now += timedelta(milliseconds=caught.value.retry_after_ms)
        calls += 1
    assert (now, calls) == (START + LASTING, 11)
    with pytest.raises(KeyInterrupted) as interrupted:
        KEPT.replay(KEY, now)
    assert interrupted.value.details == {
        "idempotency_key": "k",
        "request_id": SESSION,
        "executed": "unknown",
        "execution_id": KEPT.winner,
    }
