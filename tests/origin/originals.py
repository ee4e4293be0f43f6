"""Runs the scripts of the origin's own repository, unchanged, against a controller or what has taken its place.

They call fixed ports: 8080 is passed on to the controller, 8081 to 8083 answer as healthy runtimes. `docker` and
`docker-compose` are stubs: a listing names the services, `exec .. psql` asks the database that is named here.
"""

import argparse
import asyncio
import contextlib
import os
import re
import shlex
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

_CONTROLLER_PORT, _RUNTIME_PORTS = 8080, (8081, 8082, 8083)
_LIMIT_S = 120.0
_BLOCK = re.compile(r"^```(bash|javascript|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROGRAM = {"bash": ("bash",), "javascript": ("node",), "python": (sys.executable,)}
_SUFFIX = {"bash": "sh", "javascript": "cjs", "python": "py"}
_STUB = """#!/bin/sh
[ "$1" = compose ] && shift
case "$1" in
    ps) echo controller ;;
    exec) while [ "$1" != psql ]; do shift; done; shift
        set -- "$@" @; while [ "$1" != @ ]; do
            case "$1" in -U|-d) shift 2 ;; *) set -- "$@" "$1"; shift ;; esac
        done; shift
        exec psql {dsn} "$@" ;;
esac
"""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@frozen
class Script:
    """A script, and the part of its output that tells how it went."""

    path: str
    tells: str


SCRIPTS = (
    Script("test_api_functions.sh", r'"result":("[^"]*"|[^,]+)|HTTP/'),
    Script("test_simple_api.sh", r"HTTP Code: (\d+)"),
    Script("test_direct_api.sh", r"^HTTP_CODE:(\d+)$"),
    Script("scripts/simple_e2e_test.sh", r"([✅❌] \S+)"),
    Script("scripts/test_runtimes.sh", r"check: (\w+)|(Json deserialize error|\"result\": \S+|\"error\": .*)"),
    Script("scripts/test_e2e.sh", r"Test (?:passed|failed): .*|Summary: \S+"),
    Script("scripts/script_test.sh", r"[✓✗] .*|(\d+/\d+) テスト成功"),
    Script("test_database_functions.sh", r"Test \d (?:passed|failed)"),
    Script("scripts/test_wasm_execution.sh", r"Test (?:passed|failed)|\"(?:error|request_id)\""),
    Script("scripts/test_error_handling.sh", r"[A-Z]\w+ \w+ test \w+|Summary: (\S+)"),
    Script("scripts/test_grpc_adapter.sh", r".*(?:passed|failed).*"),
    Script("scripts/performance_test_simple.sh", r"(?:成功数|エラー数): \d+"),
    Script("scripts/benchmark_agent.sh", r"Total Requests: \d+|Non-2xx.*: \d+|error.*"),
)


@contextlib.asynccontextmanager
async def _ports(url: str) -> AsyncIterator[None]:
    """Listen where the scripts call."""
    there = urlsplit(url)

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(there.hostname, there.port)
        await asyncio.gather(_pumped(reader, far_writer), _pumped(far_reader, writer))

    async def healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"status":"ok"}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        if there.port != _CONTROLLER_PORT:
            await stack.enter_async_context(await asyncio.start_server(passed_on, "127.0.0.1", _CONTROLLER_PORT))
        for port in _RUNTIME_PORTS:
            await stack.enter_async_context(await asyncio.start_server(healthy, "127.0.0.1", port))
        yield


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.write_eof()


@contextlib.contextmanager
def _stubs(dsn: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for program in ("docker", "docker-compose"):
            path = Path(name) / program
            path.write_text(_STUB.format(dsn=shlex.quote(dsn)))
            path.chmod(0o755)
        yield Path(name)


async def _run(argv: tuple[str, ...], folder: Path, stubs: Path) -> tuple[str, str]:
    """Return how it ended, and its standard output: curl writes its progress to the other one."""
    environ = {
        **os.environ,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "DURATION": "2",
        "CONNECTIONS": "16",
        "THREADS": "2",
    }
    program = await asyncio.create_subprocess_exec(*argv, cwd=folder, env=environ, stdout=PIPE, stderr=DEVNULL)
    try:
        async with asyncio.timeout(_LIMIT_S):
            written, _ = await program.communicate()
    except TimeoutError:
        program.kill()
        return f"no end within {_LIMIT_S:.0f} s", ""
    return f"exit {program.returncode}", _COLOUR.sub("", written.decode(errors="replace"))


def _told(tells: str, written: str) -> str:
    found = re.finditer(tells, written, re.MULTILINE)
    return ", ".join(next((part for part in match.groups() if part), match.group()).strip() for match in found)


def _blocks(readme: Path) -> Iterator[tuple[str, str, str]]:
    """Yield what of the README calls the controller, as (name, language, text)."""
    text = readme.read_text()
    for found in _BLOCK.finditer(text):
        language, block = found.groups()
        if "localhost:8080" in block:
            yield f"README line {text[: found.start()].count(chr(10)) + 1}", language, block


def _programs(folder: Path, scratch: Path) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Yield what is run, as (name, command, what tells how it went)."""
    for name, language, block in _blocks(folder / "README.md"):
        path = scratch / f"block.{_SUFFIX[language]}"
        path.write_text(block)
        yield name, (*_PROGRAM[language], str(path)), r".+"
    for script in SCRIPTS:
        yield script.path, ("bash", script.path), script.tells


async def _main(options: argparse.Namespace) -> None:
    with _stubs(options.database_url) as stubs, tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        async with _ports(options.url):
            for name, argv, tells in _programs(options.folder, Path(scratch)):
                ended, written = await _run(argv, options.folder, stubs)
                options.log.write(f"== {name}: {ended}\n{written}\n")
                options.log.flush()
                sys.stdout.write(f"| {name} | {ended}: {_told(tells, written)} |\n")


def main() -> None:
    """Run each script and print a row of a table for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.origin.originals", description=__doc__)
    parser.add_argument("folder", type=Path, help="a checkout of the origin's repository with its scripts")
    parser.add_argument("url", help="of the controller")
    parser.add_argument("--database-url", default="", help="what `docker-compose exec postgres psql` asks")
    parser.add_argument(
        "--log", type=argparse.FileType("w"), default=os.devnull, help="everything that the scripts have written"
    )
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
