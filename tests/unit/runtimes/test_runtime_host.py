"""The host answers as the protocol says, and starts nothing that it should not."""

import asyncio
import json

import httpx2
import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from entrypoints.composition.options import runtime_options
from entrypoints.runtime_host.application import RuntimeHost
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.settings.loading import load_settings
from entrypoints.version import VERSION
from tests.contracts.script_runs import new_id, script_of, until
from tests.foreign_ids import EXTREMES

TIME_LEFT_MS = 6000


class ManualMonotonic:
    """A monotonic clock that a test moves on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def execute_body(source: str = "result = 1", **changes) -> dict:
    return {
        "request_id": str(new_id()),
        "execution_id": str(new_id()),
        "owner": ANONYMOUS,
        "language": "python",
        "isolation": "session",
        "limits": {"timeout_ms": 1000, "memory_mb": 64},
        "time_left_ms": TIME_LEFT_MS,
        "session_left_ms": 3_600_000,
        "script_hash": script_of(source).hash,
        "params": {},
        "context": {},
        "script_content": source,
    } | changes


def error_of(response: httpx2.Response) -> str:
    return response.json()["error"]["code"]


@pytest.fixture
def runner():
    return MemoryScriptRunner(MemoryRunnerOptions(workers_max=1, queue_max=1))


@pytest.fixture
def options():
    return RuntimeHostOptions(script_size_max=1000, params_size_max=1000, context_size_max=1000)


@pytest.fixture
def monotonic():
    return ManualMonotonic()


@pytest.fixture
def host(runner, options, monotonic):
    return RuntimeHost(runner, options, monotonic)


@pytest.fixture
async def client(host):
    async with client_of(host) as client:
        yield client


def client_of(host: RuntimeHost, **fields) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(host.app(), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://host.test", **fields)


class TestExecute:
    async def test_an_ended_run_is_200_with_every_field(self, client):
        answer = await client.post("/execute", json=execute_body("print('out')\nresult = params"))
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert (body["result"], body["stdout"], body["stderr"], body["error"]) == ({}, "out\n", "", None)
        assert body.keys() >= {"execution_time_ms", "memory_usage_bytes", "cpu_time_ms", "queue_time_ms", "cold_start"}

    async def test_a_failed_run_is_200_with_its_error(self, client):
        body = (await client.post("/execute", json=execute_body("raise KeyError('gone')"))).json()
        assert body["result"] is None
        assert (body["error"]["code"], body["error"]["name"], body["error"]["line"]) == ("SCRIPT_ERROR", "KeyError", 1)

    async def test_text_that_has_no_utf8_form_is_replaced(self, client):
        body = (
            await client.post("/execute", json=execute_body("print('\\ud800')\nraise ValueError('\\ud800')"))
        ).json()
        assert (body["stdout"], body["error"]["message"]) == ("?\n", "?")

    async def test_a_script_is_asked_for_once(self, client):
        by_hash = execute_body(script_content=None)
        needed = await client.post("/execute", json=by_hash)
        assert (needed.status_code, error_of(needed)) == (409, "SCRIPT_NEEDED")
        assert (await client.post("/execute", json=by_hash | {"script_content": "result = 1"})).status_code == 200
        again = await client.post("/execute", json=execute_body(script_content=None))
        assert again.json()["result"] == 1

    async def test_a_checked_script_is_not_asked_for(self, client):
        await client.post("/check", json={"language": "python", "owner": "anonymous", "script_content": "result = 1"})
        assert (await client.post("/execute", json=execute_body(script_content=None))).json()["result"] == 1

    async def test_a_script_that_is_not_what_its_hash_says_is_refused(self, client, runner):
        answer = await client.post("/execute", json=execute_body(script_hash="0" * 64))
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")
        assert runner.ran == []

    @pytest.mark.parametrize("identifier", EXTREMES, ids=str)
    async def test_an_execution_of_any_id_runs(self, client, identifier):
        for name in ("execution_id", "request_id"):
            answer = await client.post("/execute", json=execute_body(**{name: str(identifier)}))
            assert (answer.status_code, answer.json()["result"]) == (200, 1)
        assert (await client.post("/evict", json={"request_id": str(identifier)})).status_code == 204

    async def test_an_execution_runs_once(self, client, runner):
        body = execute_body()
        first, second = [await client.post("/execute", json=body) for _ in range(2)]
        assert (first.status_code, second.status_code, error_of(second)) == (200, 409, "EXECUTION_SEEN")
        assert len(runner.ran) == 1

    async def test_an_execution_that_failed_or_ended_unknown_runs_once_as_well(self, client, runner):
        runner.unknown_next = "the worker fell silent"
        body = execute_body()
        first, second = [await client.post("/execute", json=body) for _ in range(2)]
        assert (first.status_code, error_of(first)) == (500, "EXECUTION_UNKNOWN")
        assert (second.status_code, error_of(second)) == (409, "EXECUTION_SEEN")

    async def test_an_execution_that_was_not_started_may_come_again(self, client, runner):
        body = execute_body()
        runner.unavailable = "the sandbox is missing"
        first = await client.post("/execute", json=body)
        assert (first.status_code, error_of(first), first.headers["retry-after"]) == (503, "RUNTIME_UNAVAILABLE", "1")
        runner.unavailable = None
        assert (await client.post("/execute", json=body)).status_code == 200

    async def test_what_must_not_be_repeated_has_no_retry_after(self):
        class Refusing(MemoryScriptRunner):
            async def acquire(self, run):
                raise RuntimeUnavailable("python", "switched off for good", retry_after_ms=None)

        async with client_of(RuntimeHost(Refusing(), RuntimeHostOptions())) as client:
            answer = await client.post("/execute", json=execute_body())
        assert answer.status_code == 503
        assert "retry-after" not in answer.headers

    async def test_an_execution_without_time_is_refused(self, client, runner):
        answer = await client.post("/execute", json=execute_body(time_left_ms=0))
        assert (answer.status_code, error_of(answer)) == (409, "DEADLINE_PASSED")
        assert "time_left_ms 0" in answer.json()["error"]["message"]
        assert runner.ran == []

    @pytest.mark.parametrize(("passed_s", "status"), [(5.9, 200), (6.0, 409)])
    async def test_time_counts_from_the_head_of_the_request(self, client, runner, monotonic, passed_s, status):
        async def slow():
            yield b" "
            monotonic.now_s += passed_s
            yield json.dumps(execute_body()).encode()

        answer = await client.post("/execute", content=slow(), headers={"content-type": "application/json"})
        assert answer.status_code == status
        assert len(runner.ran) == (status == 200)

    async def test_time_that_ends_in_the_queue_is_refused_and_gives_the_place_back(self, client, runner, monotonic):
        runner.hold()
        inside, queued = [asyncio.ensure_future(client.post("/execute", json=execute_body())) for _ in range(2)]
        await until(lambda: runner.running and runner.queued)
        monotonic.now_s += TIME_LEFT_MS / 1000
        runner.let_go()
        assert (await inside).status_code == 200
        late = await queued
        assert (late.status_code, error_of(late)) == (409, "DEADLINE_PASSED")
        assert len(runner.ran) == 1
        assert (await client.post("/execute", json=execute_body())).status_code == 200

    async def test_a_copy_that_comes_after_the_deadline_is_refused_for_another_minute(self, client, runner, monotonic):
        body = execute_body()
        assert (await client.post("/execute", json=body)).status_code == 200
        monotonic.now_s += TIME_LEFT_MS / 1000 + 59.9
        copy = await client.post("/execute", json=body)
        assert (copy.status_code, error_of(copy)) == (409, "EXECUTION_SEEN")
        assert len(runner.ran) == 1

    async def test_the_longest_time_that_settings_allow_is_accepted(self, client, tmp_path):
        longest = {"SCRIPT_TIMEOUT_MAX_MS": "3600000", "RUNTIME_TIMEOUT_SECONDS": "600", "DATA_DIR": str(tmp_path)}
        settings = load_settings(longest)
        left_ms = settings.script_timeout_max_ms + int(runtime_options(settings).runtime_timeout_s * 1000)
        assert (await client.post("/execute", json=execute_body(time_left_ms=left_ms))).status_code == 200
        answer = await client.post("/execute", json=execute_body(time_left_ms=left_ms + 1))
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")

    @pytest.mark.parametrize(
        "changes",
        [
            {"request_id": "no uuid"},
            {"execution_id": "no uuid"},
            {"time_left_ms": -1},
            {"time_left_ms": 0.5},
            {"time_left_ms": "6000"},
            {"time_left_ms": None},
            {"session_left_ms": -1},
            {"session_left_ms": 1 << 54},
            {"session_left_ms": "2026-03-04T05:07:17Z"},
            {"language": "cobol"},
            {"isolation": "none"},
            {"owner": ""},
            {"limits": {"timeout_ms": 0, "memory_mb": 1}},
            {"limits": {}},
            {"script_hash": "abc"},
            {"script_content": 5},
        ],
    )
    async def test_a_field_that_is_wrong_is_refused(self, client, runner, changes):
        answer = await client.post("/execute", json=execute_body(**changes))
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")
        assert runner.ran == []

    @pytest.mark.parametrize("name", ["time_left_ms", "session_left_ms"])
    async def test_a_time_that_is_missing_is_named(self, client, runner, name):
        body = execute_body()
        del body[name]
        answer = await client.post("/execute", json=body)
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")
        assert name in answer.json()["error"]["message"]
        assert runner.ran == []

    @pytest.mark.parametrize(
        "content",
        [b"", b"rubbish", b"[]", b"{}", b'{"params": "\xff"}', b'{"params": ' + b"[" * 9_000 + b"]" * 9_000 + b"}"],
    )
    async def test_a_body_that_is_wrong_is_refused(self, client, content):
        answer = await client.post("/execute", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")

    async def test_params_that_are_not_utf8_are_refused(self, client):
        content = json.dumps(execute_body(params="PARAMS")).encode().replace(b"PARAMS", b"\xff")
        answer = await client.post("/execute", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, error_of(answer)) == (400, "INVALID_REQUEST")

    async def test_a_full_queue_is_overload_at_once(self, client, runner):
        runner.hold()
        inside = [asyncio.ensure_future(client.post("/execute", json=execute_body())) for _ in range(2)]
        await until(lambda: runner.running and runner.queued)
        answer = await client.post("/execute", json=execute_body())
        assert (answer.status_code, error_of(answer), answer.headers["retry-after"]) == (503, "OVERLOADED", "1")
        runner.let_go()
        assert [response.status_code for response in await asyncio.gather(*inside)] == [200, 200]


class TestBodies:
    async def test_a_body_that_declares_too_much_is_refused_unread(self, client, options):
        async def unread():
            raise AssertionError
            yield b""

        headers = {"content-type": "application/json", "content-length": str(options.execute_body_size_max + 1)}
        answer = await client.post("/execute", content=unread(), headers=headers)
        assert (answer.status_code, error_of(answer)) == (413, "PAYLOAD_TOO_LARGE")

    async def test_a_body_that_grows_too_large_is_refused_on_the_way(self, client, options):
        read = []

        async def growing():
            for _ in range(1000):
                read.append(1)
                yield b" " * options.execute_body_size_max

        answer = await client.post("/execute", content=growing(), headers={"content-type": "application/json"})
        assert (answer.status_code, error_of(answer)) == (413, "PAYLOAD_TOO_LARGE")
        assert len(read) < 5

    async def test_a_script_over_its_size_is_refused(self, client):
        answer = await client.post("/execute", json=execute_body("x" * 1001))
        assert (answer.status_code, error_of(answer)) == (413, "PAYLOAD_TOO_LARGE")
        assert (await client.post("/execute", json=execute_body("#" * 1000))).status_code == 200

    @pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
    async def test_another_content_type_is_refused(self, client, content_type):
        answer = await client.post("/execute", content=b"{}", headers={"content-type": content_type})
        assert (answer.status_code, error_of(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")

    async def test_a_charset_beside_the_content_type_is_fine(self, client):
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        answer = await client.post("/execute", content=json.dumps(execute_body()).encode(), headers=headers)
        assert answer.status_code == 200

    async def test_an_encoded_body_is_refused(self, client):
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        assert (await client.post("/execute", content=b"{}", headers=headers)).status_code == 415

    async def test_a_body_that_comes_too_slowly_is_given_up(self, runner):
        async def stalled():
            yield b"{"
            await asyncio.Event().wait()

        async with client_of(RuntimeHost(runner, RuntimeHostOptions(body_timeout_s=0.01))) as client:
            answer = await client.post("/execute", content=stalled(), headers={"content-type": "application/json"})
        assert (answer.status_code, error_of(answer)) == (408, "REQUEST_TIMEOUT")


class TestOtherPaths:
    async def test_a_script_that_parses(self, client):
        answer = await client.post("/check", json={"language": "python", "owner": "a", "script_content": "x = 1"})
        assert (answer.status_code, answer.json()) == (200, {"parsed": True})

    async def test_a_script_that_does_not_parse(self, client):
        answer = await client.post("/check", json={"language": "python", "owner": "a", "script_content": "a\nx ="})
        assert (answer.status_code, error_of(answer)) == (400, "SCRIPT_SYNTAX_ERROR")
        assert answer.json()["error"]["details"]["line"] == 2

    async def test_an_eviction(self, client, runner):
        session_id = new_id()
        answer = await client.post("/evict", json={"request_id": str(session_id)})
        assert (answer.status_code, answer.content) == (204, b"")
        assert runner.evicted == [session_id]

    async def test_the_health_of_the_runner(self, client, runner):
        told = (await client.get("/health")).json()
        assert told == {"version": VERSION, "status": "ok", "running": 0, "draining": False}
        runner.unavailable = "off"
        assert (await client.get("/health")).json()["status"] == "failing"

    async def test_a_path_or_method_that_is_not_there(self, client):
        assert error_of(await client.get("/nothing")) == "NOT_FOUND"
        answer = await client.get("/execute")
        assert (answer.status_code, error_of(answer), answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")

    async def test_a_bug_is_a_500_without_internals(self, runner):
        class Broken(MemoryScriptRunner):
            async def health(self):
                raise LookupError("secret detail")

        async with client_of(RuntimeHost(Broken(), RuntimeHostOptions())) as client:
            answer = await client.get("/health")
        assert answer.status_code == 500
        assert "secret" not in answer.text


class TestWithoutAClient:
    async def test_a_client_that_leaves_within_its_body_starts_nothing(self, host, runner):
        messages = [
            {"type": "http.request", "body": b'{"request_id":', "more_body": True},
            {"type": "http.disconnect"},
        ]
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/execute",
            "headers": [(b"content-type", b"application/json")],
            "query_string": b"",
        }
        await host.app()(scope, receive, send)
        assert sent[0]["status"] == 408
        assert runner.ran == []

    async def test_the_lifespan_passes_the_gate(self, host):
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message["type"])

        await host.app()({"type": "lifespan", "app": None}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


class TestDraining:
    async def test_new_work_is_refused_and_running_work_ends(self, client, host, runner):
        runner.hold()
        inside = asyncio.ensure_future(client.post("/execute", json=execute_body()))
        await until(lambda: runner.running)
        assert await host.drain(timeout_s=0) == 1
        refused = await client.post("/execute", json=execute_body())
        assert (refused.status_code, error_of(refused)) == (503, "SHUTTING_DOWN")
        check = await client.post("/check", json={"language": "python", "owner": "a", "script_content": "x"})
        assert (check.status_code, error_of(check)) == (503, "SHUTTING_DOWN")
        assert (await client.get("/health")).json()["draining"] is True
        drained = asyncio.ensure_future(host.drain(timeout_s=10))
        runner.let_go()
        assert await drained == 0
        assert (await inside).status_code == 200


class TestGate:
    @pytest.fixture
    def options(self):
        return RuntimeHostOptions(bind="0.0.0.0", token="s3cret")

    @pytest.mark.parametrize(
        "authorization", [None, "", "s3cret", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cret2", "Bearer é"]
    )
    async def test_without_the_token_nothing_is_served(self, client, authorization):
        headers = {} if authorization is None else {"authorization": authorization.encode()}
        for answer in (await client.get("/health", headers=headers), await client.post("/execute", headers=headers)):
            assert (answer.status_code, error_of(answer)) == (401, "UNAUTHORIZED")
            assert answer.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer  s3cret"])
    async def test_with_the_token_all_is_served(self, client, authorization):
        assert (await client.get("/health", headers={"authorization": authorization})).status_code == 200

    async def test_more_requests_than_fit_are_refused_at_once(self, runner):
        runner.hold()
        async with client_of(RuntimeHost(runner, RuntimeHostOptions(requests_max=1))) as client:
            inside = asyncio.ensure_future(client.post("/execute", json=execute_body()))
            await until(lambda: runner.running)
            answer = await client.get("/health")
            assert (answer.status_code, error_of(answer)) == (503, "OVERLOADED")
            runner.let_go()
            assert (await inside).status_code == 200
            assert (await client.get("/health")).status_code == 200


class TestOptions:
    @pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "unix:/run/host.sock"])
    def test_on_loopback_no_token_is_needed(self, bind):
        assert RuntimeHostOptions(bind=bind).token is None

    @pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.1", "host.example", ""])
    def test_off_loopback_a_token_is_mandatory(self, bind):
        with pytest.raises(ValueError, match="RUNTIME_TOKEN must be set"):
            RuntimeHostOptions(bind=bind)

    @pytest.mark.parametrize("token", ["", " s3cret", "s\u00e9cret", "a\nb"])
    def test_a_token_that_no_header_carries_is_refused(self, token):
        with pytest.raises(ValueError, match="RUNTIME_TOKEN"):
            RuntimeHostOptions(token=token)

    def test_the_token_is_not_shown(self):
        assert "s3cret" not in repr(RuntimeHostOptions(token="s3cret"))


class TestScripts:
    async def asks_for(self, client, source: str) -> bool:
        answer = await client.post("/execute", json=execute_body(source, script_content=None))
        return answer.status_code == 409

    async def check(self, client, source: str) -> None:
        await client.post("/check", json={"language": "python", "owner": "a", "script_content": source})

    async def test_scripts_are_kept_within_a_bound_of_bytes_of_utf8(self, runner):
        fits, too_large = "#" + "é" * 14, "#" + "é" * 15
        async with client_of(RuntimeHost(runner, RuntimeHostOptions(script_cache_size_max=30))) as client:
            for source in (too_large, fits):
                await self.check(client, source)
            assert await self.asks_for(client, too_large)
            assert not await self.asks_for(client, fits)

    async def test_the_least_recently_used_script_is_dropped_first(self, runner):
        async with client_of(RuntimeHost(runner, RuntimeHostOptions(script_cache_size_max=30))) as client:
            for source in ("#aaaaaaaaa", "#bbbbbbbbb", "#ccccccccc"):
                await self.check(client, source)
            assert not await self.asks_for(client, "#aaaaaaaaa")
            await self.check(client, "#ddddddddd")
            assert await self.asks_for(client, "#bbbbbbbbb")
            assert not await self.asks_for(client, "#aaaaaaaaa")
