"""500 open streams of live events, of 8 owners on one controller: memory, and what other calls notice.

Bare Starlette sends the same events, which are made beforehand, from the same number of executions.
"""

import json
import multiprocessing
import os
import select
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, repeat
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
_EVENT = b'"event":"stdout"'
_RECEIVE_BYTES = 65_536
_STALL_S = 10.0

Target = tuple[str, str]
"""The path of a stream, and the token of its owner."""


@frozen
class Phase:
    """What other calls got: responses a second, p50 and p99 in ms; PSS in MiB; processor seconds in a second.

    `idle` is processor seconds in a second without other calls.
    """

    name: str
    rate: float
    p50_ms: float
    p99_ms: float
    pss_mib: float
    processor: float
    idle: float

    def __str__(self) -> str:
        return (
            f"| {self.name} | {self.rate:,.0f} | {self.p50_ms:.2f} | {self.p99_ms:.2f} | {self.pss_mib:.1f} "
            f"| {self.processor:.2f} | {self.idle:.3f} |"
        )


def main(seconds: float = 5.0) -> None:
    """Measure the service and bare Starlette, each without streams and with 500; print a table."""
    click.echo(
        "| phase | gets/s | p50 ms | p99 ms | PSS MiB | cores | cores without gets |\n|---|---|---|---|---|---|---|"
    )
    click.echo("\n" + "\n".join((_service(seconds), _bare(seconds))))


def _service(seconds: float) -> str:
    with shared_folder() as folder:
        settings = {"DATA_DIR": str(folder / "data"), "PORT": "{port}", "JWT_SECRET": _SECRET, "MAX_EXECUTIONS": "64"}
        limits = {"LOG_LEVEL": "error"}
        program = Program("pglambda", (sys.executable, "-m", "entrypoints", "serve"), settings | limits, "/livez")
        with servers.serving(program, None) as server:
            tokens = {f"owner-{number}": _token(f"owner-{number}") for number in range(OWNERS)}
            sessions = {owner: _initialized(server, token) for owner, token in tokens.items()}
            token = f"Bearer {tokens['owner-0']}"
            get = requests.request("GET", f"/api/v1/sessions/{sessions['owner-0']}", Authorization=token)
            return _compared("pglambda", server, get, lambda: _started(server, tokens, sessions), seconds)


def _bare(seconds: float) -> str:
    executions = [(f"/api/v1/executions/{number}/events", "") for number in range(OWNERS * _EXECUTIONS_PER_OWNER)]
    with servers.serving(servers.bare(), None) as server:
        get = requests.request("GET", "/api/v1/sessions/00000000-0000-0000-0000-000000000000")
        return _compared("bare Starlette", server, get, lambda: executions, seconds)


def _compared(name: str, server: Server, get: bytes, start: Callable[[], Sequence[Target]], seconds: float) -> str:
    """Measure without streams, with executions, and with 500 streams; return what it comes to."""
    without = _phase(f"{name}, without streams", server, get, seconds)
    targets = list(islice(cycle(start()), STREAMS))
    time.sleep(_SETTLE_S)
    running = _phase(f"{name}, executions", server, get, seconds)
    with _reading(server.url, targets) as read:
        opened, _ = read()
        time.sleep(_SETTLE_S)
        (_, before), started_s = read(), time.perf_counter()
        streaming = _phase(f"{name}, {opened} streams", server, get, seconds)
        (_, after), took_s = read(), time.perf_counter() - started_s
    events = (after - before) / took_s
    cost_us = (streaming.idle - running.idle) / events * 1e6
    return (
        f"{name}: {events:,.0f} events a second, each {cost_us:.1f} us of processor time without gets. Gets: "
        f"{streaming.rate / without.rate:.2f} of those without streams, {streaming.rate / running.rate:.2f} of those "
        f"beside the executions alone; p99 {without.p99_ms:.1f} -> {streaming.p99_ms:.1f} ms; "
        f"{(streaming.pss_mib - running.pss_mib) * 1024 / opened:.0f} KiB a stream."
    )


def _phase(name: str, server: Server, get: bytes, seconds: float) -> Phase:
    with LoadGenerator(server.url, _CONNECTIONS) as generator:
        generator.keep_busy(repeat(get), 1.0)
        before_s = processor_s(server.pid)
        load = generator.keep_busy(repeat(get), seconds)
        took = (processor_s(server.pid) - before_s) / load.duration_s
    assert not load.errors, load.errors
    before_s, started_s = processor_s(server.pid), time.perf_counter()
    time.sleep(seconds)
    idle = (processor_s(server.pid) - before_s) / (time.perf_counter() - started_s)
    p50_ms, p99_ms = quantile_ms(load.latencies_s, 0.5), quantile_ms(load.latencies_s, 0.99)
    phase = Phase(name, load.rate, p50_ms, p99_ms, memory(server.pid).pss_mib or 0.0, took, idle)
    click.echo(phase)
    return phase


def _token(owner: str) -> str:
    span = datetime.now(UTC), timedelta(hours=1)
    return issue_token(_SECRET, Owner(owner), [Scope.EXECUTE_ALL], ClaimRules(), span)


def _initialized(server: Server, token: str) -> str:
    body = {"script_content": _SCRIPT, "limits": {"timeout_ms": 60_000}}
    found = _called(server, "/api/v1/initialize", token, body, {"Language-Title": "python-lines"})
    return str(found["request_id"])


def _started(server: Server, tokens: Mapping[str, str], sessions: Mapping[str, str]) -> list[Target]:
    """Start the executions of all owners, and return their streams."""
    return [
        (f"/api/v1/executions/{_accepted(server, tokens[owner], session_id)}/events", tokens[owner])
        for _ in range(_EXECUTIONS_PER_OWNER)
        for owner, session_id in sessions.items()
    ]


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


@contextmanager
def _reading(url: str, targets: Sequence[Target]) -> Iterator[Callable[[], tuple[int, int]]]:
    """Read streams in a process; provide what returns the number of open ones, and of events so far."""
    ours, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_read_all, args=(url, targets, theirs))
    reader.start()

    def read() -> tuple[int, int]:
        ours.send("read")
        found: tuple[int, int] = ours.recv()
        return found

    yield read
    ours.send("stop")
    reader.join()


def _read_all(url: str, targets: Sequence[Target], parent: Connection) -> None:
    """Be the process of all readers, which take as little of the machine as possible."""
    os.nice(5)
    opened = [_open(url, *target) for target in targets]
    streams = {each.fileno(): each for each in opened if each is not None}
    events, poll = 0, select.epoll()
    for descriptor in (*streams, parent.fileno()):
        poll.register(descriptor, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in streams:
                events += streams[descriptor].recv(_RECEIVE_BYTES).count(_EVENT)
            elif parent.recv() == "read":
                parent.send((len(streams), events))
            else:
                return


def _open(url: str, path: str, token: str) -> socket.socket | None:
    """Return an open stream; None if it is refused."""
    address = urlsplit(url)
    stream = socket.create_connection((address.hostname, address.port), timeout=_STALL_S)
    stream.send(requests.request("GET", path, Accept="application/x-ndjson", Authorization=f"Bearer {token}"))
    return stream if stream.recv(_RECEIVE_BYTES).startswith(b"HTTP/1.1 200") else None


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
