"""Windows, retries and entries of the queue are what their callers asked for, within the limits."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.executions.execution import ExecutionFailed
from domain.idempotency import IdempotencyKey
from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.json_text import JsonText
from domain.queue.entry import (
    DELAY_MAX,
    WAIT_MAX,
    AcceptOptions,
    Entry,
    RetryCause,
    RetryPolicy,
    ScheduleRefused,
    StartWindow,
)
from domain.queue.state import CANCELLED, EXPIRED, ExecutionNotEnded, ExecutionState
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ExecutionStatus, Failure, FailureCode, ScriptReport

NOW = datetime(2026, 11, 27, 12, 0, 0, 5, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
REF = SessionRef(ANONYMOUS, UUID(int=1))
NOTHING = timedelta(0)


def entry(**facts):
    window = StartWindow.after(NOW)
    defaults = {
        "ref": REF,
        "params": JsonText("{}"),
        "idempotency_key": IdempotencyKey("k", "0" * 64),
        "window": window,
    }
    return Entry(**{"execution_id": uuid7_at(NOW, 0), **defaults, **facts})


def latest(_, longest_s):
    return longest_s


def test_a_window_opens_after_the_delay_and_closes_after_its_length():
    assert StartWindow.after(NOW) == StartWindow(NOW, NOW + 6 * HOUR)
    assert StartWindow.after(NOW, HOUR, SECOND) == StartWindow(NOW + HOUR, NOW + HOUR + SECOND)


def test_no_entry_waits_for_longer_than_the_history_has_its_day():
    window = StartWindow.after(NOW, DELAY_MAX, timedelta(days=20))
    assert window.expires_at == NOW + WAIT_MAX
    assert entry(window=window).window == window
    with pytest.raises(ValueError, match="expires at most"):
        entry(window=evolve(window, expires_at=window.expires_at + timedelta(microseconds=1)))


@pytest.mark.parametrize("delay", [-SECOND, DELAY_MAX + SECOND])
def test_a_delay_outside_of_its_bounds_is_refused_with_both(delay):
    with pytest.raises(ScheduleRefused) as refused:
        StartWindow.after(NOW, delay)
    assert str(delay) in refused.value.message
    assert "30 days" in refused.value.message


def test_a_window_ends_with_the_session():
    window = StartWindow.after(NOW, HOUR)
    assert window.within(NOW + 2 * HOUR) == evolve(window, expires_at=NOW + 2 * HOUR)
    assert window.within(NOW + 100 * HOUR) == window
    with pytest.raises(ScheduleRefused) as refused:
        window.within(NOW + HOUR)
    assert refused.value.message.count((NOW + HOUR).isoformat()) == 2


@pytest.mark.parametrize("options", [{"priority_s": -1}, {"priority_s": 3601}, {"retry": 0}, {"retry": 11}], ids=str)
def test_options_outside_of_their_bounds_are_refused(options):
    with pytest.raises(ValueError, match="must be"):
        RetryPolicy(options["retry"]) if "retry" in options else AcceptOptions(**options)


def test_a_head_start_moves_an_entry_forward_in_the_order_only():
    ahead = entry(options=AcceptOptions(priority_s=60))
    assert ahead.ready_at == NOW - timedelta(minutes=1)
    assert ahead.window.not_before == ahead.accepted_at == NOW


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (FailureCode.SCRIPT_ERROR, RetryCause.SCRIPT_ERROR),
        (FailureCode.EXECUTION_TIMEOUT, RetryCause.TIMEOUT),
        (FailureCode.CPU_LIMIT, RetryCause.TIMEOUT),
        (FailureCode.MEMORY_LIMIT, RetryCause.MEMORY),
        (FailureCode.RESULT_TOO_LARGE, None),
        (FailureCode.EXECUTION_CANCELLED, None),
    ],
)
def test_a_failure_is_a_cause_if_another_run_may_end_otherwise(code, cause):
    assert RetryCause.of(code) is cause


def test_only_the_causes_of_the_policy_lead_to_another_attempt():
    policy = RetryPolicy(3, frozenset({RetryCause.TIMEOUT}))
    assert policy.pause_after(1, RetryCause.TIMEOUT, latest) == SECOND
    assert policy.pause_after(2, RetryCause.TIMEOUT, latest) == 2 * SECOND
    assert policy.pause_after(3, RetryCause.TIMEOUT, latest) is None
    for cause in (RetryCause.UNKNOWN, None):
        assert policy.pause_after(1, cause, latest) is None
    assert RetryPolicy().pause_after(1, RetryCause.TIMEOUT, latest) is None


@given(attempt=st.integers(1, 9), share=st.floats(0, 1))
def test_pauses_are_random_up_to_a_bound_that_doubles_to_an_hour(attempt, share):
    policy = RetryPolicy(10, frozenset(RetryCause))
    pause = policy.pause_after(attempt, RetryCause.MEMORY, lambda shortest_s, longest_s: share * longest_s)
    assert NOTHING <= pause <= min(HOUR, SECOND * 2 ** (attempt - 1))


def test_the_next_attempt_has_its_own_id_and_key_and_the_same_expiry():
    first, next_id = entry(options=AcceptOptions(in_order=True)), uuid7_at(NOW + SECOND, 0)
    following = first.next_attempt(next_id, SECOND)
    assert following == evolve(
        first,
        execution_id=next_id,
        idempotency_key=None,
        window=StartWindow(NOW + 2 * SECOND, first.window.expires_at),
        attempt=2,
        retry_of=first.execution_id,
    )


def test_an_attempt_that_would_start_after_the_expiry_expires_at_its_start():
    first = entry(window=StartWindow(NOW, NOW + SECOND))
    window = first.next_attempt(uuid7_at(NOW, 1), HOUR).window
    assert window == StartWindow(NOW + HOUR, NOW + HOUR)


@pytest.mark.parametrize(
    ("report", "status"), [(CANCELLED, ExecutionStatus.CANCELLED), (EXPIRED, ExecutionStatus.EXPIRED)]
)
def test_what_ended_in_the_queue_has_a_report_that_says_so(report, status):
    state = ExecutionState(REF, UUID(int=2), report.status, LanguageTitle.of("python-x"), report=report)
    assert state.status is status
    executed = state.executed
    assert executed.execution_count == 0
    with pytest.raises(ExecutionFailed):
        executed.require_success()


def test_a_state_without_a_kept_report_has_no_response():
    assert ExecutionState(REF, UUID(int=2), ExecutionStatus.QUEUED).executed is None


def test_a_status_is_final_once_the_execution_has_ended():
    assert [each for each in ExecutionStatus if not each.is_final] == ["queued", "running"]
    failed = ScriptReport(None, Failure(FailureCode.MEMORY_LIMIT, "too much"), 1.0)
    assert failed.status is ExecutionStatus.FAILED


def test_an_execution_that_has_not_ended_is_named_with_its_status():
    message = ExecutionNotEnded(UUID(int=2), ExecutionStatus.RUNNING).message
    assert str(UUID(int=2)) in message
    assert "running" in message
