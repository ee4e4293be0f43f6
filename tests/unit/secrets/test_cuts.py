"""Where the beginning of a spelling stands at a cut."""

import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.secrets.cuts import Cut

KEY = "abcdefghijklmnopqrstuvwxyz"


def head(text: str, *spelled: str, start: int = 0) -> tuple[int, str] | None:
    return Cut.behind(text, len(text)).head(text, start, spelled)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("<abcd", 1),
        (f"<{KEY[:-1]}", 1),
        (f"<{KEY[:20]}{KEY[:20]}", 21),
        ("abcdabcd", 4),
        ("<abcd\ufffd", 1),
        ("<abcd\udce2\udc82", 1),
        ("<abc", None),
        ("abcdx", None),
        ("<abcd\udce2\udc82x", None),
        (f"{KEY}", None),
        (f"{KEY}{KEY[:3]}", None),
    ],
)
def test_a_head_is_the_longest_end_of_a_text_that_begins_a_spelling(text, start):
    assert head(text, KEY) == (None if start is None else (start, KEY))


def test_of_several_spellings_the_one_counts_that_begins_first():
    other = "--abcdefgh"
    assert head("x--abcdef", KEY, other) == (1, other)
    assert head("x--abcdef", KEY, other, start=2) == (3, KEY)


@given(st.text(alphabet="ab", min_size=8, max_size=30), st.text(alphabet="ab", max_size=60))
def test_a_head_is_what_a_search_of_each_place_finds(spelling, text):
    ends = (text[place:] for place in range(len(text) - 3))
    longest = next((end for end in ends if spelling.startswith(end) and end != spelling), None)
    found = head(text, spelling)
    assert found == (None if longest is None else (len(text) - len(longest), spelling))


def test_the_search_takes_few_steps_and_redacts_too_much_rather_than_too_little():
    size, calls = 50_000, Counter[str]()
    spelling, text = "a" * size + "b" * size, "a" * size + "ca" * 100 + "aaab"
    sys.setprofile(lambda _frame, event, _argument: calls.update((event,)))
    try:
        found = head(text, spelling)
    finally:
        sys.setprofile(None)
    assert found is not None
    assert found[0] <= size
    assert calls["call"] + calls["c_call"] < 200


def test_only_a_text_beyond_its_limit_has_a_cut():
    assert Cut.of_long("x" * 10, 10) is None
    assert Cut.of_long("x" * 10 + "...", 10) == Cut(10, 10)
    assert Cut.of_long("x" * 10 + "\ufffd... more", 10) == Cut(10, 11)
    assert Cut.of_long("x" * 11, 10) == Cut(11, 11)
    assert Cut.of_long("\U0001f600" * 6, 10) == Cut(6, 6)
