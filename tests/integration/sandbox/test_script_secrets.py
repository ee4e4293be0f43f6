"""The secrets that scripts find in the module pglambda, in the code that runs inside the sandbox."""

import json

import pytest

from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from tests.contracts.script_runs import new_session, report_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

SHOWN = {
    Language.PYTHON: "from pglambda import secrets\nresult = [secrets['KEY'], repr(secrets)]",
    Language.NODEJS: "const { secrets } = require('pglambda'); return [secrets.KEY, JSON.stringify(secrets)];",
}
HIDDEN = {Language.PYTHON: "<secrets: KEY>", Language.NODEJS: "{}"}


@pytest.mark.parametrize("language", Language)
async def test_each_execution_finds_its_own_values_and_prints_none(shared: ScriptRunner, language: Language) -> None:
    ref = new_session()
    for value in ("first-value", "second-value"):
        run = run_of(SHOWN[language], language=language, ref=ref, secrets={"KEY": value})
        found = await report_of(shared, run)
        assert json.loads(found.result or "null") == [value, HIDDEN[language]], found.failure
