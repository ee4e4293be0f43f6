"""Sessions in turn, fewer and more than places for warm workers: the rate, the cold part, and the memory."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path

from attrs import frozen

from tests.benchmarks import executions, requests, servers
from tests.benchmarks.database import Database
from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.measurement import quantile_ms
from tests.benchmarks.process_table import kernel_mib_of_workers, memory
from tests.benchmarks.servers import Server, metric
from tests.benchmarks.starts import BURST_SIZE, Unused

RATIOS = (0.5, 1.0, 1.25, 1.5, 2.0, 4.0)
WARM_MIB_MAX = 4096
BURST_P99_MS_MAX = 2000

_LANGUAGES = ("python", "nodejs")
_CONNECTIONS = 16
_ROUNDS = 2
"""Rounds through all sessions before a line is measured."""
_SETTLE_S = 2.0
_EXECUTED, _COLD = "pglambda_executions_total", "pglambda_execution_cold_starts_total"


@frozen
class Line:
    """Sessions in turn: how many, executions a second, percent of them cold, failed ones, times in ms."""

    sessions: int
    rate: float
    cold: float
    failed: int
    p50_ms: float
    p99_ms: float

    def row(self, places: int) -> str:
        """Return it as a row of the table under `heading`."""
        return (
            f"| {self.sessions / places:g} | {self.rate:,.0f} | {self.cold:.0f} | {self.failed} | {self.p50_ms:.1f} "
            f"| {self.p99_ms:.0f} |"
        )


@frozen
class Warm:
    """Sessions that were used in turn, and MiB of the service with its workers: their shares, and kernel memory."""

    line: Line
    pss_mib: float
    kernel_mib: float

    @property
    def summary(self) -> str:
        """Return the figures in a sentence."""
        return (
            f"{self.line.sessions:,} sessions in turn: {self.line.cold:.1f} % cold, {self.line.failed} failed, "
            f"{self.pss_mib:,.0f} MiB of processes and {self.kernel_mib:,.0f} MiB of kernel memory "
            f"(together at most {WARM_MIB_MAX:,})"
        )

    @property
    def is_met(self) -> bool:
        """Whether all stayed warm, within the memory."""
        all_warm = not self.line.cold and not self.line.failed
        return all_warm and self.pss_mib + self.kernel_mib <= WARM_MIB_MAX


def run(postgres: Database, folder: Path, places: int, warm_sessions: int, seconds: float) -> Iterator[str]:
    """Measure, and yield the lines of the report: a table, and two sentences with what they should show."""
    yield f"| sessions / {places} places | executions per second | % cold | failed | p50 ms | p99 ms |"
    yield "|---|---|---|---|---|---|"
    for line in curve(postgres, folder, places, seconds):
        yield line.row(places)
    kept = warm(postgres, folder, warm_sessions, seconds)
    yield f"{kept.summary}: {_met(kept.is_met)}"
    load = burst(postgres, folder)
    p50_ms, p99_ms = quantile_ms(load.latencies_s, 0.5), quantile_ms(load.latencies_s, 0.99)
    yield (
        f"{BURST_SIZE} first executions at once in Node.js: {sum(load.errors.values())} failed, p50 {p50_ms:.0f} ms, "
        f"p99 {p99_ms:.0f} ms (at most {BURST_P99_MS_MAX:,}): {_met(not load.errors and p99_ms <= BURST_P99_MS_MAX)}"
    )


def curve(postgres: Database, folder: Path, places: int, seconds: float) -> Iterator[Line]:
    """Yield a line for each of `RATIOS` of sessions to places, each on a server of its own."""
    for ratio in RATIOS:
        with _serving(postgres, folder, MAX_WARM_WORKERS=str(places)) as server:
            yield _in_turn(server, _calls(server, round(places * ratio)), seconds)


def warm(postgres: Database, folder: Path, sessions: int, seconds: float) -> Warm:
    """Use so many sessions in turn on as many places, and read the memory."""
    with _serving(postgres, folder, MAX_WARM_WORKERS=str(sessions)) as server:
        line = _in_turn(server, _calls(server, sessions), seconds)
        found = memory(server.pid)
        if found.pss_mib is None:
            raise RuntimeError("The memory of the workers cannot be read: run this as root.")
        return Warm(line, found.pss_mib, kernel_mib_of_workers(server.pid))


def burst(postgres: Database, folder: Path) -> Load:
    """Execute 200 new sessions in Node.js at once, after one other, with default settings."""
    with _serving(postgres, folder) as server, LoadGenerator(server.url, BURST_SIZE) as generator:
        first, *calls = Unused(server, "nodejs").take(1 + BURST_SIZE)
        generator.each_once([first])
        time.sleep(_SETTLE_S)
        return generator.each_once(calls)


def _met(met: bool) -> str:
    return "met" if met else "NOT MET"


def _serving(postgres: Database, folder: Path, **settings: str) -> AbstractContextManager[Server]:
    program = servers.pglambda(
        postgres.url, folder / "service", SANDBOX_NODE_START="fork", LOG_LEVEL="error", **settings
    )
    return servers.serving(program, None)


def _calls(server: Server, count: int) -> list[bytes]:
    """Make sessions, half of them in Node.js, and return the requests that execute them."""
    asked = (requests.initialize(_LANGUAGES[number % 2]) for number in range(count))
    return [requests.execute(each) for each in executions.initialized(server, asked)]


def _in_turn(server: Server, calls: list[bytes], seconds: float) -> Line:
    with LoadGenerator(server.url, _CONNECTIONS) as generator:
        for _ in range(_ROUNDS):
            generator.each_once(calls)
        before = metric(server, _EXECUTED), metric(server, _COLD)
        load = generator.keep_busy(cycle(calls), seconds)
    executed, cold = metric(server, _EXECUTED) - before[0], metric(server, _COLD) - before[1]
    failed = sum(load.errors.values())
    p50_ms, p99_ms = quantile_ms(load.latencies_s, 0.5), quantile_ms(load.latencies_s, 0.99)
    return Line(len(calls), load.rate, 100 * cold / max(1, executed), failed, p50_ms, p99_ms)
