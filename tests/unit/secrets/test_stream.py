"""Redaction of a text that arrives in pieces."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.scripts.output import OUTPUT_SIZE_MAX
from domain.secrets.redaction import Redaction
from domain.secrets.secret import VALUE_SIZE_MAX
from domain.secrets.spellings import spellings
from domain.secrets.stream import RedactedStream
from tests.unit.secrets.builders import VALUES

VALUE, OTHER = 'p4$$ "wörd"/+?\\', "1234567890"
REDACTION = Redaction.of({"API_KEY": VALUE, "NUMBER": OTHER})
MARK = "[secret API_KEY]"
NOISE = st.text(alphabet='ab"\\/+é1', max_size=12)


@given(VALUES, st.lists(NOISE, max_size=4), st.lists(st.integers(0, 200), max_size=12), st.booleans(), st.data())
def test_any_split_of_writes_gives_the_redacted_whole(value, noise, cuts, is_cut, data):
    redaction = Redaction.of({"API_KEY": value, "NUMBER": OTHER})
    texts = [*sorted(spellings(value)), OTHER, value[:-1]]
    whole = "".join(each + data.draw(st.sampled_from(texts)) for each in noise)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    stream = RedactedStream(redaction)
    shown = [stream.feed(whole[start:end]) for start, end in pairwise(places)]
    assert ("".join([*shown, stream.end(is_cut=is_cut)]), stream.count) == redaction.output(whole, is_cut=is_cut)


def test_without_secrets_pieces_are_shown_as_they_come():
    stream = RedactedStream(Redaction.of({}))
    assert stream.feed(VALUE) + stream.end(is_cut=True) == VALUE


def test_a_stream_shows_nothing_of_a_secret_whose_end_has_not_arrived():
    stream = RedactedStream(REDACTION)
    shown = "".join(map(stream.feed, "x" * 200 + VALUE))
    assert set(shown) == {"x"}
    assert len(shown) > 200 - 2 * REDACTION.length_max
    assert shown + stream.end() == "x" * 200 + MARK


def test_a_redacted_stream_ends_at_the_limit_of_output_and_within_no_mark():
    stream = RedactedStream(REDACTION)
    whole = "é" + OTHER * (OUTPUT_SIZE_MAX // len(OTHER) - 1) + "end"
    shown = "".join(stream.feed(whole[at : at + 1000]) for at in range(0, len(whole), 1000)) + stream.end()
    assert shown == REDACTION.output(whole, is_cut=False)[0]
    assert shown == "é" + "[secret NUMBER]" * ((OUTPUT_SIZE_MAX - 2) // 15)


def test_a_stream_without_a_secret_has_no_limit():
    stream = RedactedStream(REDACTION)
    assert len("".join(stream.feed("x" * OUTPUT_SIZE_MAX) for _ in range(2)) + stream.end()) == 2 * OUTPUT_SIZE_MAX


def test_no_value_is_in_the_representation():
    stream = RedactedStream(REDACTION)
    stream.feed(VALUE)
    assert VALUE not in repr(stream)


def test_a_secret_of_the_greatest_size_is_found_in_each_spelling_that_is_split_over_two_writes():
    value = "".join(random.Random("a secret").choices('abcXYZ0189+/"\\% é', k=VALUE_SIZE_MAX))
    value = value.encode()[:VALUE_SIZE_MAX].decode(errors="ignore")
    redaction = Redaction.of({"NUMBER": OTHER, "LARGE": value})
    for text in spellings(value):
        stream, half = RedactedStream(redaction), len(text) // 2
        shown = stream.feed(f"<{text[:half]}") + stream.feed(f"{text[half:]}>") + stream.end()
        assert shown == "<[secret LARGE]>"
