"""Measuring operations of HTTP servers, in turns where they are compared."""

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from attrs import define, field, frozen

from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.measurement import Measurement, Turn, quantile_ms
from tests.benchmarks.process_table import memory, processor_s, processor_s_by_kind
from tests.benchmarks.servers import Server

_RUNS = itertools.count(1)

_TURNS = 6


@frozen
class Times:
    """Seconds of each run: at full load before anything counts, and measured."""

    warmup_s: float
    measured_s: float


@frozen
class Case:
    """What is measured: names for the report, the load, and how many sessions there are."""

    system: str
    operation: str
    connections: int
    sessions: int


@frozen
class Contender:
    """What is measured at a server, and the requests that it is kept busy with."""

    case: Case
    server: Server
    requests: Iterator[bytes]


def run(contender: Contender, database_pid: int, times: Times) -> Measurement:
    """Keep the server busy, and measure it."""
    (measurement,) = in_turns([contender], database_pid, times, turns=1)
    return measurement


def in_turns(
    contenders: Sequence[Contender], database_pid: int, times: Times, *, turns: int = _TURNS
) -> list[Measurement]:
    """Measure them in turns, forth and back, so that a machine that is slower for a while is so for all of them."""
    run = str(next(_RUNS))
    with ExitStack() as stack:
        lines = [_Line.of(each, stack, database_pid) for each in contenders]
        for line in lines:
            line.warm_up(times.warmup_s)
        for turn in range(turns):
            for line in lines if turn % 2 == 0 else reversed(lines):
                line.measure(times.measured_s / turns)
        return [line.measurement(run) for line in lines]


@frozen
class _Line:
    """A contender, with its connections and what came of its turns."""

    contender: Contender
    generator: LoadGenerator
    meter: "Meter"
    loads: list[Load] = field(factory=list)

    @classmethod
    def of(cls, contender: Contender, stack: ExitStack, database_pid: int) -> "_Line":
        generator = stack.enter_context(LoadGenerator(contender.server.url, contender.case.connections))
        return cls(contender, generator, Meter(contender.server, database_pid))

    def warm_up(self, duration_s: float) -> None:
        self.generator.keep_busy(self.contender.requests, duration_s)

    def measure(self, duration_s: float) -> None:
        with self.meter.running():
            self.loads.append(self.generator.keep_busy(self.contender.requests, duration_s))
        self.meter.end_turn(self.loads[-1])

    def measurement(self, run: str) -> Measurement:
        return self.meter.measurement(self.contender.case, Load.joined(self.loads), run)


@define(eq=False)
class Meter:
    """Reads what the server and PostgreSQL use while a load is on."""

    _server: Server
    _database_pid: int
    _used_s: dict[str, float] = field(factory=dict, init=False)
    _latest_s: dict[str, float] = field(factory=dict, init=False)
    _turns: list[Turn] = field(factory=list, init=False)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is used meanwhile."""
        before = self._read()
        yield
        after = self._read()
        self._latest_s = {kind: after[kind] - before[kind] for kind in after}
        self._used_s = {kind: self._used_s.get(kind, 0.0) + used for kind, used in self._latest_s.items()}

    def end_turn(self, load: Load) -> None:
        """Note a turn, which was the last time of running."""
        done = max(1, len(load.latencies_s))
        self._turns.append(Turn(load.rate, self._latest_s["service"] / done * 1e6))

    def measurement(self, case: Case, load: Load, run: str = "") -> Measurement:
        """Return the line of the report for what was sent while it was running."""
        used = memory(self._server.pid)
        done = max(1, len(load.latencies_s))
        us = {kind: seconds / done * 1e6 for kind, seconds in self._used_s.items()}
        turns = self._turns or [Turn(load.rate, us["service"])]
        return Measurement(
            system=case.system,
            operation=case.operation,
            connections=case.connections,
            sessions=case.sessions,
            rate=statistics.median(turn.rate for turn in turns),
            p50_ms=quantile_ms(load.latencies_s, 0.5),
            p99_ms=quantile_ms(load.latencies_s, 0.99),
            service_us=statistics.median(turn.service_us for turn in turns),
            workers_us=us["workers"],
            database_us=us["PostgreSQL"],
            pss_mib=used.pss_mib,
            rss_mib=used.rss_mib,
            load_share=load.share,
            errors=sum(load.errors.values()),
            turns=turns,
            run=run,
        )

    def _read(self) -> Mapping[str, float]:
        """Return the processor seconds so far; PostgreSQL is a child of the service or a server of its own."""
        used = processor_s_by_kind(self._server.pid)
        return {**used, "PostgreSQL": used["PostgreSQL"] + processor_s(self._database_pid)}
