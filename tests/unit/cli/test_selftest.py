"""The command `selftest`."""

import json
from functools import partial

import pytest
from attrs import define
from click.testing import CliRunner
from dependency_injector import providers

from adapters.sandbox.selftest.corpus import read_attack
from adapters.sandbox.selftest.results import AttackResult, Trial
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from entrypoints.cli.main import cli
from entrypoints.composition.commands import Commands
from entrypoints.settings.loading import load_settings
from tests.support.commands import commands_with


def attack(name="accounts"):
    text = "tries: to read\nsucceeds: with content\n---\nresult = 1\n"
    return read_attack(Language.PYTHON, "files", name, text, "")


def trial(result=AttackResult.HELD, evidence="ENOENT", name="accounts"):
    return Trial(attack(name), result, evidence, 1.26)


@define
class ManualSelfTest:
    made: list
    refusal: Exception | None = None

    @property
    def attacks(self):
        return [each.attack for each in self.made]

    async def trials(self):
        if self.refusal is not None:
            raise self.refusal
        for each in self.made:
            yield each


def run(*trials, arguments=(), refusal=None):
    container = commands_with(self_test=ManualSelfTest(list(trials), refusal))
    return CliRunner().invoke(cli, ["selftest", *arguments], obj=container, env={"HOST": None, "PORT": None})


def test_the_exit_status_is_zero_if_the_sandbox_held():
    result = run(trial(), trial(name="shadow"))
    assert result.exit_code == 0
    assert "files/accounts" in result.stdout
    assert "The sandbox held: 2 held." in result.stdout


@pytest.mark.parametrize("verdict", [AttackResult.SUCCEEDED, AttackResult.UNCLEAR])
def test_any_other_result_is_shown_and_the_exit_status_is_one(verdict):
    result = run(trial(), trial(verdict, evidence="root:x:0"))
    assert result.exit_code == 1
    assert "DID NOT HOLD" in result.stdout
    assert "root:x:0" in result.stdout


def test_evidence_stays_in_one_line():
    result = run(trial(evidence="a\nb\x1b[31m" + "x" * 500))
    assert "a?b?[31m" in result.stdout
    assert "x" * 100 not in result.stdout


def test_the_results_as_json():
    result = run(trial(), trial(AttackResult.SUCCEEDED), arguments=("--output", "json"))
    document = json.loads(result.stdout)
    assert (result.exit_code, document["held"], document["counts"]) == (1, False, {"held": 1, "succeeded": 1})
    assert document["attacks"][0] == {
        "language": "python",
        "category": "files",
        "name": "accounts",
        "tries": "to read",
        "succeeds": "with content",
        "verdict": "held",
        "evidence": "ENOENT",
        "elapsed_ms": 1.3,
    }


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        ((), (list(Language), ())),
        (("--language", "python"), ([Language.PYTHON], ())),
        (("--only", "disk", "--only", "files"), (list(Language), ("disk", "files"))),
    ],
)
def test_the_languages_and_the_categories_can_be_chosen(arguments, chosen):
    asked = []

    def self_test(chosen, only):
        asked.append((chosen, only))
        return ManualSelfTest([])

    container = partial(Commands, self_test=providers.Callable(self_test))
    result = CliRunner().invoke(cli, ["selftest", *arguments], obj=container, env={"HOST": None, "PORT": None})
    assert asked == [chosen]
    assert result.exit_code == (2 if "--only" in arguments else 0)  # no attack has these categories


def test_without_a_sandbox_the_message_has_the_remedy():
    result = run(refusal=RuntimeUnavailable("python", "install bubblewrap"))
    assert result.exit_code == 1
    assert "install bubblewrap" in result.output


def test_the_sandbox_that_is_attacked_is_the_services_own(tmp_path):
    settings = load_settings({"DATA_DIR": str(tmp_path), "SCRIPT_MEMORY_MB": "77"})
    test = Commands(settings=settings).self_test([Language.PYTHON])
    assert test.options.memory_mb == 77
    assert {each.language for each in test.attacks} == {Language.PYTHON}


def test_the_attacks_of_a_group_are_chosen_and_need_a_network(tmp_path):
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    chosen = Commands(settings=settings).self_test([Language.PYTHON], ("egress",)).attacks
    assert {each.category.partition("-")[0] for each in chosen} == {"egress"}
    assert all(each.network for each in chosen)
    without = load_settings({"DATA_DIR": str(tmp_path), "EGRESS": "off"})
    assert not Commands(settings=without).self_test([Language.PYTHON], ("egress",)).attacks
