"""What the text of a script says, found in the sandbox without running it."""

import pytest

from domain.scripts.examination import ScriptFinding
from domain.scripts.language import Language

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True


@pytest.fixture
def examiner(shared):
    examiner = shared.examiner()
    yield examiner
    examiner.close()


async def codes_of(examiner, language, source):
    (findings,) = await examiner.examine(language, [source])
    return [(finding.code, finding.line, finding.text) for finding in findings]


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("result = params['n']", []),
        ("def handle(params): return params['n']", []),
        ("def handle(event):\n  return event['params']['n']", [("P1", 1, "event")]),
        ("def handle(e):\n  return e.get('params')", [("P1", 1, "e")]),
        ("def handle(e):\n  return e.get('n', e['x'])", []),
        ("def handler(event): return 1", [("P2", 1, "handler")]),
        ("def handle(params, context=None): return 1", [("P3", 1, "params, context")]),
        ("def handle(): return 1", [("P3", 1, "")]),
        (
            "def handler(context):\n  return context.get('params', {})",
            [("P2", 1, "handler"), ("event-first", 1, "handler")],
        ),
        ("def handler(context): return context['c']", [("P2", 1, "handler")]),
        ("x = 1\nlogger.info('a')", [("P4", 2, "logger.info")]),
        ("logger.catch(print)", [("P4-missing", 1, "logger.catch")]),
        ("import logging\nlogger = logging.getLogger()\nlogger.info('a')", []),
        ("result = {1}", [("P5", 1, "a set")]),
        ("result = {x for x in [1]}", [("P5", 1, "a set")]),
        ("result = b'a'", [("P5", 1, "bytes")]),
        ("from datetime import datetime as d\nresult = d.now()", [("P5", 2, "datetime.datetime.now")]),
        ("import decimal as dec\nresult = dec.Decimal(1)", [("P5", 2, "decimal.Decimal")]),
        ("async def handle(params): return 1", [("P5", 1, "async handle")]),
        ("import requests, json", [("P7", 1, "requests")]),
        ("from urllib.request import urlopen", [("P7", 1, "urllib.request")]),
        ("from urllib.parse import quote", []),
        ("import os\nresult = os.environ['HOME']", [("P7", 2, "os.environ")]),
        ("import os.path\nresult = os.path.sep", []),
        ("result = open('f').read()", [("P7", 1, "open")]),
        ("import subprocess\nsubprocess.run(['ls'])", [("P7", 1, "subprocess"), ("P7", 2, "subprocess.run")]),
        ("import time\ntime.sleep(1)", [("P8", 2, "time.sleep")]),
        ("import builtins\nbuiltins.x = 1", [("P9", 2, "builtins.x")]),
        ("import sys\nsys.modules['a'] = 1", [("P9", 2, "sys.modules")]),
        ("import json\njson.cache = {}", [("P9", 2, "json.cache")]),
        ("class A: pass\nA.x = 1\nf().y = 2", []),
        ("result = (", []),
        ("result = '\0'", []),
    ],
)
async def test_constructs_of_python_are_found_with_their_lines(examiner, source, findings):
    assert await codes_of(examiner, Language.PYTHON, source) == findings


@pytest.mark.parametrize(
    ("source", "findings"),
    [
        ("return event.params.n", []),
        ("return new Map()", [("N1", 1, "new Map")]),
        ("// a\nlet module = 1", [("N2", 2, "Identifier 'module' has already been declared")]),
        ("return process.env.NODE_ENV", [("N3", 1, "process.env.NODE_ENV")]),
        (
            "return 1 }) , (async () => {",
            [("N5", 1, "the script closes the function around it: a closing brace is too many")],
        ),
        ("\nmodule.exports = async () => 1", [("E1", 2, "module.exports")]),
        ("exports.handler = () => 1", [("E1", 1, "exports.handler =")]),
        ("return exports.a == 1", []),
        ("const fs = require('fs')", [("P7", 1, "require('fs')")]),
        ("await new Promise((r) => setTimeout(r, 9))", [("P8", 1, "setTimeout")]),
        ("return (", []),
    ],
)
async def test_constructs_of_javascript_are_found_with_their_lines(examiner, source, findings):
    assert await codes_of(examiner, Language.NODEJS, source) == findings


@pytest.mark.parametrize(
    ("language", "line"), [(Language.PYTHON, "logger.info('{}')\n"), (Language.NODEJS, "NaN;//{}\n")]
)
async def test_many_scripts_are_examined_in_their_order_and_few_findings_kept(examiner, language, line):
    sources = ["".join(line.format(n) for n in range(number)) for number in (0, 1, 200, 2, *range(60))]
    found = await examiner.examine(language, sources)
    assert [len(findings) for findings in found] == [0, 1, 50, 2, *(min(number, 50) for number in range(60))]
    assert all(isinstance(each, ScriptFinding) for findings in found for each in findings)
