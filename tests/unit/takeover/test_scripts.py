from pathlib import Path

import pytest

from domain.scripts.language import Language
from domain.takeover.scripts import MEANINGS, ScriptForm, form_of

ROOT = Path(__file__).parents[3]
NODE, PYTHON = Language.NODEJS, Language.PYTHON


@pytest.mark.parametrize(
    ("language", "source", "form"),
    [
        (NODE, "return event.params.a;", ScriptForm.BODY),
        (NODE, "module.exports = async (event) => 1", ScriptForm.MODULE_EXPORTS),
        (NODE, "exports.handler = () => 1", ScriptForm.MODULE_EXPORTS),
        (PYTHON, "result = 1", ScriptForm.RESULT),
        (PYTHON, "if x:\n    result: int = 1", ScriptForm.RESULT),
        (PYTHON, "result = 1\ndef handle(p):\n    return p", ScriptForm.HANDLE),
        (PYTHON, "def handler(event):\n    return 1", ScriptForm.HANDLER),
        (PYTHON, "result = 1\ndef handler(event): ...", ScriptForm.RESULT),
        (PYTHON, "print(1)", ScriptForm.BODY),
        (PYTHON, "result == 1", ScriptForm.BODY),
    ],
)
def test_the_form_is_where_the_origin_looks_for_the_result(language: Language, source: str, form: ScriptForm):
    assert form_of(language, source) is form


def test_each_code_of_the_documented_findings_has_its_meaning():
    section = (
        (ROOT / "docs" / "conventions.md")
        .read_text()
        .partition("## What the text of a script shows")[2]
        .partition("\n## ")[0]
    )
    rows = [line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(MEANINGS)


@pytest.mark.parametrize("source", ["\n" * 200_000, "def handle(a)" * 20_000, "result" * 40_000, " " * 250_000])
@pytest.mark.parametrize("language", Language)
@pytest.mark.timeout(20)
def test_hostile_texts_are_read_in_bounded_time(language: Language, source: str):
    form_of(language, source)
