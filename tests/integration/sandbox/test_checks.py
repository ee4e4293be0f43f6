"""Scripts are parsed in a sandbox, never run, and refused with the place in the caller's own text."""

import asyncio

import pytest

from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.language import Language
from domain.script import ScriptSyntaxError
from tests.contracts.script_runs import script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE, PYTHON = Language.NODEJS, Language.PYTHON


async def fault_of(runner, language, source):
    with pytest.raises(ScriptSyntaxError) as refused:
        await runner.check(language, script_of(source), ANONYMOUS)
    return refused.value.fault


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
async def test_a_node_script_that_parses_passes_and_is_not_run(shared, source):
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
async def test_a_node_script_that_does_not_parse_is_refused_with_its_place(shared, source, line, column):
    fault = await fault_of(shared, NODE, source)
    assert fault.line == line
    assert (fault.column is None) == (column is None)
    assert fault.message


async def test_module_syntax_is_refused_with_what_to_use_instead(shared):
    assert "require()" in (await fault_of(shared, NODE, "import fs from 'fs'")).message
    assert "require()" in (await fault_of(shared, NODE, "export const a = 1")).message


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [("return 1", 1, 1), ("é = '漢字' +", 1, 11), ("(" * 1000, 1, 201), ("x = '\0'", None, None)],
)
async def test_a_python_script_that_does_not_parse_is_refused_with_its_place(shared, source, line, column):
    fault = await fault_of(shared, PYTHON, source)
    if line is not None:
        assert (fault.line, fault.column) == (line, column)


async def test_a_warning_of_the_compiler_is_no_fault(shared):
    assert await shared.check(PYTHON, script_of("x = '\\d'\ny = 1 is 1"), ANONYMOUS) is True


async def test_what_takes_too_long_is_refused_and_others_are_still_checked(opened):
    limits = {"check_timeout_s": 0.5, "check_memory_mb": 1024, "large_script_size": 1 << 30}
    async with opened(**limits, spares=0, languages=[PYTHON]) as runner:
        await runner.check(PYTHON, script_of("a = 0"), ANONYMOUS)
        slow, quick = await asyncio.gather(
            runner.check(PYTHON, script_of("a=1\n" * 500_000), ANONYMOUS),
            runner.check(PYTHON, script_of("a = 2"), ANONYMOUS),
            return_exceptions=True,
        )
        assert "too large" in slow.fault.message
        assert quick is True


async def test_a_checker_is_replaced_after_so_many_checks(opened):
    async with opened(checks_per_checker_max=2, spares=0, languages=[PYTHON]) as runner:
        for n in range(5):
            assert await runner.check(PYTHON, script_of(f"a = {n}"), ANONYMOUS) is True


async def test_a_verdict_is_remembered(opened):
    async with opened(spares=0, languages=[PYTHON]) as runner:
        for _ in range(2):
            await fault_of(runner, PYTHON, "a = = 1")
        assert runner._runtimes[PYTHON]._desk.ordinary._checks == 1


async def test_an_owner_with_too_many_waiting_checks_is_refused_and_others_are_not(opened):
    async with opened(checks_queued_per_owner_max=1, checks_queued_max=2, spares=0, languages=[PYTHON]) as runner:
        checks = [
            runner.check(PYTHON, script_of(f"a = {n}"), Owner(owner)) for n, owner in enumerate(["a", "a", "b", "c"])
        ]
        first, second, other, beyond = await asyncio.gather(*checks, return_exceptions=True)
        assert (first, other) == (True, True)
        assert isinstance(second, Overloaded)
        assert isinstance(beyond, Overloaded)
