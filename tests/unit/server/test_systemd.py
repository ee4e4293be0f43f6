"""What a service takes from systemd, and what it reports to it."""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from entrypoints.server.listener import CannotListen, listen
from entrypoints.server.systemd import ServiceManager

OWN = str(os.getpid())


def passed(given: socket.socket | int, **environ: str) -> tuple[ServiceManager, Mapping[str, str]]:
    """Return what a service takes, if systemd passes this socket, and what is left in the environment."""
    left = {"LISTEN_PID": OWN, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http", **environ}
    descriptor = given if isinstance(given, int) else given.detach()
    return ServiceManager.of(left, descriptor), left


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        yield manager


def lines(inbox: socket.socket) -> list[str]:
    return inbox.recv(4096).decode().splitlines()


def test_host_and_port_become_the_address_of_the_passed_socket():
    given = listen("127.0.0.1", 0)
    port = given.getsockname()[1]
    manager, left = passed(given, HOST="0.0.0.0", PORT="1")
    assert left == {"HOST": "127.0.0.1", "PORT": str(port)}
    with manager.listener, socket.create_connection(("127.0.0.1", port)):
        assert not manager.listener.get_inheritable()
        manager.listener.accept()[0].close()


@pytest.mark.parametrize("environ", [{"LISTEN_PID": "1"}, {"LISTEN_FDS": "0"}, {"LISTEN_FDS": "", "LISTEN_PID": ""}])
def test_sockets_for_another_process_are_left_alone(environ):
    manager, left = passed(-1, HOST="10.0.0.1", **environ)
    assert manager.listener is None
    assert left == {"HOST": "10.0.0.1"}


def both_passed(*hosts: str, **environ: str) -> tuple[ServiceManager, Mapping[str, str]]:
    """Return what a service takes of sockets on these hosts, which systemd passes with neighbouring descriptors."""
    sockets = [listen(host, 0) for host in hosts]
    first = max(each.fileno() for each in sockets) + 1
    for number, each in enumerate(sockets):
        os.dup2(each.detach(), first + number)
    return passed(first, LISTEN_FDS=str(len(hosts)), **environ)


@pytest.mark.parametrize(("names", "origin"), [("http:origin", 1), ("origin:http", 0), ("origin:", 0)])
def test_a_second_socket_is_for_clients_of_the_origin_by_its_name(names, origin):
    manager, left = both_passed("127.0.0.1", "127.0.0.1", LISTEN_FDNAMES=names, PORT="1")
    with manager.listener, manager.origin_listener:
        ports = {"PORT": manager.listener, "ORIGIN_PORT": manager.origin_listener}
        assert left == {"HOST": "127.0.0.1"} | {name: str(each.getsockname()[1]) for name, each in ports.items()}
        assert (manager.origin_listener.fileno() < manager.listener.fileno()) is (origin == 0)


def test_one_socket_may_be_for_clients_of_the_origin():
    manager, left = both_passed("127.0.0.1", LISTEN_FDNAMES="origin", PORT="1")
    with manager.origin_listener as listener:
        assert manager.listener is None
        assert left == {"HOST": "127.0.0.1", "PORT": "1", "ORIGIN_PORT": str(listener.getsockname()[1])}


@pytest.mark.parametrize("hosts", [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")])
def test_host_becomes_the_address_that_other_machines_reach(hosts):
    manager, left = both_passed(*hosts, LISTEN_FDNAMES="http:origin")
    with manager.listener, manager.origin_listener:
        assert left["HOST"] == "0.0.0.0"


@pytest.mark.parametrize("names", ["", "http:http", "origin:origin"])
def test_other_sockets_are_an_error_that_says_what_to_change(names):
    with pytest.raises(CannotListen, match=r"passed 2 sockets.*FileDescriptorName=origin"):
        passed(-1, LISTEN_FDS="2", LISTEN_FDNAMES=names)


def test_a_descriptor_that_is_no_socket_is_an_error(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(CannotListen, match="is not a socket"):
        passed(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize("kind", [(socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET, socket.SOCK_STREAM)])
def test_a_socket_that_does_not_listen_is_an_error(kind):
    with pytest.raises(CannotListen, match="not one that listens on TCP"):
        passed(socket.socket(*kind))


def test_a_unix_socket_is_an_error():
    unix = socket.socket(socket.AF_UNIX)
    unix.bind("")
    unix.listen()
    with pytest.raises(CannotListen, match="not one that listens on TCP"):
        passed(unix)


def test_systemd_learns_where_the_service_serves_and_how_long_its_stop_may_take(inbox):
    environ = {"NOTIFY_SOCKET": inbox.getsockname()}
    manager = ServiceManager.of(environ)
    assert environ == {}
    manager.ready("http://127.0.0.1:8080")
    assert lines(inbox) == ["READY=1", "STATUS=serves on http://127.0.0.1:8080"]
    manager.stopping(61.5)
    assert lines(inbox)[:2] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=61500000"]


def test_an_address_that_begins_with_an_at_sign_is_an_abstract_one():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(b"")  # the kernel chooses an abstract address
        inbox.settimeout(10)
        address = inbox.getsockname()
        ServiceManager.of({"NOTIFY_SOCKET": f"@{address[1:].decode()}"}).ready("http://127.0.0.1:8080")
        assert lines(inbox)[0] == "READY=1"


async def test_the_watchdog_hears_twice_in_each_period(inbox):
    manager = ServiceManager.of({"NOTIFY_SOCKET": inbox.getsockname(), "WATCHDOG_USEC": "100000", "WATCHDOG_PID": OWN})
    assert manager.watchdog_s == pytest.approx(0.1)
    reporting = asyncio.create_task(manager.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(lines, inbox) == ["WATCHDOG=1"]
    reporting.cancel()


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}])
async def test_without_a_watchdog_nothing_is_reported(inbox, environ):
    await ServiceManager.of({"NOTIFY_SOCKET": inbox.getsockname(), **environ}).keep_alive()
    inbox.setblocking(False)
    with pytest.raises(BlockingIOError):
        inbox.recv(1)


def test_a_manager_that_is_gone_does_not_disturb_the_service(tmp_path):
    ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("http://127.0.0.1:8080")
    ServiceManager.of({}).ready("http://127.0.0.1:8080")
