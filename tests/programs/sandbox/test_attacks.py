"""No attack succeeds in the sandbox, and those that do no harm succeed without it."""

import os
import re
from pathlib import Path

import pytest

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.selftest.canaries import Canaries
from adapters.sandbox.selftest.corpus import load_attacks
from adapters.sandbox.selftest.results import AttackResult
from adapters.sandbox.selftest.trials import Attacker, SelfTest
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from tests.integration.sandbox.unconfined import GUEST, UnconfinedRunner

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKS = [attack for attack in load_attacks() if not attack.network]
CONTROLS = [attack for attack in ATTACKS if attack.in_control]
# What even the root of a container is often refused, and what older kernels do not have.
OFTEN_REFUSED = {
    "privileges/priority", "privileges/locked-memory", "namespaces/change-root", "privileges/raise-limits",
    "processes/signal-every-process", "kernel/own-proc-files", "kernel/sysctls", "floods/landlock-rules", "floods/futex-table",
}  # fmt: skip


@pytest.fixture
def canaries():
    canaries = Canaries(SandboxBuilder(SandboxOptions("/nowhere")).uid)
    canaries.open()
    yield canaries
    canaries.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
async def test_no_attack_succeeds(shared, canaries, attack):
    trial = await Attacker(shared, canaries, shared.options).attack(attack)
    assert (trial.verdict, trial.evidence) == (AttackResult.HELD, trial.evidence)


@pytest.fixture(scope="module")
def specs(runtimes_dir):
    builder = SandboxBuilder(SandboxOptions(runtimes_dir))
    return {language: builder.spec(language) for language in Language}


@pytest.mark.skipif(os.geteuid() != 0, reason="a normal user is refused much without any sandbox")
@pytest.mark.parametrize("attack", CONTROLS, ids=str)
async def test_without_the_sandbox_the_same_attack_succeeds(specs, canaries, tmp_path, attack):
    options = specs[attack.language].options
    trial = await Attacker(UnconfinedRunner(specs, tmp_path), canaries, options).attack(attack)
    if f"{attack.category}/{attack.name}" in OFTEN_REFUSED and trial.verdict is not AttackResult.SUCCEEDED:
        pytest.skip(f"this host refuses it by itself: {trial.evidence}")
    assert (trial.verdict, trial.evidence) == (AttackResult.SUCCEEDED, trial.evidence)


@pytest.mark.parametrize(
    ("attack", "file", "names"),
    [
        ("sessions/memory-of-the-zygote", "python/zygote.py", ["ForkServer"]),
        ("executions/without-first-thread", "python/worker.py", ["nonce", "channel", "write_frame", "serve"]),
        ("protocol/reply-with-the-right-number", "python/worker.py", ["nonce", "channel"]),
        ("protocol/reply-with-the-right-number", "python/frames.py", ["descriptor"]),
        ("protocol/reply-of-another-kind", "python/frames.py", ["descriptor"]),
        ("protocol/report-that-it-never-ran", "python/frames.py", ["descriptor"]),
        ("progress/flood", "python/progress.py", ["_count"]),
        ("progress/unchecked", "python/progress.py", ["_nonce", "_channel"]),
        ("states/unchecked", "python/states.py", ["KeptState", "size_max"]),
        ("states/unchecked-text", "python/states.py", ["KeptState", "changed"]),
        ("states/result-in-the-place-of-a-state", "python/scripts.py", ["CompiledScript", "text_of"]),
        ("protocol/stolen-number", "nodejs/worker.cjs", ["execution", "channel", "serve"]),
    ],
)
async def test_an_attack_on_the_guest_uses_the_names_of_the_guest(attack, file, names):
    (source,) = [each.steps[0].source for each in ATTACKS if f"{each.category}/{each.name}" == attack]
    guest = (GUEST / file).read_text()
    assert [name for name in names if name in source and re.search(rf"\b{name}\b", guest)] == names


async def test_the_self_test_makes_every_attack_it_is_given(runtimes_dir):
    attacks = [attack for attack in ATTACKS if attack.category == "disk"]
    test = SelfTest(SandboxOptions(runtimes_dir, prewarmed=1), attacks)
    trials = [trial async for trial in test.trials()]
    assert len(trials) == len(attacks)
    assert [(str(trial.attack), trial.evidence) for trial in trials if trial.verdict is not AttackResult.HELD] == []


async def test_without_a_sandbox_there_is_no_self_test(runtimes_dir):
    test = SelfTest(SandboxOptions(runtimes_dir, bwrap_path=Path("/usr/bin/false")), ATTACKS[:1])
    with pytest.raises(RuntimeUnavailable):
        await anext(test.trials())
