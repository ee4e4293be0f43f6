"""The command that attacks the sandbox: its table, its document, its exit status."""

import json

import pytest
from attrs import define, frozen
from click.testing import CliRunner

from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from entrypoints.cli.main import cli
from entrypoints.composition import commands
from entrypoints.settings.loading import load_settings


@frozen
class ManualTrial:
    verdict: str = "held"
    language: str = "python"
    category: str = "files"
    name: str = "accounts"
    tries: str = "to read"
    succeeds: str = "with content"
    evidence: str = "ENOENT"
    elapsed_ms: float = 1.26


@define
class ManualSelfTest:
    made: list
    refusal: Exception | None = None

    @property
    def attacks_count(self):
        return len(self.made)

    async def trials(self):
        if self.refusal is not None:
            raise self.refusal
        for trial in self.made:
            yield trial


@define
class ManualWiring:
    test: ManualSelfTest
    languages: list | None = None

    def self_test(self, settings, languages):
        self.languages = list(languages)
        return self.test


def run(wiring, *arguments):
    return CliRunner().invoke(cli, ["selftest", *arguments], obj=wiring, env={"HOST": None, "PORT": None})


def wiring_of(*trials, refusal=None):
    return ManualWiring(ManualSelfTest(list(trials), refusal))


def test_when_all_attacks_are_held_the_exit_status_is_zero():
    answer = run(wiring_of(ManualTrial(), ManualTrial(name="shadow")))
    assert answer.exit_code == 0
    assert "files/accounts" in answer.stdout
    assert "The sandbox held: 2 held." in answer.stdout


@pytest.mark.parametrize("verdict", ["succeeded", "unclear"])
def test_any_other_verdict_is_told_and_the_exit_status_is_one(verdict):
    answer = run(wiring_of(ManualTrial(), ManualTrial(verdict, evidence="root:x:0")))
    assert answer.exit_code == 1
    assert "DID NOT HOLD" in answer.stdout
    assert "root:x:0" in answer.stdout


def test_evidence_stays_in_its_line():
    answer = run(wiring_of(ManualTrial(evidence="a\nb\x1b[31m" + "x" * 500)))
    assert "a?b?[31m" in answer.stdout
    assert "x" * 100 not in answer.stdout


def test_a_program_gets_everything_as_json():
    answer = run(wiring_of(ManualTrial(), ManualTrial("succeeded")), "--output", "json")
    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["held"], document["counts"]) == (1, False, {"held": 1, "succeeded": 1})
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
    ("arguments", "languages"),
    [((), list(Language)), (("--language", "python"), [Language.PYTHON])],
)
def test_the_languages_can_be_chosen(arguments, languages):
    wiring = wiring_of(ManualTrial())
    run(wiring, *arguments)
    assert wiring.languages == languages


def test_without_a_sandbox_the_remedy_is_told_and_the_exit_status_is_one():
    answer = run(wiring_of(refusal=RuntimeUnavailable("python", "install bubblewrap")))
    assert answer.exit_code == 1
    assert "install bubblewrap" in answer.output


def test_the_command_explains_itself():
    assert "--language" in run(wiring_of(), "--help").output


def test_the_sandbox_that_is_attacked_is_the_services_own(tmp_path):
    test = commands.self_test(load_settings({"DATA_DIR": str(tmp_path), "SCRIPT_MEMORY_MB": "77"}), [Language.PYTHON])
    assert test.options.memory_mb == 77
    assert 0 < test.attacks_count == len([each for each in test.attacks if each.language is Language.PYTHON])
