"""The host replies by the protocol, and starts nothing that it must reject."""

import asyncio
import json

import httpx2
import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.files import FILES_S
from entrypoints.composition.host_options import runtime_options
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.settings.loading import load_settings
from entrypoints.version import VERSION
from tests.contracts.script_runs import new_id, script_of
from tests.foreign_ids import EXTREMES
from tests.support.waiting import until

TIME_LEFT_MS = 6000


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
def host(runner, options, monotonic):
    return HostApi(runner, options, monotonic)


@pytest.fixture
async def client(host):
    async with client_of(host) as client:
        yield client


def client_of(host: HostApi, **fields) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(host.app(), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://host.test", **fields)


class TestExecute:
    async def test_a_failed_execution_is_200_with_its_error(self, client):
        body = (await client.post("/execute", json=execute_body("raise KeyError('missing')"))).json()
        assert body["result"] is None
        assert (body["error"]["code"], body["error"]["name"], body["error"]["line"]) == ("SCRIPT_ERROR", "KeyError", 1)

    async def test_the_host_asks_for_a_script_once(self, client):
        by_hash = execute_body(script_content=None)
        needed = await client.post("/execute", json=by_hash)
        assert (needed.status_code, error_of(needed)) == (409, "SCRIPT_NEEDED")
        assert (await client.post("/execute", json=by_hash | {"script_content": "result = 1"})).status_code == 200
        again = await client.post("/execute", json=execute_body(script_content=None))
        assert again.json()["result"] == 1

    async def test_files_need_a_stream(self, client, runner):
        body = execute_body(language="python+granted", grants={"files": {"size_mb": 1}})
        response = await client.post("/execute", json=body)
        assert (response.status_code, error_of(response), runner.ran) == (400, "INVALID_REQUEST", [])

    async def test_the_host_does_not_ask_for_a_checked_script(self, client):
        await client.post("/check", json={"language": "python", "owner": "anonymous", "script_content": "result = 1"})
        assert (await client.post("/execute", json=execute_body(script_content=None))).json()["result"] == 1

    async def test_a_script_that_does_not_have_its_hash_is_rejected(self, client, runner):
        response = await client.post("/execute", json=execute_body(script_hash="0" * 64))
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")
        assert runner.ran == []

    @pytest.mark.parametrize("identifier", EXTREMES, ids=str)
    async def test_an_execution_of_any_id_runs(self, client, identifier):
        for name in ("execution_id", "request_id"):
            response = await client.post("/execute", json=execute_body(**{name: str(identifier)}))
            assert (response.status_code, response.json()["result"]) == (200, 1)
        assert (await client.post("/evict", json={"request_id": str(identifier)})).status_code == 204

    async def test_an_execution_runs_once(self, client, runner):
        body = execute_body()
        first, second = [await client.post("/execute", json=body) for _ in range(2)]
        assert (first.status_code, second.status_code, error_of(second)) == (200, 409, "EXECUTION_SEEN")
        assert len(runner.ran) == 1

    async def test_an_execution_with_an_unknown_outcome_runs_once(self, client, runner):
        runner.unknown_next = "the worker fell silent"
        body = execute_body()
        first, second = [await client.post("/execute", json=body) for _ in range(2)]
        assert (first.status_code, error_of(first)) == (500, "EXECUTION_UNKNOWN")
        assert (second.status_code, error_of(second)) == (409, "EXECUTION_SEEN")

    async def test_an_execution_that_was_not_started_may_be_repeated(self, client, runner):
        body = execute_body()
        runner.unavailable = "the sandbox is missing"
        first = await client.post("/execute", json=body)
        assert (first.status_code, error_of(first), first.headers["retry-after"]) == (503, "RUNTIME_UNAVAILABLE", "1")
        runner.unavailable = None
        assert (await client.post("/execute", json=body)).status_code == 200

    async def test_an_error_without_a_retry_has_no_retry_after(self):
        class Refusing(MemoryScriptRunner):
            async def acquire(self, run):
                raise RuntimeUnavailable("python", "switched off for good", retry_after_ms=None)

        async with client_of(HostApi(Refusing(), RuntimeHostOptions())) as client:
            response = await client.post("/execute", json=execute_body())
        assert response.status_code == 503
        assert "retry-after" not in response.headers

    async def test_an_execution_without_time_left_is_rejected(self, client, runner):
        response = await client.post("/execute", json=execute_body(time_left_ms=0))
        assert (response.status_code, error_of(response)) == (409, "DEADLINE_PASSED")
        assert "time_left_ms 0" in response.json()["error"]["message"]
        assert runner.ran == []

    @pytest.mark.parametrize(("passed_s", "status"), [(5.9, 200), (6.0, 409)])
    async def test_time_counts_from_the_head_of_the_request(self, client, runner, monotonic, passed_s, status):
        async def slow():
            yield b" "
            monotonic.now_s += passed_s
            yield json.dumps(execute_body()).encode()

        response = await client.post("/execute", content=slow(), headers={"content-type": "application/json"})
        assert response.status_code == status
        assert len(runner.ran) == (status == 200)

    async def test_an_execution_whose_time_ends_in_the_queue_is_rejected_and_releases_its_worker(
        self, client, runner, monotonic
    ):
        runner.hold()
        running, queued = [asyncio.ensure_future(client.post("/execute", json=execute_body())) for _ in range(2)]
        await until(lambda: runner.running and runner.queued)
        monotonic.now_s += TIME_LEFT_MS / 1000
        runner.let_go()
        assert (await running).status_code == 200
        late = await queued
        assert (late.status_code, error_of(late)) == (409, "DEADLINE_PASSED")
        assert len(runner.ran) == 1
        assert (await client.post("/execute", json=execute_body())).status_code == 200

    async def test_a_copy_is_rejected_for_a_minute_after_the_deadline(self, client, runner, monotonic):
        body = execute_body()
        assert (await client.post("/execute", json=body)).status_code == 200
        monotonic.now_s += TIME_LEFT_MS / 1000 + 59.9
        copy = await client.post("/execute", json=body)
        assert (copy.status_code, error_of(copy)) == (409, "EXECUTION_SEEN")
        assert len(runner.ran) == 1

    async def test_the_longest_time_that_settings_allow_is_accepted(self, client, tmp_path):
        longest = {"SCRIPT_TIMEOUT_MAX_MS": "3600000", "RUNTIME_TIMEOUT_SECONDS": "600", "DATA_DIR": str(tmp_path)}
        settings = load_settings(longest)
        beside_s = runtime_options(settings).runtime_timeout_s + FILES_S
        left_ms = settings.script_timeout_max_ms + int(beside_s * 1000)
        assert (await client.post("/execute", json=execute_body(time_left_ms=left_ms))).status_code == 200
        response = await client.post("/execute", json=execute_body(time_left_ms=left_ms + 1))
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")

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
            {"language": "python+own"},
            {"language": "python+none"},
            {"language": 5},
            {"isolation": "none"},
            {"owner": ""},
            {"limits": {"timeout_ms": 0, "memory_mb": 1}},
            {"limits": {}},
            {"script_hash": "abc"},
            {"script_content": 5},
        ],
    )
    async def test_an_invalid_field_is_rejected(self, client, runner, changes):
        response = await client.post("/execute", json=execute_body(**changes))
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")
        assert runner.ran == []

    @pytest.mark.parametrize("name", ["time_left_ms", "session_left_ms"])
    async def test_the_error_names_a_missing_time(self, client, runner, name):
        body = execute_body()
        del body[name]
        response = await client.post("/execute", json=body)
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")
        assert name in response.json()["error"]["message"]
        assert runner.ran == []

    @pytest.mark.parametrize(
        "content",
        [b"", b"not JSON", b"[]", b"{}", b'{"params": "\xff"}', b'{"params": ' + b"[" * 9_000 + b"]" * 9_000 + b"}"],
    )
    async def test_an_invalid_body_is_rejected(self, client, content):
        response = await client.post("/execute", content=content, headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")

    async def test_params_that_are_not_utf8_are_rejected(self, client):
        content = json.dumps(execute_body(params="PARAMS")).encode().replace(b"PARAMS", b"\xff")
        response = await client.post("/execute", content=content, headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")

    async def test_a_full_queue_is_overloaded_at_once(self, client, runner):
        runner.hold()
        running = [asyncio.ensure_future(client.post("/execute", json=execute_body())) for _ in range(2)]
        await until(lambda: runner.running and runner.queued)
        response = await client.post("/execute", json=execute_body())
        assert (response.status_code, error_of(response), response.headers["retry-after"]) == (503, "OVERLOADED", "1")
        runner.let_go()
        assert [response.status_code for response in await asyncio.gather(*running)] == [200, 200]


class TestBodies:
    async def test_a_body_of_too_large_a_declared_size_is_rejected_unread(self, client, options):
        async def unread():
            raise AssertionError
            yield b""

        headers = {"content-type": "application/json", "content-length": str(options.execute_body_size_max + 1)}
        response = await client.post("/execute", content=unread(), headers=headers)
        assert (response.status_code, error_of(response)) == (413, "PAYLOAD_TOO_LARGE")

    async def test_a_body_that_grows_too_large_is_not_read_to_its_end(self, client, options):
        read = []

        async def growing():
            for _ in range(1000):
                read.append(1)
                yield b" " * options.execute_body_size_max

        response = await client.post("/execute", content=growing(), headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)) == (413, "PAYLOAD_TOO_LARGE")
        assert len(read) < 5

    async def test_a_script_over_its_limit_is_rejected(self, client):
        response = await client.post("/execute", json=execute_body("x" * 1001))
        assert (response.status_code, error_of(response)) == (413, "PAYLOAD_TOO_LARGE")
        assert (await client.post("/execute", json=execute_body("#" * 1000))).status_code == 200

    @pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
    async def test_another_content_type_is_rejected(self, client, content_type):
        response = await client.post("/execute", content=b"{}", headers={"content-type": content_type})
        assert (response.status_code, error_of(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")

    async def test_the_content_type_may_have_a_charset(self, client):
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        response = await client.post("/execute", content=json.dumps(execute_body()).encode(), headers=headers)
        assert response.status_code == 200

    async def test_a_compressed_body_is_rejected(self, client):
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        assert (await client.post("/execute", content=b"{}", headers=headers)).status_code == 415

    async def test_a_body_that_does_not_arrive_in_time_is_rejected(self, runner):
        async def stalled():
            yield b"{"
            await asyncio.Event().wait()

        async with client_of(HostApi(runner, RuntimeHostOptions(body_timeout_s=0.01))) as client:
            response = await client.post("/execute", content=stalled(), headers={"content-type": "application/json"})
        assert (response.status_code, error_of(response)) == (408, "REQUEST_TIMEOUT")


class TestOtherPaths:
    async def test_a_script_that_does_not_parse_is_400_with_its_line(self, client):
        response = await client.post("/check", json={"language": "python", "owner": "a", "script_content": "a\nx ="})
        assert (response.status_code, error_of(response)) == (400, "SCRIPT_SYNTAX_ERROR")
        assert response.json()["error"]["details"]["line"] == 2

    async def test_an_eviction_reaches_the_runner(self, client, runner):
        session_id = new_id()
        response = await client.post("/evict", json={"request_id": str(session_id)})
        assert (response.status_code, response.content) == (204, b"")
        assert runner.evicted == [session_id]

    async def test_the_health_is_that_of_the_runner(self, client, runner):
        health = (await client.get("/health")).json()
        assert health == {"version": VERSION, "status": "ok", "running": 0, "draining": False, "streams": 0}
        runner.unavailable = "off"
        assert (await client.get("/health")).json()["status"] == "failing"

    async def test_the_health_shows_the_parts_beside_the_runner(self):
        async def trees():
            return {"status": "degraded", "not_fetched": {"ab": "the disk is full"}}

        host = HostApi(MemoryScriptRunner(), RuntimeHostOptions(), parts={"trees": trees})
        async with client_of(host) as client:
            health = (await client.get("/health")).json()
        assert (health["status"], health["trees"]) == ("ok", await trees())

    async def test_an_unknown_path_is_404_and_an_unknown_method_405(self, client):
        assert error_of(await client.get("/nothing")) == "NOT_FOUND"
        response = await client.get("/execute")
        assert (response.status_code, error_of(response), response.headers["allow"]) == (
            405,
            "METHOD_NOT_ALLOWED",
            "POST",
        )

    async def test_a_bug_is_a_500_without_internals(self, runner):
        class Broken(MemoryScriptRunner):
            async def health(self):
                raise LookupError("secret detail")

        async with client_of(HostApi(Broken(), RuntimeHostOptions())) as client:
            response = await client.get("/health")
        assert (response.status_code, response.text) == (500, "Internal Server Error")


class ManualConnection:
    """The connection of one request, which the test closes."""

    def __init__(self, *messages: dict) -> None:
        self.messages = list(messages)
        self.watched, self.closed = asyncio.Event(), asyncio.Event()
        self.sent = []

    async def receive(self) -> dict:
        if self.messages:
            return self.messages.pop(0)
        self.watched.set()
        await self.closed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        self.sent.append(message)

    def request(self, app, path: str, accept: bytes = b"application/json") -> asyncio.Future:
        headers = [(b"content-type", b"application/json"), (b"accept", accept)]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        return asyncio.ensure_future(app(scope, self.receive, self.send))


def posting(body: dict) -> ManualConnection:
    return ManualConnection({"type": "http.request", "body": json.dumps(body).encode()})


class TestDisconnects:
    async def test_a_client_that_disconnects_within_its_body_starts_nothing(self, host, runner):
        connection = ManualConnection({"type": "http.request", "body": b"{", "more_body": True})
        connection.closed.set()
        await connection.request(host.app(), "/execute")
        assert connection.sent == []
        assert runner.ran == []

    async def test_a_queued_execution_leaves_the_queue_and_may_be_repeated(self, host, runner, client):
        runner.hold()
        running = asyncio.ensure_future(client.post("/execute", json=execute_body()))
        await until(lambda: runner.running)
        body = execute_body()
        connection = posting(body)
        request = connection.request(host.app(), "/execute")
        await until(lambda: runner.queued)
        connection.closed.set()
        await request
        assert (runner.queued, connection.sent) == (0, [])
        runner.let_go()
        assert (await running).status_code == 200
        assert (await client.post("/execute", json=body)).status_code == 200

    async def test_a_worker_that_becomes_free_at_the_disconnect_is_not_lost(self, host, runner, client):
        runner.hold()
        running = asyncio.ensure_future(client.post("/execute", json=execute_body()))
        await until(lambda: runner.running)
        connection = posting(execute_body())
        request = connection.request(host.app(), "/execute")
        await connection.watched.wait()
        connection.closed.set()
        runner.let_go()
        await asyncio.gather(running, request)
        assert (await client.post("/execute", json=execute_body())).status_code == 200

    async def test_a_check_is_cancelled(self, options):
        class HeldChecks(MemoryScriptRunner):
            started, cancelled = asyncio.Event(), asyncio.Event()

            async def check(self, *_):
                self.started.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()

        runner = HeldChecks()
        connection = posting({"language": "python", "owner": "a", "script_content": "x = 1"})
        request = connection.request(HostApi(runner, options).app(), "/check")
        await runner.started.wait()
        connection.closed.set()
        await request
        assert runner.cancelled.is_set()


class TestDraining:
    async def test_new_work_is_rejected_and_running_work_ends(self, client, host, runner):
        runner.hold()
        running = asyncio.ensure_future(client.post("/execute", json=execute_body()))
        await until(lambda: runner.running)
        assert await host.drain(timeout_s=0) == 1
        rejected = await client.post("/execute", json=execute_body())
        assert (rejected.status_code, error_of(rejected)) == (503, "SHUTTING_DOWN")
        check = await client.post("/check", json={"language": "python", "owner": "a", "script_content": "x"})
        assert (check.status_code, error_of(check)) == (503, "SHUTTING_DOWN")
        assert (await client.get("/health")).json()["draining"] is True
        drained = asyncio.ensure_future(host.drain(timeout_s=10))
        runner.let_go()
        assert await drained == 0
        assert (await running).status_code == 200


class TestAdmission:
    @pytest.fixture
    def options(self):
        return RuntimeHostOptions(bind="0.0.0.0", token="s3cret")

    @pytest.mark.parametrize(
        "authorization", [None, "", "s3cret", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cret2", "Bearer é"]
    )
    async def test_a_request_without_the_token_is_401(self, client, authorization):
        headers = {} if authorization is None else {"authorization": authorization.encode()}
        for response in (await client.get("/health", headers=headers), await client.post("/execute", headers=headers)):
            assert (response.status_code, error_of(response)) == (401, "UNAUTHORIZED")
            assert response.headers["www-authenticate"] == "Bearer"

    async def test_without_the_token_an_unknown_path_is_401_too(self, client):
        assert (await client.get("/nothing")).status_code == 401
        assert (await client.get("/nothing", headers={"authorization": "Bearer s3cret"})).status_code == 404

    @pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer  s3cret"])
    async def test_a_request_with_the_token_is_served(self, client, authorization):
        assert (await client.get("/health", headers={"authorization": authorization})).status_code == 200

    async def test_requests_over_the_limit_in_flight_are_rejected_at_once(self, runner):
        runner.hold()
        async with client_of(HostApi(runner, RuntimeHostOptions(requests_max=1))) as client:
            running = asyncio.ensure_future(client.post("/execute", json=execute_body()))
            await until(lambda: runner.running)
            response = await client.get("/health")
            assert (response.status_code, error_of(response)) == (503, "OVERLOADED")
            runner.let_go()
            assert (await running).status_code == 200
            assert (await client.get("/health")).status_code == 200


class TestOptions:
    @pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "unix:/run/host.sock"])
    def test_a_loopback_address_needs_no_token(self, bind):
        assert RuntimeHostOptions(bind=bind).token is None

    @pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.1", "host.example", ""])
    def test_any_other_address_needs_a_token(self, bind):
        with pytest.raises(ValueError, match="RUNTIME_TOKEN must be set"):
            RuntimeHostOptions(bind=bind)

    @pytest.mark.parametrize("token", ["", " s3cret", "s\u00e9cret", "a\nb"])
    def test_a_token_that_does_not_fit_a_header_is_rejected(self, token):
        with pytest.raises(ValueError, match="RUNTIME_TOKEN"):
            RuntimeHostOptions(token=token)

    def test_the_token_is_not_shown(self):
        assert "s3cret" not in repr(RuntimeHostOptions(token="s3cret"))


class TestScripts:
    async def asks_for(self, client, source: str) -> bool:
        response = await client.post("/execute", json=execute_body(source, script_content=None))
        return response.status_code == 409

    async def check(self, client, source: str) -> None:
        await client.post("/check", json={"language": "python", "owner": "a", "script_content": source})

    async def test_scripts_are_kept_within_a_bound_of_bytes_of_utf8(self, runner):
        fits, too_large = "#" + "é" * 14, "#" + "é" * 15
        async with client_of(HostApi(runner, RuntimeHostOptions(script_cache_size_max=30))) as client:
            for source in (too_large, fits):
                await self.check(client, source)
            assert await self.asks_for(client, too_large)
            assert not await self.asks_for(client, fits)

    async def test_the_least_recently_used_script_is_dropped_first(self, runner):
        async with client_of(HostApi(runner, RuntimeHostOptions(script_cache_size_max=30))) as client:
            for source in ("#aaaaaaaaa", "#bbbbbbbbb", "#ccccccccc"):
                await self.check(client, source)
            assert not await self.asks_for(client, "#aaaaaaaaa")
            await self.check(client, "#ddddddddd")
            assert await self.asks_for(client, "#bbbbbbbbb")
            assert not await self.asks_for(client, "#aaaaaaaaa")


class TestCancel:
    async def test_a_running_execution_ends_as_cancelled(self, client, runner):
        runner.hold()
        body = execute_body()
        running = asyncio.ensure_future(client.post("/execute", json=body))
        await until(lambda: runner.running)
        for _ in range(2):
            response = await client.post("/cancel", json={"execution_id": body["execution_id"]})
            assert (response.status_code, response.content) == (204, b"")
        assert (await running).json()["error"]["code"] == "EXECUTION_CANCELLED"
        assert runner.ran == []

    async def test_an_execution_that_arrives_after_its_cancellation_starts_nothing(self, client, runner):
        body = execute_body()
        await client.post("/cancel", json={"execution_id": body["execution_id"]})
        reply = (await client.post("/execute", json=body)).json()
        assert (reply["error"]["code"], runner.ran) == ("EXECUTION_CANCELLED", [])

    async def test_a_queued_execution_is_cancelled_when_it_would_start(self, client, runner):
        runner.hold()
        running = asyncio.ensure_future(client.post("/execute", json=execute_body()))
        body = execute_body()
        await until(lambda: runner.running)
        queued = asyncio.ensure_future(client.post("/execute", json=body))
        await until(lambda: runner.queued)
        await client.post("/cancel", json={"execution_id": body["execution_id"]})
        runner.let_go()
        assert (await running).json()["result"] == 1
        assert (await queued).json()["error"]["code"] == "EXECUTION_CANCELLED"

    async def test_a_cancellation_is_remembered_for_a_minute(self, client, runner, monotonic):
        body = execute_body()
        await client.post("/cancel", json={"execution_id": body["execution_id"]})
        monotonic.now_s += 60
        assert (await client.post("/execute", json=body)).json()["result"] == 1

    async def test_other_executions_continue(self, client):
        assert (await client.post("/cancel", json={"execution_id": str(new_id())})).status_code == 204
        assert (await client.post("/execute", json=execute_body())).json()["result"] == 1

    @pytest.mark.parametrize("body", [{}, {"execution_id": "no uuid"}, {"execution_id": None}])
    async def test_an_invalid_cancellation_is_rejected(self, client, body):
        response = await client.post("/cancel", json=body)
        assert (response.status_code, error_of(response)) == (400, "INVALID_REQUEST")
