"""Registered hosts that no longer register: the stream to them decides, for as long as there is one."""

import pytest

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.addresses import parse_address
from domain.errors import RuntimeUnavailable
from domain.hosts.networks import HostLocation
from domain.scripts.language import Language
from tests.contracts.host_directory import host
from tests.contracts.script_runs import result_of, run_of
from tests.integration.runtimes.test_streams import served_host
from tests.support.waiting import until


async def test_a_silent_host_stays_while_its_stream_does():
    runner = HttpScriptRunner(RuntimeOptions(queue_timeout_s=0.2), {}, registering=[Language.PYTHON])
    await runner.open()
    async with served_host() as (_, url):
        registered = host(url=url, address=parse_address(HostLocation.of(url).host))
        await runner.serve([], [registered])
        with pytest.raises(RuntimeUnavailable):
            await result_of(runner, run_of("result = 1"))
        await runner.serve([registered])
        assert await result_of(runner, run_of("result = 1")) == "1"
        await runner.serve([], [registered])
        assert await result_of(runner, run_of("result = 1")) == "1"

    async def is_left():
        await runner.serve([], [registered])
        return (await runner.health())["languages"]["python"]["hosts"] == []

    await until(is_left)
    with pytest.raises(RuntimeUnavailable, match="no runtime host is registered"):
        await result_of(runner, run_of("result = 1"))
    await runner.close()
