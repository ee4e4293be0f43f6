"""Fleets of 1, 2, 4 and 8 runtime hosts on one machine: latencies, cold executions, and the memory of streams."""

import os
import ssl
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from itertools import cycle
from pathlib import Path

import click
import uvloop
from attrs import define, field, frozen

from adapters.remote_runtime.connection import HostConnection, no_headers
from adapters.remote_runtime.dial import KeptStream
from adapters.remote_runtime.fleet import Condition, HostView, ignore_change
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.verification import Verification
from tests.benchmarks import executions, requests, servers
from tests.benchmarks.database import Database
from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.measurement import quantile_ms
from tests.benchmarks.process_table import memory
from tests.benchmarks.servers import Program, Server, metric
from tests.support.certificates import Authority
from tests.support.waiting import until

SIZES = (1, 2, 4, 8)

_SESSIONS = 64
_CONNECTIONS = 64
_WARM_RATE = 200.0
_FIRST = 40
_FIRST_RATE = 20.0
_STREAMS = 128
_READY_S = 30.0
_EXECUTED, _COLD = "pglambda_executions_total", "pglambda_execution_cold_starts_total"


@frozen
class Line:
    """One round of a fleet: times in ms, and the percent of warm executions that were cold after all."""

    warm_p50_ms: float
    warm_p99_ms: float
    cold: float
    first_p50_ms: float
    first_p99_ms: float


@define(eq=False)
class Fleet:
    """A controller, the number of its hosts, and its rounds."""

    size: int
    server: Server
    lines: list[Line] = field(factory=list)
    _calls: Sequence[bytes] = ()

    def prepare(self) -> None:
        """Execute each of the sessions twice."""
        self._calls = self._new(_SESSIONS)
        with LoadGenerator(self.server.url, _CONNECTIONS) as generator:
            generator.each_once([*self._calls, *self._calls])

    def measure(self, seconds: float) -> None:
        """Execute the sessions at a rate, and then new ones."""
        before = self._counted()
        warm = self._paced(cycle(self._calls), _WARM_RATE, seconds)
        after = self._counted()
        first = self._paced(iter(self._new(_FIRST)), _FIRST_RATE, (_FIRST - 0.5) / _FIRST_RATE)
        executed, cold = (now - then for now, then in zip(after, before, strict=True))
        times = [quantile_ms(load.latencies_s, share) for load in (warm, first) for share in (0.5, 0.99)]
        self.lines.append(Line(times[0], times[1], 100 * cold / executed, times[2], times[3]))

    def row(self) -> str:
        """Return the medians of the rounds as a row of the table under `HEADING`."""
        names = ("warm_p50_ms", "warm_p99_ms", "cold", "first_p50_ms", "first_p99_ms")
        cells = (f"{statistics.median(getattr(line, name) for line in self.lines):.1f}" for name in names)
        return f"| {self.size} | {' | '.join(cells)} |"

    def _paced(self, calls: Iterator[bytes], rate: float, seconds: float) -> Load:
        with LoadGenerator(self.server.url, _CONNECTIONS) as generator:
            load = generator.at_rate(calls, rate, seconds)
        if load.errors:
            raise click.ClickException(f"{self.size} hosts: responds with errors, by status: {load.errors}")
        return load

    def _new(self, count: int) -> list[bytes]:
        asked = [requests.initialize("python")] * count
        return [requests.execute(each) for each in executions.initialized(self.server, asked)]

    def _counted(self) -> tuple[float, float]:
        return metric(self.server, _EXECUTED), metric(self.server, _COLD)


HEADING = (
    f"| hosts | p50 of {_WARM_RATE:.0f} executions/s of {_SESSIONS} sessions, ms | p99 | % cold | p50 of first executions, ms | p99 |",
    "|---|---|---|---|---|---|",
)


def run(database: Database, folder: Path, rounds: int, seconds: float) -> Iterator[str]:
    """Measure fleets in turns, and then streams; yield lines of text. Raises click.ClickException."""
    yield from HEADING
    with ExitStack() as stack:
        hosts = _together(stack, [servers.runtime_host(folder / f"host-{number}") for number in range(max(SIZES))])
        listed = [",".join(host.url for host in hosts[:size]) for size in SIZES]
        controllers = _together(
            stack,
            [
                servers.pglambda(database.url, folder / f"{size}", PYTHON_RUNTIME_URL=urls, NODEJS_RUNTIME_URL=urls)
                for size, urls in zip(SIZES, listed, strict=True)
            ],
        )
        fleets = [Fleet(size, server) for size, server in zip(SIZES, controllers, strict=True)]
        for turn in range(rounds):
            for fleet in fleets[turn % len(fleets) :] + fleets[: turn % len(fleets)]:
                fleet.prepare()
                fleet.measure(seconds)
        yield from (fleet.row() for fleet in fleets)
    yield from _streams(folder)


def _together(stack: ExitStack, programs: Sequence[Program]) -> Sequence[Server]:
    """Start servers at the same time: each waits for interpreters more than it computes."""
    with ThreadPoolExecutor(len(programs)) as pool:
        return list(pool.map(lambda program: stack.enter_context(servers.serving(program, None)), programs))


def _streams(folder: Path) -> Iterator[str]:
    """Yield what an idle stream takes at its two ends."""
    authority = Authority(folder)
    cert, key = authority.vouch("127.0.0.1")
    tls = {"RUNTIME_TLS_CERT_FILE": str(cert), "RUNTIME_TLS_KEY_FILE": str(key)}
    yield f"KiB of an idle stream, {_STREAMS} of them:"
    verified = ssl.create_default_context(cafile=authority.file)
    for name, context, settings in (("plain", None, {}), ("TLS", verified, tls)):
        with servers.serving(servers.runtime_host(folder / name, **settings), None, context) as host:
            own_kib, host_kib = uvloop.run(_stream_kib(host, str(authority.file)))
            yield f"{name}: {own_kib:.0f} at the controller, {host_kib:.0f} at the host"


async def _stream_kib(host: Server, ca_file: str) -> tuple[float, float]:
    options = RuntimeOptions(ca_file=ca_file)
    verification = Verification(ca_file)
    async with AsyncExitStack() as stack:

        async def open_streams(count: int) -> None:
            views = [HostView() for _ in range(count)]
            for view in views:
                connection = HostConnection(host.url, options, no_headers, None, verification)
                kept = KeptStream(connection, view, options, ignore_change)
                kept.open()
                stack.push_async_callback(kept.close)
            await until(lambda: all(view.condition is Condition.READY for view in views), _READY_S)

        await open_streams(1)  # takes what all of them share
        before = _pss_kib(host)
        await open_streams(_STREAMS)
        return tuple((after - known) / _STREAMS for after, known in zip(_pss_kib(host), before, strict=True))  # type: ignore[return-value]  # two of them


def _pss_kib(host: Server) -> Sequence[float]:
    """Return the memory of this process without the host, and that of the host."""
    own, of_host = memory(os.getpid()).pss_mib, memory(host.pid).pss_mib
    if own is None or of_host is None:
        raise click.ClickException("The memory of the workers cannot be read: run this as root.")
    return (own - of_host) * 1024, of_host * 1024
