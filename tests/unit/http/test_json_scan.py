"""Scans of JSON text find faults without an object for each value, also at the ends of slices."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.http.parsing.json_faults import text_fault
from entrypoints.http.parsing.json_scan import elements, has_half_pair, members, utf8_fault_at, without_half_pairs

HALF = re.compile("[\ud800-\udfff]")


@given(
    st.lists(st.sampled_from([b"\\ud83d", b"\\ude00", b"\\\\", b"\\n", b"a", b"\\u0041", b"\\\\ud83d"])), st.booleans()
)
def test_half_surrogate_pairs_are_found_at_any_place(letters, across):
    text = b'"' + (b"x" * (64 * 1024 - 9) if across else b"") + b"".join(letters) + b'"'
    expected = any("\ud800" <= letter <= "\udfff" for letter in json.loads(text))
    assert has_half_pair(text) == expected
    assert not any("\ud800" <= letter <= "\udfff" for letter in json.loads(without_half_pairs(text)))


@pytest.mark.parametrize("missing", range(-14, 14))
@pytest.mark.parametrize(
    "letters", [b"\\ud83d\\ude00" * 3, b"\\ud83d\\ude00\\ud83d", b"\\ude00\\ud83d\\ude00", b"\\\\ud83d" * 3]
)
def test_pairs_across_the_end_of_a_slice_are_found(letters, missing):
    text = b'"' + b"x" * (64 * 1024 - 1 - missing) + letters + b'"'
    is_half = any("\ud800" <= letter <= "\udfff" for letter in json.loads(text))
    assert has_half_pair(text) == is_half
    assert json.loads(without_half_pairs(text)) == HALF.sub("\ufffd", json.loads(text))


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize(
    ("number", "is_beyond", "is_long"),
    [
        (b"9" * 308, False, False),
        (b"9" * 309, True, False),
        (b"-" + b"9" * 309, True, False),
        (b"1" * 149 + b"e99", False, False),
        (b"1" * 200 + b"e200", True, False),
        (b"1.5e308", False, False),
        (b"1.5E+0308", False, False),
        (b"-1e309", True, False),
        (b"1e-16383", False, False),
        (b"1e-16384", False, True),
        (b"0." + b"1" * 16_383, False, False),
        (b"0." + b"1" * 16_384, False, True),
    ],
    ids=lambda value: value[:12].decode() if isinstance(value, bytes) else None,
)
def test_numbers_beyond_the_limits_are_found_in_text(number, is_beyond, is_long, stored):
    found = text_fault(b'{"a":[1,' + number + b',"1e999"]}', stored=stored)
    assert (found is not None) == (is_beyond or (stored and is_long))


def fault_at(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


@pytest.mark.parametrize("before", [0, 1, 64 * 1024 - 3, 64 * 1024 - 2, 64 * 1024 - 1, 64 * 1024])
@pytest.mark.parametrize(
    "letters",
    [b"\xf0\x9f\x98\x80", b"\xf0\x9f\x98", b"\xf0\x9f\x98a", b"\xc3\xa9\x80", b"\xed\xa0\x80", b"\xff", b"ab"],
)
def test_bytes_that_are_not_utf8_are_found_at_any_place(before, letters):
    text = b"x" * before + letters
    assert utf8_fault_at(text) == fault_at(text)


def test_names_of_an_object_are_found_without_decoding_its_values():
    found = members(b'{"a": [1, {"b": 2}], "\\u0061": {}, "c": "x"}')
    assert (found.names, found.repeated, bytes(found.values["a"])) == (("a", "a", "c"), ("a",), b"{}")


@pytest.mark.parametrize(
    ("text", "count"), [(b"[]", 0), (b"[1, [2, 3]]", 2), (b"[1, 2, 3]", 3), (b"[1, 2, 3, 4]", None)]
)
def test_elements_of_an_array_are_decoded_up_to_the_maximum(text, count):
    found = elements(text, 3)
    assert (None if found is None else len(found)) == count
