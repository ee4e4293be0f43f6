"""Requests of clients to the proxy for patterns."""

import pytest

from adapters.egress.connect_request import SIZE_MAX, InvalidConnect, read_connect
from domain.egress.rule import EgressRule

HEAD = b"CONNECT api.example.com:443 HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"\r\n",
        HEAD.replace(b"1.1", b"1.0") + b"Host: api.example.com:443\r\nProxy-Connection: keep-alive\r\n\r\n",
        HEAD.replace(b"api", b"API") + b"Host: other.test\r\n\r\n",
    ],
)
def test_a_request_names_a_host(content):
    assert read_connect(content) == EgressRule("api.example.com", 443)
    assert all(read_connect(content[:size]) is None for size in range(len(content)))


@pytest.mark.parametrize(
    "content",
    [
        b"GET https://api.example.com/ HTTP/1.1\r\n\r\n",
        HEAD + b"\r\n" + b"x",
        HEAD.replace(b"api.", b"*.") + b"\r\n",
        HEAD.replace(b"api.example.com", b"10.0.0.1") + b"\r\n",
        HEAD.replace(b"api.example.com", b"127.1") + b"\r\n",
        HEAD.replace(b"api.example.com", b"[::1]") + b"\r\n",
        HEAD.replace(b"api.example.com", b"localhost") + b"\r\n",
        HEAD.replace(b"api.example.com", b"api.example.com.") + b"\r\n",
        HEAD.replace(b"api.", b"user@api.") + b"\r\n",
        HEAD.replace(b":443", b":80") + b"\r\n",
        HEAD.replace(b":443", b":3128") + b"\r\n",
        HEAD.replace(b":443", b":70000") + b"\r\n",
        HEAD.replace(b":443", b"") + b"\r\n",
        HEAD.replace(b"CONNECT ", b"CONNECT  ") + b"\r\n",
        HEAD.replace(b"\r\n", b"\n") + b"\r\n\r\n",
        HEAD + bytes(SIZE_MAX),
        HEAD + b"a: " + b"b" * SIZE_MAX + b"\r\n\r\n",
    ],
)
def test_anything_else_is_refused(content):
    with pytest.raises(InvalidConnect):
        read_connect(content)
