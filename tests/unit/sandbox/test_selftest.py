"""The corpus of attacks, and the decision whether one has succeeded."""

import pytest
from attrs import evolve

from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.selftest.corpus import AttackState, categories, load_attacks, read_attack
from adapters.sandbox.selftest.results import AttackResult, Judge
from domain.egress.traffic import ExecutionTraffic, Refusal, RefusalReason
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import Failure, FailureCode, ScriptReport
from domain.scripts.syntax import Syntax

TEXT = "tries: a\nsucceeds: b\nends: CPU_LIMIT\ntimeout: 100\n---\nresult = 1\n"
ATTACK = read_attack(Language.PYTHON, "category", "name", TEXT, "")
NOTHING = ScriptReport(JsonText("null"), None, 5.0)


def report(**changes):
    return evolve(NOTHING, **changes)


def failed(code, message="why", name=None):
    return report(result=None, failure=Failure(code, message, name))


@pytest.fixture
def judge(tmp_path):
    return Judge(SandboxOptions(tmp_path, output_size_max=10), memory_mb=64)


def test_the_corpus_has_many_attacks_in_both_languages():
    attacks = load_attacks()
    assert len(attacks) >= 60
    assert len({str(attack) for attack in attacks}) == len(attacks)
    assert min(len(load_attacks([language])) for language in Language) >= 50


@pytest.mark.parametrize(
    "category",
    [
        "files",
        "environments",
        "descriptors",
        "network",
        "processes",
        "privileges",
        "kernel",
        "links",
        "floods",
        "loops",
        "output",
        "disk",
        "protocol",
        "executions",
        "sessions",
        "orphans",
        "states",
    ],
)
def test_every_category_is_tried_in_both_languages(category):
    assert {attack.language for attack in load_attacks() if attack.category == category} == set(Language)


def test_an_attack_names_the_convention_of_its_scripts():
    text = "tries: a\nsucceeds: b\n{}---\none\n"
    attacks = [read_attack(Language.PYTHON, "c", "n", text.format(fact), "") for fact in ("", "convention: origin\n")]
    assert [attack.convention for attack in attacks] == [Convention.OWN, Convention.ORIGIN]


def test_an_attack_names_its_network_and_why_it_is_refused():
    text = "tries: a\nsucceeds: b\nnetwork: {target}:{port}/tcp\nresolves: ::1 10.0.0.1\nrefused: ADDRESS\n---\none\n"
    attack = read_attack(Language.PYTHON, "c", "n", text, "")
    assert (attack.network, attack.resolves) == (["{target}:{port}/tcp"], ["::1", "10.0.0.1"])
    assert (attack.refused, attack.target) == (RefusalReason.ADDRESS, "n.python.test")


def test_attacks_are_chosen_by_category_or_by_group():
    names = {each.category for each in load_attacks(only=["egress-names", "disk"])}
    assert names == {"egress-names", "disk"}
    group = {each.category for each in load_attacks(only=["egress"])}
    assert group == {name for name in categories() if name.startswith("egress-")}
    assert len(load_attacks(only=["egress"])) >= 60
    assert load_attacks(only=["none"]) == ()


def test_an_attack_whose_connection_was_not_refused_has_tried_nothing(judge):
    attack = evolve(ATTACK, refused=RefusalReason.ADDRESS)
    for reason, verdict in ((RefusalReason.ADDRESS, AttackResult.HELD), (RefusalReason.IDLE, AttackResult.UNCLEAR)):
        traffic = ExecutionTraffic((), (Refusal("a.test", 443, reason),))
        assert judge.judge(attack, [report(traffic=traffic)], None)[0] is verdict
    assert judge.judge(attack, [NOTHING], None)[0] is AttackResult.UNCLEAR


def test_an_attack_names_the_syntax_of_its_scripts():
    text = "tries: a\nsucceeds: b\n{}---\none\n"
    attacks = [read_attack(Language.NODEJS, "c", "n", text.format(fact), "own\n") for fact in ("", "syntax: module\n")]
    assert [attack.syntax for attack in attacks] == [None, Syntax.MODULE]
    assert attacks[0].steps[0].source == "own\none\n"
    assert "import * as fs" in attacks[1].steps[0].source


def test_an_attack_is_read_with_its_steps():
    text = "tries: a\nsucceeds: b\n---\none\n--- next execution\ntwo\n--- another session\nthree\n"
    attack = read_attack(Language.NODEJS, "c", "n", text, "prelude\n")
    assert [(step.source, step.in_another_session) for step in attack.steps] == [
        ("prelude\none\n", False),
        ("prelude\ntwo\n", False),
        ("prelude\nthree\n", True),
    ]
    assert str(attack) == "c/n (nodejs)"


@pytest.mark.parametrize("text", ["tries: a\nsucceeds: b\n", "tries: a\nsucceeds: b\nodd: c\n---\none\n"])
def test_a_text_without_scripts_or_with_unknown_facts_is_not_an_attack(text):
    with pytest.raises(ValueError, match="unknown facts"):
        read_attack(Language.PYTHON, "c", "n", text, "")


@pytest.mark.parametrize(
    ("found", "evidence"),
    [
        (report(result=JsonText('"secret"')), 'it got "secret"'),
        (report(execution_time_ms=1200.0), "it ran for 1200 ms of 100"),
        (report(memory_usage_bytes=65 * MIB), "it had 65 MiB of 64"),
        (evolve(failed(FailureCode.MEMORY_LIMIT), memory_usage_bytes=129 * MIB), "it had 129 MiB of 64"),
        (report(stdout="x" * 11), "more output was kept than is allowed"),
        (report(stderr="x" * 11), "more output was kept than is allowed"),
        (report(state=JsonText("[1]")), "a state was kept that nobody may save: The state is not a JSON object."),
    ],
)
def test_an_attack_that_gets_anything_has_succeeded(judge, found, evidence):
    verdict, seen = judge.judge(ATTACK, [found], None)
    assert (verdict, seen[: len(evidence)]) == (AttackResult.SUCCEEDED, evidence)


def test_an_attack_on_a_shared_state_succeeds_if_it_is_kept(judge):
    attacks = [read_attack(Language.PYTHON, "c", "n", f"state: {each}\n{TEXT}", "") for each in AttackState]
    kept = [judge.judge(attack, [report(state=JsonText('{"a":1}'))], None)[0] for attack in attacks]
    assert kept == [AttackResult.HELD, AttackResult.SUCCEEDED, AttackResult.HELD, AttackResult.HELD]


def test_a_script_that_is_stopped_for_its_memory_may_be_somewhat_beyond_the_limit(judge):
    stopped = evolve(failed(FailureCode.MEMORY_LIMIT), memory_usage_bytes=128 * MIB)
    attack = evolve(ATTACK, ends=frozenset({FailureCode.MEMORY_LIMIT}))
    assert judge.judge(attack, [stopped], None)[0] is AttackResult.HELD


def test_harm_to_the_host_is_a_success_whatever_the_script_returns(judge):
    assert judge.judge(ATTACK, [NOTHING], "a process was ended") == (AttackResult.SUCCEEDED, "a process was ended")


def test_a_trace_in_the_last_output_is_a_success(judge):
    attack = evolve(ATTACK, trace="seen")
    assert judge.judge(attack, [NOTHING, report(stderr="is seen")], None)[0] is AttackResult.SUCCEEDED
    assert judge.judge(attack, [report(stdout="seen"), NOTHING], None)[0] is AttackResult.HELD


def test_an_attack_with_an_unexpected_failure_is_unclear(judge):
    verdict = judge.judge(ATTACK, [failed(FailureCode.SCRIPT_ERROR, "x is not defined", "NameError")], None)
    assert verdict == (AttackResult.UNCLEAR, "SCRIPT_ERROR: NameError: x is not defined")


@pytest.mark.parametrize(
    ("reports", "evidence"),
    [
        ([failed(FailureCode.CPU_LIMIT)], "CPU_LIMIT after 5 ms"),
        ([NOTHING], "nothing was there"),
        ([report(stdout="EPERM\nmore")], "EPERM"),
    ],
)
def test_the_evidence_says_what_stopped_an_attack(judge, reports, evidence):
    assert judge.judge(ATTACK, reports, None) == (AttackResult.HELD, evidence)


def test_the_evidence_is_the_scripts_own_error_if_that_may_end_the_attack(judge):
    attack = evolve(ATTACK, ends=frozenset({FailureCode.SCRIPT_ERROR}))
    assert judge.judge(attack, [failed(FailureCode.SCRIPT_ERROR)], None) == (AttackResult.HELD, "why")
