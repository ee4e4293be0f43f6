"""Syntax checks within limits of time and memory, patient by owners."""

import asyncio
import contextlib
import secrets

import pytest
import pytest_asyncio

from adapters.sandbox.options import KIB, MIB, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import Language
from domain.scripts.script import InputForm, ScriptSyntaxError
from tests.contracts.hostile_scripts import hostile_script
from tests.contracts.ordinary_scripts import ORDINARY_SCRIPTS
from tests.contracts.script_runs import script_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PYTHON = Language.PYTHON
CRASHING = {
    # Memory, depth, a huge literal, a huge number, and time: what a parser may not survive.
    Language.PYTHON: [
        "a = " + "(" * 90 + "x" + ")" * 90 + "\n" + "-" * 50_000 + "1",
        "[" * 60_000,
        "a = b'" + "\\x00" * 15_000 + "'",
        "a = " + "9" * 60_000,
        "a = " + "+".join("x" * 2000 for _ in range(20)) + "".join(f"[{n}:" for n in range(9000)),
    ],
    Language.NODEJS: [
        "[" * 60_000,
        "a" + "=>a" * 20_000,
        "`" + "${`" * 15_000,
        "/" + "(" * 60_000 + "/",
        "let a = " + "9" * 60_000 + "n;",
    ],
}
"""Scripts below 64 KiB, so that they are checked in one batch with innocent ones."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(runtimes_dir, built):
    """A runner whose limits of wall time do not depend on how busy the machine is."""
    options = SandboxOptions(runtimes_dir=runtimes_dir, queue_timeout_s=60.0, check_timeout_s=60.0)
    runner = SandboxScriptRunner(options, built(options))
    await runner.open()
    yield runner
    await runner.close(5)


@pytest.mark.parametrize("language", list(Language))
async def test_a_script_that_takes_too_much_cpu_time_is_rejected_and_others_are_still_checked(patient, language):
    hostile = [patient.check(language, hostile_script(language, owner), Owner(owner)) for owner in "ab"]
    quick = [patient.check(language, script_of(f"a = {n}"), Owner(f"quick {n}")) for n in range(20)]
    ended = await asyncio.gather(*hostile, *quick, return_exceptions=True)
    assert ended[2:] == [InputForm.PLAIN] * 20
    for error in ended[:2]:
        assert error.fault.message == "too large or too deep to check"


@pytest.mark.parametrize("language", list(Language))
async def test_a_neighbours_checks_do_not_wait_for_those_of_hostile_owners(patient, language):
    ended = 0

    async def attack(owner, n):
        nonlocal ended
        while True:
            with contextlib.suppress(ScriptSyntaxError, Overloaded):
                await patient.check(language, hostile_script(language, f"{n} {secrets.token_hex(8)}"), owner)
            ended += 1

    attacks = [asyncio.ensure_future(attack(Owner(f"hostile {each}"), n)) for each in range(3) for n in range(14)]
    try:
        for n in range(50):
            assert await patient.check(language, script_of(f"a = {n}"), Owner("neighbour")) is InputForm.PLAIN
        # If each check waited for a hostile one, 50 would have ended.
        assert ended < 40
    finally:
        for each in attacks:
            each.cancel()
        await asyncio.wait(attacks)


@pytest.mark.parametrize(
    ("language", "kind"), [(language, kind) for language, kinds in ORDINARY_SCRIPTS.items() for kind in kinds]
)
@pytest.mark.parametrize("size", [2 * KIB, 64 * KIB, 256 * KIB, MIB])
async def test_an_ordinary_script_of_any_size_passes(patient, language, kind, size):
    script = script_of(ORDINARY_SCRIPTS[language][kind](size))
    assert 0.7 * size < len(script.source.encode()) <= size
    assert await patient.check(language, script, Owner(f"{kind} {size}")) is InputForm.PLAIN


async def test_a_check_that_the_host_has_no_time_for_is_overload_and_not_a_fault(opened):
    async with opened(check_timeout_s=0.001, prewarmed=0, languages=[PYTHON]) as runner:
        with pytest.raises(Overloaded):
            await runner.check(PYTHON, script_of("a=1\n" * 100_000), ANONYMOUS)


async def test_a_checker_is_replaced_after_its_maximum_of_checks(opened):
    async with opened(checks_per_checker_max=2, prewarmed=0, languages=[PYTHON]) as runner:
        for n in range(5):
            assert await runner.check(PYTHON, script_of(f"a = {n}"), ANONYMOUS) is InputForm.PLAIN


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("different", [True, False])
async def test_all_scripts_of_a_burst_are_checked(patient, language, different):
    new = secrets.token_hex(8)
    scripts = [script_of(f"a = '{new}'; b = {n if different else 0}") for n in range(200)]
    assert (
        await asyncio.gather(*(patient.check(language, each, ANONYMOUS) for each in scripts)) == [InputForm.PLAIN] * 200
    )


@pytest.mark.parametrize("language", list(Language))
async def test_innocent_scripts_pass_in_batches_with_hostile_ones(patient, language):
    new = secrets.token_hex(8)

    async def attack(n, source):
        with contextlib.suppress(ScriptSyntaxError):
            await patient.check(language, script_of(source), Owner(f"crashing {new} {n}"))

    hostile = [hostile_script(language, f"{new} {n}").source for n in range(2)] + CRASHING[language]
    attacks = [asyncio.ensure_future(attack(n, source)) for n, source in enumerate(hostile)]
    innocent = [script_of(f"a = '{new}'; b = {n}") for n in range(150)]
    checks = (patient.check(language, each, Owner(f"innocent {n % 3}")) for n, each in enumerate(innocent))
    assert await asyncio.gather(*checks) == [InputForm.PLAIN] * 150
    await asyncio.gather(*attacks)


@pytest.mark.parametrize("language", list(Language))
async def test_each_script_of_a_batch_has_its_own_fault(patient, language):
    new = secrets.token_hex(8)
    sources = [f"a = '{new}'; b = {n}" if n % 2 else f"a = '{new}'\n\nb = {n} +" for n in range(64)]
    checks = (patient.check(language, script_of(source), ANONYMOUS) for source in sources)
    checked = await asyncio.gather(*checks, return_exceptions=True)
    assert checked[1::2] == [InputForm.PLAIN] * 32

    assert [fault.fault.line for fault in checked[::2]] == [3] * 32
