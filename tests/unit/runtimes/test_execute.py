"""What the reply of one host means for an execution."""

import json

import httpx2
import pytest
import respx
from respx import MockResponse

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import Overloaded, RuntimeUnavailable
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import ExecutionUnknown, FailureCode
from tests.contracts.script_runs import Heard, Source, failure_of, report_of, result_of, run_of, script_of
from tests.unit.runtimes.conftest import HOST, over_http
from tests.unit.runtimes.replies import ERROR, OLD, error_body, own

EXECUTE = f"{HOST}/execute"


def sent(host: respx.Router, index: int = -1) -> dict:
    return json.loads(host.calls[index].request.content)


class TestRequests:
    async def test_a_request_has_the_token_and_the_time_that_is_left(self, runner, host):
        host.post(EXECUTE).respond(content=own())
        await report_of(runner, run_of("result = 1"))
        assert host.calls[0].request.headers["authorization"] == "Bearer s3cret"
        assert host.calls[0].request.headers["content-type"] == "application/json"
        assert 5000 < sent(host)["time_left_ms"] <= 10_000

    async def test_live_output_is_wanted_only_for_a_listener(self, runner, host):
        host.post(EXECUTE).respond(content=own())
        for listener in (None, Heard()):
            await report_of(runner, run_of("result = 1", listener=listener))
        assert [sent(host, index).get("live") for index in (0, 1)] == [None, True]

    @pytest.mark.parametrize(
        ("convention", "language"),
        [
            (Convention.OWN, "python"),
            (Convention.ORIGIN, "python+origin"),
            (Convention.EVENT_FIRST, "python+event-first"),
        ],
    )
    async def test_a_request_names_the_convention_behind_the_language(self, runner, host, convention, language):
        host.post(EXECUTE).respond(content=own())
        host.post(f"{HOST}/check").respond(json={"parsed": True})
        await report_of(runner, run_of("result = 1", convention=convention))
        await runner.check(Language.PYTHON, script_of("result = 1"), "anonymous", convention)
        assert [sent(host, index)["language"] for index in (0, 1)] == [language, language]
        assert "convention" not in sent(host, 0)

    async def test_a_redirect_is_not_followed(self, runner, host):
        host.post(EXECUTE).respond(307, headers={"Location": "http://elsewhere.test/execute"})
        with pytest.raises(ExecutionUnknown):
            await report_of(runner, run_of("result = 1"))
        assert len(host.calls) == 1


SECRETS = {"TOKEN": "s3cr3t-of-alice"}


class TestSecrets:
    async def test_a_host_whose_way_others_can_read_gets_no_run_with_secrets(self, runner, host):
        host.post(EXECUTE).respond(content=own())
        with pytest.raises(RuntimeUnavailable) as refused:
            await report_of(runner, run_of("result = 1", secrets=SECRETS))
        assert "set RUNTIME_CA_FILE" in refused.value.message
        assert "s3cr3t" not in refused.value.message
        assert not host.calls
        assert (await report_of(runner, run_of("result = 1"))).result == "8"

    @pytest.mark.parametrize("url", ["https://one.test", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"])
    async def test_a_host_behind_it_whose_way_is_private_gets_the_run(self, options, host, url):
        runner = HttpScriptRunner(options, {Language.PYTHON: [HOST, url]}, dial=over_http)
        await runner.open()
        host.post(f"{url}/execute").respond(content=own())
        assert (await report_of(runner, run_of("result = 1", secrets=SECRETS))).result == "8"
        assert [str(call.request.url) for call in host.calls] == [f"{url}/execute"]
        assert sent(host)["grants"]["secrets"] == SECRETS
        await runner.close()


class TestOwnForm:
    async def test_every_measurement_is_reported(self, runner, host):
        host.post(EXECUTE).respond(content=own())
        report = await report_of(runner, run_of("result = 1"))
        assert (report.result, report.failure) == ("8", None)
        assert (report.stdout, report.stderr) == ("out", "err")
        assert (report.execution_time_ms, report.memory_usage_bytes) == (12.5, 4096)
        assert (report.cpu_time_ms, report.cold_start) == (3.5, True)
        assert report.queue_time_ms >= 0.5

    async def test_unknown_measurements_are_none(self, runner, host):
        host.post(EXECUTE).respond(content=own(cpu_time_ms=None, queue_time_ms=None, cold_start=None))
        report = await report_of(runner, run_of("result = 1"))
        assert (report.cpu_time_ms, report.queue_time_ms, report.cold_start) == (None, None, None)

    async def test_the_result_is_kept_unchanged(self, runner, host):
        body = own(result="RESULT").replace(b'"RESULT"', '{"n":  1e2, "t": "é\\u00e9"}'.encode())
        host.post(EXECUTE).respond(content=body)
        assert await result_of(runner, run_of("result = 1")) == '{"n":  1e2, "t": "é\\u00e9"}'

    async def test_an_error_is_reported_field_by_field(self, runner, host):
        host.post(EXECUTE).respond(content=own(result=None, error=ERROR))
        failure = await failure_of(runner, run_of("result = 1"))
        assert (failure.code, failure.message, failure.name) == (FailureCode.SCRIPT_ERROR, "missing", "KeyError")
        assert (failure.stack, failure.line, failure.column) == ("line 3", 3, 7)

    async def test_an_unknown_failure_code_becomes_script_error(self, runner, host):
        host.post(EXECUTE).respond(content=own(result=None, error=ERROR | {"code": "NEW_LIMIT", "name": None}))
        assert (await failure_of(runner, run_of("result = 1"))).code is FailureCode.SCRIPT_ERROR

    async def test_a_limit_is_reported_with_the_observed_value(self, runner, host):
        error = ERROR | {"code": "MEMORY_LIMIT", "limit": 128, "observed": 129, "stack": None}
        host.post(EXECUTE).respond(content=own(result=None, error=error))
        failure = await failure_of(runner, run_of("result = 1"))
        assert (failure.code, failure.limit, failure.observed) == (FailureCode.MEMORY_LIMIT, 128, 129)

    async def test_output_is_cut_at_its_limit_and_nul_is_replaced(self, runner, host):
        host.post(EXECUTE).respond(content=own(stdout="a\0" + "x" * 200))
        report = await report_of(runner, run_of("result = 1"))
        assert report.stdout == "a\N{REPLACEMENT CHARACTER}" + "x" * 98

    async def test_a_script_that_ran_before_is_sent_by_its_hash(self, runner, host):
        host.post(EXECUTE).respond(content=own())
        source = Source(script_of("result = 1"))
        await report_of(runner, run_of(source))
        await report_of(runner, run_of(source))
        assert sent(host, 0)["script_content"] == "result = 1"
        assert "script_content" not in sent(host, 1)
        assert source.reads == 1

    async def test_the_source_of_a_forgotten_script_is_sent_again(self, host):
        host.post(EXECUTE).respond(content=own())
        runner = HttpScriptRunner(RuntimeOptions(sent_scripts_max=1), {Language.PYTHON: [HOST]}, dial=over_http)
        await runner.open()
        for source in ["result = 1", "result = 2", "result = 2", "result = 1"]:
            await report_of(runner, run_of(source))
        assert ["script_content" in sent(host, n) for n in range(4)] == [True, True, False, True]
        await runner.close()

    async def test_a_checked_script_is_sent_by_its_hash(self, runner, host):
        host.post(f"{HOST}/check").respond(json={"parsed": True})
        host.post(EXECUTE).respond(content=own())
        source = Source(script_of("result = 1"))
        await runner.check(Language.PYTHON, source.script, "anonymous")
        await report_of(runner, run_of(source))
        assert "script_content" not in sent(host)
        assert source.reads == 0

    async def test_a_script_that_the_host_has_lost_is_sent_again(self, runner, host):
        needed = MockResponse(409, content=error_body("SCRIPT_NEEDED"))
        ended = MockResponse(200, content=own())
        host.post(EXECUTE).mock(side_effect=[ended, needed, ended])
        source = Source(script_of("result = 1"))
        await report_of(runner, run_of(source))
        assert await result_of(runner, run_of(source)) == "8"
        assert sent(host)["script_content"] == "result = 1"
        assert source.reads == 2

    async def test_a_host_that_asks_for_the_source_twice_is_unavailable(self, runner, host):
        host.post(EXECUTE).respond(409, content=error_body("SCRIPT_NEEDED"))
        with pytest.raises(RuntimeUnavailable, match="asks again for the script"):
            await report_of(runner, run_of("result = 1"))
        assert len(host.calls) == 2


class TestNothingStarted:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "INVALID_REQUEST"),
            (401, "UNAUTHORIZED"),
            (408, "CLIENT_GONE"),
            (409, "DEADLINE_PASSED"),
            (413, "PAYLOAD_TOO_LARGE"),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            (503, "RUNTIME_UNAVAILABLE"),
            (503, "SHUTTING_DOWN"),
        ],
    )
    async def test_an_error_of_the_host_is_unavailable_with_its_reason(self, runner, host, status, code):
        host.post(EXECUTE).respond(status, content=error_body(code, "the very reason"))
        with pytest.raises(RuntimeUnavailable, match="the very reason"):
            await report_of(runner, run_of("result = 1"))
        assert len(host.calls) == 1

    async def test_the_reason_of_a_host_is_cut_and_has_no_nul(self, runner, host):
        host.post(EXECUTE).respond(503, content=error_body("SHUTTING_DOWN", "a\0" + "x" * 50_000))
        with pytest.raises(RuntimeUnavailable) as caught:
            await report_of(runner, run_of("result = 1"))
        assert "a\N{REPLACEMENT CHARACTER}xx" in caught.value.message
        assert len(caught.value.message) < 1000

    async def test_the_fault_of_a_connection_is_cut(self, runner, host):
        host.post(EXECUTE).mock(side_effect=httpx2.ConnectError("x" * 50_000))
        with pytest.raises(RuntimeUnavailable) as caught:
            await report_of(runner, run_of("result = 1"))
        assert len(caught.value.message) < 1000

    async def test_a_host_that_does_not_know_the_convention_runs_nothing(self, runner, host):
        fault = "Invalid enum value 'python+origin' - at `$.language`."
        host.post(EXECUTE).respond(400, content=error_body("INVALID_REQUEST", fault))
        host.post(f"{HOST}/check").respond(400, content=error_body("INVALID_REQUEST", fault))
        remedy = r"python\+origin.* Use the same release for controllers and runtime hosts"
        with pytest.raises(RuntimeUnavailable, match=remedy):
            await report_of(runner, run_of("result = 1", convention=Convention.ORIGIN))
        with pytest.raises(RuntimeUnavailable, match=remedy):
            await runner.check(Language.PYTHON, script_of("result = 1"), "anonymous", Convention.ORIGIN)

    async def test_a_full_host_is_overloaded(self, runner, host):
        host.post(EXECUTE).respond(503, content=error_body("OVERLOADED"))
        with pytest.raises(Overloaded):
            await report_of(runner, run_of("result = 1"))

    @pytest.mark.parametrize("status", [400, 404, 422, 499, 503])
    async def test_any_4xx_and_503_of_a_known_host_is_unavailable(self, runner, host, status):
        host.post(EXECUTE).mock(side_effect=[MockResponse(200, content=own()), MockResponse(status, text="?")])
        await report_of(runner, run_of("result = 1"))
        with pytest.raises(RuntimeUnavailable):
            await report_of(runner, run_of("result = 1"))

    @pytest.mark.parametrize("error", [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout])
    async def test_a_host_that_cannot_be_reached_is_unavailable(self, runner, host, error):
        host.post(EXECUTE).mock(side_effect=error("refused"))
        with pytest.raises(RuntimeUnavailable, match="cannot be reached"):
            await report_of(runner, run_of("result = 1"))

    async def test_a_language_without_hosts_is_unavailable(self, options):
        with pytest.raises(RuntimeUnavailable, match="no runtime host"):
            await HttpScriptRunner(options, {Language.NODEJS: [HOST]}, dial=over_http).acquire(run_of("result = 1"))


class TestUnknown:
    @pytest.mark.parametrize(
        "error",
        [
            httpx2.ReadError("reset"),
            httpx2.WriteError("reset"),
            httpx2.ReadTimeout("slow"),
            httpx2.RemoteProtocolError("half a response"),
        ],
    )
    async def test_a_broken_connection_makes_the_outcome_unknown(self, runner, host, error):
        host.post(EXECUTE).mock(side_effect=error)
        run = run_of("result = 1")
        with pytest.raises(ExecutionUnknown) as caught:
            await report_of(runner, run)
        assert caught.value.execution_id == run.execution_id
        assert "runtime host 1" in caught.value.message
        assert HOST not in caught.value.message
        assert len(host.calls) == 1

    @pytest.mark.parametrize("status", [500, 501, 502, 504])
    async def test_any_other_status_of_a_known_host_makes_the_outcome_unknown(self, runner, host, status):
        responses = [MockResponse(200, content=own()), MockResponse(status, json={"error": "the reason"})]
        host.post(EXECUTE).mock(side_effect=responses)
        await report_of(runner, run_of("result = 1"))
        with pytest.raises(ExecutionUnknown):
            await report_of(runner, run_of("result = 1"))

    async def test_the_reason_for_an_unknown_outcome_is_the_hosts_own(self, runner, host):
        reason = "the memory for all scripts of the host together was used up"
        host.post(EXECUTE).respond(500, content=error_body("EXECUTION_UNKNOWN", reason))
        with pytest.raises(ExecutionUnknown) as caught:
            await report_of(runner, run_of("result = 1"))
        assert caught.value.reason == f"runtime host 1: {reason}"

    async def test_the_reason_for_an_unknown_outcome_is_cut(self, runner, host):
        host.post(EXECUTE).respond(500, content=error_body("EXECUTION_UNKNOWN", "x" * 50_000))
        with pytest.raises(ExecutionUnknown) as caught:
            await report_of(runner, run_of("result = 1"))
        assert len(caught.value.reason) < 1000

    async def test_an_execution_that_the_host_has_seen_has_an_unknown_outcome(self, runner, host):
        host.post(EXECUTE).respond(409, content=error_body("EXECUTION_SEEN"))
        with pytest.raises(ExecutionUnknown, match="received this execution before"):
            await report_of(runner, run_of("result = 1"))

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not JSON",
            b"[]",
            b"{}",
            b'{"result": 8',
            b'{"result": NaN}',
            b'{"result": "\xff"}',
            b'{"result": 8, "execution_time_ms": "12"}',
            b'{"result": 8, "execution_time_ms": -1}',
            b'{"result": 8, "memory_usage_bytes": 1e300}',
            b'{"result": 8, "memory_usage_bytes": []}',
            b'{"result": 8, "stdout": 5}',
            own(cold_start="yes"),
            own(error=ERROR | {"line": "three"}),
            own(error={"code": "SCRIPT_ERROR"}),
            b'{"result": ' + b"[" * 100_0 + b"]" * 100_0 + b', "stdout": []}',
        ],
    )
    async def test_a_malformed_reply_makes_the_outcome_unknown(self, runner, host, body):
        host.post(EXECUTE).respond(200, content=body)
        with pytest.raises(ExecutionUnknown):
            await report_of(runner, run_of("result = 1"))
        assert len(host.calls) == 1


class TestSizes:
    async def test_a_result_over_its_limit_is_too_large(self, runner, host):
        host.post(EXECUTE).respond(content=own(result="x" * 1000))
        report = await report_of(runner, run_of("result = 1"))
        assert report.failure.code is FailureCode.RESULT_TOO_LARGE
        assert (report.failure.limit, report.failure.observed) == (1000, 1002)
        assert report.stdout == "out"

    async def test_a_result_at_its_limit_is_accepted(self, runner, host):
        host.post(EXECUTE).respond(content=own(result="x" * 998))
        assert len(await result_of(runner, run_of("result = 1"))) == 1000

    async def test_a_reply_over_its_limit_means_that_the_result_is_too_large(self, runner, host, options):
        host.post(EXECUTE).respond(content=own(result="x" * options.reply_size_max))
        failure = await failure_of(runner, run_of("result = 1"))
        assert failure.code is FailureCode.RESULT_TOO_LARGE
        assert failure.observed > options.reply_size_max

    async def test_a_reply_of_undeclared_size_is_read_up_to_its_limit_only(self, runner, host, options):
        read = []

        async def endless():
            for _ in range(1000):
                read.append(1)
                yield b"x" * (options.reply_size_max // 4)

        host.post(EXECUTE).mock(return_value=MockResponse(200, content=endless()))
        failure = await failure_of(runner, run_of("result = 1"))
        assert (failure.code, failure.observed) == (FailureCode.RESULT_TOO_LARGE, None)
        assert len(read) < 10

    async def test_an_error_over_its_limit_makes_the_outcome_unknown(self, runner, host, options):
        host.post(EXECUTE).respond(500, content=b"x" * (options.reply_size_max + 1))
        with pytest.raises(ExecutionUnknown, match="too large"):
            await report_of(runner, run_of("result = 1"))


async def test_a_result_that_was_not_given_is_none(runner, host):
    host.post(EXECUTE).respond(content=own(result=None, result_given=False))
    report = await report_of(runner, run_of("x = 1"))
    assert (report.result, report.failure) == (None, None)
    host.post(EXECUTE).respond(content=own(result=None))
    assert (await report_of(runner, run_of("result = None"))).result == "null"


class TestOldForm:
    async def test_its_fields_are_reported_and_the_others_are_none(self, runner, host):
        host.post(EXECUTE).respond(json=OLD)
        report = await report_of(runner, run_of("result = 1"))
        assert (report.result, report.execution_time_ms, report.memory_usage_bytes) == ("8", 12.0, 4096)
        assert (report.cpu_time_ms, report.queue_time_ms, report.cold_start) == (None, None, None)
        assert (report.stdout, report.stderr) == ("", "")

    async def test_a_result_alone_is_enough(self, runner, host):
        host.post(EXECUTE).respond(json={"result": None})
        report = await report_of(runner, run_of("result = 1"))
        assert (report.result, report.failure, report.memory_usage_bytes) == ("null", None, None)
        assert report.execution_time_ms >= 0

    async def test_the_script_is_sent_every_time(self, runner, host):
        host.post(EXECUTE).respond(json=OLD)
        for _ in range(2):
            await report_of(runner, run_of("result = 1"))
        assert [sent(host, n)["script_content"] for n in range(2)] == ["result = 1"] * 2

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, {"error": "x is not defined"}),
            (500, {"detail": "x is not defined"}),
            (500, {"message": "x is not defined"}),
            (400, {"error": {"message": "x is not defined"}}),
            (422, {"detail": {"error": "x is not defined"}}),
            (200, {"error": "x is not defined"}),
            (200, {"result": None, "error": {"message": "x is not defined"}}),
        ],
    )
    async def test_an_error_with_a_message_is_the_scripts(self, runner, host, status, body):
        host.post(EXECUTE).respond(status, json=body)
        failure = await failure_of(runner, run_of("result = 1"))
        assert (failure.code, failure.message) == (FailureCode.SCRIPT_ERROR, "x is not defined")

    async def test_a_script_error_needs_no_message(self, runner, host):
        host.post(EXECUTE).respond(200, json={"error": 5})
        assert (await failure_of(runner, run_of("result = 1"))).code is FailureCode.SCRIPT_ERROR

    @pytest.mark.parametrize(
        ("status", "content"),
        [(500, b"oops"), (500, b"{}"), (500, b'{"error": ""}'), (500, b'{"error": [1]}'), (502, b'{"error": "bad"}')],
    )
    async def test_a_status_without_a_message_makes_the_outcome_unknown(self, runner, host, status, content):
        host.post(EXECUTE).respond(status, content=content)
        with pytest.raises(ExecutionUnknown):
            await report_of(runner, run_of("result = 1"))

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    async def test_no_access_or_no_such_path_is_unavailable(self, runner, host, status):
        host.post(EXECUTE).respond(status, json={"error": "no"})
        with pytest.raises(RuntimeUnavailable):
            await report_of(runner, run_of("result = 1"))

    async def test_too_many_requests_is_overloaded(self, runner, host):
        host.post(EXECUTE).respond(429, json={"error": "slow down"})
        with pytest.raises(Overloaded):
            await report_of(runner, run_of("result = 1"))

    async def test_a_script_cannot_forge_a_rejection_by_a_known_old_host(self, runner, host):
        forged = MockResponse(500, content=error_body("OVERLOADED"))
        host.post(EXECUTE).mock(side_effect=[MockResponse(200, json=OLD), forged])
        await report_of(runner, run_of("result = 1"))
        assert (await failure_of(runner, run_of("result = 1"))).code is FailureCode.SCRIPT_ERROR


def test_options_do_not_show_the_token():
    assert "s3cret" not in repr(RuntimeOptions(token="s3cret"))
