"""A child of the supervisor, controlled by the test."""

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
from entrypoints.server.listener import listen, url_of
from entrypoints.server.process import launch
from entrypoints.settings.loading import load_settings
from tests.programs.supervisor import minimal
from tests.programs.supervisor.conftest import ROOT, TIMEOUT_S


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
        _, output = self.process.communicate(timeout=TIMEOUT_S)
        self.channel.close()
        return self.process.returncode, output.decode()


@pytest.fixture
def listener():
    with listen("127.0.0.1", 0) as found:
        yield found


def test_a_child_without_an_assignment_ends():
    child = Child("")
    child.channel.shutdown(socket.SHUT_RDWR)
    assert child.ended() == (70, "")


def test_a_child_with_a_task_ends_with_its_status():
    assert Child("refuse").ended() == (1, "")


def test_a_wrong_setting_is_reported_without_a_traceback(listener):
    assert Child("misconfigured", listener).ended() == (2, "PORT: it is not to be\n")


@pytest.mark.parametrize("commands", [b"drain\n", b"drain\ndrain\n", b"stop\n", b""])
def test_a_server_ends_on_a_command_and_when_its_supervisor_has_ended(listener, commands):
    child = Child("create", listener)
    assert child.channel.recv(len(UP)) == UP
    assert httpx2.get(f"{url_of(listener)}/readyz").text == "ready"
    child.channel.sendall(commands)
    if not commands:
        child.channel.shutdown(socket.SHUT_RDWR)
    assert child.ended() == (0, "")


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ("", {"client": "127.0.0.1", "scheme": "http"}),
        ("10.0.0.0/8", {"client": "127.0.0.1", "scheme": "http"}),
        ("127.0.0.0/8", {"client": "192.0.2.7", "scheme": "https"}),
        ("127.0.0.1,192.0.2.7", {"client": "203.0.113.9", "scheme": "https"}),
    ],
)
def test_forwarded_headers_count_from_trusted_proxies_only(listener, trusted, seen):
    child = Child("create_mirror", listener, TRUSTED_PROXIES=trusted)
    assert child.channel.recv(len(UP)) == UP
    headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    assert httpx2.get(url_of(listener), headers=headers).json() == seen
    child.channel.sendall(b"stop\n")
    assert child.ended() == (0, "")


@pytest.mark.parametrize("sent", ['evil"}{', "localhost", "fe80::1%x", "", "198.51.100.1, evil"])
def test_a_forwarded_client_that_is_no_address_is_not_known(listener, sent):
    child = Child("create_mirror", listener, TRUSTED_PROXIES="127.0.0.0/8")
    assert child.channel.recv(len(UP)) == UP
    shown = httpx2.get(url_of(listener), headers={"X-Forwarded-For": sent}).json()["client"]
    assert shown == (None if sent else "127.0.0.1")
    child.channel.sendall(b"stop\n")
    assert child.ended() == (0, "")


def test_a_full_process_replaces_the_connection_that_has_been_idle_for_longest(listener):
    child = Child("create_mirror", listener, MAX_CONNECTIONS="16")
    assert child.channel.recv(len(UP)) == UP
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S))
        clients = [stack.enter_context(httpx2.Client()) for _ in range(20)]
        assert [client.get(url_of(listener)).status_code for client in clients] == [200] * 20
        assert silent.recv(1) == b"", "it is closed without a response"
    child.channel.sendall(b"stop\n")
    assert child.ended() == (0, "")


def test_processes_with_one_socket_fill_up_together_before_they_replace_a_connection(listener):
    """The first process to wake accepts all clients, so one could close connections while the other is not full."""
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
    """Send a request and return the status of the response."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def readable(connection: socket.socket) -> bool:
    """Whether the other side has sent something or closed the connection."""
    ready, _, _ = select.select([connection], [], [], 0)
    return bool(ready)


def test_a_program_does_not_start_after_its_parent_has_ended():
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


def test_a_missing_program_is_an_error():
    program = launch(("/no/such/program",), stderr=subprocess.PIPE)
    _, output = program.communicate(timeout=TIMEOUT_S)
    assert output == b"cannot run /no/such/program: No such file or directory\n"
