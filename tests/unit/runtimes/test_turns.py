"""Runs take turns on the hosts of a language, and owners are served in turn."""

import asyncio

import pytest

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import Overloaded
from domain.identity import Owner, SessionRef
from domain.scripts.language import Language
from tests.contracts.script_runs import new_id, new_session, run_of
from tests.support.waiting import until
from tests.unit.runtimes.conftest import HOST, over_http


@pytest.fixture
async def opened():
    """Opens a runner, and closes it at the end."""
    runners = []

    async def opened(languages=(Language.PYTHON,), **options):
        runners.append(HttpScriptRunner(RuntimeOptions(**options), {key: [HOST] for key in languages}, dial=over_http))
        await runners[-1].open()
        await until(lambda: runners[-1].stats().states["http"])
        return runners[-1]

    yield opened
    for each in runners:
        await each.close()


def run_for(owner: str):
    return run_of("result = 1", ref=SessionRef(Owner(owner), new_id()))


class TestOrder:
    async def test_an_owner_with_one_run_does_not_wait_for_all_runs_of_another(self, opened):
        runner, order = await opened(runs_max=1, queue_timeout_s=60), []

        async def run_once(owner: str) -> None:
            worker = await runner.acquire(run_for(owner))
            order.append(owner)
            await worker.release()

        first = await runner.acquire(run_for("alice"))
        waiting = [asyncio.ensure_future(run_once(owner)) for owner in ("alice", "alice", "alice", "bob")]
        await asyncio.sleep(0)
        await first.release()
        await asyncio.gather(*waiting)
        assert order == ["alice", "bob", "alice", "alice"]

    async def test_each_language_has_turns_of_its_own(self, opened):
        runner = await opened(Language, runs_max=1, queue_max=0)
        for language in Language:
            await runner.acquire(run_of("result = 1", language=language))
        with pytest.raises(Overloaded, match="runtime hosts"):
            await runner.acquire(run_of("result = 1", ref=new_session()))

    async def test_a_run_that_gets_no_turn_in_time_is_rejected_with_the_time_that_it_waited(self, opened):
        runner = await opened(runs_max=1, queue_timeout_s=0.01)
        await runner.acquire(run_for("alice"))
        with pytest.raises(Overloaded, match=r"waited 0\.01 s for runtime hosts, until QUEUE_TIMEOUT_MS"):
            await runner.acquire(run_for("alice"))
