import contextlib
import socket

import pytest

from entrypoints.server.listener import CannotListen, listen, listen_on_path, url_of


def _has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def test_a_free_port_is_found_and_told():
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
        socket.create_connection(listener.getsockname()).close()


def test_an_address_that_is_every_address_is_reached_at_this_one():
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


@pytest.mark.skipif(not _has_ipv6(), reason="needs IPv6")
def test_an_address_of_version_6_is_put_in_brackets():
    with listen("::1", 0) as listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_port_that_is_taken_is_told():
    with listen("127.0.0.1", 0) as first, pytest.raises(CannotListen, match="something else listens there already"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_address_that_this_machine_does_not_have_is_told():
    with pytest.raises(CannotListen, match="no such address"):
        listen("203.0.113.1", 0)


def test_a_host_that_is_no_address_is_told():
    with pytest.raises(CannotListen, match="HOST 'no host' is not an address"):
        listen("no host", 0)


def test_a_path_is_listened_on(tmp_path):
    path = str(tmp_path / "s")
    with listen_on_path(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
