"""One line of the report."""

from collections.abc import Sequence

from attrs import frozen


@frozen
class Turn:
    """One of the turns in which contenders were measured: responses per second, and microseconds per response.

    `service_us` is processor time of the service's own processes; scripts and PostgreSQL are others.
    """

    rate: float
    service_us: float


@frozen
class Measurement:
    """How one operation of one system went; what was not measured is None.

    `rate` and `service_us` are the medians of the `turns`; contenders with the same `run` took theirs beside each
    other. Latencies are in milliseconds; processor times are microseconds per operation, of the service's own processes,
    of its workers and of PostgreSQL; memory is of the server's processes. `load_share` is the part of its core that the
    load generator took.
    """

    system: str
    operation: str
    connections: int
    sessions: int
    rate: float
    p50_ms: float
    p99_ms: float
    service_us: float | None = None
    workers_us: float | None = None
    database_us: float | None = None
    pss_mib: float | None = None
    rss_mib: float | None = None
    load_share: float | None = None
    errors: int = 0
    turns: Sequence[Turn] = ()
    run: str = ""

    @property
    def case(self) -> tuple[str, str, int, int]:
        """What distinguishes this measurement from the others."""
        return self.system, self.operation, self.connections, self.sessions


def quantile_ms(latencies_s: Sequence[float], share: float) -> float:
    """Return the latency in milliseconds that this share of the calls stayed within; 0 without calls."""
    if not latencies_s:
        return 0.0
    ordered = sorted(latencies_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000
