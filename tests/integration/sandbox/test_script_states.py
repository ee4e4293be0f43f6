"""The state that scripts find in their event: what they leave is returned if it has changed and can be saved."""

import json
from typing import Any

import pytest

from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import RunState, ScriptRunner
from domain.scripts.report import FailureCode, ScriptReport
from domain.states.limits import StateLimits
from tests.contracts.script_runs import new_session, report_of, run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

PYTHON, NODEJS = Language.PYTHON, Language.NODEJS
BOTH = pytest.mark.parametrize("language", [PYTHON, NODEJS])
COUNT = {
    PYTHON: "def handler(event):\n    state = event['state']\n    state['n'] = state.get('n', 0) + 1\n    return state['n']",
    NODEJS: "const { state } = event; state.n = (state.n ?? 0) + 1; return state.n;",
}
SIZE_MAX = StateLimits().size_max


async def report(
    runner: ScriptRunner, language: Language, source: str, state: str | RunState | None = "{}", **fields: Any
) -> ScriptReport:
    given = RunState(JsonText(state)) if isinstance(state, str) else state
    return await report_of(runner, run_of(source, language=language, state=given, **fields))


def saved(found: ScriptReport) -> Any:
    assert found.failure is None, found.failure
    return None if found.state is None else json.loads(found.state)


@BOTH
async def test_a_change_is_returned_beside_the_result_also_by_a_warm_worker(
    shared: ScriptRunner, language: Language
) -> None:
    ref = new_session()
    for before, after in (("{}", 1), ('{"n": 41, "ä": "\\u00e9\\u0000"}', 42)):
        found = await report(shared, language, COUNT[language], before, ref=ref)
        assert found.result == str(after)
        assert saved(found) == json.loads(before) | {"n": after}


@BOTH
async def test_a_state_without_a_change_is_not_returned(shared: ScriptRunner, language: Language) -> None:
    source = {PYTHON: "result = event['state']['a']", NODEJS: "return event.state.a;"}[language]
    for text in ('{"a": [1, 2.50, {"b": null}]}', '{ "a" :[1,2.5,{"b":null}]}'):
        found = await report(shared, language, source, text)
        assert json.loads(found.result or "") == [1, 2.5, {"b": None}]
        assert saved(found) is None


@BOTH
async def test_a_state_that_is_replaced_in_the_event_is_returned(shared: ScriptRunner, language: Language) -> None:
    source = {PYTHON: "event['state'] = {'new': 1}", NODEJS: "event.state = { new: 1 };"}[language]
    assert saved(await report(shared, language, source)) == {"new": 1}


async def test_a_python_script_finds_it_as_a_parameter_and_as_a_name(shared: ScriptRunner) -> None:
    for source in ("def handler(state, params):\n    state['a'] = params", "state['a'] = params"):
        assert saved(await report(shared, PYTHON, source, params="7")) == {"a": 7}
    first = "def handler(anything):\n    anything['state']['a'] = anything['params']"
    for convention in (Convention.OWN, Convention.EVENT_FIRST):
        assert saved(await report(shared, PYTHON, first, params="7", convention=convention)) == {"a": 7}


@BOTH
async def test_a_script_without_one_finds_none(shared: ScriptRunner, language: Language) -> None:
    source = {PYTHON: "result = 'state' in event", NODEJS: "return 'state' in event;"}[language]
    found = await report(shared, language, source, None)
    assert (found.result, found.state) == ("false", None)


@BOTH
async def test_a_state_of_the_greatest_size_is_returned_and_a_larger_one_fails(
    shared: ScriptRunner, language: Language
) -> None:
    fill = {
        PYTHON: "n = params\nwhile n > 0:\n    k = min(n, 65000)\n    state['k%04d' % len(state)] = 'x' * (k - 11)\n"
        "    n -= k\nresult = 'r' * 1000",
        NODEJS: "let n = event.params; const { state } = event;\nwhile (n > 0) { const k = Math.min(n, 65000);"
        "state['k' + String(Object.keys(state).length).padStart(4, '0')] = 'x'.repeat(k - 11); n -= k; }"
        "return 'r'.repeat(1000);",
    }[language]
    # Each key takes its value and eleven bytes, in braces and without the last comma.
    found = await report(shared, language, fill, params=str(SIZE_MAX - 1))
    assert found.failure is None
    assert len(found.state or "") == SIZE_MAX
    assert len(found.result or "") == 1002
    found = await report(shared, language, fill, params=str(SIZE_MAX))
    assert found.failure is not None
    assert (found.failure.code, found.result, found.state) == (FailureCode.STATE_TOO_LARGE, None, None)
    assert (found.failure.limit, found.failure.observed) == (SIZE_MAX, SIZE_MAX + 1)


UNFIT = {
    PYTHON: [
        ("state['a'] = {1}", "state['a'] is a value of type set"),
        ("state['a'] = float('nan')", "state['a'] is the number nan"),
        ("state[1] = 2", "a key of type int"),
        ("event['state'] = [1]", "must be a dict, and is a value of type list"),
        ("del event['state']", "must be a dict, and is a value of type NoneType"),
        ("state['a'] = state", "contains itself"),
        ("state['a'] = '\\ud800'", "lone surrogate"),
        ("x = []\nfor _ in range(150):\n    x = [x]\nstate['a'] = x", "nested deeper than"),
        ("x = []\nfor _ in range(100000):\n    x = [x]\nstate['a'] = x", "nested too deeply"),
        ("state['a'] = 10 ** 4300", "too large to write"),
    ],
    NODEJS: [
        ("event.state.a = new Map()", "state.a is a value of type Map"),
        ("event.state.a = NaN", "state.a is the number NaN"),
        ("event.state = [1]", "must be an object"),
        ("delete event.state", "must be an object"),
        ("event.state.a = event.state", "contains itself"),
        ("event.state.a = '\\ud800'", "lone surrogate"),
        ("let x = []; for (let n = 0; n < 150; n++) x = [x]; event.state.a = x", "nested deeper than"),
        ("event.state = { toJSON: () => 1 }", "is not a JSON object"),
    ],
}


@pytest.mark.parametrize(("language", "source", "text"), [(each, *row) for each, rows in UNFIT.items() for row in rows])
async def test_a_state_that_json_cannot_hold_fails_the_execution_with_the_reason(
    shared: ScriptRunner, language: Language, source: str, text: str
) -> None:
    found = await report(shared, language, source)
    assert found.failure is not None
    assert (found.failure.code, found.result, found.state) == (FailureCode.STATE_NOT_SERIALIZABLE, None, None)
    assert text in found.failure.message


@BOTH
@pytest.mark.parametrize(
    ("keys", "text"), [("1001", "1,001 keys"), ("'long'", "a key of 129"), ("'value'", "bytes of JSON in the key 'v'")]
)
async def test_a_state_with_too_many_or_too_large_parts_fails(
    shared: ScriptRunner, language: Language, keys: str, text: str
) -> None:
    source = {
        PYTHON: "if params == 'long':\n    state['x' * 129] = 1\nelif params == 'value':\n    state['v'] = 'x' * 65536\n"
        "else:\n    state.update((str(n), n) for n in range(params))",
        NODEJS: "const { state, params } = event; if (params === 'long') state['x'.repeat(129)] = 1;"
        "else if (params === 'value') state.v = 'x'.repeat(65536); else for (let n = 0; n < params; n++) state[n] = n;",
    }[language]
    found = await report(shared, language, source, params=json.dumps(json.loads(keys.replace("'", '"'))))
    assert found.failure is not None
    assert (found.failure.code, found.state) == (FailureCode.STATE_TOO_LARGE, None)
    assert text in found.failure.message


WRITES_AND_FAILS = {
    PYTHON: "state['a'] = 1\nraise ValueError('no')",
    NODEJS: "event.state.a = 1; throw new Error('no');",
}


@BOTH
@pytest.mark.parametrize(("always", "state"), [(False, None), (True, '{"a":1}')])
async def test_a_script_that_fails_leaves_its_state_only_if_failures_keep_it(
    shared: ScriptRunner, language: Language, always: bool, state: str | None
) -> None:
    given = RunState(JsonText("{}"), saves_failures=always)
    found = await report(shared, language, WRITES_AND_FAILS[language], given)
    assert found.failure is not None
    assert (found.failure.code, found.failure.message, found.state) == (FailureCode.SCRIPT_ERROR, "no", state)


@BOTH
async def test_a_script_that_fails_with_a_state_that_cannot_be_saved_has_its_own_error(
    shared: ScriptRunner, language: Language
) -> None:
    source = {
        PYTHON: "state['a'] = {1}\nraise ValueError('no')",
        NODEJS: "event.state.a = new Map(); throw new Error('no');",
    }[language]
    found = await report(shared, language, source, RunState(JsonText("{}"), saves_failures=True))
    assert found.failure is not None
    assert (found.failure.code, found.failure.message, found.state) == (FailureCode.SCRIPT_ERROR, "no", None)


@BOTH
@pytest.mark.parametrize("how", ["set", "delete"])
async def test_a_shared_state_is_read_and_not_written(shared: ScriptRunner, language: Language, how: str) -> None:
    write = {
        PYTHON: {"set": "state['b'] = 1", "delete": "del state['a']"},
        NODEJS: {"set": "event.state.b = 1;", "delete": "delete event.state.a;"},
    }[language][how]
    read = {PYTHON: "result = state", NODEJS: "return event.state;"}[language]
    given = RunState(JsonText('{"a":1}'), is_shared=True, saves_failures=True)
    found = await report(shared, language, read, given)
    assert (found.result, found.state) == ('{"a":1}', None)
    found = await report(shared, language, write, given)
    assert found.failure is not None
    assert 'the mode of the session is "shared"' in found.failure.message
    assert found.state is None


@BOTH
async def test_a_worker_keeps_nothing_of_a_state_for_the_next_execution(
    shared: ScriptRunner, language: Language
) -> None:
    ref = new_session()
    await report(shared, language, COUNT[language], ref=ref)
    found = await report(shared, language, COUNT[language], ref=ref)
    assert saved(found) == {"n": 1}


@BOTH
async def test_no_script_is_killed_by_a_limit_and_keeps_its_state(shared: ScriptRunner, language: Language) -> None:
    source = {
        PYTHON: "state['a'] = 1\nprint('x' * 300_000)",
        NODEJS: "event.state.a = 1; console.log('x'.repeat(300000));",
    }[language]
    found = await report(shared, language, source, RunState(JsonText("{}"), saves_failures=True))
    assert found.failure is not None
    assert (found.failure.code, found.state) == (FailureCode.OUTPUT_LIMIT, None)
