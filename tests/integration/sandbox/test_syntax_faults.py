"""A syntax check parses a script in a sandbox without running it, and finds the position of a fault."""

import pytest

from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.script import ScriptSyntaxError
from tests.contracts.script_runs import script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEASURES_GUEST = True

NODE, PYTHON = Language.NODEJS, Language.PYTHON


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
    assert await shared.check(NODE, script_of(source), ANONYMOUS) is True


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("return 1 +;", 1, 11),
        ("let x = 1;\nlet y = ;", 2, 9),
        ("const a = 1; const a = 2", 1, 20),
        ("import x from 'y'", 1, 1),
        ("1;\nexport default 1", 2, 1),
        ("if (a) {", 1, 1),
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


async def test_the_fault_of_module_syntax_says_what_to_use_instead(shared):
    assert "require()" in (await fault_of(shared, NODE, "import fs from 'fs'")).message
    assert "require()" in (await fault_of(shared, NODE, "export const a = 1")).message


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("return 1", 1, 1), ("é = '漢字' +", 1, 11), ("(" * 1000, 1, 201), ("x = '\0'", None, None)],
)
async def test_a_python_script_that_does_not_parse_has_a_fault_with_its_position(shared, source, line, column):
    fault = await fault_of(shared, PYTHON, source)
    if line is not None:
        assert (fault.line, fault.column) == (line, column)


async def test_a_warning_of_the_compiler_is_no_fault(shared):
    assert await shared.check(PYTHON, script_of("x = '\\d'\ny = 1 is 1"), ANONYMOUS) is True
