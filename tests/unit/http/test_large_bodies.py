"""Bodies with very many values are checked without an object for each value."""

import json
import tracemalloc

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import DomainError, FieldTooLarge, InvalidRequest
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import json_text
from tests.unit.http.parsers import Parsers
from tests.unit.http.test_bodies import JSON_VALUES
from tests.unit.http.world import OPTIONS

MIB = 1024 * 1024
EMOJI = b'"\\ud83d\\ude00"'
DEFAULTS = HttpOptions(OPTIONS.limits)
PARSERS = Parsers.of(DEFAULTS)


def params_of(values: bytes) -> bytes:
    return b'{"params": {"x": ' + EMOJI + b', "a": [' + values + b"]}}"


def problems_of(parser, content) -> dict[str, str]:
    with pytest.raises(DomainError) as raised:
        parser.parse(content)
    return {problem["pointer"]: problem["message"] for problem in raised.value.details["problems"]}


def peak_of(work) -> int:
    """Return the peak of bytes that the work allocates in Python."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def quietly(work) -> None:
    try:
        work()
    except DomainError:
        return


@pytest.mark.parametrize(
    "values",
    [
        b"{}," * 345_000 + b"1",
        b'"",' * 345_000 + b"1",
        b'{"a":0},' * 125_000 + b"1",
        b"1e9," * 250_000 + b"1",
        b"1e100," * 170_000 + b"1",
        b'"' + b"\\n" * 500_000 + b'"',
        b'"' + b"\\u2e00" * 170_000 + b'"',
    ],
)
def test_a_valid_body_is_accepted_however_many_values_it_has(values):
    content = params_of(values)
    bodies = []
    peak = peak_of(lambda: bodies.append(PARSERS.execute.parse(content)))
    assert json_text(bodies[0].params) == content[len(b'{"params": ') : -1].decode()
    assert peak < 8 * len(content)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (params_of(b"{}," * 60_000 + b"1e999"), {"/params": "must be a number within the range of a double"}),
        (params_of(b"{}," * 60_000 + b'"\\udead"'), {"": "must not contain half of a surrogate pair"}),
        (params_of(b"{}," * 60_000 + b"}"), {"": "is not valid JSON: JSON is malformed: invalid character"}),
        (
            params_of(b"{}," * 60_000 + b"1")[:-1] + b',"x":1}',
            {"/x": "is not a known field; known are: async, collect, files, params"},
        ),
        (params_of(b"{}," * 60_000 + b"1")[:-1] + b',"params":1}', {"/params": "is given more than once"}),
        (b"[" + b"{}," * 60_000 + b"1]", {"": "must be an object"}),
        (params_of(b"{}," * 60_000 + b"\xff"), {"": f"is not UTF-8 at byte {len(params_of(b'{},' * 60_000)) - 3}"}),
        (params_of(b"[" * 200 + b"{}," * 60_000), {"": "is nested deeper than 100 levels"}),
        (b'{"a":0' + b',"a":0' * 100_000 + b"}", {"": "must not have more than 100 fields", "/a": "is given"}),
    ],
)
def test_problems_among_very_many_values_are_reported_by_field(content, problems):
    found = problems_of(PARSERS.execute, content)
    assert set(found) == set(problems)
    assert all(found[where].startswith(message) for where, message in problems.items())


def test_a_fault_among_few_values_is_located():
    assert set(problems_of(PARSERS.execute, params_of(b"{}," * 40_000 + b"1e999"))) == {"/params/a/40000"}


def test_nul_in_a_stored_field_is_found_among_very_many_values():
    content = b'{"context": {"a": [' + b"1," * 60_000 + b'"\\u0000"]}}'
    assert set(problems_of(PARSERS.initialize, content)) == {"/context"}


@pytest.mark.parametrize(
    "content",
    [
        b'{"items":[{"params":{"x":' + EMOJI + b',"a":[' + b"{}," * 500_000 + b"1]}}]}",
        b'{"items":[' + b"{}," * 500_000 + b"{}]}",
        b'{"items":[{"params":["' + b"\\n" * 750_000 + b'"]}]}',
        b'{"items":[' + b"[" * 750_000 + b"]" * 750_000 + b"]}",
        b'{"x":[' + b'"",' * 500_000 + b"1]}",
        b"{" + b'"a":{},' * 200_000 + b'"b":1}',
        b'{"items":[1e5' + b",1e5" * 375_000 + b',"\\ud800"]}',
        b'"' + b"\xf0\x9f\x98\x80" * 375_000 + b"\xff",
    ],
)
def test_a_hostile_batch_takes_a_few_times_its_size(content):
    parser = PARSERS.batch
    assert peak_of(lambda: quietly(lambda: parser.parse(content))) < 6 * len(content)


@pytest.mark.parametrize(
    "text", [b"\\ud800aa" * 125_000, b"\\u0041\\ud800" * 83_000, b"\xf0\x9f\x98\x80" + b"a" * 1_000_000]
)
@pytest.mark.parametrize("around", [b'{"items":"%b"}', b'{"items":[{"params":"%b"}]}', b'{"items":[],"x":"%b"}'])
def test_a_batch_with_one_long_text_takes_a_few_times_its_size(around, text):
    parser = PARSERS.batch
    assert peak_of(lambda: quietly(lambda: parser.parse(around % text))) < 10 * MIB


def test_a_field_that_is_too_large_is_not_searched_for_faults_among_very_many_values():
    content = b'{"context": {"a": [' + b"1e100," * 60_000 + b"1e999]}}"
    with pytest.raises(FieldTooLarge) as raised:
        PARSERS.initialize.parse(content)
    assert raised.value.pointer == "/context"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (
            b'{"items":[],"x":1}',
            {"/items": "must have 1 to 1000 items", "/x": "is not a known field; known are: items, parallel"},
        ),
        (
            b'{"items":[' + b"1," * 1000 + b'1],"parallel":0}',
            {"/items": "must have 1 to 1000 items", "/parallel": "must be at least 1"},
        ),
        (
            b'{"items":[{"params":' + b"[" * 99 + b"]" * 99 + b'}],"x":1}',
            {"/x": "is not a known field; known are: items, parallel"},
        ),
        (b'{"items":[{"params":' + b"[" * 100 + b"]" * 100 + b"}]}", {"/items/0": "is nested deeper than 100 levels"}),
    ],
)
def test_every_problem_of_a_batch_is_reported_at_once(content, problems):
    with pytest.raises(InvalidRequest) as raised:
        PARSERS.batch.parse(content)
    assert {problem.pointer: problem.message for problem in raised.value.problems} == problems


@pytest.mark.parametrize("field", [b"tags", b"examples"])
def test_a_function_with_very_many_elements_takes_a_few_times_its_size(field):
    content = b'{"script_content":"1","%b":[' % field + b"0," * 500_000 + b"0]}"
    parser = PARSERS.function
    assert peak_of(lambda: quietly(lambda: parser.parse(content))) < 6 * len(content)


def test_an_item_above_the_size_limit_of_a_call_is_not_decoded():
    size_max = PARSERS.execute.size_max
    content = b'{"items":[{"params":1},{"params":"' + b"x" * size_max + b'"}]}'
    with pytest.raises(FieldTooLarge) as raised:
        PARSERS.batch.parse(content)
    assert (raised.value.pointer, raised.value.size_max) == ("/items/1", size_max)


PIECES = st.sampled_from(
    [
        b'"\\u0000"', b'"\\ud800"', b'"\\udc00"', b'"\\ud83d\\ude00"', b'"\\\\ud800"', b'"\\\\u0000"', b"1e309", b"-1e400",
        b"1e-16384", b"1e308", b"9" * 309, b"1" + b"0" * 309, b"0." + b"1" * 16_400, b"1e99", b'{"a":1,"a":2}', b"[]", b"{}",
        b'"1e999"', b'"\xc3\xa9"', b'"\xff"', b"[" * 98 + b"]" * 98, b"[" * 120 + b"]" * 120, b"nul", b"null", b"",
    ]
)  # fmt: skip
VALUES = st.one_of(
    PIECES,
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.lists(PIECES, max_size=4).map(lambda pieces: b"[" + b",".join(pieces) + b"]"),
    PIECES.map(lambda piece: b'{"a":' + piece + b"}"),
)
FIELDS = [b"context", b"metadata", b"limits", b"params", b"ttl_seconds", b"script_content", b"x", b"c\\u006fntext"]
BODIES = st.lists(st.tuples(st.sampled_from(FIELDS), VALUES), max_size=4).map(
    lambda pairs: b"{" + b",".join(b'"%b":%b' % pair for pair in pairs) + b"}"
)


@given(BODIES)
@example(b'{"limits":{"memory_mb":1,"memory_mb":2}}')
@example(b'{"context":{},"c\\u006fntext":{}}')
@example(b'{"context":{"\\u0000":1}}')
def test_both_explanations_find_a_problem_exactly_when_the_check_fails(content):
    for parser in (PARSERS.initialize, PARSERS.execute, PARSERS.patch):
        body = parser.check(content)
        located = list(parser.explanation.problems(content))
        summarized = list(evolve(parser.explanation, located_values_max=-1).problems(content))
        assert (body is None) == bool(located) == bool(summarized)
