"""Runtime hosts register at a complete service, which runs scripts on those that are there."""

import json
import re
import signal
import threading
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.support.commands import run_command
from tests.support.ports import free_port

PAGE = Path(__file__).parents[3] / "docs/deploy/runtime-hosts.md"
TOKEN = "a token of runtime hosts"
SCRIPT = "result = params['n'] + 1"
PAUSE_S = 0.02
"""Between two calls of one caller: without it callers take the processors from the hosts that they wait for."""


def documented(command, **ports):
    """Return the settings with which the page runs a command, with other ports."""
    (line,) = re.findall(f"^(.*) pglambda {command}$", PAGE.read_text(), re.MULTILINE)
    for port, other in ports.items():
        line = line.replace(port.removeprefix("at_"), other)
    return dict(each.split("=", 1) for each in line.split())


@pytest.fixture
def begin(folder):
    started, token = [], folder / "runtime-token"
    token.write_text(TOKEN)

    def begin(name, **settings):
        given = settings | {"RUNTIME_TOKEN_FILE": str(token)}
        started.append(Service(folder, program=("entrypoints", name), **given))
        return started[-1]

    yield begin
    for each in started:
        each.end()


def as_url(conninfo):
    return f"postgresql:///?{urlencode(conninfo_to_dict(conninfo))}"


@pytest.fixture
def controller(begin, database_url):
    return begin("serve", DATABASE_URL=as_url(database_url), REQUEST_TIMEOUT_MS="10000", **documented("serve")).ready()


@pytest.fixture
def host(begin, controller):
    def begin_host(name):
        settings = documented("runtime-host", at_8080=str(controller.port), at_8081=str(free_port()))
        controllers = f"http://127.0.0.1:9,{settings.pop('CONTROLLER_URL')}"
        service = begin("runtime-host", RUNTIME_HOST_NAME=name, CONTROLLER_URL=controllers, **settings)
        wait_until(lambda: standings(controller).get(name) == "ready")
        return service

    return begin_host


def standings(controller):
    """Return what the controller knows of its hosts, by name."""
    hosts = controller.get("/health").json()["components"]["runtime_hosts"]["hosts"]
    return {host["name"]: host["state"] for host in hosts}


def post(controller, path, body, **headers):
    return httpx2.post(f"{controller.url}/api/v1/{path}", json=body, headers=headers, timeout=20, verify=False)


def initialize(controller):
    return post(controller, "initialize", {"script_content": SCRIPT}, **{"Language-Title": "python-adder"})


class Caller(threading.Thread):
    """Executes a session again and again until `stop`, and keeps the replies that are not as they should be."""

    def __init__(self, controller, session_id):
        super().__init__()
        self._controller, self.session_id = controller, session_id
        self.stop, self.count, self.failures = threading.Event(), 0, []

    def run(self):
        while not self.stop.wait(PAUSE_S):
            self.count += 1
            reply = post(self._controller, f"execute/{self.session_id}", {"params": {"n": self.count}})
            if reply.status_code != 200 or reply.json()["execution_count"] != self.count:
                self.failures.append(reply.text)


@pytest.mark.timeout(120)
def test_hosts_come_drain_die_and_come_while_sessions_are_executed(controller, host, database_url):
    refused = initialize(controller)
    assert refused.status_code == 503
    assert "no runtime host is registered" in refused.json()["error"]["message"]

    first, second = host("first"), host("second")
    callers = [Caller(controller, initialize(controller).json()["request_id"]) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: all(caller.count > 3 for caller in callers))
    first.send_signal(signal.SIGTERM)
    assert first.ended() == 0
    wait_until(lambda: standings(controller)["first"] == "ended")
    counted = [caller.count for caller in callers]
    wait_until(lambda: all(caller.count > count + 3 for caller, count in zip(callers, counted, strict=True)))
    for caller in callers:
        caller.stop.set()
        caller.join()
    assert [caller.failures for caller in callers] == [[]] * 4, "a host that drains costs no call"

    family = second.family()
    second.send_signal(signal.SIGKILL)
    second.ended()
    wait_until(lambda: gone(family))
    refused = post(controller, f"execute/{callers[0].session_id}", {"params": {"n": 1}})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "RUNTIME_UNAVAILABLE")
    with psycopg.connect(database_url) as later:
        later.execute("UPDATE meta.runtime_hosts SET seen_at = seen_at - interval '31 s' WHERE name = 'second'")
    wait_until(lambda: standings(controller)["second"] == "stale")
    assert "no runtime host is registered" in initialize(controller).json()["error"]["message"]

    host("third")
    executed = post(controller, f"execute/{callers[0].session_id}", {"params": {"n": 1}}).json()
    assert (executed["result"], executed["execution_count"]) == (2, callers[0].count + 1)
    listed = json.loads(run_command("hosts", "--output", "json", DATABASE_URL=as_url(database_url)).stdout)
    assert {each["name"]: each["state"] for each in listed} == standings(controller)
    assert controller.failures() == [], "hosts that leave are no failures of the controller"
