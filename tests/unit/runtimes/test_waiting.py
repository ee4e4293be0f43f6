"""While no host takes runs, callers wait for one within their time, as they do for room."""

import asyncio
import time

import httpx2
import pytest
from attrs import define, field

from adapters.remote_runtime.connection import HostUnreached
from adapters.remote_runtime.dial import NoStream
from adapters.remote_runtime.fleet import DISTRUSTED_S, Condition, HostView
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.ranks import ranked
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.remote_runtime.turns import HostTurns
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.scripts.language import Language
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import new_id, new_session, result_of, run_of, script_of
from tests.support.waiting import until
from tests.unit.runtimes.conftest import HOST, over_http
from tests.unit.runtimes.replies import own
from tests.unit.runtimes.test_registered_hosts import A, B, at, called


@define(eq=False)
class Lost:
    """Dials a host that cannot be reached until `is_back`."""

    is_back: bool = False
    count: int = 0

    async def __call__(self, connection, options, stream):
        self.count += 1
        raise NoStream(404) if self.is_back else HostUnreached("it cannot be reached (refused)")


@pytest.fixture
async def opened():
    """Opens a runner, by default of Python on hosts that register, and closes it at the end."""
    runners = []

    async def opened(listed=None, dial=over_http, **options):
        registering = [] if listed else [Language.PYTHON]
        runner = HttpScriptRunner(RuntimeOptions(**options), listed or {}, registering=registering, dial=dial)
        runners.append(runner)
        await runner.open()
        return runner

    yield opened
    for each in runners:
        await each.close()


async def waits(runner, number=1):
    """Wait until so many callers wait for a host."""
    await until(lambda: runner.stats().waiting == number)


async def test_a_run_waits_for_a_host_to_register(opened, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    runner = await opened(queue_timeout_s=60)
    wanted = asyncio.create_task(runner.wanted())
    running = asyncio.create_task(result_of(runner, run_of("result = 1")))
    async with asyncio.timeout(30):
        await wanted
        await runner.serve([])
        await runner.serve([at(1)])
        assert await running == "8"


async def test_hosts_are_wanted_no_longer_when_nobody_waits(opened, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    runner = await opened(queue_timeout_s=60)
    running = asyncio.create_task(result_of(runner, run_of("result = 1")))
    await runner.wanted()
    await runner.serve([at(1)])
    await running
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await runner.wanted()


async def test_a_run_waits_for_a_listed_host_that_is_dialled_again_and_again(opened, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    dial = Lost()
    runner = await opened({Language.PYTHON: [HOST]}, dial, queue_timeout_s=60)
    running = asyncio.create_task(result_of(runner, run_of("result = 1")))
    await until(lambda: dial.count >= 3)
    assert not running.done()
    dial.is_back, count = True, dial.count
    async with asyncio.timeout(30):
        assert await running == "8"
    assert dial.count == count + 1


async def test_a_run_whose_hosts_left_after_its_turn_waits_for_another_one(opened, httpx2_mock):
    httpx2_mock.route().respond(content=own())
    runner = await opened(queue_timeout_s=60)
    await runner.serve([at(1)])
    worker = await runner.acquire(run_of("result = 1"))
    await runner.serve([])
    running = asyncio.create_task(worker.run())
    await waits(runner)
    await runner.serve([at(2)])
    report = await running
    await worker.release()
    assert (report.result, called(httpx2_mock)) == ("8", [B])


async def test_a_run_that_no_host_takes_in_its_time_is_refused_with_the_time_and_what_to_do(opened):
    runner = await opened(queue_timeout_s=0.05)
    with pytest.raises(RuntimeUnavailable) as refused:
        await runner.acquire(run_of("result = 1"))
    message = refused.value.message
    assert "waited 0.05 s for a runtime host, until QUEUE_TIMEOUT_MS" in message
    assert "no runtime host is registered" in message
    assert "start a runtime host, or correct CONTROLLER_URL" in message
    assert (refused.value.stored, refused.value.executed) == ("no", "no")


async def test_a_run_that_finds_no_host_after_its_turn_is_refused_after_the_same_time(opened, httpx2_mock):
    runner = await opened(queue_timeout_s=0.05)
    await runner.serve([at(1)])
    worker = await runner.acquire(run_of("result = 1"))
    await runner.serve([])
    with pytest.raises(RuntimeUnavailable, match=r"waited 0\.05 s"):
        await worker.run()
    await worker.release()
    assert called(httpx2_mock) == []


async def test_a_run_that_is_stopped_while_it_waits_starts_nothing(opened, httpx2_mock):
    runner = await opened(queue_timeout_s=60)
    await runner.serve([at(1)])
    worker = await runner.acquire(run_of("result = 1"))
    await runner.serve([])
    running = asyncio.create_task(worker.run())
    await waits(runner)
    assert await worker.stop()
    await runner.serve([at(1)])
    report = await running
    await worker.release()
    assert report.failure.code is FailureCode.EXECUTION_CANCELLED
    assert called(httpx2_mock) == []


async def test_owners_take_turns_when_a_host_comes(opened):
    runner, order = await opened(queue_timeout_s=60, runs_max=1), []

    async def run_once(owner):
        worker = await runner.acquire(run_of("result = 1", ref=SessionRef(Owner(owner), new_id())))
        order.append(owner)
        await worker.release()

    running = [asyncio.create_task(run_once(owner)) for owner in ("alice", "alice", "alice", "bob")]
    await waits(runner, 4)
    await runner.serve([at(1)])
    await asyncio.gather(*running)
    assert order == ["alice", "bob", "alice", "alice"]


async def test_only_so_many_callers_wait_and_one_that_leaves_makes_room(opened):
    runner = await opened(queue_timeout_s=60, queue_max=1)
    first = asyncio.create_task(runner.acquire(run_of("result = 1")))
    await waits(runner)
    with pytest.raises(Overloaded, match="Too many calls are waiting for runtime hosts"):
        await runner.acquire(run_of("result = 1"))
    first.cancel()
    await asyncio.wait([first])
    assert runner.stats().waiting == 0
    second = asyncio.create_task(runner.acquire(run_of("result = 1")))
    await waits(runner)
    second.cancel()
    await asyncio.wait([second])


async def test_a_check_waits_for_a_host_as_a_run_does(opened, httpx2_mock):
    httpx2_mock.route().respond(json={"parsed": True})
    runner = await opened(queue_timeout_s=60)
    checking = asyncio.create_task(runner.check(Language.PYTHON, script_of("result = 1"), ANONYMOUS))
    await waits(runner)
    await runner.serve([at(1)])
    await checking
    assert called(httpx2_mock) == [A]


async def test_a_check_that_no_host_takes_in_its_time_is_refused(opened):
    runner = await opened(queue_timeout_s=0.05)
    with pytest.raises(RuntimeUnavailable, match=r"waited 0\.05 s for a runtime host"):
        await runner.check(Language.PYTHON, script_of("result = 1"), ANONYMOUS)


async def test_a_language_without_a_url_is_refused_at_once(opened):
    runner = await opened({Language.NODEJS: [HOST]}, queue_timeout_s=60)
    with pytest.raises(RuntimeUnavailable, match="set its runtime URL"):
        await runner.acquire(run_of("result = 1"))
    with pytest.raises(RuntimeUnavailable, match="set its runtime URL"):
        await runner.check(Language.PYTHON, script_of("result = 1"), ANONYMOUS)


async def test_more_hosts_than_a_run_is_sent_to_may_leave_at_once(opened, httpx2_mock):
    """Those that are gone have started nothing, and cost the others nothing."""
    ref = new_session()
    urls = [f"http://10.0.0.{number}:8090" for number in range(1, 6)]
    last = ranked(ref.session_id.bytes, urls)[-1]
    httpx2_mock.route(url__startswith=last).respond(content=own())
    httpx2_mock.route().mock(side_effect=_refused)
    runner = await opened(queue_timeout_s=60)
    await runner.serve([at(number) for number in range(1, 6)])
    assert await result_of(runner, run_of("result = 1", ref=ref)) == "8"


def _refused(request):
    raise httpx2.ConnectError("refused")


@define(eq=False)
class Host:
    """A host whose state the test sets."""

    state: HostView = field(factory=lambda: HostView(Condition.READY))
    name: str = "runtime host 1"

    def want(self):
        """Nothing is dialled."""


async def test_a_host_that_is_trusted_again_gets_the_runs_that_wait():
    host, turns = Host(), HostTurns(RuntimeOptions(), [])
    host.state.leave(time.monotonic() - DISTRUSTED_S + 0.1, "it broke the protocol")
    turns.serve({Language.PYTHON: [host]})
    ends_at = asyncio.get_running_loop().time() + 30
    await turns.take(Language.PYTHON, ANONYMOUS, ends_at)
    assert not host.state.is_distrusted(time.monotonic())
    turns.release(Language.PYTHON, ANONYMOUS)
    turns.close()


async def test_hosts_that_all_lack_the_language_are_asked_why():
    host, turns = Host(), HostTurns(RuntimeOptions(), [])
    host.state.unavailable = [Language.PYTHON]
    turns.serve({Language.PYTHON: [host]})
    await turns.take(Language.PYTHON, ANONYMOUS, asyncio.get_running_loop().time() - 1)
    assert (await turns.readiness(Language.PYTHON))["status"] == "failing"


async def test_a_wait_that_began_without_a_host_ends_with_the_reason_of_that():
    host, turns = Host(), HostTurns(RuntimeOptions(runs_max=1, queue_timeout_s=0.05), [])
    turns.serve({Language.PYTHON: [host]})
    now_s = asyncio.get_running_loop().time()
    await turns.take(Language.PYTHON, ANONYMOUS, now_s + 30)
    host.state.become(Condition.UNREACHED, "it cannot be reached (refused)")
    turns.resize()
    waiting = asyncio.create_task(turns.take(Language.PYTHON, ANONYMOUS, now_s + 0.05))
    await until(lambda: turns.waiting)
    host.state.become(Condition.READY)
    turns.resize()
    with pytest.raises(RuntimeUnavailable, match=r"until QUEUE_TIMEOUT_MS.* it cannot be reached \(refused\)"):
        await waiting
    turns.release(Language.PYTHON, ANONYMOUS)
    turns.close()
