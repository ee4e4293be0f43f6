"""Measuring operations of HTTP servers, in turns where they are compared."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from attrs import field, frozen

from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.process_table import memory, processor_s
from tests.benchmarks.servers import Server

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
    with ExitStack() as stack:
        lines = [_Line.of(each, stack, database_pid) for each in contenders]
        for line in lines:
            line.warm_up(times.warmup_s)
        for turn in range(turns):
            for line in lines if turn % 2 == 0 else reversed(lines):
                line.measure(times.measured_s / turns)
        return [line.measurement() for line in lines]


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

    def measurement(self) -> Measurement:
        return self.meter.measurement(self.contender.case, Load.joined(self.loads))


class Meter:
    """Reads what the server and PostgreSQL use while a load is on."""

    def __init__(self, server: Server, database_pid: int) -> None:
        self._server = server
        self._database_pid = database_pid
        self._used_s = (0.0, 0.0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is used meanwhile."""
        before = self._read()
        yield
        after = self._read()
        self._used_s = (self._used_s[0] + after[0] - before[0], self._used_s[1] + after[1] - before[1])

    def measurement(self, case: Case, load: Load) -> Measurement:
        """Return the line of the report for what was sent while it was running."""
        server_s, database_s = self._used_s
        used = memory(self._server.pid)
        done = max(1, len(load.latencies_s))
        return Measurement(
            system=case.system,
            operation=case.operation,
            connections=case.connections,
            sessions=case.sessions,
            rate=load.rate,
            p50_ms=quantile_ms(load.latencies_s, 0.5),
            p99_ms=quantile_ms(load.latencies_s, 0.99),
            server_us=server_s / done * 1e6,
            database_us=database_s / done * 1e6,
            pss_mib=used.pss_mib,
            rss_mib=used.rss_mib,
            load_share=load.share,
            errors=sum(load.errors.values()),
        )

    def _read(self) -> tuple[float, float]:
        return processor_s(self._server.pid), processor_s(self._database_pid)
