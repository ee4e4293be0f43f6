import asyncio

import pytest

from entrypoints.server.banner import announce, announce_runtime_host, ask


class ManualServer:
    """Answers each connection with the next of the given texts."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def __aexit__(self, *_) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answers.pop(0))
        writer.close()


READY = b"HTTP/1.1 200 OK\r\n\r\nready"
AWAY = b"HTTP/1.1 503 Service Unavailable\r\n\r\nno database"


async def test_an_answer_is_its_status_and_its_body():
    async with ManualServer(AWAY) as url:
        assert await ask(url, "/readyz") == (503, "no database")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", b"HTTP/1.1 soon\r\n\r\n"])
async def test_rubbish_is_no_answer(answer):
    async with ManualServer(answer) as url:
        assert (await ask(url, "/readyz"))[0] == 0


async def test_nobody_there_is_no_answer():
    async with ManualServer() as url:
        pass
    assert await ask(url, "/readyz") == (0, "")


async def test_the_address_is_told_once_the_service_is_ready(capsys):
    async with ManualServer(AWAY, READY) as url:
        await announce(url)
    said = capsys.readouterr().out
    assert said.startswith(f"pglambda serves on {url}\n")
    assert f"curl -s {url}/api/v1/execute/$id" in said


async def test_a_runtime_host_tells_its_address(capsys):
    await announce_runtime_host("http://here:1")
    assert "scripts for controllers on http://here:1" in capsys.readouterr().out


async def test_where_callers_must_be_known_the_example_shows_how(capsys):
    async with ManualServer(READY) as url:
        await announce(url, authenticated=True)
    said = capsys.readouterr().out
    assert "pglambda keys create --owner me" in said
    assert said.count('-H "Authorization: Bearer $TOKEN"') == 2
