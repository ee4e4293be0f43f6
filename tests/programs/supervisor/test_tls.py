"""A runtime host with a certificate speaks TLS only."""

import socket
import ssl

import httpx2
import pytest

from tests.programs.supervisor.conftest import Service, wait_until
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def host(folder, authority):
    cert, key = authority.vouch("127.0.0.1")
    given = {"RUNTIME_TLS_CERT_FILE": str(cert), "RUNTIME_TLS_KEY_FILE": str(key)}
    host = Service(folder, program=("entrypoints", "runtime-host"), **given)
    yield host
    host.end()


def test_a_host_with_a_certificate_serves_who_verifies_it_and_nobody_without_tls(host, authority):
    verified = ssl.create_default_context(cafile=authority.file)

    def health():
        try:
            return httpx2.get(f"https://127.0.0.1:{host.port}/health", verify=verified, timeout=5).json()
        except httpx2.TransportError:
            return None

    assert wait_until(health)["status"] in {"ok", "degraded"}
    with socket.create_connection(("127.0.0.1", host.port), timeout=10) as plain:
        plain.sendall(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n")
        assert not plain.recv(1000).startswith(b"HTTP")
    wait_until(lambda: f"scripts for controllers on https://127.0.0.1:{host.port}" in host.output)
    assert host.failures() == []
