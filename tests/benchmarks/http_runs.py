"""Measuring one operation of one HTTP server."""

from collections.abc import Iterator

from attrs import frozen

from tests.benchmarks.load import Load, LoadGenerator
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.process_table import memory, processor_s
from tests.benchmarks.servers import Server


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


def run(server: Server, database_pid: int, case: Case, requests: Iterator[bytes], times: Times) -> Measurement:
    """Keep so many connections busy with these requests."""
    with LoadGenerator(server.url, case.connections) as generator:
        generator.keep_busy(requests, times.warmup_s)
        meter = Meter(server, database_pid)
        load = generator.keep_busy(requests, times.measured_s)
        return meter.measurement(case, load)


class Meter:
    """Reads what the server and PostgreSQL use while a load is on."""

    def __init__(self, server: Server, database_pid: int) -> None:
        self._server = server
        self._database_pid = database_pid
        self._server_s = processor_s(server.pid)
        self._database_s = processor_s(database_pid)

    def measurement(self, case: Case, load: Load) -> Measurement:
        """Return the line of the report for what was sent since this meter was made."""
        server_s = processor_s(self._server.pid) - self._server_s
        database_s = processor_s(self._database_pid) - self._database_s
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
