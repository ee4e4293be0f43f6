"""Registered hosts: kill -9 of a controller, of the server and of a host; a frozen controller; restarts in turn."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter

import httpx2
import psycopg
import pytest
from attrs import frozen

from tests.faults.report import NOTES
from tests.faults.test_files import HALF_VISIBLE
from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(240)

TOKEN = "a token of runtime hosts"
SETTINGS = {"RUNTIME_TOKEN": TOKEN, "RUNTIME_HOST_NETWORKS": "127.0.0.0/8"}
CALLERS = 8
FROZEN_S = 10.0


@frozen
class Work:
    """What callers do: the bodies of initialize and of execute."""

    session: dict
    call: dict


ECHO = Work({"script_content": "result = params['n']"}, {"params": {"n": 1}})
COPIES = Work(
    {
        "script_content": (
            "state['n'] = state.get('n', 0) + 1\n"
            "with open('/files/in/a', 'rb') as given, open('/files/out/b', 'wb') as left:\n"
            "    left.write(given.read() * 40_000)"
        ),
        "files": {"size_mb": 1},
        "state": {"mode": "exclusive"},
    },
    {"files": [{"path": "a", "text": "content"}], "collect": True},
)
"""Two chunks go out."""
KEPT = """
SELECT s.execution_count, (SELECT count(*) FROM meta.files AS f WHERE f.request_id = s.request_id AND f.complete),
    t.version, coalesce((t.state::jsonb ->> 'n')::int, 0)
FROM meta.sessions AS s JOIN meta.session_states AS t USING (request_id)
"""
"""Of each session of COPIES: its executions, the files that they have left, and its state."""


@pytest.fixture
def begin(data_dir):
    started = []

    def begin(name, **settings):
        started.append(Service(data_dir, program=("entrypoints", name), **SETTINGS, **settings))
        return started[-1]

    yield begin
    for each in started:
        each.end()


@pytest.fixture
def controllers(begin, url):
    return [begin("serve", DATABASE_URL=url).ready() for _ in range(2)]


@pytest.fixture
def begin_host(begin, controllers):
    """Start a host, and return it as soon as its own health is well, before controllers know it."""
    urls = ",".join(each.url for each in controllers)

    def begin_host(name, port=None):
        settings = {"RUNTIME_HOST_NAME": name, "CONTROLLER_URL": urls, "PORT": str(port or free_port())}
        started = begin("runtime-host", **settings)
        wait_until(lambda: is_well(started), timeout_s=90)
        return started

    return begin_host


@pytest.fixture
def host(begin_host, controllers):
    """Start a host, and return it once all controllers use it."""

    def used_host(name):
        started = begin_host(name)
        wait_until(lambda: all(standings(each).get(name) == "ready" for each in controllers))
        # Later than in the table, the controllers use it: each has a stream to each host.
        count = sum(state == "ready" for state in standings(controllers[0]).values())
        wait_until(lambda: all(list(streams(each).values()) == [len(controllers)] * count for each in controllers))
        return started

    return used_host


def is_well(host):
    try:
        health = httpx2.get(f"{host.url}/health", headers={"Authorization": f"Bearer {TOKEN}"}, verify=False)
    except httpx2.TransportError:
        return False
    return health.status_code == 200 and health.json()["status"] == "ok"


def standings(controller):
    hosts = controller.get("/health").json()["components"]["runtime_hosts"]["hosts"]
    return {each["name"]: each["state"] for each in hosts}


def streams(controller):
    """Return for each host that the controller uses how many streams it has, by its own count."""
    runtimes = controller.get("/health").json()["components"]["runtimes"].values()
    served = [languages["hosts"] for each in runtimes for languages in each.get("languages", {}).values()]
    return {host.get("name"): host.get("streams") for hosts in served for host in hosts}


def kill(service):
    """Kill every process of a service at once: first all stop, so that none can report that another one was killed."""
    family = service.family()
    for each in (signal.SIGSTOP, signal.SIGKILL):
        for pid, _ in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, each)
    service.ended()
    wait_until(lambda: gone(family))


class Callers:
    """Execute sessions again and again, and keep what they saw with the time."""

    def __init__(self, controller, work=ECHO):
        self._work, self._ending, self.seen = work, threading.Event(), []
        self._client = httpx2.Client(base_url=controller.url, timeout=30, verify=False)
        self._threads = [threading.Thread(target=self._run, args=(self._session(),)) for _ in range(CALLERS)]
        for each in self._threads:
            each.start()

    def _session(self):
        headers = {"Language-Title": "python-work"}
        made = self._client.post("/api/v1/initialize", json=self._work.session, headers=headers)
        assert made.status_code == 200, made.text
        return made.json()["request_id"]

    def _run(self, session_id):
        while not self._ending.is_set():
            reply = self._client.post(f"/api/v1/execute/{session_id}", json=self._work.call)
            fault = None if reply.status_code == 200 else reply.json()["error"]
            self.seen.append((time.monotonic(), fault))
            if fault is not None and fault["code"] == "CONFLICT":  # what the host was lost with still holds the state
                session_id = self._session()

    def codes_since(self, at_s):
        return Counter("success" if fault is None else fault["code"] for when_s, fault in self.seen if when_s > at_s)

    def succeed(self):
        """Wait until every caller can have succeeded again."""
        since_s = time.monotonic()
        wait_until(lambda: self.codes_since(since_s)["success"] >= 3 * CALLERS)
        return time.monotonic() - since_s

    def end(self):
        self._ending.set()
        for each in self._threads:
            each.join()
        self._client.close()


def test_a_host_stays_in_use_while_the_controller_it_registers_at_and_the_server_are_killed(
    controllers, host, server, url
):
    first, second = controllers
    host("one")
    callers, began_s = Callers(second), time.monotonic()
    callers.succeed()
    kill(first)
    with psycopg.connect(url, autocommit=True) as reading:
        seen_at = reading.execute("SELECT seen_at FROM meta.runtime_hosts").fetchone()
        wait_until(lambda: reading.execute("SELECT seen_at FROM meta.runtime_hosts").fetchone() > seen_at)
    assert callers.codes_since(began_s).keys() == {"success"}

    server.kill()
    server.start()
    recovered_s = callers.succeed()
    with psycopg.connect(url, autocommit=True) as reading:
        wait_until(lambda: reading.execute("SELECT state FROM meta.runtime_hosts").fetchall() == [("ready",)])
    callers.end()
    codes = callers.codes_since(began_s)
    assert "RUNTIME_UNAVAILABLE" not in codes, "the table was empty, and the controller kept its host"
    NOTES.append(
        f"runtime hosts: the controller at which a host registers was killed, and its host stayed in use at the other one; "
        f"the server was killed, which empties the table: {dict(codes)}, calls succeeded {1000 * recovered_s:.0f} ms after "
        "its restart"
    )


@pytest.mark.parametrize("work", [ECHO, COPIES], ids=["plain", "files-and-state"])
def test_a_host_that_is_killed_is_left_for_the_other_one(controllers, host, url, work):
    _, second = controllers
    one, _two = host("one"), host("two")
    callers = Callers(second, work)
    callers.succeed()
    kill(one)
    recovered_s = callers.succeed()
    callers.end()
    ends = Counter(fault["details"].get("executed") for _, fault in callers.seen if fault is not None)
    faults = [fault for _, fault in callers.seen if fault is not None]
    assert ends.keys() <= ({"unknown", "no"} if work is COPIES else {"unknown"}), faults
    assert ends["unknown"] <= CALLERS, "each caller had one call in flight, and the other host took all later ones"
    kept = _kept(url) if work is COPIES else "no files"
    NOTES.append(
        f"runtime hosts: one of two was killed -9 under {CALLERS} callers: {ends['unknown']} executions are unknown, all "
        f"others that ran succeeded ({kept}), and callers did so again {1000 * recovered_s:.0f} ms after the host was gone"
    )


def _kept(url):
    """Require that files and states are those of the executions that are counted; return how many there are."""
    with psycopg.connect(url, autocommit=True) as reading:
        rows = reading.execute(KEPT).fetchall()
        assert reading.execute(HALF_VISIBLE).fetchone() == (0,)
    assert len(rows) >= CALLERS
    assert all(count == files == version == n for count, files, version, n in rows), rows
    return f"{sum(count for count, *_ in rows)} with their files and states"


def test_hosts_that_restart_in_turn_cost_no_call(controllers, host, begin_host):
    running = {name: host(name) for name in ("one", "two")}
    callers = [Callers(each) for each in controllers]
    for each in callers:
        each.succeed()
    at_s = time.monotonic()
    for name, service in running.items():
        service.send_signal(signal.SIGTERM)
        assert service.ended() == 0
        begin_host(name, service.port)
    for each in callers:
        each.succeed()
    took_s = time.monotonic() - at_s
    for each in callers:
        each.end()
    codes = [each.codes_since(at_s) for each in callers]
    assert [seen.keys() for seen in codes] == [{"success"}] * 2
    NOTES.append(
        f"runtime hosts: two were restarted in turn within {took_s:.1f} s under {2 * CALLERS} callers of two controllers: "
        f"{sum(map(Counter.total, codes))} calls succeeded, and none failed"
    )


def test_a_controller_that_is_frozen_costs_the_other_one_nothing_and_goes_on_afterwards(controllers, host):
    frozen, other = controllers
    host("one"), host("two")
    callers = {each: Callers(each) for each in controllers}
    for each in callers.values():
        each.succeed()
    at_s = time.monotonic()
    family = [pid for pid, _ in frozen.family()]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: time.monotonic() - at_s > FROZEN_S)
    for pid in family:
        os.kill(pid, signal.SIGCONT)
    woken_s = time.monotonic()
    recovered_s = callers[frozen].succeed()
    for each in callers.values():
        each.end()
    served, held = callers[other].codes_since(at_s), callers[frozen].codes_since(at_s)
    assert served.keys() == {"success"}
    assert sum(count for code, count in held.items() if code != "success") <= CALLERS, held
    assert callers[frozen].codes_since(woken_s + recovered_s).keys() <= {"success"}
    assert standings(frozen) == standings(other) == {"one": "ready", "two": "ready"}
    NOTES.append(
        f"runtime hosts: one of two controllers was frozen for {FROZEN_S:g} s: the other one served {served['success']} calls, "
        f"and none failed; calls at the frozen one: {dict(held)}, and all succeeded {1000 * recovered_s:.0f} ms after it woke"
    )
