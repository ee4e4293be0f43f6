import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.takeover.cached import (
    Disagreement,
    ExecutionCount,
    cached_value,
    disagreements,
    lives_s,
    merged,
    read_cached,
    same_json,
)
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
        value(execution_count=3.5),
        value(execution_count=True),
        value(user_id=7),
        value(user_id="\ud800"),
        value(script_content=["return 1;"]),
        value(metadata="\udc80").encode().decode("unicode_escape"),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": [1.50, "é"]}', '{"b":[1.5,"\\u00e9"],"a":1}'),
        ("18446744073709551616", "18446744073709552000.0"),
        ("123456789012345678901234567890", "1.2345678901234568e29"),
        ("-9223372036854775809", "-9.223372036854776e18"),
        ("1e2", "100"),
        (None, None),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_json_of_one_value_is_the_same(one, other):
    assert same_json(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("18446744073709551615", "18446744073709551614"),
        ("-9223372036854775808", "-9223372036854775807"),
        ("1", "true"),
        ("0", "false"),
        ("null", None),
        ('{"a": 1}', '{"a": 1, "b": null}'),
        ("[1, 2]", "[2, 1]"),
        ('"1"', "1"),
        ("[" * 100_000, "[" * 99_999),
    ],
)
def test_json_of_different_values_is_not_the_same(one, other):
    assert not same_json(one, other)


@pytest.mark.parametrize(
    "changes",
    [
        {"context": '{"a": 2}'},
        {"compile_options": "{}"},
        {"metadata": "[]"},
        {"user_id": "u"},
        {"created_at": NOW},
        {"language_title": "nodejs-x"},
    ],
)
def test_a_changed_content_is_a_disagreement(changes):
    cached = read_cached(value())
    assert cached is not None
    assert list(disagreements(evolve(cached, context='{ "a": 1 }'), cached)) == []
    assert list(disagreements(evolve(cached, **changes), cached)) == [Disagreement.CONTENT]


def test_a_value_is_written_as_the_origin_writes_it():
    stored = row(
        created_at=NOW + timedelta(microseconds=5),
        last_executed_at=None,
        execution_count=None,
        context='{"b": 18446744073709551616}',
        script_content='say("é")\n',
        user_id="ü",
    )
    written = cached_value(stored, "f" * 64)
    assert list(json.loads(written)) == list(MEMBERS)
    assert '"created_at":"2026-07-17T08:00:00.000005Z"' in written
    assert '"context":{"b": 18446744073709551616}' in written
    assert read_cached(written) == evolve(stored, execution_count=0, script_hash="f" * 64, compile_status="pending")


def test_what_the_row_knows_of_its_script_stays_and_no_script_is_not_compiled():
    known = json.loads(cached_value(row(script_hash="a", compile_status="failed", compile_options="{}"), "b"))
    assert (known["script_hash"], known["compile_status"], known["compile_options"]) == ("a", "failed", {})
    without = json.loads(cached_value(row(script_content=None), None))
    assert (without["script_content"], without["script_hash"], without["compile_status"]) == (None, None, None)


def test_a_life_ends_with_the_second_in_which_the_session_expires():
    moment = timedelta(microseconds=1)
    assert [lives_s(NOW + each, NOW) for each in (SECOND, SECOND + moment, moment, 0 * SECOND, -SECOND)] == [
        1,
        2,
        1,
        0,
        0,
    ]


def test_each_disagreement_has_words_of_its_own():
    assert len({each.words for each in Disagreement}) == len(Disagreement)


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_no_text_breaks_the_reading(text: str):
    read_cached(text)
