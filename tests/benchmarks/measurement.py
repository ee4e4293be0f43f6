"""One line of the report."""

from collections.abc import Sequence

from attrs import frozen


@frozen
class Measurement:
    """How one operation of one system went; what was not measured is None.

    Latencies are in milliseconds; processor times are microseconds per operation, of the server and of PostgreSQL;
    memory is of the server's processes. `load_share` is the part of its core that the load generator took.
    """

    system: str
    operation: str
    connections: int
    sessions: int
    rate: float
    p50_ms: float
    p99_ms: float
    server_us: float | None = None
    database_us: float | None = None
    pss_mib: float | None = None
    rss_mib: float | None = None
    load_share: float | None = None
    errors: int = 0

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
