"""500 open streams of live events, of 8 owners on one controller: memory, and what other calls notice."""

import asyncio
import json
import multiprocessing
import os
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, repeat
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

import click
from attrs import frozen

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from domain.access.principal import Scope
from domain.identity import Owner
from tests.benchmarks import requests, servers
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.measurement import quantile_ms
from tests.benchmarks.process_table import memory, processor_s
from tests.benchmarks.servers import Program, Server
from tests.support.folders import shared_folder

STREAMS = 500
OWNERS = 8
_EXECUTIONS_PER_OWNER = 2
_CONNECTIONS = 16
_SECRET = "of-a-benchmark-only-0123456789abcdef"
_SCRIPT = (
    "import time\nfor number in range(280):\n    print(f'line {number} ' + 'x' * 90, flush=True)\n    time.sleep(0.2)"
)
_SETTLE_S = 3.0


@frozen
class Phase:
    """What other calls got: responses a second, p50 and p99 in ms; PSS in MiB; processor seconds in a second."""

    name: str
    rate: float
    p50_ms: float
    p99_ms: float
    pss_mib: float
    processor: float

    def __str__(self) -> str:
        return (
            f"| {self.name} | {self.rate:,.0f} | {self.p50_ms:.2f} | {self.p99_ms:.2f} | {self.pss_mib:.1f} "
            f"| {self.processor:.2f} |"
        )


def main(seconds: float = 5.0) -> None:
    """Measure without streams, with 500, and without again; print a table."""
    with shared_folder() as folder:
        settings = {"DATA_DIR": str(folder / "data"), "PORT": "{port}", "JWT_SECRET": _SECRET, "MAX_EXECUTIONS": "64"}
        limits = {"LOG_LEVEL": "error"}
        program = Program("pglambda", (sys.executable, "-m", "entrypoints", "serve"), settings | limits, "/livez")
        with servers.serving(program, None) as server:
            click.echo("| phase | gets/s | p50 ms | p99 ms | PSS MiB | cores |\n|---|---|---|---|---|---|")
            _measure(server, seconds)


def _measure(server: Server, seconds: float) -> None:
    tokens = {f"owner-{number}": _token(f"owner-{number}") for number in range(OWNERS)}
    sessions = {owner: _initialized(server, token) for owner, token in tokens.items()}
    get = requests.request(
        "GET", f"/api/v1/sessions/{sessions['owner-0']}", Authorization=f"Bearer {tokens['owner-0']}"
    )
    click.echo(_phase("without streams", server, get, seconds))
    targets = _started(server, tokens, sessions)
    time.sleep(_SETTLE_S)
    click.echo(_phase("16 executions, no streams", server, get, seconds))
    ours, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_read_all, args=(server.url, targets, theirs))
    reader.start()
    opened, refused = ours.recv()
    time.sleep(_SETTLE_S)
    click.echo(_phase(f"{opened} streams ({refused} refused)", server, get, seconds))
    ours.send("stop")
    size, pieces = ours.recv()
    reader.join()
    click.echo(f"\nThe streams sent {size / 1e6:.1f} MB in {pieces:,} pieces.")


def _phase(name: str, server: Server, get: bytes, seconds: float) -> Phase:
    with LoadGenerator(server.url, _CONNECTIONS) as generator:
        generator.keep_busy(repeat(get), 1.0)
        before_s = processor_s(server.pid)
        load = generator.keep_busy(repeat(get), seconds)
        took = (processor_s(server.pid) - before_s) / load.duration_s
    assert not load.errors, load.errors
    p50_ms, p99_ms = quantile_ms(load.latencies_s, 0.5), quantile_ms(load.latencies_s, 0.99)
    return Phase(name, load.rate, p50_ms, p99_ms, memory(server.pid).pss_mib or 0.0, took)


def _token(owner: str) -> str:
    span = datetime.now(UTC), timedelta(hours=1)
    return issue_token(_SECRET, Owner(owner), [Scope.EXECUTE_ALL], ClaimRules(), span)


def _initialized(server: Server, token: str) -> str:
    body = {"script_content": _SCRIPT, "limits": {"timeout_ms": 60_000}}
    found = _called(server, "/api/v1/initialize", token, body, {"Language-Title": "python-lines"})
    return str(found["request_id"])


def _started(server: Server, tokens: Mapping[str, str], sessions: Mapping[str, str]) -> list[tuple[str, str]]:
    """Start the executions of all owners; return the paths and tokens of 500 streams."""
    paths = [
        (f"/api/v1/executions/{_accepted(server, tokens[owner], session_id)}/events", tokens[owner])
        for _ in range(_EXECUTIONS_PER_OWNER)
        for owner, session_id in sessions.items()
    ]
    return [target for target, _ in zip(cycle(paths), range(STREAMS), strict=False)]


def _accepted(server: Server, token: str, session_id: str) -> str:
    found = _called(server, f"/api/v1/execute/{session_id}", token, {}, {"Prefer": "respond-async"})
    return str(found["execution_id"])


def _called(
    server: Server, path: str, token: str, body: Mapping[str, object], headers: Mapping[str, str]
) -> Mapping[str, object]:
    every = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers}
    call = urllib.request.Request(server.url + path, json.dumps(body).encode(), every)
    with urllib.request.urlopen(call, timeout=10) as response:
        found: Mapping[str, object] = json.load(response)
        return found


def _read_all(url: str, targets: Sequence[tuple[str, str]], parent: Connection) -> None:
    """Be the process of all readers."""
    os.nice(5)
    asyncio.run(_readers(url, targets, parent))


async def _readers(url: str, targets: Sequence[tuple[str, str]], parent: Connection) -> None:
    counts = [0, 0]
    opened = await asyncio.gather(*(_open(url, *target) for target in targets))
    streams = [(reader, writer) for reader, writer, is_open in opened if is_open]
    parent.send((len(streams), len(opened) - len(streams)))
    reading = [asyncio.create_task(_read(reader, counts)) for reader, _ in streams]
    await asyncio.to_thread(parent.recv)
    for task in reading:
        task.cancel()
    parent.send(tuple(counts))


async def _open(url: str, path: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bool]:
    """Return the stream, and whether it is one; the writer keeps the connection open."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(requests.request("GET", path, Accept="application/x-ndjson", Authorization=f"Bearer {token}"))
    head = await reader.readuntil(b"\r\n\r\n")
    return reader, writer, head.startswith(b"HTTP/1.1 200")


async def _read(reader: asyncio.StreamReader, counts: list[int]) -> None:
    while piece := await reader.read(65_536):
        counts[0] += len(piece)
        counts[1] += 1


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
