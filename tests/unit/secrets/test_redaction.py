"""Redaction of secrets: in every spelling, in every place that a script writes to, and whatever the pieces are."""

import base64
import json
import sys
from collections import Counter
from urllib.parse import quote, quote_plus

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from domain.json_text import JsonText
from domain.scripts.dropped import DroppedName
from domain.scripts.report import PROTOCOL_BROKEN, Failure, FailureCode, ScriptReport
from domain.secrets.redaction import Redaction
from domain.secrets.spellings import spellings
from tests.unit.secrets.builders import VALUES

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


STOPPED = Failure(FailureCode.EXECUTION_TIMEOUT, "stopped")


@pytest.mark.parametrize("text", ENCODED.values(), ids=ENCODED)
def test_of_a_stopped_script_the_beginning_of_a_spelling_is_replaced_where_its_output_ends(text):
    stopped = ScriptReport(None, STOPPED, 1.0, stdout=f"<{text[:-1]}", stderr=text[:4])
    redacted, count = REDACTION.report(stopped)
    assert (redacted.stdout, redacted.stderr, count) == (f"<{MARK}", MARK, 2)


@pytest.mark.parametrize("failure", [None, Failure(FailureCode.SCRIPT_ERROR, "no"), STOPPED])
def test_a_script_that_came_to_its_end_has_written_what_it_meant_to(failure):
    ended = ScriptReport(None, failure, 1.0, stdout=VALUE[:-1], stderr=VALUE[:3])
    redacted, count = REDACTION.report(ended)
    assert (redacted.stdout, count) == ((MARK, 1) if failure is STOPPED else (VALUE[:-1], 0))
    assert redacted.stderr == VALUE[:3]


def test_a_script_that_wrote_to_the_channel_of_its_worker_was_stopped():
    broken = Failure(FailureCode.SCRIPT_ERROR, "broken", name=PROTOCOL_BROKEN)
    assert REDACTION.report(ScriptReport(None, broken, 1.0, stdout=VALUE[:4]))[0].stdout == MARK


def cut_text(text, length_max):
    """Cut as workers do."""
    return text if len(text) <= length_max else f"{text[:length_max]}..."


@pytest.mark.parametrize("kept", [4, 7, len(VALUE) - 1])
@pytest.mark.parametrize("behind", ["", " The script may reach only api.example.com:443 (network.allow)."])
def test_an_error_that_was_cut_shows_no_beginning_of_a_secret(kept, behind):
    text = cut_text("x" * (16_384 - kept) + VALUE, 16_384)
    name = cut_text("N" * (200 - kept) + VALUE, 200)
    failure = Failure(FailureCode.SCRIPT_ERROR, text + behind, name=name, stack=text)
    redacted, count = REDACTION.report(ScriptReport(None, failure, 1.0))
    shown = "x" * (16_384 - kept) + f"{MARK}..."
    assert (redacted.failure.message, redacted.failure.stack, count) == (shown + behind, shown, 3)
    assert redacted.failure.name == "N" * (200 - kept) + f"{MARK}..."


def test_an_error_within_its_limit_keeps_what_stands_before_an_ellipsis():
    failure = Failure(FailureCode.SCRIPT_ERROR, f"{VALUE[:6]}...", stack="x" * 16_000 + f"{VALUE[:6]}...")
    assert REDACTION.report(ScriptReport(None, failure, 1.0))[1] == 0


def test_a_text_of_node_is_cut_by_utf_16_and_within_a_character():
    value = "abcd\U0001f511efgh"
    written = "\U0001f600" * 8189 + "x" + value
    cut = written.encode("utf-16-le")[: 2 * 16_384].decode("utf-16-le", "replace") + "..."
    failure = Failure(FailureCode.SCRIPT_ERROR, cut, stack="\U0001f600" * 8193)
    redacted, count = Redaction.of({"KEYS": value}).report(ScriptReport(None, failure, 1.0))
    assert (redacted.failure.message, count) == ("\U0001f600" * 8189 + "x[secret KEYS]...", 1)
    assert redacted.failure.stack == failure.stack


def test_an_error_that_the_names_of_secrets_make_longer_is_cut_at_its_limit_and_within_no_name():
    failure = Failure(FailureCode.SCRIPT_ERROR, OTHER * 1600, name=OTHER * 20, stack=OTHER * 1600 + "\n" * 384)
    redacted = REDACTION.report(ScriptReport(None, failure, 1.0))[0].failure
    mark = "[secret NUMBER]"
    assert redacted.message == redacted.stack == mark * ((16_384 + 73) // 15) + "..."
    assert redacted.name == mark * ((200 + 73) // 15) + "..."


def test_names_that_were_cut_show_no_beginning_of_a_secret():
    names = tuple(
        DroppedName(f"{'n' * (128 - kept)}{VALUE}"[:128], f"{'t' * (64 - kept)}{VALUE}"[:64]) for kept in (4, 3)
    )
    redacted, count = REDACTION.report(ScriptReport(JsonText("1"), None, 1.0, dropped=names))
    assert count == 2
    assert redacted.dropped == (DroppedName("n" * 124, "t" * 60 + MARK), names[1])


@given(
    VALUES.filter(lambda value: "\ufffd" not in value),
    st.lists(st.text(alphabet="\n\t xyzé"), max_size=3),
    st.integers(0, 400),
    st.data(),
)
def test_at_a_cut_no_text_of_four_characters_or_more_begins_a_spelling(value, noise, size, data):
    texts = [*sorted(spellings(value)), OTHER, value[:-1]]
    content = "".join(each + data.draw(st.sampled_from(texts)) for each in noise).encode()[:size]
    redaction = Redaction.of({"KEY": value, "NUMBER": OTHER})
    left, _ = redaction.output(content.decode("utf-8", "replace"), is_cut=True)
    if "[secret " in left:
        left = left.rpartition("[secret ")[2].partition("]")[2]
    for whole in (left, left.removesuffix("\ufffd")):
        assert [each for each in texts if any(whole.endswith(each[:length]) for length in range(4, len(each)))] == []


@given(st.text(alphabet="\n\t xyzé\ufffd."), st.booleans(), st.sampled_from([None, STOPPED]))
def test_a_text_without_a_secret_is_unchanged_wherever_it_is_cut(text, is_long, failure):
    text *= 20_000 if is_long else 1
    error = None if failure is None else evolve(failure, message=text, name=text, stack=text)
    report = ScriptReport(None, error, 1.0, stdout=text, stderr=text, dropped=(DroppedName(text, text),))
    assert Redaction.of({"API_KEY": "abcdefgh" * 5, "NUMBER": OTHER}).report(report) == (report, 0)
