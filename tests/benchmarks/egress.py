"""What the egress process adds to a connection of a script, in turns with a direct one: time, rate and throughput."""

import asyncio
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from uuid import uuid4

from attrs import define, field, frozen

from adapters.egress.client import EgressClient, EgressLease
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.egress.leases import EXECUTION_CONNECTIONS_MAX
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.runtimes.launchers import find_programs
from domain.egress.rule import EgressRule
from domain.identity import ANONYMOUS
from tests.benchmarks.process_table import processor_s

_HOST, _UPSTREAM, _LISTENER = "bench.test", "127.0.0.1", "127.1.0.1"
_PIECE = bytes(64 * 1024)
_BULK = 64 * 1024 * 1024
_ASK_BULK = b"b"


@frozen
class Turn:
    """One way: connections one after the other in milliseconds, connections in a second, MiB in a second."""

    p50_ms: float
    rate: float
    mib_s: float
    cpu_us: float
    """Processor time of the egress process for a connection; 0 for the direct way."""


@define(eq=False)
class Upstream:
    """Echoes a byte, or sends much, in threads."""

    listener: socket.socket = field(factory=lambda: socket.create_server((_UPSTREAM, 0), backlog=256))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=[connection], daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        if connection.recv(1) == _ASK_BULK:
            for _ in range(_BULK // len(_PIECE)):
                connection.sendall(_PIECE)
        else:
            connection.sendall(b"x")


def _ask(address: str, port: int) -> float:
    """Return the seconds of a connection with one byte each way."""
    started = time.perf_counter()
    with socket.create_connection((address, port)) as connection:
        connection.sendall(b"x")
        connection.recv(1)
    return time.perf_counter() - started


def _bulk(address: str, port: int) -> float:
    """Return the MiB in a second of one connection that receives much."""
    started, left = time.perf_counter(), _BULK
    with socket.create_connection((address, port)) as connection:
        connection.sendall(_ASK_BULK)
        while left:
            left -= len(connection.recv(1 << 18))
    return _BULK / (1 << 20) / (time.perf_counter() - started)


def _way(address: str, port: int, process: int | None) -> Turn:
    before_s = 0.0 if process is None else processor_s(process)
    started = time.perf_counter()
    times = [_ask(address, port) for _ in range(EXECUTION_CONNECTIONS_MAX - 1)]
    elapsed = time.perf_counter() - started
    cpu_s = 0.0 if process is None else processor_s(process) - before_s
    return Turn(median(times) * 1000, len(times) / elapsed, _bulk(address, port), cpu_s / len(times) * 1e6)


@contextmanager
def _names() -> Iterator[Sequence[tuple[Path, str]]]:
    with tempfile.TemporaryDirectory(prefix="pglambda-bench-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        (path / "hosts").write_text(f"{_UPSTREAM} {_HOST}\n")
        (path / "nsswitch.conf").write_text("hosts: files\n")
        yield [(path / name, f"/etc/{name}") for name in ("hosts", "nsswitch.conf")]


async def _measured(rounds: int) -> Sequence[tuple[Turn, Turn]]:
    upstream = Upstream()
    threading.Thread(target=upstream.serve, daemon=True).start()
    started: list[subprocess.Popen[bytes]] = []
    with _names() as names, upstream.listener:
        bwrap, uid = find_programs(None).bwrap, 64138 if os.geteuid() == 0 else None
        sandbox = EgressSandbox(lambda: bwrap, uid, names=names)

        def launch(control: int) -> "subprocess.Popen[bytes]":
            started.append(sandbox(control))
            return started[-1]

        limits = Configure(16, 4 * _BULK, 2.0, ["127.0.0.0/8"], [], [], [], egress_filter())
        client = EgressClient(limits, launch)
        listener = socket.create_server((_LISTENER, upstream.port), backlog=16)
        lease = await client.admit([listener.detach()], {_LISTENER: _HOST}, 16, ANONYMOUS)
        assert isinstance(lease, EgressLease)
        rule = EgressRule(_HOST, upstream.port, is_raw=True)
        turns = []
        for _ in range(rounds):
            direct = await asyncio.to_thread(_way, _UPSTREAM, upstream.port, None)
            await lease.begin(uuid4(), [rule])
            through = await asyncio.to_thread(_way, _LISTENER, upstream.port, _innermost(started[-1].pid))
            await lease.end()
            turns.append((direct, through))
        lease.close()
        await client.close()
    return turns


def _innermost(pid: int) -> int:
    """Return the process that bubblewrap runs."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
    return pid


def measure(rounds: int = 5) -> Mapping[str, float]:
    """Return the medians over the rounds: milliseconds that are added, and ratios to the direct way."""
    turns = asyncio.run(_measured(rounds))
    return {
        "added_p50_ms": median(through.p50_ms - direct.p50_ms for direct, through in turns),
        "connections_ratio": median(through.rate / direct.rate for direct, through in turns),
        "throughput_ratio": median(through.mib_s / direct.mib_s for direct, through in turns),
        "cpu_us_of_a_connection": median(through.cpu_us for _, through in turns),
    }
