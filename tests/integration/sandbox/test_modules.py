"""ES modules and TypeScript: the tables of docs/scripts.md hold, modules share nothing, and faults have their places."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import FailureCode, ScriptReport
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault
from domain.scripts.syntax import Syntax
from tests.contracts.script_runs import new_session, report_of, run_of, script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

DOCUMENT = (Path(__file__).parents[3] / "docs" / "scripts.md").read_text()
ROW = re.compile(r"^\| `(?P<script>[^|]+)` \| `(?P<outcome>[^|]+)` \|", re.MULTILINE)
TITLES = {None: "ES modules in Node.js", Syntax.TYPESCRIPT: "TypeScript in Node.js"}
NO_RETURN = "Illegal return statement. An ES module has no top-level return: use `export default`"
FAULTS = {
    "import fs from 'node:fs';\nexport default (a => a + ;": SyntaxFault("Unexpected token ';'", 2, 26),
    "import fs from 'node:fs';\r\n  return 1": SyntaxFault(NO_RETURN, 2, 3),
    "export default {": SyntaxFault("Unexpected end of the script", 1, 17),
    "export default 1 }": SyntaxFault("Unexpected token '}'", 1, 18),
    "export const a = 1;\nexport const a = 2": SyntaxFault("Identifier 'a' has already been declared", 2, 14),
    "export default function () {}\nconst { a b } = 1": SyntaxFault("Unexpected identifier 'b'", 2, 11),
    "const a = import.meta.url; let b = c c": SyntaxFault("Unexpected identifier 'c'", 1, 38),
    "import * as a from 'a' with { type: 'json' }; import 'b'; export * from 'c'; export { d } from 'd'; with (a) {}": (
        SyntaxFault("Strict mode code may not include a with statement", 1, 101)
    ),
    "export { nowhere }": SyntaxFault("Export 'nowhere' is not defined in module"),
    "import a from 'a'; export { a };\nconst a = 1;": SyntaxFault("Identifier 'a' has already been declared"),
    "import a from './a.js'": SyntaxFault(
        "a script is one file, so it cannot import './a.js'. Import built-in modules, such as node:crypto"
    ),
}
TYPED_FAULTS = {
    "import fs from 'node:fs';\nenum A { B }": SyntaxFault(
        "TypeScript's enum is not supported: types are removed, and it is more than a type", 2, 1
    ),
    "export default (a: number) => a + ;": SyntaxFault("Expression expected", 1, 35),
    "import type { A } from 'a';\nexport default 1 as A;\nreturn 1": SyntaxFault(
        "Return statement is not allowed here", 3, 1
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runner(runtimes_dir, built) -> AsyncIterator[SandboxScriptRunner]:
    options = SandboxOptions(runtimes_dir, node_start=NodeStart.FORK, queue_timeout_s=60, check_timeout_s=60)
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()
    yield runner
    await runner.close(5)


async def checked(
    runner: SandboxScriptRunner, source: str, asked: Syntax | None = None, convention: Convention = Convention.OWN
) -> InputForm | SyntaxFault:
    try:
        return await runner.check(Language.NODEJS, script_of(source), ANONYMOUS, convention, asked)
    except ScriptSyntaxError as error:
        return error.fault


async def run(
    runner: SandboxScriptRunner,
    source: str,
    ref: SessionRef | None = None,
    syntax: Syntax | None = Syntax.MODULE,
    params: str = '{"a":1}',
) -> ScriptReport:
    return await report_of(runner, run_of(source, params, language=Language.NODEJS, ref=ref, syntax=syntax))


def rows(asked):
    section = DOCUMENT.split(f"## {TITLES[asked]}\n")[1].split("\n## ")[0]
    found = [pytest.param(asked, row["script"], row["outcome"], id=row["script"]) for row in ROW.finditer(section)]
    assert len(found) == section.count("\n| `") > 10
    return found


@pytest.mark.parametrize(("asked", "script", "outcome"), [*rows(None), *rows(Syntax.TYPESCRIPT)])
async def test_every_row_of_the_tables_holds(runner, asked, script, outcome):
    found = await checked(runner, script, asked)
    if outcome == "SCRIPT_SYNTAX_ERROR":
        assert isinstance(found, SyntaxFault)
        return
    report = await run(runner, script, syntax=Syntax.of_module(asked) if found is InputForm.MODULE else asked)
    assert report.stderr == ""
    if outcome in FailureCode.__members__:
        assert report.failure is not None
        assert report.failure.code == outcome
    else:
        assert report.failure is None
        assert report.result == (None if outcome == "none" else json.dumps(json.loads(outcome), separators=(",", ":")))


async def test_a_script_is_a_module_only_if_it_is_no_script_without_it(runner):
    assert await checked(runner, "return 1") is InputForm.PLAIN
    assert await checked(runner, "const { sep } = await import('node:path'); return sep") is InputForm.PLAIN
    assert await checked(runner, "export default 1") is InputForm.MODULE
    assert await checked(runner, "const a: number = 1; export default a", Syntax.TYPESCRIPT) is InputForm.MODULE
    refused = await checked(runner, "export default 1", convention=Convention.ORIGIN)
    assert isinstance(refused, SyntaxFault)
    assert "use require() and module.exports" in refused.message


async def test_faults_of_modules_have_their_places(runner):
    found = {source: await checked(runner, source) for source in FAULTS}
    assert found == FAULTS
    assert {source: await checked(runner, source, Syntax.TYPESCRIPT) for source in TYPED_FAULTS} == TYPED_FAULTS


async def test_executions_of_a_module_share_no_variables_and_one_worker(runner):
    ref, source = (
        new_session(),
        "import { sep } from 'node:path';\nlet n = 0; globalThis.m ??= 0; m++;\nexport default () => [++n, m, sep]",
    )
    reports = [await run(runner, source, ref) for _ in range(3)]
    assert [(each.result, each.cold_start) for each in reports] == [
        ('[1,1,"/"]', True),
        ('[1,1,"/"]', False),
        ('[1,1,"/"]', False),
    ]


async def test_a_worker_is_replaced_after_as_many_modules_as_node_may_keep(runner):
    ref = new_session()
    cold = [(await run(runner, "export default 1", ref)).cold_start for _ in range(258)]
    assert [number for number, is_cold in enumerate(cold) if is_cold] == [0, 256]


async def test_a_module_that_uses_what_may_last_has_a_new_worker_for_each_execution(runner):
    ref, source = new_session(), "import vm from 'node:vm'; export default () => typeof vm.Script"
    assert [(await run(runner, source, ref)).cold_start for _ in range(2)] == [True, True]


async def test_a_failure_of_a_module_has_the_line_of_the_text_that_the_caller_sent(runner):
    source = (
        "import type { A } from 'a';\ninterface B {\n}\nexport default (event: B): never => { throw new Error('no') };"
    )
    report = await run(runner, source, syntax=Syntax.TYPESCRIPT_MODULE)
    assert report.failure is not None
    assert (report.failure.code, report.failure.line, report.failure.column) == (FailureCode.SCRIPT_ERROR, 4, 45)


async def test_the_names_of_other_scripts_are_missed_with_a_hint(runner):
    report = await run(runner, "export default () => require('fs')")
    assert report.failure is not None
    assert report.failure.message.endswith("An ES module has no require and no module: use import and export")


async def test_a_worker_that_was_executed_runs_modules_too(runtimes_dir, built):
    options = SandboxOptions(runtimes_dir, prewarmed=0, node_start=NodeStart.EXEC, queue_timeout_s=60)
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()
    try:
        report = await run(runner, "import { sep } from 'node:path'; export default (event) => event.params.a + sep")
        assert (report.result, report.stderr) == ('"1/"', "")
    finally:
        await runner.close(5)


@pytest.mark.parametrize("syntax", [Syntax.MODULE, Syntax.TYPESCRIPT_MODULE])
async def test_each_execution_imports_its_own_secrets(runner, syntax):
    ref, source = new_session(), "import { secrets } from 'pglambda';\nexport default secrets.KEY"
    given = [{"KEY": "first-value"}, {"KEY": "second-value"}]
    found = [
        await report_of(runner, run_of(source, language=Language.NODEJS, ref=ref, syntax=syntax, secrets=each))
        for each in given
    ]
    assert [json.loads(each.result or "null") for each in found] == ["first-value", "second-value"]
    assert [each.cold_start for each in found] == [True, False]


async def test_the_module_of_secrets_is_not_there_without_any(runner):
    report = await run(runner, "import { secrets } from 'pglambda';\nexport default secrets.KEY")
    assert report.failure.code is FailureCode.SCRIPT_ERROR
    assert "Cannot find module 'pglambda': it is there if the session has secrets" in report.failure.message
