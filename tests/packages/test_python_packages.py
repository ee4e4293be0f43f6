"""numpy, pandas, requests and httpx in environments, in the real sandbox; run by `make proof`."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import define

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.network import Networks
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.packages.trees import python_tree
from tests.support.certificates import Authority
from tests.support.folders import shared_folder
from tests.support.https import HttpsServer, https_server
from tests.support.packages import Folders

pytestmark = pytest.mark.asyncio(loop_scope="module")

_CONNECTIONS, _BYTES_MAX = 16, 1 << 20
GROUPBY = """
import numpy, pandas
frame = pandas.DataFrame({"key": numpy.arange(1000) % 7, "value": numpy.ones(1000)})
result = frame.groupby("key")["value"].sum().to_dict()[0]
"""
REQUESTS = "import requests\nresult = requests.post(params['url'], data=b'hello', timeout=5).json()"
HTTPX = "import httpx\nresult = httpx.post(params['url'], content=b'hello', timeout=5).json()"
ASYNC_HTTPX = """
import httpx
async def handler(params):
    async with httpx.AsyncClient(timeout=5) as client:
        return (await client.post(params["url"], content=b"hello")).json()
"""


@define
class World:
    """A sandbox with the packages, preloaded and not, and an HTTPS server that its scripts may reach."""

    runner: SandboxScriptRunner
    preloaded: Environment
    bare: Environment
    server: HttpsServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    with shared_folder() as folder:
        tree = python_tree(folder / "tree")
        trees = Folders(folder / "trees")
        preloaded = trees.add_folder("data", tree, ("numpy", "pandas", "requests", "httpx"))
        bare = trees.add_folder("bare", tree)
        (folder / "hosts").write_text("127.0.0.1 api.example.com\n")
        authority = Authority(folder)
        options = SandboxOptions(folder / "runtimes", [Language.PYTHON], prewarmed=0, queue_timeout_s=60)
        builder = SandboxBuilder(options)
        names = [(folder / "hosts", "/etc/hosts"), (Path("/etc/nsswitch.conf"), "/etc/nsswitch.conf")]
        uid = options.sandbox_uid + 1 if os.geteuid() == 0 else None
        egress = EgressSandbox(lambda: builder.spec(Language.PYTHON).programs.bwrap, uid, names=names)
        configuration = Configure(_CONNECTIONS, _BYTES_MAX, 2.0, ["127.0.0.0/8"], [], [], [], egress_filter())
        client = EgressClient(configuration, egress)
        runner = SandboxScriptRunner(options, builder, networks=Networks(client, authority.file), trees=trees)
        async with https_server(authority.vouch("api.example.com")) as server:
            await runner.open()
            yield World(runner, preloaded, bare, server)
            await runner.close(5)
            await client.close()


@pytest.mark.parametrize("kind", ["preloaded", "bare"])
async def test_pandas_works_within_the_default_limits_and_its_worker_is_kept(world, kind):
    ref, environment = new_session(), getattr(world, kind)
    reports = [await report_of(world.runner, run_of(GROUPBY, ref=ref, environment=environment)) for _ in range(3)]
    assert [(each.failure, each.result, each.cold_start) for each in reports] == [
        (None, "143.0", True),
        (None, "143.0", False),
        (None, "143.0", False),
    ]


async def test_the_memory_of_preloaded_packages_is_not_counted(world):
    source = "import numpy\nheld = numpy.ones(12_000_000)\nresult = int(held.sum())"
    report = await report_of(world.runner, run_of(source, environment=world.preloaded))
    assert (report.failure, report.result) == (None, "12000000")
    assert 90 << 20 < report.memory_usage_bytes < 110 << 20


async def test_two_sessions_draw_different_random_numbers(world):
    source = "import numpy\nresult = [int(each) for each in numpy.random.randint(0, 1 << 62, 2)]"
    first, second = [await result_of(world.runner, run_of(source, environment=world.preloaded)) for _ in range(2)]
    assert first != second


@pytest.mark.parametrize("kind", ["preloaded", "bare"])
@pytest.mark.parametrize("source", [REQUESTS, HTTPX, ASYNC_HTTPX], ids=["requests", "httpx", "httpx async"])
async def test_clients_of_packages_reach_the_hosts_of_their_rules(world, source, kind):
    params = f'{{"url":"https://api.example.com:{world.server.port}/items"}}'
    network = (f"api.example.com:{world.server.port}",)
    run = run_of(source, params, network=network, environment=getattr(world, kind))
    report = await report_of(world.runner, run)
    assert (report.failure, report.result) == (None, '{"heard":"hello"}')
    (traffic,) = report.traffic.hosts
    assert (traffic.host, traffic.connections, traffic.refused) == ("api.example.com", 1, 0)


async def test_the_packages_are_imported_before_the_fork(world):
    facts = await world.runner.tree_trial().trial(
        Language.PYTHON, world.runner.trees.path_of(world.bare), ["numpy", "pandas"], 128
    )
    assert facts.cpu_ms > 50
    assert 20 < facts.private_mb < 80
    assert facts.mapped_mb > facts.data_mb > 40
