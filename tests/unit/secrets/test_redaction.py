"""Redaction of secrets: in every spelling, in every place that a script writes to, and whatever the pieces are."""

import base64
import json
import sys
from collections import Counter
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.json_text import JsonText
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.secrets.redaction import RedactedStream, Redaction
from domain.secrets.spellings import spellings

VALUE, OTHER = 'p4$$ "wörd"/+?\\', "1234567890"
SECRETS = {"API_KEY": VALUE, "NUMBER": OTHER}
REDACTION = Redaction.of(SECRETS)
MARK = "[secret API_KEY]"
CONTENT = VALUE.encode()
ENCODED = {
    "itself": VALUE,
    "reversed": VALUE[::-1],
    "json": json.dumps(VALUE)[1:-1],
    "json of other than ASCII": json.dumps(VALUE, ensure_ascii=False)[1:-1],
    "quote": quote(VALUE),
    "quote of all": quote(VALUE, safe=""),
    "quote_plus": quote_plus(VALUE),
    "hex": CONTENT.hex(),
    "HEX": CONTENT.hex().upper(),
    "repr": repr(VALUE)[1:-1],
    "json in json": json.dumps(json.dumps(VALUE))[3:-3],
}
VALUES = st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=8, max_size=40)
NOISE = st.text(alphabet='ab"\\/+é1', max_size=12)


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED)
def test_each_spelling_is_replaced_by_the_name(text):
    assert REDACTION.text(f"<{text}> and <{text}>") == (f"<{MARK}> and <{MARK}>", 2)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz", b"user:", b"\xff\xfe"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy", b"\xff"])
def test_base64_is_found_whatever_its_neighbours_are(encode, before, after):
    redacted, count = REDACTION.text(encode(before + CONTENT + after).decode())
    assert count == 1
    left = redacted.replace(MARK, "")
    assert len(left) <= len(encode(before + after)) + 4


@given(VALUES)
def test_no_secret_has_more_than_some_spellings_and_none_that_is_short(value):
    found = spellings(value)
    assert value in found
    assert len(found) <= 24
    assert min(map(len, found)) >= 8


def test_a_value_is_found_without_the_space_around_it():
    redaction = Redaction.of({"API_KEY": "\tsk+live+0123\n"})
    assert redaction.text("Bearer sk+live+0123 ") == (f"Bearer {MARK} ", 1)


def test_long_lines_of_a_value_are_found_alone_but_not_what_stands_around_every_key():
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0B", "short", "-----END PRIVATE KEY-----"]
    found = spellings("\n".join(lines))
    assert [line for line in lines if line in found] == [lines[1]]


def test_of_many_lines_the_longest_are_found():
    lines = [f"{nth}".rjust(16 + nth, "x") for nth in range(70)]
    assert [line for line in lines if line in spellings("\n".join(lines))] == lines[6:]


def test_the_longest_spelling_counts_where_several_begin():
    redaction = Redaction.of({"SHORT": "abcdefgh", "LONG": "abcdefghij"})
    assert redaction.text("abcdefghij abcdefgh") == ("[secret LONG] [secret SHORT]", 2)


def test_the_first_of_two_that_overlap_counts():
    redaction = Redaction.of({"A": "abcdefgh", "B": "ghijklmn"})
    assert redaction.text("abcdefghijklmn") == ("[secret A]ijklmn", 1)


def test_without_secrets_texts_stay_as_they_are():
    nothing = Redaction.of({})
    assert nothing.text(VALUE) == (VALUE, 0)
    assert nothing.length_max == 0
    assert RedactedStream(nothing).feed(VALUE) == VALUE


@given(VALUES, st.lists(NOISE, max_size=4), st.lists(st.integers(0, 200), max_size=12), st.data())
def test_any_split_of_writes_gives_the_redacted_whole(value, noise, cuts, data):
    redaction = Redaction.of({"API_KEY": value, "NUMBER": OTHER})
    texts = [*spellings(value), OTHER, value[:-1]]
    whole = "".join(each + data.draw(st.sampled_from(texts)) for each in noise)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    stream = RedactedStream(redaction)
    shown = [stream.feed(whole[start:end]) for start, end in pairwise(places)]
    redacted, count = redaction.text(whole)
    assert ("".join([*shown, stream.end()]), stream.count) == (redacted, count)


def test_a_stream_shows_nothing_of_a_secret_whose_end_has_not_arrived():
    stream = RedactedStream(REDACTION)
    shown = "".join(map(stream.feed, "x" * 200 + VALUE))
    assert set(shown) == {"x"}
    assert len(shown) > 200 - 2 * REDACTION.length_max
    assert shown + stream.end() == "x" * 200 + MARK


@pytest.mark.parametrize(
    ("result", "redacted"),
    [
        (VALUE, MARK),
        ({"a": [1.50, None, True, {VALUE: VALUE}]}, {"a": [1.5, None, True, {MARK: MARK}]}),
        (int(OTHER), "[secret NUMBER]"),
        ([f"{VALUE}!", VALUE[::-1]], [f"{MARK}!", MARK]),
        (f"x{OTHER}y", "x[secret NUMBER]y"),
    ],
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_result_stays_json_without_the_secret(result, redacted, is_ascii):
    text, count = REDACTION.json(JsonText(json.dumps(result, ensure_ascii=is_ascii)))
    assert json.loads(text) == redacted
    assert count >= 1


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.sampled_from([VALUE, f"{OTHER}5", int(f"9{OTHER}"), "", "\\\\", '"', "x" * 9, f"a\n{VALUE}"]),
        lambda parts: st.lists(parts) | st.dictionaries(st.sampled_from([VALUE, "a", '"', "x" * 9]), parts),
    ),
    st.booleans(),
)
def test_of_json_each_string_name_and_number_is_redacted_and_nothing_else(value, is_ascii):
    def expected(part):
        if isinstance(part, list):
            return [expected(each) for each in part]
        if isinstance(part, dict):
            return {expected(name): expected(member) for name, member in part.items()}
        text = part if isinstance(part, str) else json.dumps(part)
        redacted, count = REDACTION.text(text)
        return redacted if count else part

    text, _ = REDACTION.json(JsonText(json.dumps(value, ensure_ascii=is_ascii)))
    assert json.loads(text) == expected(value)


@pytest.mark.parametrize(
    ("result", "calls_max"),
    [
        ([0] * 20_000 + [VALUE], 2_000),
        (["short"] * 20_000 + [VALUE], 2_000),
        (OTHER * 2_000, 12_000),
        ([OTHER] * 2_000, 40_000),
    ],
    ids=["numbers", "short texts", "a text of many", "many texts"],
)
def test_the_work_for_a_result_grows_with_its_places_not_with_its_values_times_spellings(result, calls_max):
    redaction = Redaction.of(SECRETS | {f"OTHER_{nth}": f"another secret {nth}" for nth in range(14)})
    text, calls = JsonText(json.dumps(result)), Counter[str]()
    sys.setprofile(lambda _frame, event, _argument: calls.update((event,)))
    try:
        redaction.json(text)
    finally:
        sys.setprofile(None)
    assert calls["call"] + calls["c_call"] < calls_max


def test_numbers_and_members_beside_a_secret_keep_their_digits_and_their_order():
    text = JsonText(f'{{"z":1e30,"b":55555555555555555555555,"a":1.50,"secret":"{OTHER}"}}')
    assert REDACTION.json(text)[0] == '{"z":1e30,"b":55555555555555555555555,"a":1.50,"secret":"[secret NUMBER]"}'


def test_a_result_without_a_secret_is_the_same_text():
    text = JsonText('{ "a" : 1.50 }')
    assert REDACTION.json(text) == (text, 0)
    across = Redaction.of({"ACROSS": '","other":"'})
    spanning = JsonText('{"a":"x","other":"y"}')
    assert across.json(spanning) == (spanning, 0)


def test_a_report_has_no_secret_anywhere():
    failure = Failure(FailureCode.SCRIPT_ERROR, f"bad {VALUE}", name=VALUE, stack=f"at {OTHER}\n{VALUE}")
    report = ScriptReport(None, failure, 1.0, stdout=f"{VALUE}\n", stderr=VALUE[::-1])
    redacted, count = REDACTION.report(report)
    assert (redacted.stdout, redacted.stderr, count) == (f"{MARK}\n", MARK, 6)
    assert redacted.failure == evolve(failure, message=f"bad {MARK}", name=MARK, stack=f"at [secret NUMBER]\n{MARK}")
    succeeded = ScriptReport(JsonText(json.dumps([VALUE])), None, 1.0)
    assert REDACTION.report(succeeded)[0].result == json.dumps([MARK])


def test_a_report_without_a_secret_is_the_same_object():
    report = ScriptReport(JsonText('"fine"'), None, 1.0, stdout="fine")
    assert REDACTION.report(report) == (report, 0)
    assert REDACTION.report(report)[0] is report


def test_no_value_is_in_the_representation():
    assert VALUE not in repr(REDACTION)
    stream = RedactedStream(REDACTION)
    stream.feed(VALUE)
    assert VALUE not in repr(stream)
