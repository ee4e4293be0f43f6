"""The complete service, started by its command."""

import contextlib
import http.client
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from entrypoints.server.listener import listen
from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.programs.supervisor.test_registered_hosts import as_url


@pytest.fixture
def command(folder, made):
    seed(made, folder)
    started = []

    def begin(name="serve", *, measured=True, **settings):
        started.append(Service(folder, program=("entrypoints", name), measured=measured, **settings))
        return started[-1]

    yield begin
    for each in started:
        each.end()


def initialize(service, title, script):
    response = httpx2.post(
        f"{service.url}/api/v1/initialize",
        json={"script_content": script},
        headers={"Language-Title": title},
        timeout=10,
    )
    assert response.status_code == 200, response.text
    return response.json()["request_id"]


def execute(service, session_id, **params):
    response = httpx2.post(f"{service.url}/api/v1/execute/{session_id}", json={"params": params}, timeout=20)
    assert response.status_code == 200, response.text
    return response.json()["result"], response.json()["execution_count"]


@pytest.mark.timeout(120)
def test_sessions_in_both_languages_survive_a_stop_and_a_kill(command):
    first = command().ready()
    adds = initialize(first, "nodejs-calculator", "return event.params.a + event.params.b;")
    shouts = initialize(first, "python-textprocessor", 'result = params["text"].upper()')
    assert execute(first, adds, a=5, b=3) == (8, 1)
    assert execute(first, shouts, text="hello lambda microservice") == ("HELLO LAMBDA MICROSERVICE", 1)
    family = first.family()
    first.send_signal(signal.SIGTERM)
    assert first.ended() == 0
    assert gone(family)
    assert first.failures() == [], "it has migrated the database"
    second = command(measured=False).ready()
    assert execute(second, adds, a=10, b=2) == (12, 2)
    family = second.family()
    second.send_signal(signal.SIGKILL)
    wait_until(lambda: gone(family), 5)
    third = command(measured=False).ready()
    assert execute(third, shouts, text="again") == ("AGAIN", 2)


class Caller:
    """Executes a session until it is stopped, on one connection as long as that is kept, or on one for each call."""

    def __init__(self, port: int, session_id: str, stopped: threading.Event, *, keeps: bool) -> None:
        self.port, self.session_id, self.stopped, self.keeps = port, session_id, stopped, keeps
        self.succeeded = 0

    def run(self) -> int:
        while not self.stopped.is_set():
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
                self._call_while_open(connection)
        return self.succeeded

    def _call_while_open(self, connection: http.client.HTTPConnection) -> None:
        is_open = True
        while is_open and not self.stopped.is_set():
            headers = {"Content-Type": "application/json"} | ({} if self.keeps else {"Connection": "close"})
            connection.request("POST", f"/api/v1/execute/{self.session_id}", b'{"params": {}}', headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
            assert response.status == 200, answer
            self.succeeded += 1
            is_open = not response.will_close


@pytest.mark.timeout(120)
def test_a_restart_on_the_socket_of_systemd_refuses_no_connection_and_loses_no_call(command, database_url):
    migrated = {"DATABASE_URL": as_url(database_url)}
    with listen("127.0.0.1", 0) as systemds, ThreadPoolExecutor(4) as pool:
        first = command(activated=systemds, HOST="192.0.2.1", **migrated).ready()
        session_id = initialize(first, "python-counter", "result = 1")
        stopped = threading.Event()
        callers = [Caller(first.port, session_id, stopped, keeps=keeps) for keeps in (False, False, True, True)]
        running = [pool.submit(caller.run) for caller in callers]
        try:
            wait_until(lambda: all(caller.succeeded for caller in callers))
            first.send_signal(signal.SIGTERM)
            assert first.ended() == 0
            before = [caller.succeeded for caller in callers]
            second = command(measured=False, activated=systemds, **migrated).ready()
            wait_until(lambda: all(caller.succeeded > count for caller, count in zip(callers, before, strict=True)))
        finally:
            stopped.set()
        made = sum(each.result(timeout=30) for each in running)
        assert execute(second, session_id) == (1, made + 1)


def test_a_runtime_host_prints_its_address_and_responds(command):
    service = command("runtime-host")
    wait_until(lambda: f"scripts for controllers on {service.url}" in service.output)
    assert service.status("/health") == 200
    service.send_signal(signal.SIGTERM)
    assert service.ended() == 0
