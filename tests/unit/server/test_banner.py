"""The start banner."""

import asyncio
import sys
from pathlib import Path

import pytest

from entrypoints.cli.serve import credential_commands
from entrypoints.server.banner import command_in_shell, get, print_banner, print_runtime_host_banner
from entrypoints.settings.loading import load_settings


class ManualServer:
    """Responds to each connection with the next of the given texts."""

    def __init__(self, *responses: bytes) -> None:
        self.responses = list(responses)

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._respond, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    async def __aexit__(self, *_) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.responses.pop(0))
        writer.close()


READY = b"HTTP/1.1 200 OK\r\n\r\nready"
AWAY = b"HTTP/1.1 503 Service Unavailable\r\n\r\nno database"


async def test_a_response_has_a_status_and_a_body():
    async with ManualServer(AWAY) as url:
        assert await get(url, "/readyz") == (503, "no database")


@pytest.mark.parametrize("response", [b"", b"HTTP/1.1", b"HTTP/1.1 soon\r\n\r\n"])
async def test_a_malformed_response_has_status_0(response):
    async with ManualServer(response) as url:
        assert (await get(url, "/readyz"))[0] == 0


async def test_a_closed_port_has_status_0():
    async with ManualServer() as url:
        pass
    assert await get(url, "/readyz") == (0, "")


async def test_the_banner_has_the_address_and_an_example_once_the_service_is_ready(capsys):
    async with ManualServer(AWAY, READY) as url:
        await print_banner(url)
    printed = capsys.readouterr().out
    assert printed.startswith(f"pglambda serves on {url}\n")
    assert f"curl -s {url}/api/v1/execute/$id" in printed
    assert "python3 -c" in printed


def test_the_command_is_named_by_its_path_unless_the_shell_finds_it(tmp_path):
    own = Path(sys.executable).with_name("pglambda")
    assert command_in_shell(str(tmp_path)) == str(own)
    (tmp_path / "pglambda").symlink_to(own)
    assert command_in_shell(str(tmp_path)) == "pglambda"
    (tmp_path / "pglambda").unlink()
    (tmp_path / "pglambda").write_text("#!/bin/sh\n")
    (tmp_path / "pglambda").chmod(0o755)
    assert command_in_shell(str(tmp_path)) == str(own)


def test_the_command_is_the_script_that_was_started_wherever_it_is(tmp_path, monkeypatch):
    (tmp_path / "pglambda").write_text("#!/bin/sh\n")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "pglambda"), "serve"])
    assert command_in_shell("/nonexistent") == str(tmp_path / "pglambda")


async def test_the_banner_of_a_runtime_host_has_its_address(capsys):
    await print_runtime_host_banner("http://here:1")
    assert "scripts for controllers on http://here:1" in capsys.readouterr().out


async def test_the_example_has_a_credential_if_authentication_is_on(capsys):
    async with ManualServer(READY) as url:
        await print_banner(url, None, ["keys create"])
    printed = capsys.readouterr().out
    assert f"{command_in_shell()} keys create --owner me" in printed
    assert f"{command_in_shell()} token" not in printed
    assert printed.count('-H "Authorization: Bearer $TOKEN"') == 2


@pytest.mark.parametrize(
    ("environ", "commands"),
    [
        ({}, ()),
        ({"AUTH": "required"}, ("keys create",)),
        ({"JWT_JWKS_URL": "https://keys.example.com/"}, ("keys create",)),
        ({"JWT_SECRET": "s" * 32}, ("token", "keys create")),
    ],
)
def test_only_commands_that_the_service_has_the_key_for_make_a_credential(environ, commands):
    assert credential_commands(load_settings(environ)) == commands
