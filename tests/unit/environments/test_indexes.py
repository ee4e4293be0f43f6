"""What a build reaches, and what its log does not show."""

import asyncio

import pytest

from adapters.environments.building.index import Destination, PackageIndex
from adapters.environments.building.maker import whole_lines
from adapters.environments.building.relay import CONNECTIONS_MAX, IndexRelay
from tests.support.waiting import until


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://t0k%2Fen@host/simple", "sent t0k/en, t0k%2Fen and dDBrL2VuOg=="),
        ("https://alice:s3cret@host/simple", "sent s3cret, s3cret and YWxpY2U6czNjcmV0"),
    ],
    ids=["token", "password"],
)
def test_credentials_are_hidden_in_every_form(url, text):
    assert PackageIndex(url).hide(text) == "sent [hidden], [hidden] and [hidden]"
    assert PackageIndex(url).hide(f"GET {url}") == "GET https://[hidden]@host/simple"


def test_text_without_credentials_stays_as_it_is():
    assert PackageIndex("https://host/simple").hide("None: alice") == "None: alice"


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_come_whole_however_they_were_read(size):
    content = "https://a:s3cret@host\n\nné\nlast".encode()
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    texts = list(whole_lines(pieces))
    assert "".join(texts) == content.decode()
    assert all(text.endswith("\n") for text in texts[:-1])


def test_a_line_without_an_end_is_not_held_for_ever():
    assert [len(text) for text in whole_lines([b"x" * 50_000, b"x" * 50_000, b"y"])] == [100_000, 1]


async def test_a_connection_beyond_the_limit_is_refused_with_the_reason(tmp_path):
    async def holding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(holding, "127.0.0.1", 0)
    destination = Destination("127.0.0.1", server.sockets[0].getsockname()[1])
    relay = IndexRelay(1000)
    async with server, relay.opened(tmp_path, [destination], None):
        held = [await asyncio.open_unix_connection(tmp_path / "0") for _ in range(CONNECTIONS_MAX)]
        await until(lambda: relay.connections == CONNECTIONS_MAX)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "0")
        assert await reader.read() == b""
        for _, each in [*held, (reader, writer)]:
            each.close()
    assert relay.failures == [f"{destination} was not reached: 64 connections are open, the limit"]
