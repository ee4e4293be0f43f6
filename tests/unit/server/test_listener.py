"""Listening sockets."""

import contextlib
import socket

import pytest

from entrypoints.server.listener import CannotListen, listen, listen_on_path, url_of


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_port_0_listens_on_a_free_port_which_the_url_has():
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        socket.create_connection(listener.getsockname()).close()


def test_the_url_of_all_addresses_is_the_loopback_address():
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


@pytest.mark.skipif(not _has_ipv6(), reason="needs IPv6")
def test_the_url_of_an_ipv6_address_has_brackets():
    with listen("::1", 0) as listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_port_in_use_is_an_error():
    with listen("127.0.0.1", 0) as first, pytest.raises(CannotListen, match="another process listens there"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(CannotListen, match="does not have that address"):
        listen("203.0.113.1", 0)


def test_a_host_that_is_not_an_address_is_an_error():
    with pytest.raises(CannotListen, match="HOST 'no host' is not an address"):
        listen("no host", 0)


def test_a_client_connects_to_the_socket_of_a_path(tmp_path):
    path = str(tmp_path / "s")
    with listen_on_path(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
