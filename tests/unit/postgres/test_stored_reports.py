"""Responses to callers are stored exactly, and read by other releases."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.reports import report_of, report_text
from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.json_text import JsonText
from domain.scripts.collected import CollectedFile
from domain.scripts.dropped import DroppedName
from domain.scripts.report import Failure, FailureCode, ScriptReport

TRAFFIC = ExecutionTraffic(
    (HostTraffic("api.example.com", 443, 1, 2, 3, 4),), (Refusal("a.test", 443, RefusalReason.IDLE),), is_lost=True
)
LEFT = CollectedFile("plots/ä.png", UUID(int=7), 3, "0" * 64, "image/png")
texts = st.text(max_size=20) | st.sampled_from(["\0", "\ud800", "\udfff\\", '"'])
times = st.floats(0, 1e9)
failures = st.builds(
    Failure,
    code=st.sampled_from(FailureCode),
    message=texts,
    stack=st.none() | texts,
    line=st.none() | st.integers(1, 10**6),
    observed=st.none() | st.integers(0, 1 << 60),
)
reports = st.builds(
    ScriptReport,
    result=st.none() | st.just(JsonText('{"a": 1.50}')),
    failure=st.none() | failures,
    execution_time_ms=times,
    stdout=texts,
    stderr=texts,
    memory_usage_bytes=st.none() | st.integers(0, 1 << 60),
    cpu_time_ms=st.none() | times,
    cold_start=st.none() | st.booleans(),
    traffic=st.none() | st.just(TRAFFIC),
    dropped=st.sampled_from([(), (DroppedName("pair", "tuple"),)]),
    files=st.sampled_from([None, (), (LEFT,)]),
)


@given(report=reports)
def test_a_report_is_stored_exactly_and_in_ascii(report):
    text = report_text(report)
    assert text.isascii()
    assert "\0" not in text
    assert report_of(text, report.result) == report


@pytest.mark.parametrize("failure", [None, {"code": "SCRIPT_ERROR", "message": "bad", "hint": "later"}])
def test_facts_of_another_release_are_dropped(failure):
    report = report_of(json.dumps({"execution_time_ms": 1.5, "failure": failure, "gpu_time_ms": 3}), None)
    assert report.execution_time_ms == 1.5
    assert (report.failure and report.failure.message) == (failure and failure["message"])
