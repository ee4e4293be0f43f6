"""What a person reads when the service has started."""

import asyncio
import sys
from contextlib import suppress
from urllib.parse import urlsplit

ANSWER_BYTES_MAX = 64 * 1024
_ASK_TIMEOUT_S = 2.0
_DELAY_FIRST_S = 0.05
_DELAY_MAX_S = 1.0
_PATIENCE_S = 5.0

_READY = """pglambda serves on {url}

{credential}Try it: 5 + 3 in Node.js
  id=$(curl -s {url}/api/v1/initialize {header}-H 'Language-Title: nodejs-calculator' -H 'Content-Type: application/json' \\
    -d '{{"script_content": "return event.params.a + event.params.b;"}}' | sed 's/.*"request_id": *"\\([^"]*\\)".*/\\1/')
  curl -s {url}/api/v1/execute/$id {header}-H 'Content-Type: application/json' -d '{{"params": {{"a": 5, "b": 3}}}}'

Ctrl-C stops it."""

_CREDENTIAL = """Callers need a token or an API key, in TOKEN here. One of these makes it, with the settings of the service:
  pglambda token --owner me --scope execute:all
  pglambda keys create --owner me --scope execute:all

"""
_HEADER = '-H "Authorization: Bearer $TOKEN" '

_WAITING = "pglambda listens on {url} and is not ready yet. It says: {answer}"


async def announce(url: str, *, authenticated: bool = False) -> None:
    """Print the address and an example as soon as the service is ready, and a word while that takes long."""
    waited_s, delay_s, told = 0.0, _DELAY_FIRST_S, False
    while True:
        status, answer = await ask(url, "/readyz")
        if status == 200:
            break
        if waited_s > _PATIENCE_S and not told:
            _print(_WAITING.format(url=url, answer=answer.strip()[:500] or "nothing"))
            told = True
        await asyncio.sleep(delay_s)
        waited_s, delay_s = waited_s + delay_s, min(delay_s * 1.5, _DELAY_MAX_S)
    shown = (_CREDENTIAL, _HEADER) if authenticated else ("", "")
    _print(_READY.format(url=url, credential=shown[0], header=shown[1]))


async def announce_runtime_host(url: str) -> None:
    """Print the address of a host that only runs scripts."""
    _print(f"pglambda runs scripts for controllers on {url}\nCtrl-C stops it.")


async def ask(url: str, path: str) -> tuple[int, str]:
    """GET a path and return the status and the body; status 0 when there is no answer."""
    try:
        async with asyncio.timeout(_ASK_TIMEOUT_S):
            answer = await _get(url, path)
    except (OSError, TimeoutError):
        return 0, ""
    head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
    words = head.split(" ", 2)
    return (int(words[1]), body) if len(words) > 1 and words[1].isdigit() else (0, "")


async def _get(url: str, path: str) -> bytes:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n\r\n".encode())
        received = bytearray()
        while (chunk := await reader.read(ANSWER_BYTES_MAX)) and len(received) < ANSWER_BYTES_MAX:
            received += chunk
        return bytes(received)
    finally:
        writer.close()


def _print(text: str) -> None:
    with suppress(OSError):  # nobody may be reading
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
