"""What the history keeps of the states that executions save."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.executions.means import RunMeans
from domain.executions.uses import USES_SIZE_MAX, uses_of
from domain.files.given import inline_file
from domain.grants.secrets import SECRETS_MAX
from domain.json_text import JsonText
from domain.scripts.collected import CollectedFile
from domain.scripts.files import RunFiles
from domain.scripts.ports import RunState
from domain.scripts.report import ScriptReport
from domain.secrets.redaction import Redaction
from domain.secrets.run import RunSecrets
from domain.secrets.values import GivenSecrets


def kept(before: str, after: str | None) -> Any:
    uses = uses_of(
        ScriptReport(None, None, 1.0, state=after and JsonText(after)), RunMeans(state=RunState(JsonText(before), 6))
    )
    return None if uses is None else json.loads(uses)["state"]


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("{}", '{"a":1}', ["a"]),
        ('{"a":1,"b":[1,{"c":2}],"d":3}', '{"b":[1,{"c":2.0}],"a":1,"d":4}', ["d"]),
        ('{"a":1,"b":2}', '{"b":3}', ["b", "a"]),
        ('{"a":{"b":[1,2]}}', '{"a":{"b":[2,1]}}', ["a"]),
        ('{"a":1,"b":null}', '{"a":true}', ["a", "b"]),
        ('{"a":1}', '{"a":1.0}', []),
    ],
)
def test_keys_are_named_that_were_set_changed_or_removed(before: str, after: str, changed: list[str]) -> None:
    assert kept(before, after) == {"version": 7, "changed": changed}


def test_a_run_that_saves_no_state_has_none() -> None:
    assert kept('{"a":1}', None) is None


def test_of_many_keys_as_many_are_named_as_fit_and_the_others_are_counted() -> None:
    keys = [f"k{number:03}" for number in range(120)]
    found = kept("{}", json.dumps(dict.fromkeys(keys, 1)))
    assert found == {"version": 7, "changed": keys[:109], "more": 11}
    widest = {"\N{PILE OF POO}" * 127 + str(number): 1 for number in range(10)}
    assert kept("{}", json.dumps(widest)) == {"version": 7, "changed": [], "more": 10}


def test_the_keys_of_a_large_state_are_not_compared() -> None:
    large = json.dumps({"a": 65_530 * "x"})
    assert kept("{}", large) == kept(large, "{}") == {"version": 7}


def test_the_uses_of_a_run_with_every_grant_fit() -> None:
    hosts = tuple(
        HostTraffic(f"{number}{'a' * 60}.{'b' * 60}.test", 443, 256, 1 << 30, 1 << 30, 9) for number in range(99)
    )
    after = JsonText(json.dumps({f"k{number:03}": 1 for number in range(1000)}))
    report = ScriptReport(None, None, 1.0, state=after, traffic=ExecutionTraffic(hosts))
    names = {f"{'N' * 62}{number:02}": 2**31 for number in range(SECRETS_MAX)}
    secrets = RunSecrets(GivenSecrets({}, names, Redaction.of({})))
    uses = uses_of(report, RunMeans(state=RunState(JsonText("{}"), 10**15), secrets=secrets))
    assert uses is not None
    assert USES_SIZE_MAX - 500 < len(uses.encode()) <= USES_SIZE_MAX


def collected(path: str) -> CollectedFile:
    return CollectedFile(path, UUID(int=7), 3, "0" * 64, "text/plain")


def test_files_are_named_as_many_as_fit_and_the_others_are_counted() -> None:
    given = tuple(inline_file(f"{number:060}", b"") for number in range(64))
    left = tuple(collected(f"{number:060}") for number in range(64))
    means = RunMeans(files=RunFiles(1, given))
    uses = uses_of(ScriptReport(None, None, 1.0, files=left), means)
    files = json.loads(uses or "")["files"]
    assert len(files["in"]) + len(files["out"]) + files["more"] == 128
    assert files["in"]
    assert files["out"]
    assert len(uses or "") < USES_SIZE_MAX - 5000
    few = json.loads(uses_of(ScriptReport(None, None, 1.0, files=left[:1]), RunMeans()) or "")
    assert few == {"files": {"out": [left[0].facts()]}}


def test_files_and_a_network_fit_together() -> None:
    hosts = tuple(HostTraffic(f"{number:0>60}.example.com", 443) for number in range(16))
    refusals = tuple(Refusal("h" * 250, 443, RefusalReason.NOT_ALLOWED) for _ in range(32))
    report = ScriptReport(
        None, None, 1.0, traffic=ExecutionTraffic(hosts, refusals), files=tuple(map(collected, "abc"))
    )
    uses = uses_of(report, RunMeans()) or ""
    assert len(uses) <= USES_SIZE_MAX - 2000
    assert json.loads(uses)["network"]["hosts"]
