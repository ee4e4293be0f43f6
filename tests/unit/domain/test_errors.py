"""Errors say what is true and what to do."""

import pytest

from domain.errors import (
    DomainError,
    FieldTooLarge,
    InvalidRequest,
    Overloaded,
    Problem,
    RuntimeUnavailable,
    ShuttingDown,
    StorageUnavailable,
)
from domain.executions.execution import ExecutionFailed, ExecutionLost, ExecutionNotStored, OpenExecution, Payload
from domain.functions.function import FunctionNotFound
from domain.identity import uuid7_at
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.report import (
    ExecutionStatus,
    ExecutionUnknown,
    Failure,
    FailureCode,
    ScriptReport,
    cancelled_report,
)
from domain.sessions.session import UpdateConflict
from tests.unit.domain.builders import START, session_at

ID = uuid7_at(START, 1)
FAILURE = Failure(FailureCode.SCRIPT_ERROR, "boom", name="Error", line=2, column=3)
FAILED = ScriptReport(result=None, failure=FAILURE, execution_time_ms=1.5, stdout="out")
SUCCEEDED = ScriptReport(result=JsonText("8"), failure=None, execution_time_ms=1.5)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest([Problem("/a", "must be 1"), Problem("", "is wrong")]), "INVALID_REQUEST"),
        (FieldTooLarge("", 5), "PAYLOAD_TOO_LARGE"),
        (StorageUnavailable(), "STORAGE_UNAVAILABLE"),
        (StorageUnavailable(stored="unknown"), "STORAGE_UNAVAILABLE"),
        (Overloaded("a worker"), "OVERLOADED"),
        (RuntimeUnavailable("python", "install it."), "RUNTIME_UNAVAILABLE"),
        (ShuttingDown(), "SHUTTING_DOWN"),
        (FunctionNotFound(LanguageTitle.of("python-x")), "FUNCTION_NOT_FOUND"),
        (ExecutionFailed(ID, ID, 1, FAILED, FAILURE), "SCRIPT_ERROR"),
        (ExecutionNotStored(ID, SUCCEEDED), "STORAGE_UNAVAILABLE"),
        (ExecutionUnknown("gone", ID), "RUNTIME_UNAVAILABLE"),
        (ExecutionLost(), "STORAGE_UNAVAILABLE"),
    ],
)
def test_every_error_has_its_code_and_a_message(error: DomainError, code: str) -> None:
    assert error.code == code
    assert str(error) == error.message
    assert error.message
    assert None not in error.details.values() or code == "PAYLOAD_TOO_LARGE"


def test_every_problem_has_its_pointer() -> None:
    error = InvalidRequest([Problem("/a", "must be 1"), Problem("", "is wrong")])
    assert error.message.endswith("/a: must be 1; The body is wrong")
    assert error.details == {
        "problems": [{"pointer": "/a", "message": "must be 1"}, {"pointer": "", "message": "is wrong"}]
    }


def test_the_error_of_a_write_that_may_be_stored_says_to_read_first() -> None:
    unknown = StorageUnavailable(stored="unknown", retry_after_ms=None)
    assert "may or may not" in unknown.message
    assert unknown.details == {"stored": "unknown"}


def test_a_failed_execution_has_the_facts_of_the_run() -> None:
    error = ExecutionFailed(ID, ID, 7, FAILED, FAILURE)
    details = error.details
    assert error.message == "Error: boom"
    assert details["name"] == "Error"
    assert not details.keys() & {"error", "code", "message"}
    assert (details["line"], details["column"], details["stdout"]) == (2, 3, "out")
    assert details["execution_count"] == 7
    assert "result" not in details


def test_an_execution_that_is_not_stored_has_its_result() -> None:
    details = ExecutionNotStored(ID, SUCCEEDED).details
    assert (details["result"], details["executed"], details["stored"]) == ("8", "yes", "unknown")


def test_a_failed_execution_that_is_not_stored_has_the_code_and_the_message_of_the_failure() -> None:
    details = ExecutionNotStored(ID, FAILED).details
    assert (details["error"], details["name"], details["message"]) == (FAILURE.code, "Error", "boom")


def test_an_unknown_execution_has_its_id() -> None:
    assert ExecutionUnknown("gone", ID).details == {
        "stored": "unknown",
        "executed": "unknown",
        "execution_id": ID,
    }


def test_a_report_without_failure_succeeded() -> None:
    assert SUCCEEDED.status is ExecutionStatus.SUCCEEDED
    assert FAILED.status is ExecutionStatus.FAILED


def test_a_payload_keeps_its_beginning_and_its_whole_length() -> None:
    assert Payload.of("abcdef", 4) == Payload("abcd", 6)


def test_a_lost_race_stores_nothing_and_may_be_repeated() -> None:
    assert UpdateConflict().details == {"stored": "no", "retry_after_ms": 1000}


def test_an_open_execution_was_started_at_the_instant_in_its_id() -> None:
    execution = OpenExecution(uuid7_at(START, 0), session_at(), START)
    assert execution.started_at == START


def test_times_are_rounded_to_the_microsecond() -> None:
    report = ScriptReport(None, None, execution_time_ms=1.23456, cpu_time_ms=0.98765)
    assert (report.execution_time_ms, report.cpu_time_ms, report.queue_time_ms) == (1.235, 0.988, None)


@pytest.mark.parametrize(
    ("name", "message", "summary"),
    [("ValueError", "gone", "ValueError: gone"), ("ValueError", "", "ValueError"), (None, "too large", "too large")],
)
def test_a_failure_has_a_summary_in_one_line(name: str | None, message: str, summary: str) -> None:
    assert Failure(FailureCode.SCRIPT_ERROR, message, name=name).summary == summary


def test_a_full_queue_and_a_wait_that_was_too_long_are_told_apart():
    assert str(Overloaded("a worker")).startswith("Too many calls are waiting for a worker, so this call was not")
    assert str(Overloaded("a worker", 2.0)).startswith("This call waited 2 s for a worker, until QUEUE_TIMEOUT_MS, and")


def test_a_script_that_was_stopped_before_it_started_took_no_time():
    report = cancelled_report(queue_time_ms=3.0)
    assert (report.status, report.execution_time_ms, report.queue_time_ms) == (ExecutionStatus.CANCELLED, 0.0, 3.0)
