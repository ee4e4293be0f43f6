"""Two JSON values are compared by value, and the origin's reader of numbers is known."""

import json
import math

import pytest

from domain.takeover.comparison import Comparison, Note, compared

SOURCE = "return {a: {b: c}, 'a/b': 0, '~': 1}"
EQUAL = [
    ('{"a": 1, "b": [true, null]}', '{"b": [true, null], "a": 1}'),
    ("1", "1.0"),
    ("[-0.0]", "[0]"),
    ('"\\u00e9"', '"é"'),
    ("{}", "{}"),
]
DIFFERENT = [
    ("1", "2", ""),
    ("1", "true", ""),
    ("0", "false", ""),
    ("null", "false", ""),
    ('"1"', "1", ""),
    ("[]", "{}", ""),
    ("[1, 2]", "[1, 3]", "/1"),
    ("[1]", "[1, 2]", "/1"),
    ("[1, 2]", "[1]", "/1"),
    ('{"a": 1}', '{"a": 1, "b": 2}', "/b"),
    ('{"a": {"b": [0, {"c": "x"}]}}', '{"a": {"b": [0, {"c": "y"}]}}', "/a/b/1/c"),
    ('{"a/b": {"~": 1}}', '{"a/b": {"~": 2}}', "/a~1b/~0"),
    ('{"b": 1, "a": 1}', '{"b": 2, "a": 2}', "/a"),
    ("1.5", "1.25", ""),
    ("18446744073709551615", "18446744073709551616", ""),
    ("1e300", "1" * 400, ""),
    ("9007199254740992.0", "9007199254740993", ""),
]


@pytest.mark.parametrize(("origin", "here"), EQUAL)
def test_equal_values_are_equal_in_every_spelling(origin, here):
    assert compared(json.loads(origin), json.loads(here), SOURCE) == Comparison(None)


@pytest.mark.parametrize(("origin", "here", "pointer"), DIFFERENT)
def test_a_difference_is_told_by_its_first_place(origin, here, pointer):
    assert compared(json.loads(origin), json.loads(here), SOURCE) == Comparison(pointer)


@pytest.mark.parametrize(
    ("origin", "here"), [("1.1805916207174113e21", str(2**70 + 1)), ("-1e19", "-10000000000000000001")]
)
def test_a_large_integer_that_became_a_double_at_the_origin_is_no_difference(origin, here):
    found = compared([json.loads(origin)], [json.loads(here)], SOURCE)
    assert found == Comparison(None, frozenset({Note.LARGE_INTEGER}))


def test_the_last_digits_of_a_double_are_no_difference():
    exact = 0.1 + 0.2
    near = math.nextafter(math.nextafter(exact, 1), 1)
    assert compared(near, exact, SOURCE) == Comparison(None, frozenset({Note.LAST_DIGITS}))
    assert compared(math.nextafter(near, 1), exact, SOURCE) == Comparison("")


@pytest.mark.parametrize(
    "name", ["ada@example.com", "5e1f0c", "total_of_ada", "to", "tal", "\x1b[2J", "\ud800", "x" * 61, "a\nb"]
)
def test_a_name_that_the_script_does_not_have_is_in_no_pointer(name):
    source = f"result = {{'total': 1, **params}}  # {'x' * 61} \x1b[2J \ud800 a\nb"
    assert compared({"total": {name: 1}}, {"total": {name: 2}}, source).pointer == "/total/*"


def test_a_pointer_is_of_bounded_size():
    origin, here = 1, 2
    for _ in range(9):
        origin, here = {"x" * 60: origin}, {"x" * 60: here}
    assert compared(origin, here, "x" * 60).pointer == ("/" + "x" * 60) * 3 + "/" + "x" * 16
