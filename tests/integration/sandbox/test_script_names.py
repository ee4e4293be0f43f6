"""Sessions whose state is the names of their scripts: what stays, what is dropped, and what the result is."""

import json
from typing import Any

import pytest

from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language
from domain.scripts.ports import RunState, ScriptRunner
from domain.scripts.report import FailureCode, ScriptReport
from tests.contracts.script_runs import new_session, report_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

PYTHON, NODEJS = Language.PYTHON, Language.NODEJS
BOTH = pytest.mark.parametrize("language", [PYTHON, NODEJS])


async def report(
    runner: ScriptRunner, language: Language, source: str, state: str = "{}", ref: SessionRef | None = None, **also: Any
) -> ScriptReport:
    given = RunState(JsonText(state), is_repl=True, **also)
    return await report_of(runner, run_of(source, '{"a": 7}', language=language, state=given, ref=ref))


def kept(found: ScriptReport) -> Any:
    assert found.failure is None, found.failure
    return None if found.state is None else json.loads(found.state)


def dropped(found: ScriptReport) -> dict[str, str]:
    return {each.name: each.type for each in found.dropped}


@BOTH
async def test_names_stay_in_a_warm_worker_and_the_last_expression_is_the_result(
    shared: ScriptRunner, language: Language
) -> None:
    ref, text = new_session(), "{}"
    first = "n = params['a']" if language is PYTHON else "let n = event.params.a"
    for source, result, state, is_cold in (
        (f"{first}\nn + 1", "8", {"n": 7}, True),
        ("n += 1\nn", "8", {"n": 8}, False),
        ("n", "8", None, False),
    ):
        found = await report(shared, language, source, text, ref)
        assert (found.result, kept(found), found.cold_start) == (result, state, is_cold)
        text = found.state or text


NAMES = {
    PYTHON: (
        "import math, collections\nfrom math import sqrt\nnone, yes, number, text = None, True, 1.5, 'é'\n"
        "nested = {'a': [1, {}]}\n_own = 1\npair = (1,)\nkeys = {1: 2}\ncount = collections.Counter('a')\n"
        "nan = float('nan')\nlone = '\\ud800'\nloop = []\nloop.append(loop)\nhuge = 10 ** 5000\n"
        "class A: pass\ndef handler(): return 1\nfor turn in range(2): pass"
    ),
    NODEJS: (
        "let none = null, yes = true, number = 1.5, text = 'é'; const nested = { a: [1, {}] }; var turn = 1;\n"
        "let _own = 1, unset, pair = new Map(), nan = NaN, lone = '\\ud800', loop = [], big = 10n, date = new Date(0);\n"
        "loop.push(loop); class A {} function handler() { return 1 } const sparse = [, 1], hidden = { get a() { return 1 } };\n"
        "const of = Object.create({ a: 1 }), { sqrt } = Math; undefined"
    ),
}
DROPPED = {
    PYTHON: {
        "sqrt": "builtin_function_or_method", "pair": "tuple", "keys": "dict", "count": "Counter", "nan": "float",
        "lone": "str", "loop": "list", "huge": "int", "A": "type", "handler": "function",
    },
    NODEJS: {
        "unset": "undefined", "pair": "Map", "nan": "number", "lone": "string", "loop": "Array", "big": "bigint",
        "date": "Date", "A": "function", "handler": "function", "sparse": "Array", "hidden": "Object", "of": "Object",
        "sqrt": "function",
    },
}  # fmt: skip


@BOTH
async def test_names_that_json_cannot_give_back_are_dropped_with_their_types(
    shared: ScriptRunner, language: Language
) -> None:
    found = await report(shared, language, NAMES[language])
    values = {"none": None, "yes": True, "number": 1.5, "text": "é", "nested": {"a": [1, {}]}, "turn": 1}
    assert (found.result, kept(found)) == (None, values)
    assert dropped(found) == DROPPED[language]


@BOTH
async def test_a_report_lists_so_many_names_and_so_much_of_each(shared: ScriptRunner, language: Language) -> None:
    long = "x" * 200
    source = {
        PYTHON: f"{long} = 1\nglobals().update({{f'n{{n}}': len for n in range(99)}})",
        NODEJS: f"var {long} = 1; for (let n = 0; n < 99; n++) globalThis['n' + n] = isNaN; undefined",
    }[language]
    found = await report(shared, language, source)
    assert (kept(found), len(found.dropped), found.dropped[0].name) == (None, 64, long[:128])


@BOTH
async def test_other_keys_of_the_state_stay_and_removed_names_do_not(shared: ScriptRunner, language: Language) -> None:
    state = '{"a key": 1, "_own": 2, "event": 3, "gone": 4, "n": 5}'
    source = {PYTHON: "del gone", NODEJS: "delete globalThis.gone; undefined"}[language]
    found = await report(shared, language, source, state)
    assert (found.result, kept(found)) == (None, {"a key": 1, "_own": 2, "event": 3, "n": 5})


@BOTH
async def test_a_failure_has_its_place_and_keeps_names_only_if_asked(shared: ScriptRunner, language: Language) -> None:
    source = {PYTHON: "n = 1\nm = [1\n][5]\nk = 2", NODEJS: "let n = 1;\n  null.m; let k = 2;"}[language]
    for always, state in ((False, None), (True, '{"n":1}')):
        found = await report(shared, language, source, saves_failures=always)
        assert found.failure is not None
        assert (found.failure.code, found.failure.line, found.state) == (FailureCode.SCRIPT_ERROR, 2, state)


async def test_python_scripts_may_set_result_and_wait(shared: ScriptRunner) -> None:
    found = await report(shared, PYTHON, "n = 1\nresult = [n]\n5")
    assert (found.result, kept(found)) == ("[1]", {"n": 1})
    found = await report(shared, PYTHON, "async def f(): return 6\nf()")
    assert found.result == "6"
    assert (await report(shared, PYTHON, "exec(params and 'inner = 3')\nprint('out')")).state == '{"inner":3}'


@pytest.mark.parametrize(
    ("source", "result", "state"),
    [
        ("const a = await Promise.resolve(1); a + 1", "2", '{"n":5,"a":1}'),
        ("let n = globalThis.n + 1; n", "6", '{"n":6}'),
        ("n = 6; Promise.resolve(n)", "6", '{"n":6}'),
        ("(0, eval)('var inner = 3; let lost = 4'); inner", "3", '{"n":5,"inner":3}'),
        ("({ sep: require('node:path').sep })", '{"sep":"/"}', None),
        ("event.params", '{"a":7}', None),
        ("console.log(typeof module, typeof exports, typeof __take)", None, None),
    ],
)
async def test_nodejs_scripts_run_as_in_a_console(
    shared: ScriptRunner, source: str, result: str | None, state: str | None
) -> None:
    found = await report(shared, NODEJS, source, '{"n": 5}')
    assert (found.failure, found.result, found.state) == (None, result, state)
    assert found.stdout in {"", "undefined undefined undefined\n"}


@pytest.mark.parametrize(
    ("source", "line"),
    [("let z = 1;\nlet q = z z", 2), ("\n  return 1", 2), ("await new Promise(() => {})", None), ("throw null", None)],
)
async def test_nodejs_scripts_that_fail_say_where(shared: ScriptRunner, source: str, line: int | None) -> None:
    ref = new_session()
    found = await report(shared, NODEJS, source, ref=ref)
    assert found.failure is not None
    assert (found.failure.code, found.failure.line) == (FailureCode.SCRIPT_ERROR, line)
    assert (await report(shared, NODEJS, "1 + 1", ref=ref)).result == "2"
