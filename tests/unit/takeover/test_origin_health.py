from collections.abc import AsyncIterator

import httpx2
import pytest

from adapters.origin.health import origin_version


def answering(content: bytes | Exception) -> httpx2.MockTransport:
    def handle(request: httpx2.Request) -> httpx2.Response:
        assert str(request.url) == "http://old:8080/health"
        assert request.headers["x-pglambda-front"] == "1"  # else this service itself would state a version
        if isinstance(content, Exception):
            raise content
        return httpx2.Response(200, stream=httpx2.ByteStream(content))

    return httpx2.MockTransport(handle)


async def test_the_version_is_that_of_health():
    assert await origin_version("http://old:8080/", answering(b'{"status":"ok","version":"0.2.0"}')) == "0.2.0"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"version": "\\u001b[2J"}',
        b"{}",
        b'{"version": 1}',
        b"<html>",
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout(""),
    ],
)
async def test_an_origin_that_does_not_state_it_has_none(content: bytes | Exception):
    assert await origin_version("http://old:8080", answering(content)) is None


async def test_a_version_is_bounded():
    assert len(await origin_version("http://old:8080", answering(b'{"version": "%s"}' % (b"1" * 1000))) or "") == 64


async def test_an_endless_response_is_not_read_to_its_end():
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 2**24:
            read += 4096
            yield b"x" * 4096

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=endless()))
    assert await origin_version("http://old:8080", transport) is None
    assert read < 2**17
