"""Which host receives a request: order, failover, checks, evictions, health."""

import asyncio
import json
from uuid import UUID

import httpx2
import pytest
import structlog.testing
from respx import MockResponse

from adapters.remote_runtime.connection import HostUnreached
from adapters.remote_runtime.fleet import TRIES_MAX
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.ranks import KEPT, RankedHosts, ranked, renewed
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.identity import ANONYMOUS, SessionRef
from domain.queue.served import ServedLanguages
from domain.scripts.language import Language
from domain.scripts.report import ExecutionUnknown, FailureCode
from domain.scripts.script import InputForm, ScriptSyntaxError
from entrypoints.composition.runners import Runners
from entrypoints.settings.loading import load_settings
from tests.contracts.script_runs import Source, new_session, report_of, result_of, run_of, script_of
from tests.support.ports import free_port
from tests.unit.runtimes.conftest import HOST, over_http
from tests.unit.runtimes.replies import OLD, error_body, own

HOSTS = ["http://a.test", "http://b.test", "http://c.test"]
MANY = [f"http://{number}.test" for number in range(3 * KEPT)]


@pytest.fixture
async def cluster():
    """Three hosts for Python."""
    runner = HttpScriptRunner(RuntimeOptions(queue_timeout_s=0.1), {Language.PYTHON: HOSTS}, dial=over_http)
    await runner.open()
    yield runner
    await runner.close()


def order_for(ref: SessionRef) -> list[str]:
    return ranked(ref.session_id.bytes, HOSTS)


def hosts_called(httpx2_mock, path="/execute") -> list[str]:
    urls = [str(call.request.url) for call in httpx2_mock.calls]
    return [url.removesuffix(path) for url in urls if url.endswith(path)]


class TestRendezvous:
    def test_the_order_of_the_hosts_does_not_change_their_ranks(self):
        key = UUID(int=7).bytes
        assert ranked(key, HOSTS) == ranked(key, HOSTS[::-1])

    def test_removing_a_host_moves_its_own_sessions_only(self):
        keys = [UUID(int=n).bytes for n in range(200)]
        for key in keys:
            assert ranked(key, HOSTS[1:]) == [host for host in ranked(key, HOSTS) if host != HOSTS[0]]

    def test_sessions_spread_over_all_hosts(self):
        first = [ranked(UUID(int=n).bytes, HOSTS)[0] for n in range(300)]
        assert all(first.count(host) > 60 for host in HOSTS)


class CountedRanking:
    """Ranks, and counts how often."""

    def __init__(self):
        self.count = 0

    def __call__(self, key, names):
        self.count += 1
        return ranked(key, names)


class TestKeptRanks:
    def test_runs_of_a_session_on_its_first_hosts_rank_it_once(self):
        ranking = CountedRanking()
        ranks = RankedHosts(dict.fromkeys(MANY, "host"), ranking)
        for _ in range(3):
            hosts = ranks.of_session(UUID(int=7))
            assert [next(hosts) for _ in range(KEPT)] == ["host"] * KEPT
        assert ranking.count == 1

    @pytest.mark.parametrize("count", [1, 3, KEPT, KEPT + 1, 3 * KEPT])
    def test_all_hosts_follow_in_their_order(self, count):
        ranks = RankedHosts({url: url for url in MANY[:count]})
        for number in range(20):
            expected = ranked(UUID(int=number).bytes, MANY[:count])
            for _ in range(2):
                assert list(ranks.of_session(UUID(int=number))) == expected

    def test_a_set_of_hosts_that_stays_keeps_its_ranks_and_a_changed_one_gets_others(self):
        both, one = {"a": 1, "b": 2}, {"a": 1}
        first = renewed({}, {"python": both, "nodejs": dict(both)})
        assert first["python"] is first["nodejs"], "languages with the same hosts rank them once"
        second = renewed(first, {"python": {"b": 2, "a": 1}, "nodejs": one})
        assert second["python"] is first["python"]
        assert list(second["nodejs"].of(b"key")) == [1]
        assert list(renewed(second, {"nodejs": {"a": 3}})["nodejs"].of(b"key")) == [3], "another host at the URL"


class TestFailover:
    async def test_a_session_stays_on_its_host(self, cluster, httpx2_mock):
        httpx2_mock.route().respond(content=own())
        ref = new_session()
        for _ in range(3):
            await result_of(cluster, run_of("result = 1", ref=ref))
        assert hosts_called(httpx2_mock) == [order_for(ref)[0]] * 3

    async def test_the_sessions_of_an_unreachable_host_move_to_the_next(self, cluster, httpx2_mock):
        ref = new_session()
        first, second, _ = order_for(ref)
        httpx2_mock.route(url__startswith=first).mock(side_effect=httpx2.ConnectError("refused"))
        httpx2_mock.route(url__startswith=second).respond(content=own())
        assert await result_of(cluster, run_of("result = 1", ref=ref)) == "8"
        assert hosts_called(httpx2_mock) == [first, second]

    async def test_the_log_names_the_hosts_that_refused_an_execution_and_the_caller_is_told_none(
        self, cluster, httpx2_mock
    ):
        httpx2_mock.route().respond(503, content=error_body("RUNTIME_UNAVAILABLE"))
        run = run_of("result = 1")
        with structlog.testing.capture_logs() as lines, pytest.raises(RuntimeUnavailable) as refused:
            await result_of(cluster, run)
        (line,) = [each for each in lines if each["event"] == "execution_refused"]
        assert line["execution_id"] == run.execution_id
        assert [each["url"] for each in line["refusals"]] == order_for(run.ref)
        assert not any(host in refused.value.message for host in HOSTS)

    async def test_a_session_stays_on_the_host_that_ran_it_last(self, cluster, httpx2_mock):
        ref = new_session()
        first, second, _ = order_for(ref)
        httpx2_mock.route(url__startswith=first).mock(side_effect=httpx2.ConnectError("refused"))
        httpx2_mock.route(url__startswith=second).respond(content=own())
        for _ in range(3):
            await result_of(cluster, run_of("result = 1", ref=ref))
        assert hosts_called(httpx2_mock) == [first, second, second, second]

    @pytest.mark.parametrize("code", ["RUNTIME_UNAVAILABLE", "SHUTTING_DOWN"])
    async def test_a_host_that_starts_nothing_is_skipped(self, cluster, httpx2_mock, code):
        ref = new_session()
        httpx2_mock.route(url__startswith=order_for(ref)[0]).respond(503, content=error_body(code))
        httpx2_mock.route().respond(content=own())
        assert await result_of(cluster, run_of("result = 1", ref=ref)) == "8"

    async def test_the_source_is_read_once_for_all_hosts(self, cluster, httpx2_mock):
        source = Source(script_of("result = 1"))
        run = run_of(source)
        first, second, _ = order_for(run.ref)
        lost = [MockResponse(200, content=own()), httpx2.ConnectError("refused")]
        httpx2_mock.route(url__startswith=first).mock(side_effect=lost)
        httpx2_mock.route(url__startswith=second).respond(content=own())
        await report_of(cluster, run)
        await report_of(cluster, run_of(source, ref=run.ref))
        assert json.loads(httpx2_mock.calls[-1].request.content)["script_content"] == "result = 1"
        assert source.reads == 2

    async def test_a_run_that_may_have_started_is_sent_to_no_other_host(self, cluster, httpx2_mock):
        httpx2_mock.route().mock(side_effect=httpx2.ReadError("reset"))
        with pytest.raises(ExecutionUnknown):
            await report_of(cluster, run_of("result = 1"))
        assert len(httpx2_mock.calls) == 1

    @pytest.mark.parametrize("code", ["OVERLOADED", "DEADLINE_PASSED"])
    async def test_a_run_that_a_full_host_refuses_is_sent_to_the_next(self, cluster, httpx2_mock, code):
        ref = new_session()
        first, second, _ = order_for(ref)
        httpx2_mock.route(url__startswith=first).respond(503, content=error_body(code))
        httpx2_mock.route().respond(content=own())
        assert await result_of(cluster, run_of("result = 1", ref=ref)) == "8"
        assert hosts_called(httpx2_mock) == [first, second]

    async def test_a_run_that_all_of_its_hosts_refuse_is_overloaded_if_one_of_them_is_full(self, cluster, httpx2_mock):
        replies = [MockResponse(503, content=error_body(code)) for code in ("SHUTTING_DOWN", "OVERLOADED")]
        httpx2_mock.route().mock(side_effect=[*replies, httpx2.ConnectError("refused")])
        with pytest.raises(Overloaded, match="the runtime host"):
            await report_of(cluster, run_of("result = 1"))
        assert len(httpx2_mock.calls) == 3

    async def test_the_error_contains_the_reason_of_each_unreachable_host(self, cluster, httpx2_mock):
        httpx2_mock.route().mock(side_effect=httpx2.ConnectError("refused"))
        with pytest.raises(RuntimeUnavailable) as caught:
            await report_of(cluster, run_of("result = 1"))
        assert all(f"runtime host {number}: it cannot be reached" in caught.value.message for number in (1, 2, 3))
        assert not any(host in caught.value.message for host in HOSTS)
        assert (caught.value.stored, caught.value.executed) == ("no", "no")

    async def test_no_further_host_is_tried_when_no_time_is_left(self, httpx2_mock):
        runner = HttpScriptRunner(RuntimeOptions(runtime_timeout_s=-10), {Language.PYTHON: HOSTS}, dial=over_http)
        await runner.open()
        with pytest.raises(RuntimeUnavailable, match="no time is left"):
            await report_of(runner, run_of("result = 1"))
        assert len(httpx2_mock.calls) == 0
        await runner.close()

    async def test_the_caller_gets_the_error_of_reading_the_script_again(self, runner, host):
        responses = [MockResponse(200, content=own()), MockResponse(409, content=error_body("SCRIPT_NEEDED"))]
        host.post(f"{HOST}/execute").mock(side_effect=responses)
        source = Source(script_of("result = 1"))
        await report_of(runner, run_of(source))
        source.error = StorageUnavailable()
        with pytest.raises(StorageUnavailable):
            await report_of(runner, run_of(source))


class TestChecks:
    async def test_a_fault_is_reported_with_line_and_column(self, runner, host):
        fault = error_body("SCRIPT_SYNTAX_ERROR", "invalid syntax", line=2, column=10)
        host.post(f"{HOST}/check").respond(400, content=fault)
        with pytest.raises(ScriptSyntaxError) as caught:
            await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS)
        found = caught.value.fault
        assert (found.message, found.line, found.column) == ("invalid syntax", 2, 10)

    @pytest.mark.parametrize("status", [404, 405])
    async def test_a_host_of_the_old_form_parses_nothing(self, runner, host, status):
        host.post(f"{HOST}/check").respond(status)
        assert await runner.check(Language.PYTHON, script_of("x ="), ANONYMOUS) is None

    async def test_a_host_of_the_old_form_runs_what_it_did_not_parse(self, runner, host):
        host.post(f"{HOST}/check").respond(404)
        host.post(f"{HOST}/execute").respond(json=OLD)
        await runner.check(Language.PYTHON, script_of("result = 8"), ANONYMOUS)
        assert await result_of(runner, run_of("result = 8")) == "8"

    async def test_one_404_does_not_change_the_known_form_of_a_host(self, runner, host):
        host.post(f"{HOST}/execute").mock(
            side_effect=[MockResponse(200, content=own()), MockResponse(400, content=error_body("INVALID_REQUEST"))]
        )
        host.post(f"{HOST}/check").respond(404)
        await report_of(runner, run_of("result = 1"))
        assert await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS) is None
        with pytest.raises(RuntimeUnavailable):
            await report_of(runner, run_of("result = 1"))

    async def test_a_full_checker_is_overloaded(self, runner, host):
        host.post(f"{HOST}/check").respond(503, content=error_body("OVERLOADED"))
        with pytest.raises(Overloaded):
            await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS)

    @pytest.mark.parametrize(
        "response",
        [
            MockResponse(200, content=b"not JSON"),
            MockResponse(200, json={"parsed": "yes"}),
            MockResponse(200, content=b"x" * 300_000),
            MockResponse(500),
            MockResponse(400, content=error_body("INVALID_REQUEST")),
            MockResponse(503, content=error_body("OVERLOADED")),
            httpx2.ReadError("reset"),
            httpx2.ConnectError("refused"),
        ],
    )
    async def test_a_check_without_a_result_goes_to_the_next_host(self, cluster, httpx2_mock, response):
        httpx2_mock.route().mock(side_effect=[response, MockResponse(200, json={"parsed": True})])
        assert await cluster.check(Language.PYTHON, script_of("x"), ANONYMOUS) is InputForm.PLAIN
        assert len(httpx2_mock.calls) == 2

    async def test_a_check_without_a_result_from_any_host_is_unavailable(self, cluster, httpx2_mock):
        httpx2_mock.route().respond(500)
        with pytest.raises(RuntimeUnavailable):
            await cluster.check(Language.PYTHON, script_of("x"), ANONYMOUS)
        assert len(httpx2_mock.calls) == 3

    async def test_a_check_is_sent_to_a_host_that_takes_runs_though_others_have_a_better_rank(self, httpx2_mock):
        script = script_of("x")
        *refusing, last = ranked(script.hash.encode(), HOSTS)

        async def only_the_last(connection, options, stream):
            if connection.url in refusing:
                raise HostUnreached("it is away")
            await over_http(connection, options, stream)

        httpx2_mock.route().respond(200, json={"parsed": True})
        runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: HOSTS}, dial=only_the_last)
        await runner.open()
        assert await runner.readiness(Language.PYTHON) == {"status": "degraded"}
        assert await runner.check(Language.PYTHON, script, ANONYMOUS) is InputForm.PLAIN
        await runner.close()
        assert hosts_called(httpx2_mock, "/check") == [last]

    async def test_a_check_is_sent_to_few_hosts(self, httpx2_mock):
        httpx2_mock.route().respond(500)
        runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: MANY}, dial=over_http)
        await runner.open()
        with pytest.raises(RuntimeUnavailable):
            await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS)
        await runner.close()
        assert len(httpx2_mock.calls) == TRIES_MAX


class TestEvictions:
    @pytest.fixture
    async def fleet(self):
        """Many hosts for both languages."""
        runner = HttpScriptRunner(RuntimeOptions(), dict.fromkeys(Language, MANY), dial=over_http)
        await runner.open()
        yield runner
        await runner.close()

    async def test_the_two_hosts_of_a_session_and_the_one_that_ran_it_receive_it(self, fleet, httpx2_mock):
        ref = new_session()
        first, second, third, *_ = ranked(ref.session_id.bytes, MANY)
        httpx2_mock.route(path="/evict").respond(204)
        for url in (first, second):
            httpx2_mock.route(url__startswith=url).respond(503, content=error_body("SHUTTING_DOWN"))
        httpx2_mock.route().respond(content=own())
        await report_of(fleet, run_of("result = 1", ref=ref))
        await fleet.evict(ref.session_id)
        assert sorted(hosts_called(httpx2_mock, "/evict")) == sorted([first, second, third])
        assert json.loads(httpx2_mock.calls[-1].request.content) == {"request_id": str(ref.session_id)}
        await fleet.evict(ref.session_id)
        assert sorted(hosts_called(httpx2_mock, "/evict")[3:]) == sorted([first, second]), "no host has it any more"

    async def test_hosts_that_do_not_reply_are_ignored(self, cluster, httpx2_mock):
        replies = [MockResponse(500), httpx2.ReadError("reset"), MockResponse(500), httpx2.ConnectError("no")]
        httpx2_mock.route().mock(side_effect=replies)
        session_id = new_session().session_id
        for _ in range(2):
            await cluster.evict(session_id)
        assert len(httpx2_mock.calls) == 4

    async def test_a_host_of_the_old_form_receives_none(self, runner, host):
        host.post(f"{HOST}/execute").respond(json=OLD)
        await report_of(runner, run_of("result = 1"))
        await runner.evict(new_session().session_id)
        assert hosts_called(host, "/evict") == []


class TestHealth:
    async def test_it_is_ok_when_every_host_is(self, cluster, httpx2_mock):
        httpx2_mock.route().respond(json={"status": "ok", "workers": 4})
        health = await cluster.health()
        assert health["status"] == "ok"
        hosts = health["languages"]["python"]["hosts"]
        assert [(host["url"], host["workers"]) for host in hosts] == [(url, 4) for url in HOSTS]

    async def test_it_is_degraded_when_a_host_is_unreachable(self, cluster, httpx2_mock):
        httpx2_mock.route(url__startswith=HOSTS[0]).mock(side_effect=httpx2.ConnectError("refused"))
        httpx2_mock.route().respond(json={"status": "ok"})
        health = await cluster.health()
        assert health["status"] == "degraded"
        assert "refused" in health["languages"]["python"]["hosts"][0]["reason"]

    async def test_a_password_in_a_url_is_not_shown(self, httpx2_mock):
        httpx2_mock.route().respond(json={"status": "ok", "url": "http://forged.test"})
        runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: ["http://user:pass@a.test/base"]}, dial=over_http)
        await runner.open()
        health = await runner.health()
        assert health["languages"]["python"]["hosts"][0]["url"] == "http://a.test/base"
        assert "pass" not in repr(health)
        await runner.close()

    async def test_a_host_of_the_old_form_needs_no_health(self, runner, host):
        host.post(f"{HOST}/check").respond(404)
        host.get(f"{HOST}/health").respond(404)
        await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS)
        assert (await runner.health())["status"] == "ok"

    async def test_it_is_failing_when_every_host_is_unreachable(self, cluster, httpx2_mock):
        httpx2_mock.route().mock(side_effect=httpx2.ConnectError("refused"))
        assert (await cluster.health())["status"] == "failing"

    @pytest.mark.parametrize(
        ("response", "status"),
        [
            (MockResponse(200, json={"status": "failing"}), "failing"),
            (MockResponse(200, json={"status": "degraded"}), "degraded"),
            (MockResponse(200, json={"status": "healthy"}), "ok"),
            (MockResponse(200, json={"status": ["odd"]}), "ok"),
            (MockResponse(200, text="alive"), "ok"),
            (MockResponse(404), "degraded"),
            (MockResponse(200, content=b"x" * 300_000), "failing"),
        ],
    )
    async def test_a_hosts_own_status_is_used(self, runner, host, response, status):
        host.get(f"{HOST}/health").mock(return_value=response)
        assert (await runner.health())["status"] == status


class TestReadiness:
    async def test_hosts_that_take_runs_are_ready_and_are_asked_nothing(self, cluster, httpx2_mock):
        assert await cluster.readiness(Language.PYTHON) == {"status": "ok"}
        assert not httpx2_mock.calls

    async def test_it_waits_for_the_first_host_while_another_one_does_not_answer(self):
        may_answer = asyncio.Event()

        async def slow(connection, options, stream):
            await may_answer.wait()
            if connection.url == HOSTS[1]:
                await over_http(connection, options, stream)
            await asyncio.Event().wait()

        runner = HttpScriptRunner(RuntimeOptions(health_timeout_s=30), {Language.PYTHON: HOSTS}, dial=slow)
        await runner.open()
        asked = asyncio.ensure_future(runner.readiness(Language.PYTHON))
        await asyncio.sleep(0)
        assert not asked.done()
        may_answer.set()
        assert await asked == {"status": "degraded"}
        await runner.close()

    async def test_without_a_host_that_takes_runs_it_fails_with_the_reasons(self):
        async def missed(connection, options, stream):
            raise HostUnreached(f"it is away, number {HOSTS.index(connection.url)}")

        runner = HttpScriptRunner(RuntimeOptions(health_timeout_s=30), {Language.PYTHON: HOSTS}, dial=missed)
        await runner.open()
        ready = await runner.readiness(Language.PYTHON)
        await runner.close()
        reasons = "; ".join(f"runtime host {number + 1}: it is away, number {number}" for number in range(3))
        assert ready == {"status": "failing", "reason": reasons}

    async def test_a_host_that_does_not_answer_in_time_is_not_ready(self):
        async def silent(connection, options, stream):
            await asyncio.Event().wait()

        runner = HttpScriptRunner(RuntimeOptions(health_timeout_s=0.01), {Language.PYTHON: HOSTS[:1]}, dial=silent)
        await runner.open()
        ready = await runner.readiness(Language.PYTHON)
        await runner.close()
        assert ready["reason"] == "runtime host 1: it cannot be reached (no stream yet)"

    async def test_the_queue_learns_which_languages_are_served_without_a_request(self, tmp_path, httpx2_mock):
        url = f"http://127.0.0.1:{free_port()}"
        given = {"DATA_DIR": str(tmp_path), "NODEJS_RUNTIME_URL": url, "PYTHON_RUNTIME_URL": url}
        runners = Runners.of(load_settings(given))
        await runners.open()
        served = ServedLanguages(runners.language_probes)
        assert "it cannot be reached" in await served.reason_against(Language.PYTHON)
        await runners.close()
        assert not httpx2_mock.calls


async def test_a_runner_can_be_closed_before_it_was_opened_and_twice(options):
    runner = HttpScriptRunner(options, {Language.PYTHON: [HOST]}, dial=over_http)
    await runner.close()
    await runner.open()
    await runner.close()
    await runner.close()


class TestStopping:
    async def test_a_stop_reaches_the_host_that_has_the_run(self, cluster, httpx2_mock):
        httpx2_mock.route(path="/execute").respond(content=own())
        cancelled = httpx2_mock.route(path="/cancel").respond(204)
        run = run_of("result = 1")
        worker = await cluster.acquire(run)
        await worker.run()
        assert await worker.stop()
        await worker.release()
        assert hosts_called(httpx2_mock, "/cancel") == [order_for(run.ref)[0]]
        assert json.loads(cancelled.calls[0].request.content) == {"execution_id": str(run.execution_id)}

    async def test_a_stopped_run_goes_to_no_further_host(self, cluster, httpx2_mock):
        run = run_of("result = 1")
        worker = await cluster.acquire(run)

        async def refuse(_request):
            await worker.stop()
            raise httpx2.ConnectError("refused")

        httpx2_mock.route(path="/execute").mock(side_effect=refuse)
        httpx2_mock.route(path="/cancel").mock(side_effect=httpx2.ConnectError("refused"))
        report = await worker.run()
        await worker.release()
        assert report.failure is not None
        assert report.failure.code is FailureCode.EXECUTION_CANCELLED
        assert len(hosts_called(httpx2_mock)) == 1

    @pytest.mark.parametrize("status", [404, 405, 503])
    async def test_a_host_that_does_not_take_it_does_not_stop(self, cluster, httpx2_mock, status):
        httpx2_mock.route(path="/execute").respond(content=own())
        httpx2_mock.route(path="/cancel").respond(status)
        worker = await cluster.acquire(run_of("result = 1"))
        await worker.run()
        assert not await worker.stop()
        await worker.release()
