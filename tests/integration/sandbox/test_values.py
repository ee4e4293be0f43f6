"""Every row of the tables of values in docs/scripts.md holds."""

import json
import re
from pathlib import Path

import pytest

from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import report_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

DOCUMENT = (Path(__file__).parents[3] / "docs" / "scripts.md").read_text()
ROW = re.compile(r"^\| `(?P<script>[^|]+)` \| `(?P<outcome>[^|]+)` \|", re.MULTILINE)
TITLES = {Language.PYTHON: "What becomes of a value in Python", Language.NODEJS: "What becomes of a value in Node.js"}
LIMITS = Limits(timeout_ms=20_000, memory_mb=64, isolation=Isolation.SESSION)


def rows(language):
    section = DOCUMENT.split(f"## {TITLES[language]}\n")[1].split("\n## ")[0]
    found = [pytest.param(language, row["script"], row["outcome"], id=row["script"]) for row in ROW.finditer(section)]
    assert len(found) == section.count("\n| `") > 40
    return found


@pytest.mark.parametrize(("language", "script", "outcome"), [*rows(Language.PYTHON), *rows(Language.NODEJS)])
async def test_every_row_of_the_tables_of_values_holds(shared, language, script, outcome):
    limits = Limits(300, 64, Isolation.SESSION) if outcome == FailureCode.EXECUTION_TIMEOUT else LIMITS
    report = await report_of(shared, run_of(script, language=language, limits=limits))
    if outcome in FailureCode.__members__:
        assert report.failure is not None
        assert report.failure.code == outcome
    elif outcome == "none":
        assert (report.result, report.failure) == (None, None)
    else:
        assert report.failure is None
        assert json.dumps(json.loads(report.result)) == json.dumps(json.loads(outcome))
