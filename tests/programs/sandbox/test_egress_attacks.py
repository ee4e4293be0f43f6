"""Attacks of scripts with a network, most of them by the numbers of record 0065: none succeeds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import evolve, frozen

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.selftest.canaries import Canaries
from adapters.sandbox.selftest.corpus import load_attacks
from adapters.sandbox.selftest.results import AttackResult
from adapters.sandbox.selftest.trial_hosts import TrialHosts
from adapters.sandbox.selftest.trials import Attacker
from domain.scripts.language import Language
from domain.scripts.report import ScriptReport
from entrypoints.composition.selftest import connected_to
from tests.contracts.script_runs import run_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKS = [attack for attack in load_attacks() if attack.network]
FLOODS = {"many-connections", "many-bytes", "never-reading", "kernel-memory"}
CONNECT = """
import socket
with socket.create_connection((params["allowed"], params["allowed_port"]), timeout=3) as connection:
    connection.sendall(b"x")
    result = connection.recv(1).decode()
"""


@frozen
class World:
    runner: SandboxScriptRunner
    hosts: TrialHosts
    attacker: Attacker

    async def connect(self) -> ScriptReport:
        """Run a script that reaches the allowed host."""
        facts = self.hosts.params()
        rules = (f"{facts['allowed']}:{facts['allowed_port']}/tcp",)
        worker = await self.runner.acquire(run_of(CONNECT, json.dumps(facts), network=rules))
        try:
            return await worker.run()
        finally:
            await worker.release()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(runtimes_dir: Path) -> AsyncIterator[World]:
    options = SandboxOptions(runtimes_dir, prewarmed=0, queue_timeout_s=10)
    runner = SandboxScriptRunner(options)
    canaries = Canaries(runner.builder.uid)
    hosts = TrialHosts(ATTACKS, canaries.mark)
    async with contextlib.AsyncExitStack() as closing:
        closing.callback(canaries.close)
        canaries.open()
        await hosts.open()
        closing.push_async_callback(hosts.close)
        runner.networks = await closing.enter_async_context(connected_to(runner, hosts))
        closing.push_async_callback(runner.close, 5)
        await runner.open()
        yield World(runner, hosts, Attacker(runner, canaries, options, hosts=hosts))


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
async def test_no_attack_succeeds(world, attack):
    trial = await world.attacker.attack(attack)
    assert (trial.verdict, trial.evidence) == (AttackResult.HELD, trial.evidence)


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.name in FLOODS], ids=str)
async def test_beside_a_flood_a_neighbour_is_connected(world, attack):
    flood = asyncio.ensure_future(world.attacker.attack(attack))
    assert (await world.connect()).result == '"x"'
    assert (await flood).verdict is AttackResult.HELD


@pytest.mark.parametrize("language", Language)
async def test_an_attack_that_was_not_refused_or_reached_a_host_is_no_success_of_the_sandbox(world, language):
    (name,) = [each for each in ATTACKS if each.name == "plain-http" and each.language is language]
    passed = evolve(name, network=["{allowed}:{allowed_port}/tcp"])
    assert (await world.attacker.attack(passed)).verdict is AttackResult.SUCCEEDED
    endpoint = next(each for each in ATTACKS if each.name == "own-port" and each.language is language)
    elsewhere = evolve(endpoint, network=["{allowed}:{allowed_port}/tcp"])
    assert (await world.attacker.attack(elsewhere)).verdict is AttackResult.UNCLEAR
