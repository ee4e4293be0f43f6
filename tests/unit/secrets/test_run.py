"""What is shown of a run with secrets: its report, and its output while it runs."""

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.json_text import JsonText
from domain.scripts.dropped import DroppedName
from domain.scripts.output import ScriptProgress
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.secrets.redaction import Redaction
from domain.secrets.run import RunSecrets
from domain.secrets.spellings import spellings
from domain.secrets.values import GivenSecrets
from tests.contracts.script_runs import Heard

VALUE = 'p4$$ "wörd"/+?\\'
MARK = "[secret KEY]"


def run(value: str = VALUE) -> RunSecrets:
    values = {"KEY": value}
    return RunSecrets(GivenSecrets(values, {"KEY": 1}, Redaction.of(values)))


def report(**facts) -> ScriptReport:
    return ScriptReport(**{"result": None, "failure": None, "execution_time_ms": 1.0} | facts)


def test_a_report_is_shown_without_the_values():
    found = run().shown(report(result=JsonText(json.dumps({VALUE: [VALUE]})), stdout=f"{VALUE}\n", stderr=VALUE[::-1]))
    assert (json.loads(found.result), found.stdout, found.stderr) == ({MARK: [MARK]}, f"{MARK}\n", MARK)
    assert found.redacted == 4


def test_a_report_without_a_value_stays_as_it_is():
    plain = report(result=JsonText("1"), stdout="nothing")
    assert run().shown(plain) is plain
    assert plain.redacted == 0


@pytest.mark.parametrize("noise", ["", "x" * 65_536])
@pytest.mark.parametrize("place", ["stdout", "message"])
async def test_a_report_of_any_size_is_shown_without_the_values(noise, place):
    text, redacted = f"{noise}{VALUE}", f"{noise}{MARK}"
    if place == "stdout":
        assert (await run().shown_aside(report(stdout=text))).stdout == redacted
    else:
        failure = Failure(FailureCode.SCRIPT_ERROR, text)
        assert (await run().shown_aside(report(failure=failure))).failure.message == redacted


async def test_other_calls_go_on_while_a_large_report_is_searched():
    searching = asyncio.ensure_future(run().shown_aside(report(stdout="x" * 65_536)))
    await asyncio.sleep(0)
    assert not searching.done()
    await searching
    small = asyncio.ensure_future(run().shown_aside(report(stdout="x")))
    await asyncio.sleep(0)
    assert small.done()


def test_a_failure_is_shown_without_the_values():
    failure = Failure(FailureCode.SCRIPT_ERROR, f"no {VALUE}", name=VALUE, stack=f"at {VALUE}")
    found = run().shown(report(failure=failure)).failure
    assert (found.message, found.name, found.stack) == (f"no {MARK}", MARK, f"at {MARK}")


def test_names_of_a_script_that_are_not_kept_are_redacted():
    found = run().shown(report(dropped=(DroppedName(VALUE, VALUE), DroppedName("n", "set"))))
    assert VALUE not in str(found.dropped)
    assert (found.dropped[1], found.redacted) == (DroppedName("n", "set"), 2)


@pytest.mark.parametrize("value", ["12345678", "ab345678", "Ab_345-78.X", "AB345678\n"])
def test_hosts_are_shown_without_the_values_which_are_there_in_lower_case(value):
    host = value.strip().lower()
    traffic = ExecutionTraffic(
        (HostTraffic(f"{host}.example.com", 443),),
        (Refusal(f"{host}.example.org", 443, RefusalReason.NOT_ALLOWED),),
    )
    found = run(value).shown(report(traffic=traffic)).traffic
    assert found.hosts[0].host == "[secret KEY].example.com"
    assert found.refusals[0].host == "[secret KEY].example.org"


@pytest.mark.parametrize("failure", [None, Failure(FailureCode.SCRIPT_ERROR, "no")])
def test_a_state_that_holds_a_value_is_not_saved(failure):
    state = JsonText(json.dumps({"kept": [VALUE]}))
    result = JsonText("1") if failure is None else None
    found = run().shown(report(result=result, failure=failure, state=state))
    code = FailureCode.STATE_HOLDS_SECRET if failure is None else FailureCode.SCRIPT_ERROR
    assert (found.failure.code, found.result, found.state) == (code, None, None)
    kept = run().shown(report(state=JsonText('{"n": 1}')))
    assert (kept.failure, kept.state) == (None, '{"n": 1}')


def test_without_a_listener_nothing_is_passed_on():
    secrets = run()
    assert secrets.listening(None) is None
    assert secrets.shown(report()) == report()
    assert (secrets.values, VALUE in repr(secrets)) == ({"KEY": VALUE}, False)


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=8, max_size=30),
    st.lists(st.integers(0, 300), max_size=10),
    st.data(),
)
def test_live_output_in_any_pieces_of_bytes_is_that_of_the_report(value, cuts, data):
    texts = [*sorted(spellings(value)), "é\n", "x", value[:-1]]
    whole = "".join(data.draw(st.lists(st.sampled_from(texts), max_size=5)))
    secrets, heard, content = run(value), Heard(), whole.encode()
    listener = secrets.listening(heard)
    for start, end in pairwise(sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})):
        listener.on_stdout(content[start:end])
        listener.on_stderr(content[start:end])
    found = secrets.shown(report(stdout=whole, stderr=whole))
    assert (heard.stdout.decode(), heard.stderr.decode()) == (found.stdout, found.stderr)


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=8, max_size=30),
    st.lists(st.integers(0, 300), max_size=5),
    st.integers(0, 300),
    st.booleans(),
    st.data(),
)
def test_live_output_of_a_stopped_script_ends_as_that_of_its_report_at_any_byte(value, cuts, size, is_remote, data):
    texts = [*sorted(spellings(value)), "é\n", "x", value[:-1]]
    content = "".join(data.draw(st.lists(st.sampled_from(texts), max_size=5))).encode()[:size]
    if is_remote:
        content = content.decode("utf-8", "replace").encode()
    secrets, heard = run(value), Heard()
    listener = secrets.listening(heard)
    for start, end in pairwise(sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})):
        listener.on_stdout(content[start:end])
    stopped = Failure(FailureCode.OUTPUT_LIMIT, "too much")
    found = secrets.shown(report(stdout=content.decode("utf-8", "replace"), failure=stopped))
    assert heard.stdout.decode("utf-8", "replace") == found.stdout


def test_bytes_that_are_no_text_pass_as_they_are():
    secrets, heard = run(), Heard()
    listener = secrets.listening(heard)
    listener.on_stdout(b"\xff\xfe\0" + VALUE.encode() + b"\xe2")
    secrets.shown(report())
    assert heard.stdout == b"\xff\xfe\0" + MARK.encode() + b"\xe2"


def test_progress_is_shown_without_the_values_and_stays_short():
    secrets, heard = run("12345678"), Heard()
    listener = secrets.listening(heard)
    listener.on_progress(ScriptProgress(0.5, "12345678" * 25))
    (progress,) = heard.progress
    assert progress.value == 0.5
    assert progress.message == MARK * 16, "a mark that would not fit is left out"


def test_output_that_comes_by_single_bytes_is_held_back_for_a_while_only():
    secrets, heard = run(), Heard()
    listener = secrets.listening(heard)
    for _ in range(1000):
        listener.on_stdout(b"x")
    assert len(heard.stdout) > 1000 - 2 * Redaction.of({"KEY": VALUE}).length_max
