"""Texts that are cut beside marks, and never within one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.secrets.marks import mark_of, shortened, shortened_bytes

MARK = mark_of("API_KEY")


@pytest.mark.parametrize(
    ("text", "length_max", "kept"),
    [
        (f"ab{MARK}", 18, f"ab{MARK}"),
        (f"ab{MARK}c", 18, f"ab{MARK}"),
        (f"ab{MARK}", 17, "ab"),
        (f"ab{MARK}", 3, "ab"),
        (f"ab{MARK}", 2, "ab"),
        (f"ab{MARK}", 1, "a"),
        ("[secret no name]", 12, "[secret no n"),
        (mark_of("K" * 64), 72, ""),
    ],
)
def test_a_text_keeps_no_part_of_a_mark(text, length_max, kept):
    assert shortened(text, length_max) == kept
    assert shortened_bytes(text, length_max) == kept


def test_bytes_are_counted_and_no_character_is_divided():
    assert shortened_bytes("aé", 2) == "a"
    assert shortened_bytes("é", 1) == ""
    assert shortened_bytes("aéb", 3) == "aé"
    assert shortened_bytes("a\udcffb", 2) == "a\udcff"


@given(st.lists(st.sampled_from(["é", "x", "\U0001f511", MARK, mark_of("B")])), st.integers(0, 100))
def test_what_is_kept_begins_the_text_and_has_whole_marks(parts, size_max):
    text = "".join(parts)
    kept = shortened_bytes(text, size_max)
    assert len(kept.encode()) <= size_max or kept == text
    assert any(kept == "".join(parts[:count]) for count in range(len(parts) + 1))
