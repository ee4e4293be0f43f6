"""Syntax checks by a runtime host: fair among owners, bounded while they wait, and ended with their client."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from typing_extensions import override

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.connection import HostConnection
from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.requests import check_request
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import script_of
from tests.contracts.served_hosts import served
from tests.support.ports import loopback_socket
from tests.support.waiting import until

ALICE, BOB = Owner("alice"), Owner("bob")


class HeldChecks(MemoryScriptRunner):
    """Holds the checks of an owner until the test opens them."""

    def __init__(self) -> None:
        super().__init__()
        self.running: Counter[Owner] = Counter()
        self.open: dict[Owner, asyncio.Event] = {ALICE: asyncio.Event(), BOB: asyncio.Event()}

    @override
    async def check(self, _language, _script, owner, *_):
        self.running[owner] += 1
        try:
            await self.open[owner].wait()
            return InputForm.PLAIN
        finally:
            self.running[owner] -= 1


@pytest.fixture
def behind():
    return HeldChecks()


@pytest.fixture
def client(behind):
    """Opens a client of a host with these options."""

    @asynccontextmanager
    async def open_client(**options):
        listening, url = loopback_socket()
        host = HostApi(behind, RuntimeHostOptions())
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(served(host.app(), listening))
            runner = HttpScriptRunner(RuntimeOptions(**options), {Language.PYTHON: [url]})
            await runner.open()
            stack.push_async_callback(runner.close)
            yield runner

    return open_client


def request_of(source):
    return check_request(Language.PYTHON, script_of(source), ALICE, Convention.OWN, None)


def checked(runner, owner, n):
    return asyncio.ensure_future(runner.check(Language.PYTHON, script_of(f"a = {n}"), owner))


async def test_a_flood_by_one_owner_leaves_turns_for_another(client, behind):
    async with client(check_timeout_s=60.0) as runner:
        flood = [checked(runner, ALICE, n) for n in range(200)]
        await until(lambda: behind.running[ALICE] == RuntimeOptions().owner_checks_max)
        behind.open[BOB].set()
        assert await asyncio.gather(*(checked(runner, BOB, n) for n in range(50))) == [InputForm.PLAIN] * 50
        assert behind.running[ALICE] == RuntimeOptions().owner_checks_max
        behind.open[ALICE].set()
        assert await asyncio.gather(*flood) == [InputForm.PLAIN] * 200


async def test_a_check_whose_time_ends_before_its_turn_is_overloaded(behind):
    listening, url = loopback_socket()
    options = RuntimeOptions(owner_checks_max=1)
    async with served(HostApi(behind, RuntimeHostOptions()).app(), listening):
        host = RemoteHost("host", HostConnection(url, options), options)
        await host.connection.open()
        ends_at = asyncio.get_running_loop().time() + 60
        first = asyncio.ensure_future(host.check(request_of("a = 1"), "1", ends_at))
        await until(lambda: behind.running[ALICE])
        with pytest.raises(Overloaded, match="the syntax check"):
            await host.check(request_of("a = 2"), "2", asyncio.get_running_loop().time() + 0.01)
        behind.open[ALICE].set()
        assert await first is InputForm.PLAIN
        await host.connection.close()


async def test_waiting_scripts_are_bounded(client, behind):
    async with client(check_timeout_s=60.0, owner_checks_max=1, checks_waiting_bytes_max=65_536) as runner:
        calls = [checked(runner, ALICE, 1)]
        await until(lambda: behind.running[ALICE] == 1)
        calls += [checked(runner, ALICE, n) for n in range(2, 30)]
        ended, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_EXCEPTION)
        assert all(isinstance(call.exception(), Overloaded) for call in ended)
        behind.open[ALICE].set()
        assert await asyncio.gather(*waiting) == [InputForm.PLAIN] * 5


async def test_a_cancelled_check_ends_on_the_host(client, behind):
    async with client(check_timeout_s=60.0) as runner:
        cancelled = checked(runner, ALICE, 1)
        await until(lambda: behind.running[ALICE])
        cancelled.cancel()
        await until(lambda: not behind.running[ALICE])


async def test_the_turn_of_a_cancelled_check_goes_to_the_next(client, behind):
    async with client(check_timeout_s=60.0, owner_checks_max=1) as runner:
        cancelled, _, next_one = (checked(runner, ALICE, n) for n in range(3))
        await until(lambda: behind.running[ALICE])
        cancelled.cancel()
        behind.open[ALICE].set()
        assert await next_one is InputForm.PLAIN


async def test_no_check_waits_for_a_connection(client, behind):
    behind.open[ANONYMOUS] = asyncio.Event()
    options = RuntimeOptions()
    limits = {"runs_max": 1, "owner_checks_max": options.checks_max}
    async with client(check_timeout_s=60.0, queue_timeout_s=60.0, **limits) as runner:
        calls = [checked(runner, ANONYMOUS, n) for n in range(200)]
        await until(lambda: behind.running[ANONYMOUS] == options.checks_max)
        behind.open[ANONYMOUS].set()
        assert await asyncio.gather(*calls) == [InputForm.PLAIN] * 200
