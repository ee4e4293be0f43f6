"""What a host claims of a run is judged by what the run was given."""

import pytest

from domain.json_text import JsonText
from domain.scripts.ports import RunState
from domain.scripts.report import ExecutionUnknown, FailureCode
from tests.contracts.script_runs import report_of, run_of
from tests.unit.runtimes.conftest import HOST
from tests.unit.runtimes.replies import ERROR, own

EXECUTE = f"{HOST}/execute"
RULES = ("api.example.com:443",)
USED = ["api.example.com", 443, 1, 900, 5000, 0]
REFUSED = ["other.example.com", 443, "not in network.allow"]


def state(**options) -> RunState:
    return RunState(JsonText('{"a": 1}'), **options)


def leaving(text: str, **changes) -> bytes:
    """Return a reply that leaves this state."""
    return own(state="LEFT", **changes).replace(b'"LEFT"', text.encode())


async def unknown(runner, host, reply: bytes, **given) -> str:
    """Return why the outcome of a run with this reply is unknown."""
    host.post(EXECUTE).respond(content=reply)
    with pytest.raises(ExecutionUnknown) as raised:
        await report_of(runner, run_of("result = 1", **given))
    return raised.value.reason


async def test_what_a_network_used_is_reported(runner, host):
    host.post(EXECUTE).respond(content=own(traffic={"hosts": [USED], "refusals": [REFUSED]}))
    report = await report_of(runner, run_of("result = 1", network=RULES))
    assert (report.traffic.sent_bytes, report.traffic.received_bytes) == (900, 5000)
    assert report.traffic.last_refusal.host == "other.example.com"


@pytest.mark.parametrize(
    ("place", "fact"),
    [
        (0, ""), (0, "a" * 254), (1, 0), (1, 65_536), (2, -1), (2, 1 << 32), (3, -1), (3, 1 << 37), (4, 1 << 63),
        (4, 1 << 64), (5, -1),
    ],
)  # fmt: skip
async def test_figures_that_no_network_can_have_are_not_added_up(runner, host, place, fact):
    used = [*USED[:place], fact, *USED[place + 1 :]]
    assert "malformed" in await unknown(runner, host, own(traffic={"hosts": [used]}), network=RULES)


async def test_a_run_without_a_network_has_used_none(runner, host):
    assert "without a network" in await unknown(runner, host, own(traffic={"hosts": [USED]}))


async def test_the_state_that_a_script_has_left_is_reported(runner, host):
    host.post(EXECUTE).respond(content=leaving('{"a":  2}'))
    assert (await report_of(runner, run_of("result = 1", state=state()))).state == '{"a":  2}'
    host.post(EXECUTE).respond(content=leaving('{"a": 3}', result=None, error=ERROR))
    assert (await report_of(runner, run_of("result = 1", state=state(saves_failures=True)))).state == '{"a": 3}'


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        (None, {}),
        (state(is_shared=True), {}),
        (state(), {"result": None, "error": ERROR}),
    ],
    ids=["none", "shared", "failed"],
)
async def test_a_state_that_the_run_does_not_write_is_not_saved(runner, host, given, changes):
    assert "does not write" in await unknown(runner, host, leaving('{"a": 2}', **changes), state=given)


async def test_a_state_with_half_of_a_surrogate_pair_is_not_saved(runner, host):
    assert "malformed" in await unknown(runner, host, leaving('{"a": "\\ud800"}'), state=state())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[]", FailureCode.STATE_NOT_SERIALIZABLE),
        ('{"a": 1e999}', FailureCode.STATE_NOT_SERIALIZABLE),
        ('{"a": ' + "[" * 600 + "]" * 600 + "}", FailureCode.STATE_NOT_SERIALIZABLE),
        ('{"a": "' + "x" * 262_144 + '"}', FailureCode.STATE_TOO_LARGE),
    ],
    ids=["array", "number", "deep", "large"],
)
async def test_a_state_beyond_the_limits_fails_the_run(runner, host, text, code):
    host.post(EXECUTE).respond(content=leaving(text))
    report = await report_of(runner, run_of("result = 1", state=state()))
    assert (report.failure.code, report.result, report.state) == (code, None, None)


async def test_a_failure_stays_if_its_state_is_beyond_the_limits(runner, host):
    host.post(EXECUTE).respond(content=leaving("[]", result=None, error=ERROR))
    report = await report_of(runner, run_of("result = 1", state=state(saves_failures=True)))
    assert (report.failure.code, report.state) == (FailureCode.SCRIPT_ERROR, None)


async def test_only_a_run_with_a_state_leaves_names_out_of_it(runner, host):
    assert "names that are not kept" in await unknown(runner, host, own(dropped=[["f", "function"]]))


async def test_a_run_that_was_started_did_not_expire(runner, host):
    expired = ERROR | {"code": "EXECUTION_EXPIRED"}
    assert "expired before it started" in await unknown(runner, host, own(result=None, error=expired))


@pytest.mark.parametrize("fact", [{"observed": -1}, {"observed": 1 << 63}, {"limit": 1 << 70}, {"line": -1}])
async def test_numbers_of_a_failure_are_within_what_can_be_stored(runner, host, fact):
    (name,) = fact
    assert f"$.{name}" in await unknown(runner, host, own(result=None, error=ERROR | fact))


async def test_the_largest_number_that_a_sandbox_reports_is_accepted(runner, host):
    host.post(EXECUTE).respond(content=own(result=None, error=ERROR | {"observed": (1 << 63) - 1}))
    assert (await report_of(runner, run_of("result = 1"))).failure.observed == (1 << 63) - 1


@pytest.mark.parametrize("result", ["1e999", "[" * 100 + "]" * 100], ids=["infinite", "deep"])
async def test_a_result_that_many_programs_cannot_read_fails_the_run(runner, host, result):
    host.post(EXECUTE).respond(content=own(result="RESULT", state={"a": 2}).replace(b'"RESULT"', result.encode()))
    report = await report_of(runner, run_of("result = 1", state=state()))
    assert (report.failure.code, report.result, report.state) == (FailureCode.RESULT_NOT_SERIALIZABLE, None, None)
