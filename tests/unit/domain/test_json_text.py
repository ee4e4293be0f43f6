"""How deep a JSON text is nested, whatever stands in its strings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_text import is_deeper, without_strings

values = st.recursive(
    st.none() | st.text(alphabet='[]{}"\\a') | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
)


def depth_of(value) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(values)
def test_the_depth_is_that_of_the_value(value) -> None:
    text = json.dumps(value).encode()
    assert not is_deeper(text, depth_of(value))
    assert depth_of(value) == 0 or is_deeper(text, depth_of(value) - 1)


@pytest.mark.parametrize("text", [b'["[[[[', b'["\\', b'["[\\"[['])
def test_a_string_without_an_end_goes_to_the_end(text: bytes) -> None:
    assert without_strings(text) == b"["
