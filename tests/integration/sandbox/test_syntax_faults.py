"""A syntax check parses a script in a sandbox without running it, and finds the position of a fault."""

import asyncio

import pytest

from domain.identity import ANONYMOUS
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm, ScriptSyntaxError
from tests.contracts.script_runs import script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

NODE, PYTHON = Language.NODEJS, Language.PYTHON


_READS = "return context['params']"
EVENT_IN_CONTEXT = [
    f"def handler(context): {_READS}",
    f"async def handle(context=None, /):\n    {_READS}",
    f"def handler(\n    context: dict\n):\n    if True:\n        {_READS}",
    "handle = handler = lambda context: context.get('params')",
    f"def handle(params): return 1\ndef handler(context): {_READS}",
    f"def handle(context): return 1\ndef handle(context): {_READS}",
    "def handler(context):\n    return [context.get('params', {}) for _ in (1,)]",
]
PLAIN = [
    f"def handler(context, *more): {_READS}",
    f"def handler(context, *, more=1): {_READS}",
    f"def handler(context, **more): {_READS}",
    f"def handle(context): {_READS}\ndef handler(params): return 1",
    f"def handle(context): {_READS}\nhandle = lambda params: params",
    f"class A:\n    def handler(context): {_READS}",
    "def handler(context): return context.params",
    "def handler(context): return context.get(*['params'])",
    "def handler(context): return context.get()",
    "def handler(context): return other['params'], 'params'",
    f"text = 'def handler(context): ' \\\n    \"{_READS}\"",
    f"def handler(context): {_READS}\n" + "#" * (16 << 10),  # no tree is built for a large script
]


@pytest.mark.parametrize("source", EVENT_IN_CONTEXT)
async def test_a_python_handler_that_reads_the_event_in_context_is_recognized(shared, source):
    assert await shared.check(PYTHON, script_of(source), ANONYMOUS) is InputForm.EVENT_IN_CONTEXT


@pytest.mark.parametrize("source", PLAIN)
async def test_any_other_python_script_is_plain(shared, source):
    assert await shared.check(PYTHON, script_of(source), ANONYMOUS) is InputForm.PLAIN


@pytest.mark.parametrize("depth", [90, 250, 2000])
@pytest.mark.parametrize(
    "deep", [("(", "1", ")"), ("-", "1", ""), ("", "a", ".b"), ("lambda:", "1", ""), ("", "a", "[0]")]
)
async def test_a_tree_that_is_deep_does_not_change_the_verdict(shared, deep, depth):
    opening, middle, closing = deep
    verdicts = []
    for parameter in ("context", "CONTEXT"):
        source = f"def handler({parameter}): return {opening * depth}{middle}{closing * depth}"
        try:
            verdicts.append(await shared.check(PYTHON, script_of(source), ANONYMOUS))
        except ScriptSyntaxError as error:
            verdicts.append(error.fault)
    assert verdicts[0] == verdicts[1]


async def test_forms_are_those_of_each_script_of_a_batch(shared):
    sources = [f"# {n}\n{source}" for n, source in enumerate([*EVENT_IN_CONTEXT, *PLAIN[:-1]])]
    found = await asyncio.gather(*(shared.check(PYTHON, script_of(source), ANONYMOUS) for source in sources))
    forms = [InputForm.EVENT_IN_CONTEXT] * len(EVENT_IN_CONTEXT) + [InputForm.PLAIN] * (len(PLAIN) - 1)
    assert found == forms


async def fault_of(runner, language, source):
    with pytest.raises(ScriptSyntaxError) as raised:
        await runner.check(language, script_of(source), ANONYMOUS)
    return raised.value.fault


@pytest.mark.parametrize(
    "source",
    [
        "return 1",
        "await x; return 1",
        "",
        "// only a comment",
        "module.exports = async (e) => e",
        "process.exit(1)",
        "for (;;);",
        "const event2 = event; var event = 1",
        "return import('fs')",
    ],
)
async def test_a_node_script_that_parses_passes_and_does_not_run(shared, source):
    assert await shared.check(NODE, script_of(source), ANONYMOUS) is InputForm.PLAIN


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("return 1 +;", 1, 11),
        ("let x = 1;\nlet y = ;", 2, 9),
        ("const a = 1; const a = 2", 1, 20),
        ("import x from 'y'; return x", 1, 20),
        ("1;\nexport default 1 +", 2, 19),
        ("}; evil(); {", 1, 2),
        ("1;\n\n) x", 3, 1),
        ("}); evil(); (function () {", None, None),
        ("}, function () {", None, None),
        ("[" * 100000, None, None),
    ],
)
async def test_a_node_script_that_does_not_parse_has_a_fault_with_its_position(shared, source, line, column):
    fault = await fault_of(shared, NODE, source)
    assert fault.line == line
    assert (fault.column is None) == (column is None)
    assert fault.message


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("return 1 +", 1, 11),
        ("if (true) {", 1, 12),
        ("return 1;\n\n\nfoo((", 4, 6),
        ("return 1 + \n\n", 1, 11),
        ("return {\r\n  a: 1,", 2, 8),
        ("const text = `abc", 1, 18),
        ("return `${", 1, 11),
        ("x =\u2028 y.", 2, 4),
        ("class A {\n  f() {\n  }", 3, 4),
    ],
)
async def test_a_node_script_that_ends_too_early_is_reported_at_its_end(shared, source, line, column):
    fault = await fault_of(shared, NODE, source)
    assert (fault.message, fault.line, fault.column) == ("Unexpected end of the script", line, column)


@pytest.mark.parametrize(
    ("source", "line", "column"), [("}", 1, 1), ("return 1}", 1, 9), ("})", 1, 1), ("a\n} // b", 2, 1)]
)
async def test_a_closing_brace_too_many_at_the_end_is_reported_where_it_stands(shared, source, line, column):
    fault = await fault_of(shared, NODE, source)
    assert (fault.message, fault.line, fault.column) == ("Unexpected token '}'", line, column)


async def test_a_fault_that_names_another_cause_keeps_its_message_at_the_end_of_the_script(shared):
    fault = await fault_of(shared, NODE, "try {\n  a()")
    assert (fault.message, fault.line, fault.column) == ("Missing catch or finally after try", 2, 6)


async def test_a_fault_that_is_found_outside_the_script_has_no_position(shared):
    fault = await fault_of(shared, NODE, "#x in event")
    assert (fault.line, fault.column) == (None, None)


@pytest.mark.parametrize("source", ["import fs from 'fs'", "export const a = 1"])
async def test_the_fault_of_module_syntax_in_a_script_of_the_origin_says_what_to_use_instead(shared, source):
    with pytest.raises(ScriptSyntaxError, match="require\\(\\)"):
        await shared.check(NODE, script_of(source), ANONYMOUS, Convention.ORIGIN)


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("return 1", 1, 1), ("é = '漢字' +", 1, 11), ("(" * 1000, 1, 201), ("x = '\0'", None, None)],
)
async def test_a_python_script_that_does_not_parse_has_a_fault_with_its_position(shared, source, line, column):
    fault = await fault_of(shared, PYTHON, source)
    if line is not None:
        assert (fault.line, fault.column) == (line, column)


async def test_a_warning_of_the_compiler_is_no_fault(shared):
    assert await shared.check(PYTHON, script_of("x = '\\d'\ny = 1 is 1"), ANONYMOUS) is InputForm.PLAIN


@pytest.mark.parametrize(
    ("source", "is_hinted"),
    [
        ("const a: number = 1; return a", True),
        ("interface A { a?: string }\nreturn 1", True),
        ("type A = string;\nreturn 1", True),
        ("return (event as any).params", True),
        ("return { a: 1 +; }", False),
    ],
)
async def test_a_script_that_looks_like_typescript_is_told_how_to_ask_for_it(shared, source, is_hinted):
    fault = await fault_of(shared, NODE, source)
    assert ('If it is TypeScript, send "syntax": "typescript"' in fault.message) == is_hinted
