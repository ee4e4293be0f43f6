"""How deep a JSON text is nested, whatever stands in its strings."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_text import depth_of, has_unreadable_number, is_deeper, outside_strings, without_strings

values = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\a') | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
)


def levels_of(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(levels_of, value), default=0) if isinstance(value, list) else 0


@given(values)
def test_the_depth_is_that_of_the_value(value) -> None:
    text = json.dumps(value).encode()
    assert depth_of(text) == levels_of(value)
    assert not is_deeper(text, levels_of(value))
    assert levels_of(value) == 0 or is_deeper(text, levels_of(value) - 1)


@pytest.mark.parametrize("text", [b'["', b'["[[[[', b'["\\', b'["[\\"[['])
def test_a_string_without_an_end_goes_to_the_end(text: bytes) -> None:
    assert without_strings(text) == b"["


SLICE_SIZE = 16 * 1024


@pytest.mark.parametrize("missing", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "value", [b'"a"', b'"\\"]"', b"-12.5e-300", b"[[1]]", b'{"a":[]}', b'"' + b"x" * 40_000 + b'"']
)
def test_a_value_at_the_end_of_a_slice_is_read_as_any_other(value: bytes, missing: int) -> None:
    text = b"[[" + b" " * (SLICE_SIZE - 2 - missing) + value + b"," + value + b"]]"
    assert without_strings(text) == re.sub(rb'"(?:[^"\\]|\\.)*"', b"", text)
    depth = levels_of(json.loads(text))
    assert is_deeper(text, depth - 1)
    assert not is_deeper(text, depth)
    assert depth_of(text) == depth


@pytest.mark.parametrize("missing", range(1, 12))
def test_no_slice_ends_within_a_number(missing: int) -> None:
    text = b"[" + b" " * (SLICE_SIZE - 1 - missing) + b"-12.5e-300,1]"
    assert sum(part.count(b"-12.5e-300") for part in outside_strings(text)) == 1


def test_brackets_are_counted_through_all_slices() -> None:
    text = b"[" * 60 + b'"[",' * SLICE_SIZE + b"[" * 40 + b"]" * 100
    assert is_deeper(text, 99)
    assert not is_deeper(text, 100)
    assert depth_of(text) == 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"[1e308]", False),
        (b"[1e309]", True),
        (b'["1e309"]', False),
        (b"[" + b"9" * 5000 + b"]", True),
        (b'["' + b"9" * 5000 + b'"]', False),
    ],
)
def test_numbers_that_many_decoders_refuse_are_found_outside_strings(text: bytes, expected: bool) -> None:
    assert has_unreadable_number(text) is expected
