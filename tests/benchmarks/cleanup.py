"""A million expired sessions are removed from among a million live ones while others are read."""

import random
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

from attrs import frozen

from tests.benchmarks import requests, servers
from tests.benchmarks.database import Database
from tests.benchmarks.http_runs import Case, Meter
from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.machine import Cores
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.names import PGLAMBDA
from tests.benchmarks.sessions import SessionSet

ROWS_WANTED = 20_000
P99_RATIO_MAX = 2.0
_CONNECTIONS = 64
_WARMUP_S = 2.0
_QUIET_RETENTION = "86400"
_SWEEPING_RETENTION = "3600"
"""Less than the two hours for which every other session has been over."""
_SAMPLE = 100_000
_OVER = "SELECT count(*) FROM meta.sessions WHERE expires_at < now()"


@frozen
class Sweep:
    """Reads with nothing beside them and during the sweep, and rows removed per second with and without reads."""

    quiet: Measurement
    during: Measurement
    rows_per_s: float
    rows_alone_per_s: float

    @property
    def p99_ratio(self) -> float:
        """How much longer the slowest reads take during the sweep."""
        return self.during.p99_ms / self.quiet.p99_ms


@frozen
class Work:
    """What the reads are: `rate` a second, or as many as there can be when it is None, for `duration_s`."""

    sessions: SessionSet
    rate: float | None
    duration_s: float


def run(database: Database, cores: Cores, folder: Path, work: Work, tell: Callable[[str], None]) -> Sweep:
    """Fill, read in quiet, and read while a sweep is on."""
    tell(f"filling in {work.sessions.count:,} sessions")
    for rows in database.fill(work.sessions, expired=True):
        tell(f"filled in {rows:,} sessions")
    tell("reading in quiet")
    quiet_program = servers.pglambda(database.url, folder / "service", SESSION_RETENTION_SECONDS=_QUIET_RETENTION)
    with servers.serving(quiet_program, cores.server) as server:
        quiet = _read(server, database, work, "get, quiet")
    tell("reading during the sweep")
    program = servers.pglambda(database.url, folder / "service", SESSION_RETENTION_SECONDS=_SWEEPING_RETENTION)
    with servers.serving(program, cores.server) as server:
        meter = _RowMeter(database)
        during = _read(server, database, work, "get, during the sweep")
        rows_per_s = meter.rate()
        tell("sweeping alone")
        meter = _RowMeter(database)
        time.sleep(min(5.0, work.duration_s))
        return Sweep(quiet, during, rows_per_s, meter.rate())


class _RowMeter:
    """Counts what is removed from its making on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left, self._at_s = self._look()

    def rate(self) -> float:
        """Return rows per second, until now or until nothing was left."""
        left, at_s = self._look()
        return (self._left - left) / (at_s - self._at_s)

    def _look(self) -> tuple[int, float]:
        started_s = time.monotonic()
        ((left,),) = self._database.execute(_OVER)
        return left, (started_s + time.monotonic()) / 2


def _read(server: servers.Server, database: Database, work: Work, operation: str) -> Measurement:
    case = Case(PGLAMBDA, operation, _CONNECTIONS, work.sessions.count)
    reads = _reads(work.sessions)
    with LoadGenerator(server.url, _CONNECTIONS) as generator:
        _load(generator, reads, work.rate, _WARMUP_S)
        meter = Meter(server, database.pid)
        with meter.running():
            load = _load(generator, reads, work.rate, work.duration_s)
        return meter.measurement(case, load)


def _load(generator: LoadGenerator, reads: Iterator[bytes], rate: float | None, duration_s: float) -> Load:
    if rate is None:
        return generator.keep_busy(reads, duration_s)
    return generator.at_rate(reads, rate, duration_s)


def _reads(sessions: SessionSet) -> Iterator[bytes]:
    """Read live sessions, which have the odd numbers, in random order."""
    live = random.Random(7).sample(range(1, sessions.count, 2), min(_SAMPLE, sessions.count // 2))
    return cycle([requests.request("GET", f"/api/v1/sessions/{sessions.key(number).session_id}") for number in live])
