"""Every row of the tables in docs/conventions.md holds, and what no row can show."""

import json
import re
from pathlib import Path

import pytest

from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import FailureCode
from domain.scripts.script import ScriptSyntaxError
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of, script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conventions.md").read_text()
CELL = r" `([^|]+)` \|"
ROW = re.compile(rf"^\|{CELL}{CELL}{CELL}{CELL}", re.MULTILINE)
PARAMS, CONTEXT = re.findall(r"^\| (?:params|context) \| `(.+)` \|$", DOCUMENT, re.MULTILINE)
SYNTAX_ERROR = ScriptSyntaxError.code
ORIGIN = Convention.ORIGIN


def rows(language, name):
    for title in (f"What a {name} script receives", f"What becomes of a result in {name}"):
        section = DOCUMENT.split(f"## {title}\n")[1].split("\n## ")[0]
        found = ROW.findall(section)
        assert len(found) == section.count("\n| `") > 10
        for script, *outcomes in found:
            yield pytest.param(language, script, outcomes, id=script)


def plain(text):
    return json.dumps(json.loads(text))


async def outcome_of(runner, source, language, convention):
    """Return how a script ends, as the tables write it."""
    try:
        await runner.check(language, script_of(source), ANONYMOUS, convention)
    except ScriptSyntaxError:
        return SYNTAX_ERROR
    report = await report_of(runner, run_of(source, PARAMS, context=CONTEXT, language=language, convention=convention))
    if report.failure is not None:
        return report.failure.code
    return "none" if report.result is None else plain(report.result)


@pytest.mark.parametrize(
    ("language", "script", "outcomes"), [*rows(Language.PYTHON, "Python"), *rows(Language.NODEJS, "Node.js")]
)
async def test_every_row_of_the_tables_of_conventions_holds(shared, language, script, outcomes):
    names = {*FailureCode.__members__, SYNTAX_ERROR, "none"}
    expected = [outcome if outcome in names else plain(outcome) for outcome in outcomes]
    assert [await outcome_of(shared, script, language, convention) for convention in Convention] == expected


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("context", ["null", "true", "8", '"text"', "[1]", "{}"])
async def test_the_context_may_be_any_json_under_origin(shared, language, context):
    source = "result = [context]" if language is Language.PYTHON else "return [event.context]"
    run = run_of(source, context=context, language=language, convention=ORIGIN)
    assert json.loads(await result_of(shared, run)) == [json.loads(context)]


@pytest.mark.parametrize(
    ("call", "lines"),
    [
        ("logger.debug('plain {}')", ["DEBUG    | <module>:1 - plain {}"]),
        ("logger.info('{} {key}', 1, key=2)", ["INFO     | <module>:1 - 1 2"]),
        ("logger.bind(user=1).opt(lazy=True).success(['any'])", ["SUCCESS  | <module>:1 - ['any']"]),
        ("logger.log(25, 'own')", ["25       | <module>:1 - own"]),
        ("def handle(params): logger.warning('in')", ["WARNING  | handle:1 - in"]),
        (
            "try: 1 / 0\nexcept ZeroDivisionError: logger.exception('why')",
            [
                "ERROR    | <module>:2 - why",
                "Traceback (most recent call last):",
                '  File "script.py", line 1, in <module>',
                "    try: 1 / 0",
                "         ~~^~~",
                "ZeroDivisionError: division by zero",
            ],
        ),
    ],
)
async def test_the_logger_writes_lines_to_stderr(shared, call, lines):
    report = await report_of(shared, run_of(call, convention=ORIGIN))
    assert report.failure is None
    assert report.stderr.splitlines() == lines


async def test_the_logger_names_what_it_has(shared):
    failure = await failure_of(shared, run_of("logger.catch(print)", convention=ORIGIN))
    assert failure.name == "AttributeError"
    assert "it has trace, debug, info" in failure.message


async def test_types_that_were_fitted_to_json_are_named_on_stderr(shared):
    source = "import sys, decimal\nprint('own', file=sys.stderr)\nresult = [{1}, {'a': decimal.Decimal(2)}]"
    report = await report_of(shared, run_of(source, convention=ORIGIN))
    line = 'Of the result, the calling convention "origin" has fitted to JSON: Decimal, set'
    assert (report.result, report.stderr.splitlines()) == ('[[1],{"a":2}]', ["own", line])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{'a': [1, (x for x in [1])]}", "result['a'][1] is a value of type generator"),
        ("[bytes([255])]", "result[0] is a value of type bytes"),
        ("[__import__('decimal').Decimal('NaN')]", "result[0] is a value of type Decimal"),
        ("{(1, 2): {3}}", "result (a key) is a value of type tuple"),
        ("__import__('types').SimpleNamespace(x=object())", "result['x'] is a value of type object"),
        ("[{1}, __import__('functools').reduce(lambda a, _: [a], range(100000), 1)]", "nested too deeply"),
    ],
)
async def test_a_result_that_cannot_be_fitted_fails_with_its_path(shared, value, words):
    failure = await failure_of(shared, run_of(f"result = {value}", convention=ORIGIN))
    assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE
    assert words in failure.message


async def test_an_error_inside_a_value_of_the_result_is_the_scripts_error(shared):
    source = (
        "import datetime\nclass D(datetime.date):\n  def isoformat(self): raise KeyError('own')\nresult = D(2026, 1, 1)"
    )
    failure = await failure_of(shared, run_of(source, convention=ORIGIN))
    assert (failure.code, failure.name, failure.line) == (FailureCode.SCRIPT_ERROR, "KeyError", 3)


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("return 1\n}", 2, 1), ("\n  foo(", 2, 7), ("let a\nlet a", 2, 5), ("return 1 }) , (async () => {", None, None)],
)
async def test_a_syntax_fault_under_origin_has_its_place_in_the_script(shared, source, line, column):
    with pytest.raises(ScriptSyntaxError) as raised:
        await shared.check(Language.NODEJS, script_of(source), ANONYMOUS, ORIGIN)
    assert (raised.value.fault.line, raised.value.fault.column) == (line, column)


async def test_an_error_under_origin_has_its_place_in_the_script(shared):
    failure = await failure_of(shared, run_of("let a = 1;\n  null.x", language=Language.NODEJS, convention=ORIGIN))
    assert (failure.line, failure.column) == (2, 8)
    assert "call_origin" not in failure.stack


async def test_a_verdict_under_one_convention_is_none_under_another(shared):
    script = script_of("let module = 'verdict'")
    with pytest.raises(ScriptSyntaxError):
        await shared.check(Language.NODEJS, script, ANONYMOUS)
    assert await shared.check(Language.NODEJS, script, ANONYMOUS, ORIGIN)


@pytest.mark.parametrize("start", ["fork", "exec"])
async def test_node_env_is_the_setting_in_every_execution(opened, start):
    source = "const was = process.env.NODE_ENV; process.env.NODE_ENV = 'mine'; process.env.MORE = '1';"
    source += " return [was, Object.keys(process.env)]"
    ref = new_session()
    async with opened(languages=[Language.NODEJS], node_start=start, node_env="development") as runner:
        for _ in range(2):
            run = run_of(source, ref=ref, language=Language.NODEJS, convention=ORIGIN)
            assert json.loads(await result_of(runner, run)) == ["development", ["NODE_ENV", "MORE"]]


@pytest.mark.parametrize("language", Language)
async def test_a_session_whose_convention_changes_gets_another_worker(shared, language):
    source = "result = 'event' in dir()" if language is Language.PYTHON else "return Object.keys(event).length"
    ref, results = new_session(), []
    for convention in (Convention.OWN, ORIGIN, Convention.OWN):
        run = run_of(source, ref=ref, language=language, convention=convention)
        results.append(await result_of(shared, run))
    assert results[0] == results[2] != results[1]
