"""The start banner: the address of the service, and an example to try."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

RESPONSE_BYTES_MAX = 64 * 1024
_GET_TIMEOUT_S = 2.0
_DELAY_FIRST_S = 0.05
_DELAY_MAX_S = 1.0
_NOT_READY_AFTER_S = 5.0
_HTTP_OK = 200
_NAME = "pglambda"

_READY = """pglambda serves on {url}
{origin}
{credential}Try it: 5 + 3 in Node.js
  id=$(curl -s {url}/api/v1/initialize {header}-H 'Language-Title: nodejs-adder' -H 'Content-Type: application/json' \\
    -d '{{"script_content": "return event.params.a + event.params.b;"}}' |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["request_id"])')
  curl -s {url}/api/v1/execute/$id {header}-H 'Content-Type: application/json' -d '{{"params": {{"a": 5, "b": 3}}}}'

Ctrl-C stops it."""

_ORIGIN = """Clients of lambda-microservice call {url}
"""

_CREDENTIAL = """Callers need a token or an API key, in $TOKEN. Make one, with the service's settings:
{commands}

"""
_HEADER = '-H "Authorization: Bearer $TOKEN" '

_NOT_READY = "pglambda listens on {url} and is not ready yet. /readyz responds: {body}"


async def print_banner(url: str, origin_url: str | None = None, credentials: Sequence[str] = ()) -> None:
    """Print the addresses and an example when the service is ready, and a note if that takes long.

    `origin_url` is that of the origin's API, if it is served. `credentials` are the commands that make a credential;
    empty if callers need none.
    """
    waited_s, delay_s, noted = 0.0, _DELAY_FIRST_S, False
    while True:
        status, body = await get(url, "/readyz")
        if status == _HTTP_OK:
            break
        if waited_s > _NOT_READY_AFTER_S and not noted:
            _print(_NOT_READY.format(url=url, body=body.strip()[:500] or "nothing"))
            noted = True
        await asyncio.sleep(delay_s)
        waited_s, delay_s = waited_s + delay_s, min(delay_s * 1.5, _DELAY_MAX_S)
    commands = "\n".join(f"  {command_in_shell()} {name} --owner me --scope execute:all" for name in credentials)
    credential, header = (_CREDENTIAL.format(commands=commands), _HEADER) if credentials else ("", "")
    origin = "" if origin_url is None else _ORIGIN.format(url=origin_url)
    _print(_READY.format(url=url, origin=origin, credential=credential, header=header))


def command_in_shell(search_path: str | None = None) -> str:
    """Return how a shell finds the command of this installation: by its name, or else by its path.

    `search_path` replaces the PATH of the environment.
    """
    started = Path(sys.argv[0]).absolute()
    # Scripts that pip installs for one user are not beside the interpreter.
    own = started if started.name == _NAME else Path(sys.executable).with_name(_NAME)
    found = shutil.which(_NAME, path=search_path)
    if found is not None and own.exists() and Path(found).samefile(own):
        return _NAME
    return shlex.quote(str(own)) if own.exists() else f"{shlex.quote(sys.executable)} -m entrypoints"


async def print_runtime_host_banner(url: str, _origin_url: str | None = None) -> None:
    """Print the address of a runtime host."""
    _print(f"pglambda runs scripts for controllers on {url}\nCtrl-C stops it.")


async def get(url: str, path: str) -> tuple[int, str]:
    """GET a path and return the status and the body; the status is 0 if there is no response."""
    try:
        async with asyncio.timeout(_GET_TIMEOUT_S):
            response = await _exchange(url, path)
    except (OSError, TimeoutError):
        return 0, ""
    head, _, body = response.decode(errors="replace").partition("\r\n\r\n")
    words = head.split(" ", 2)
    return (int(words[1]), body) if len(words) > 1 and words[1].isdigit() else (0, "")


async def _exchange(url: str, path: str) -> bytes:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        received = bytearray()
        while (chunk := await reader.read(RESPONSE_BYTES_MAX)) and len(received) < RESPONSE_BYTES_MAX:
            received += chunk
        return bytes(received)
    finally:
        writer.close()


def _print(text: str) -> None:
    with suppress(OSError):  # the reader may be gone
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
