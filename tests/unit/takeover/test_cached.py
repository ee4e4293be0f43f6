import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.takeover.cached import Disagreement, ExecutionCount, disagreements, merged, read_cached
from tests.unit.takeover.builders import NOW, ROW, row

SECOND = timedelta(seconds=1)
MEMBERS = {
    "request_id": ROW.request_id,
    "language_title": "nodejs-adder",
    "user_id": None,
    "created_at": "2026-07-17T07:00:00.123456789Z",
    "expires_at": "2026-07-17T09:00:00Z",
    "last_executed_at": None,
    "execution_count": 3,
    "status": "active",
    "context": {"a": 1},
    "script_content": "return 1;",
    "script_hash": "0" * 64,
    "compiled_artifact": None,
    "compile_options": None,
    "compile_status": "pending",
    "compile_error": None,
    "metadata": None,
}


def value(**changes: object) -> str:
    return json.dumps({**MEMBERS, **changes}, separators=(",", ":"))


def test_a_value_is_a_session_with_instants_to_the_microsecond():
    found = read_cached(value())
    assert found == row(
        created_at=datetime(2026, 7, 17, 7, 0, 0, 123456, UTC),
        expires_at=datetime(2026, 7, 17, 9, 0, tzinfo=UTC),
        last_executed_at=None,
        context='{"a":1}',
        script_hash="0" * 64,
        compile_status="pending",
    )


def test_json_keeps_its_digits_and_null_is_sql_null_where_a_row_has_that():
    text = value().replace('{"a":1}', '{"a":123456789012345678901234567890,"b":1.50}')
    found = read_cached(text)
    assert found is not None
    assert found.context == '{"a":123456789012345678901234567890,"b":1.50}'
    found = read_cached(value(context=None, metadata={"b": 2}, compiled_artifact=[1, 2, 3]))
    assert found is not None
    assert (found.context, found.metadata, found.artifact_bytes) == ("null", '{"b":2}', 3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        "{",
        value(created_at="yesterday"),
        value(created_at="2026-07-17T07:00:00"),
        value(created_at=7),
        value(request_id=None),
        value(execution_count="3"),
        value(compiled_artifact=7),
        "[" * 100_000,
    ],
)
def test_what_the_origin_cannot_read_is_no_session(text: str):
    assert read_cached(text) is None


@pytest.mark.parametrize(
    ("in_row", "in_key", "runs_ahead", "expected"),
    [
        (ExecutionCount(3, NOW), ExecutionCount(5, NOW + 2 * SECOND), False, ExecutionCount(5, NOW + 2 * SECOND)),
        (ExecutionCount(6, NOW), ExecutionCount(5, NOW + 2 * SECOND), False, ExecutionCount(5, NOW + 2 * SECOND)),
        (ExecutionCount(6, NOW + 2 * SECOND), ExecutionCount(5, NOW), False, ExecutionCount(6, NOW + 2 * SECOND)),
        (ExecutionCount(6, NOW), ExecutionCount(5, NOW + SECOND), False, ExecutionCount(6, NOW + SECOND)),
        (ExecutionCount(6, NOW), ExecutionCount(5, NOW + SECOND), True, ExecutionCount(5, NOW + SECOND)),
        (ExecutionCount(0, None), ExecutionCount(1, NOW), False, ExecutionCount(1, NOW)),
        (ExecutionCount(0, None), ExecutionCount(0, None), False, ExecutionCount(0, None)),
    ],
)
def test_the_later_execution_is_true_of_both(in_row, in_key, runs_ahead, expected):
    assert merged(in_row, in_key, runs_ahead=runs_ahead) == expected


def test_a_key_that_equals_its_row_does_not_disagree():
    cached = read_cached(value())
    assert cached is not None
    same = evolve(cached, context='{"a": 1}')
    assert list(disagreements(same, cached)) == []
    changed = evolve(same, execution_count=9, expires_at=NOW, script_content="x")
    assert list(disagreements(changed, cached)) == list(Disagreement)


def test_each_disagreement_has_words_of_its_own():
    assert len({each.words for each in Disagreement}) == len(Disagreement)


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_no_text_breaks_the_reading(text: str):
    read_cached(text)
