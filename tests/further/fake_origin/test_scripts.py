"""How the fake origin calls scripts and makes their results fit: real processes of Python and Node.js."""

import httpx2
import pytest

from tests.origin.process import running_origin
from tests.programs.origin.calls import execute, initialized
from tests.programs.supervisor.conftest import wait_until

FAILS = "Failed to execute function: Runtime error: HTTP client error: error decoding response body: "
CALLED = """
class Form:
    def __init__(self, **members): vars(self).update(members)
import datetime as dt, decimal, enum, pathlib, uuid, collections, dataclasses
result = """
PYTHON = [
    ("def handle(x):\n    return x", {"n": 1}),
    ("def handle(event):\n    return event", {"n": 1}),
    ("def handle(params, context=None):\n    return [params, context]", [{"n": 1}, None]),
    ("def handle():\n    return 1", FAILS),
    ("def handler(event):\n    return 1", None),
    ("def handler(event):\n    return 1\nresult = 2", 2),
    ("handle = 3\nresult = 2", 2),
    ("x = 1", None),
    ("result = [params['n'], context['c'], len(request_id)]", [1, 2, 36]),
    ("logger.info('a {}', 1)\nlogger.success('b')\nresult = 1", 1),
    ("print('lost')\nresult = 1", 1),
    ("return 1", FAILS),
    (f"{CALLED}(1, 2)", [1, 2]),
    (f"{CALLED}{{3, 1, 2}}", [1, 2, 3]),
    (f"{CALLED}frozenset({{1}})", [1]),
    (f"{CALLED}collections.deque([1, (2,)])", [1, [2]]),
    (f"{CALLED}dt.datetime(2020, 1, 2, 3, 4, 5)", "2020-01-02T03:04:05"),
    (f"{CALLED}dt.date(2020, 1, 2)", "2020-01-02"),
    (f"{CALLED}dt.timedelta(seconds=1.5)", 1.5),
    (f"{CALLED}uuid.UUID(int=1)", "00000000-0000-0000-0000-000000000001"),
    (f"{CALLED}pathlib.Path('/a')", "/a"),
    (f"{CALLED}decimal.Decimal('1.50')", 1.5),
    (f"{CALLED}decimal.Decimal('2')", 2),
    (f"{CALLED}enum.Enum('Kind', 'ONE').ONE", 1),
    (f"{CALLED}b'text'", "text"),
    (f"{CALLED}Form(b=1, a=[dt.date(2020, 1, 2)])", {"a": ["2020-01-02"], "b": 1}),
    (f"{CALLED}dataclasses.make_dataclass('D', ['a'])(1)", {"a": 1}),
    (f"{CALLED}float('nan')", FAILS),
    (f"{CALLED}(n for n in [1])", FAILS),
    (f"{CALLED}object()", FAILS),
    ("result = 2 ** 64 - 1", 2**64 - 1),
    ("result = 2 ** 64", float(2**64)),
    (None, FAILS),
    ("", FAILS),
]
NODE = [
    ("return event;", {"context": {"c": 2}, "params": {"n": 1}}),
    ("return { b: 1, a: 2 };", {"a": 2, "b": 1}),
    ("return event.params.n / 0;", None),
    ("return await Promise.resolve(3);", 3),
    ("return NaN;", None),
    ("return { f() {}, u: undefined, m: new Map([[1, 2]]), r: /x/, e: new Error('x') };", {"e": {}, "m": {}, "r": {}}),
    ("return Buffer.from('a');", {"type": "Buffer", "data": [97]}),
    ("return new Date(0);", "1970-01-01T00:00:00.000Z"),
    ("return null;", None),
    ("return undefined;", FAILS),
    ("const x = 1;", FAILS),
    ("module.exports = async (event) => 1;", FAILS),
    ("return require('fs');", FAILS),
    ("return setTimeout;", FAILS),
    ("let module = 1; const require = 2, exports = 3; return module + require + exports;", 6),
    ("return process.env.NODE_ENV;", "development"),
    ("console.log('lost'); console.error(1); return 1;", 1),
    ("throw new Error('x');", FAILS),
    ("return (;", FAILS),
    ("return 1; }); (async (event) => { return 2;", 2),
    (None, FAILS),
]


@pytest.mark.parametrize(("script", "expected"), [*PYTHON])
def test_a_python_script(client, script, expected):
    _fares(client, "python-test", script, expected)


@pytest.mark.parametrize(("script", "expected"), [*NODE])
def test_a_node_script(client, script, expected):
    _fares(client, "nodejs-test", script, expected)


def _fares(client, title, script, expected):
    answer = execute(client, initialized(client, script, title, context={"c": 2}), {"n": 1}).json()
    if expected == FAILS:
        assert answer["error"].startswith(FAILS)
    else:
        assert answer["result"] == expected
        assert type(answer["result"]) is type(expected)


@pytest.mark.parametrize(("params", "context"), [([], {}), ({}, []), ({}, None)])
def test_python_takes_objects_only(client, params, context):
    request_id = initialized(client, "result = 1", context=context)
    assert execute(client, request_id, params).json()["error"].startswith(FAILS)


def test_node_takes_any_values_of_a_megabyte_in_all(client):
    request_id = initialized(
        client, "return [typeof event.params, event.context.length];", "nodejs-test", context="abc"
    )
    assert execute(client, request_id, 1.5).json()["result"] == ["number", 3]
    assert execute(client, request_id, "x" * 2**20).json()["error"].startswith(FAILS)


def test_rust_runs_nothing(client):
    request_id = initialized(client, "fn main() {}\n", "rust-test")
    answer = execute(client, request_id, {"n": 1}).json()
    assert (answer["result"]["status"], answer["result"]["input_params"]) == ("success", {"n": 1})
    assert answer["memory_usage_bytes"] == 2**20


def test_a_script_that_takes_too_long_is_run_again(origin_url, tmp_path):
    runs = tmp_path / "runs"
    script = f"open({str(runs)!r}, 'a').write('x')\nimport time\ntime.sleep(30)"
    options = {"timeout_seconds": 1, "retries": 1, "children": 2}
    with running_origin(origin_url, **options) as origin, _client(origin) as client:
        answer = execute(client, initialized(client, script))
        # Both runs go on after the answer, and a busy machine may begin them late.
        wait_until(lambda: runs.exists() and len(runs.read_text()) > 1)
    assert answer.status_code == 500
    assert answer.json() == {"error": "Failed to execute function: Runtime error: Runtime execution timed out"}
    assert runs.read_text() == "xx"


def test_mappings_choose_a_runtime_by_part_or_expression(origin_url, tmp_path):
    mappings = tmp_path / "mappings.json"
    mappings.write_text(
        '[{"pattern": "nodejs-", "runtime_type": "nodejs", "is_regex": false},'
        ' {"pattern": "^py", "runtime_type": "python", "is_regex": true}]'
    )
    with running_origin(origin_url, mappings=mappings) as origin, _client(origin) as client:
        assert execute(client, initialized(client, "return 1;", "python-nodejs-x")).json()["result"] == 1
        assert execute(client, initialized(client, "result = 2", "pythonic")).json()["result"] == 2
        unmapped = execute(client, initialized(client, "result = 2", "ruby-x")).json()
    text = "Validation error: No configuration mapping found for language title: ruby-x"
    assert unmapped == {"error": f"Failed to execute function: {text}"}


def _client(origin):
    return httpx2.Client(base_url=origin.url, timeout=30)
