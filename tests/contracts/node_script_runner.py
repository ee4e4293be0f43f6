"""The contract of ScriptRunner for scripts in Node.js."""

import json

import pytest

from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.output import ScriptProgress
from domain.scripts.ports import ScriptRun, ScriptRunner
from domain.scripts.report import FailureCode
from domain.scripts.script import InputForm, ScriptSyntaxError, SyntaxFault
from domain.scripts.syntax import Syntax
from tests.contracts.script_runs import (
    Heard,
    failure_of,
    gives_result,
    new_session,
    report_of,
    result_of,
    run_of,
    script_of,
    stopped_report,
)


def node(source: str, params: str = "{}", **fields) -> ScriptRun:
    return run_of(source, params, language=Language.NODEJS, **fields)


class NodeScriptRunnerContract:
    """What every adapter keeps that serves Node.js. A subclass provides `runner`, opened."""

    @pytest.fixture
    def runner(self) -> ScriptRunner:
        raise NotImplementedError

    async def test_a_script_requires_the_secrets_of_its_run(self, runner):
        source = (
            "const { secrets } = require('pglambda');"
            "return [secrets.KEY, Object.getOwnPropertyNames(secrets), Object.keys(secrets), JSON.stringify(secrets)];"
        )
        ref = new_session()
        for value in ('first "välue"\n', "x" * 65_536):
            result = await result_of(runner, node(source, ref=ref, secrets={"KEY": value}))
            assert json.loads(result) == [value, ["KEY"], [], "{}"]
        failure = await failure_of(runner, node(source, ref=ref))
        assert (failure.code, failure.name) == (FailureCode.SCRIPT_ERROR, "Error")

    @pytest.mark.parametrize(
        ("source", "result"),
        [
            ("return event.params.a + event.params.b;", 8),
            ("return await Promise.resolve(event.params.a);", 5),
            ("return event.context.c;", 9),
            ("return Object.keys(event).sort();", ["context", "params", "request_id"]),
            ("return null;", None),
            ("module.exports = async (event) => event.params.a * 2;", 10),
            ("module.exports = (event) => event.params.a * 3;", 15),
            ("module.exports = async function (event) { return event.params.b; };", 3),
            ("exports.handler = async (event) => event.params.a - event.params.b;", 2),
            ("module.exports = { handler: (event) => event.params.b };", 3),
            ("module.exports = (event, callback) => callback(null, event.params.a);", 5),
            ("module.exports = (event, done) => setTimeout(() => done(null, event.params.b), 1);", 3),
            ("exports.handler = async (context, callback) => { callback(null, 'called'); };", "called"),
            ("exports.handler = async (context, callback) => 'promised';", "promised"),
            ("module.exports = () => 'exported'; return 'body';", "exported"),
            ("const { a } = event.params; return [a].map((n) => n + 1);", [6]),
        ],
    )
    async def test_every_form_of_the_script_contract_runs(self, runner, source, result):
        run = node(source, '{"a": 5, "b": 3}', context='{"c": 9}')
        assert json.loads(await result_of(runner, run)) == result

    async def test_a_script_knows_its_session(self, runner):
        run = node("return event.request_id;")
        assert json.loads(await result_of(runner, run)) == str(run.ref.session_id)

    async def test_text_of_any_script_passes_through(self, runner):
        text = 'quote " backslash \\ newline \n é 漢字 🎉 \u2028'
        assert json.loads(await result_of(runner, node("return event.params;", json.dumps(text)))) == text

    async def test_an_error_is_reported_with_name_message_and_line(self, runner):
        failure = await failure_of(runner, node("const a = 1;\n\nthrow new TypeError('gone');"))
        assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "TypeError", 3)
        assert failure.message == "gone"

    @pytest.mark.parametrize(
        "source",
        [
            "module.exports = (event, callback) => callback(new Error('reported'));",
            "module.exports = async () => { throw new Error('reported'); };",
            "return Promise.reject(new Error('reported'));",
        ],
    )
    async def test_every_way_to_fail_is_a_script_error(self, runner, source):
        failure = await failure_of(runner, node(source))
        assert failure.code is FailureCode.SCRIPT_ERROR
        assert failure.message == "reported"

    async def test_a_callback_that_can_no_longer_come_is_an_error(self, runner):
        failure = await failure_of(runner, node("module.exports = (event, callback) => {};"))
        assert failure.code is FailureCode.SCRIPT_ERROR

    @pytest.mark.parametrize("value", ["10n", "(() => { const a = []; a.push(a); return a; })()"])
    async def test_a_result_that_is_not_json_is_refused(self, runner, value):
        assert (await failure_of(runner, node(f"return {value};"))).code is FailureCode.RESULT_NOT_SERIALIZABLE

    async def test_output_comes_back(self, runner):
        report = await report_of(runner, node("console.log('out é'); console.error('err'); return 1;"))
        assert (report.result, report.stdout, report.stderr) == ("1", "out é\n", "err\n")

    async def test_a_listener_hears_output_and_progress(self, runner):
        heard = Heard()
        source = "event.progress(0); console.log('out é'); event.progress(1, 'all é'); event.progress(null, 'done'); return 1;"
        report = await report_of(runner, node(source, listener=heard))
        assert (heard.stdout.decode(), heard.progress[-1]) == (report.stdout, ScriptProgress(None, "done"))

    async def test_progress_is_no_member_of_the_event(self, runner):
        source = "return [Object.keys(event).sort(), Object.keys({ ...event }).length, 'progress' in event];"
        assert json.loads(await result_of(runner, node(source))) == [["context", "params", "request_id"], 3, True]
        origin = node(source, convention=Convention.ORIGIN)
        assert json.loads(await result_of(runner, origin)) == [["context", "params"], 2, False]

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("1.5", "RangeError"),
            ("-0.1", "RangeError"),
            ("NaN", "RangeError"),
            ("'0.5'", "TypeError"),
            ("0, 5", "TypeError"),
            ("0, 'x'.repeat(201)", "RangeError"),
        ],
    )
    async def test_progress_that_is_none_is_an_error_of_the_script(self, runner, given, name):
        failure = await failure_of(runner, node(f"\nevent.progress({given});"))
        assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, name, 2)

    @pytest.mark.parametrize("loop", ["for (;;);", "await new Promise((done) => setTimeout(done, 60000));"])
    async def test_a_stopped_script_reports_its_output_and_that_it_was_cancelled(self, runner, loop):
        heard = Heard()
        report = await stopped_report(runner, node(f"console.log('begun'); {loop}", listener=heard), heard)
        assert report.failure is not None
        assert (report.failure.code, report.stdout) == (FailureCode.EXECUTION_CANCELLED, "begun\n")

    @pytest.mark.parametrize("source", ["1 + 1;", "return undefined;", "exports.main = () => 5;"])
    async def test_a_node_script_that_gives_no_result_is_told_apart(self, runner, source):
        assert not await gives_result(runner, node(source))
        assert await gives_result(runner, node("return null;"))

    async def test_no_global_survives_an_execution(self, runner):
        ref, source = new_session(), "const seen = globalThis.mark ?? null; globalThis.mark = 1; return seen;"
        assert [await result_of(runner, node(source, ref=ref)) for _ in range(3)] == ["null"] * 3

    async def test_a_script_that_parses_passes_the_check(self, runner):
        source = script_of("const a = await event.params; return a;")
        assert await runner.check(Language.NODEJS, source, ANONYMOUS) is InputForm.PLAIN

    async def test_a_check_runs_nothing(self, runner):
        assert await runner.check(Language.NODEJS, script_of("throw new Error('run');"), ANONYMOUS) is InputForm.PLAIN

    async def test_a_script_that_does_not_parse_is_refused_with_its_line(self, runner):
        with pytest.raises(ScriptSyntaxError) as refused:
            await runner.check(Language.NODEJS, script_of("const a = 1;\nreturn a +* 2;"), ANONYMOUS)
        assert refused.value.fault.line == 2

    @pytest.mark.parametrize("source", ["import fs from 'fs';", "export default 1;"])
    async def test_an_es_module_is_found_by_the_check(self, runner, source):
        assert await runner.check(Language.NODEJS, script_of(source), ANONYMOUS) is InputForm.MODULE

    @pytest.mark.parametrize(
        ("source", "asked", "form", "found"),
        [
            (
                "import { sep } from 'node:path';\nexport default ({ params }) => params.a + sep;",
                None,
                InputForm.MODULE,
                Syntax.MODULE,
            ),
            (
                "const a: number = event.params.a; return a + '/';",
                Syntax.TYPESCRIPT,
                InputForm.PLAIN,
                Syntax.TYPESCRIPT,
            ),
            (
                "export default ({ params }: { params: { a: number } }): string => `${params.a}/`;",
                Syntax.TYPESCRIPT,
                InputForm.MODULE,
                Syntax.TYPESCRIPT_MODULE,
            ),
        ],
        ids=["module", "typescript", "typescript-module"],
    )
    async def test_a_script_runs_in_the_syntax_that_its_check_found(self, runner, source, asked, form, found):
        assert await runner.check(Language.NODEJS, script_of(source), ANONYMOUS, syntax=asked) is form
        ref = new_session()
        for _ in range(2):
            assert await result_of(runner, node(source, '{"a":7}', ref=ref, syntax=found)) == '"7/"'

    @pytest.mark.parametrize(
        ("source", "asked", "fault"),
        [
            (
                "const a = 1;\nenum A { B }",
                Syntax.TYPESCRIPT,
                SyntaxFault("TypeScript's enum is not supported: types are removed, and it is more than a type", 2, 1),
            ),
            ("const a: number = 1;\nreturn (a", Syntax.TYPESCRIPT, SyntaxFault("Unexpected end of the script", 2, 10)),
            (
                "const a: number = 1;",
                None,
                SyntaxFault(
                    'Missing initializer in const declaration. If it is TypeScript, send "syntax": "typescript"', 1, 7
                ),
            ),
        ],
    )
    async def test_a_syntax_that_is_refused_has_its_reason_and_its_place(self, runner, source, asked, fault):
        with pytest.raises(ScriptSyntaxError) as refused:
            await runner.check(Language.NODEJS, script_of(source), ANONYMOUS, syntax=asked)
        assert refused.value.fault == fault

    async def test_a_module_that_imports_what_is_not_there_fails_with_its_name(self, runner):
        failure = await failure_of(runner, node("import _ from 'lodash';\nexport default _", syntax=Syntax.MODULE))
        assert (failure.code, "lodash" in failure.message) == (FailureCode.SCRIPT_ERROR, True)
