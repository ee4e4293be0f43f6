"""The command `hosts`."""

import asyncio
import json

from click.testing import CliRunner
from dependency_injector import providers

from adapters.memory.manual_clock import ManualClock
from adapters.memory.runtime_hosts import MemoryHostDirectory
from domain.hosts.host import STALE_AFTER
from entrypoints.cli.main import cli
from tests.contracts.host_directory import NOW, host
from tests.support.commands import commands_with


def run(directory, *arguments):
    container = commands_with(runtime_hosts=providers.Object(directory), clock=providers.Object(ManualClock()))
    return CliRunner().invoke(
        cli, ["hosts", *arguments], obj=container, env={"DATABASE_URL": "postgresql://nobody/nothing"}
    )


def test_hosts_are_listed_with_what_they_are():
    directory = MemoryHostDirectory()
    asyncio.run(directory.register(host("a")))
    asyncio.run(directory.register(host("b", 2, at=NOW - STALE_AFTER)))
    result = run(directory, "--output", "json")
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert first == {
        "name": "a",
        "state": "ready",
        "url": "http://a.example:8090",
        "address": "10.0.0.7",
        "languages": "nodejs,python",
        "runs_max": 32,
        "release": "0.3.0",
        "registered_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        "seen_s_ago": 0,
    }
    assert (second["state"], second["seen_s_ago"]) == ("stale", 30)
    header, line, _ = run(directory).stdout.splitlines()
    assert header.split()[:2] == ["name", "state"]
    assert line.split()[:3] == ["a", "ready", "http://a.example:8090"]


def test_without_hosts_the_list_says_so():
    assert run(MemoryHostDirectory()).stdout == "No runtime host is registered.\n"
