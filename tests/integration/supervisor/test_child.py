"""A child of the supervisor, spoken to directly."""

import contextlib
import http.client
import os
import select
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

from entrypoints.server.control import UP, Assignment, encode
from entrypoints.server.launcher import launch
from entrypoints.server.listener import listen, url_of
from entrypoints.settings.loading import load_settings
from tests.integration.supervisor import minimal
from tests.integration.supervisor.conftest import ROOT, TIMEOUT_S


class Child:
    def __init__(
        self, target: str, listener: socket.socket | None = None, *, shared: bool = False, **variables: str
    ) -> None:
        self.channel, theirs = socket.socketpair()
        fds = [theirs.fileno(), *([listener.fileno()] if listener else [])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "entrypoints.server.child", str(theirs.fileno())],
            pass_fds=fds,
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        if target:
            settings = load_settings({"SHUTDOWN_TIMEOUT_SECONDS": "1"} | variables)
            number = listener.fileno() if listener else None
            self.channel.sendall(encode(Assignment(f"{minimal.HERE}:{target}", settings, number, shared)))

    def ended(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=TIMEOUT_S)
        self.channel.close()
        return self.process.returncode, said.decode()


@pytest.fixture
def listener():
    with listen("127.0.0.1", 0) as found:
        yield found


def test_a_child_without_an_assignment_ends():
    child = Child("")
    child.channel.shutdown(socket.SHUT_RDWR)
    assert child.ended() == (70, "")


def test_a_child_with_one_thing_to_do_ends_with_its_status():
    assert Child("refuse").ended() == (1, "")


def test_a_wrong_setting_is_told_without_a_traceback(listener):
    assert Child("misconfigured", listener).ended() == (2, "PORT: it is not to be\n")


@pytest.mark.parametrize("orders", [b"drain\n", b"drain\ndrain\n", b"stop\n", b""])
def test_a_server_ends_when_it_is_told_and_when_nobody_is_there_to_tell(listener, orders):
    child = Child("create", listener)
    assert child.channel.recv(len(UP)) == UP
    assert httpx2.get(f"{url_of(listener)}/readyz").text == "ready"
    child.channel.sendall(orders)
    if not orders:
        child.channel.shutdown(socket.SHUT_RDWR)
    assert child.ended() == (0, "")


@pytest.mark.parametrize(
    ("trusted", "told"),
    [
        ("", {"client": "127.0.0.1", "scheme": "http"}),
        ("10.0.0.0/8", {"client": "127.0.0.1", "scheme": "http"}),
        ("127.0.0.0/8", {"client": "192.0.2.7", "scheme": "https"}),
        ("127.0.0.1,192.0.2.7", {"client": "203.0.113.9", "scheme": "https"}),
    ],
)
def test_what_proxies_say_of_callers_is_believed_of_those_that_are_trusted(listener, trusted, told):
    child = Child("create_mirror", listener, TRUSTED_PROXIES=trusted)
    assert child.channel.recv(len(UP)) == UP
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    assert httpx2.get(url_of(listener), headers=headers).json() == told
    child.channel.sendall(b"stop\n")
    assert child.ended() == (0, "")


def test_a_process_keeps_so_many_connections_and_replaces_the_one_without_a_request_for_longest(listener):
    child = Child("create_mirror", listener, MAX_CONNECTIONS="16")
    assert child.channel.recv(len(UP)) == UP
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S))
        clients = [stack.enter_context(httpx2.Client()) for _ in range(20)]
        assert [client.get(url_of(listener)).status_code for client in clients] == [200] * 20
        assert silent.recv(1) == b"", "it is closed without an answer"
    child.channel.sendall(b"stop\n")
    assert child.ended() == (0, "")


def test_processes_at_one_socket_keep_all_that_they_can_together_before_they_replace_one(listener):
    """Whoever wakes first takes what comes, so that one would close connections while the other has room."""
    children = [Child("create_mirror", listener, shared=True, MAX_CONNECTIONS="16") for _ in range(2)]
    for child in children:
        assert child.channel.recv(len(UP)) == UP
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(32):
            connections.append(stack.enter_context(socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S)))
            assert status_of(connections[-1]) == 200
        assert [status_of(connection) for connection in connections] == [200] * 32, "none was closed"
        for _ in range(20):
            assert httpx2.get(url_of(listener), timeout=TIMEOUT_S).status_code == 200
        replaced = [connection for connection in connections if readable(connection)]
        assert replaced
        assert {connection.recv(1) for connection in replaced} == {b""}
    for child in children:
        child.channel.sendall(b"stop\n")
        assert child.ended() == (0, "")


def status_of(connection: socket.socket) -> int:
    """Send a request and return the status of the answer."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def readable(connection: socket.socket) -> bool:
    """Whether the other side has sent something or closed the connection."""
    ready, _, _ = select.select([connection], [], [], 0)
    return bool(ready)


def test_a_program_ends_with_its_parent_even_before_it_has_begun():
    program = launch(("/bin/sleep", "60"), stderr=subprocess.PIPE)
    assert os.getpgid(program.pid) == program.pid
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=TIMEOUT_S)
    orphan = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            ROOT / "entrypoints" / "server" / "child_exec.py",
            "1",
            "9",
            "-1",
            "-1",
            "/bin/true",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (orphan.returncode, orphan.stderr) == (1, "the parent has ended already\n")


def test_a_program_that_is_not_there_is_told():
    program = launch(("/no/such/program",), stderr=subprocess.PIPE)
    _, said = program.communicate(timeout=TIMEOUT_S)
    assert said == b"cannot run /no/such/program: No such file or directory\n"
