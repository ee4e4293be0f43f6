"""What the front adds to a call that it passes on, in turns with the origin called directly."""

import sys
from collections.abc import Iterator, Sequence
from itertools import cycle, repeat
from pathlib import Path
from statistics import median

from attrs import frozen

from tests.benchmarks.database import Database
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.machine import Cores
from tests.benchmarks.measurement import quantile_ms
from tests.benchmarks.process_table import processor_s
from tests.benchmarks.requests import request
from tests.benchmarks.servers import Program, pglambda, serving
from tests.support.ports import free_port

ADDED_P50_MS_MAX = 1.0
ADDED_P99_MS_MAX = 5.0

_CONNECTIONS = 16
_WARMUP_S = 1.0
_CALL = request("POST", "/api/v1/execute/7c9e6679-7425-40de-944b-e07fc1f90ae7", {"params": {"a": 5, "b": 3}})


_SEEN_S = 1.5
_IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(1000)]
_BEGIN = """
INSERT INTO meta.takeover (takeover_id, source, options, stage, stage_at)
VALUES (gen_random_uuid(), '{}', '{}', 'look', now())
"""
_COPIES = """
INSERT INTO meta.inbound_sessions (
    request_id, owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, created_at, expires_at,
    expires_max_at, execution_count, version, convention, context, metadata, script, spelled_title, leftovers
)
SELECT
    c.id, 'anonymous', 'nodejs', 'x', 1, 16, 'session', 'fixed', 1, now(), now() + interval '1 hour',
    now() + interval '1 hour', 0, 1, 'origin', '{}', '{}', c.id::text, 'nodejs-x', '{}'
FROM unnest(%(ids)s::uuid[]) AS c (id)
"""


@frozen
class Turn:
    """The quantiles of both ways at one rate, in milliseconds."""

    direct_p50: float
    direct_p99: float
    fronted_p50: float
    fronted_p99: float

    @property
    def row(self) -> str:
        """Return it as a row of the table."""
        cells = (self.direct_p50, self.direct_p99, self.fronted_p50, self.fronted_p99)
        return "| " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


def run(postgres: Database, cores: Cores, folder: Path, turns: int, seconds: float) -> Iterator[str]:
    """Measure at half of saturation, and yield the lines of the report."""
    origin = Program("origin", (sys.executable, "-m", "tests.benchmarks.fixed_origin", "{port}"), {}, "/health")
    with serving(origin, cores.load) as direct:
        settings = {"ORIGIN_URL": direct.url, "ORIGIN_PORT": str(port := free_port()), "LOG_FORMAT": "json"}
        with (
            serving(pglambda(postgres.url, folder / "service", **settings), cores.server) as front,
            LoadGenerator(direct.url, _CONNECTIONS) as to_origin,
            LoadGenerator(f"http://127.0.0.1:{port}", _CONNECTIONS) as to_front,
        ):
            to_front.keep_busy(repeat(_CALL), _WARMUP_S)
            before_s = processor_s(front.pid)
            full = to_front.keep_busy(repeat(_CALL), seconds)
            cpu_us = (processor_s(front.pid) - before_s) / len(full.latencies_s) * 1e6
            yield f"{full.rate:,.0f} calls per second at most, {cpu_us:.0f} us of processor time each"
            yield f"at {full.rate / 2:,.0f} calls per second, {_CONNECTIONS} connections, in ms:"
            yield "| direct p50 | direct p99 | through p50 | through p99 |\n|---|---|---|---|"
            measured = [_turn(to_origin, to_front, full.rate / 2, seconds) for _ in range(turns)]
            yield from (turn.row for turn in measured)
            yield _recorded(postgres, to_front, front.pid, turns, seconds)
    p50_ms = median(turn.fronted_p50 - turn.direct_p50 for turn in measured)
    p99_ms = median(turn.fronted_p99 - turn.direct_p99 for turn in measured)
    met = p50_ms <= ADDED_P50_MS_MAX and p99_ms <= ADDED_P99_MS_MAX
    yield (
        f"added, median of {turns} turns: p50 {p50_ms:.2f} ms (at most {ADDED_P50_MS_MAX:g}), p99 {p99_ms:.2f} ms "
        f"(at most {ADDED_P99_MS_MAX:g}): {'met' if met else 'NOT MET'}"
    )


def _turn(to_origin: LoadGenerator, to_front: LoadGenerator, rate: float, seconds: float) -> Turn:
    quantiles: list[float] = []
    for generator in (to_origin, to_front):
        load = generator.at_rate(repeat(_CALL), rate, seconds)
        if load.errors:
            raise RuntimeError(f"calls failed: {load.errors}")
        quantiles += [quantile_ms(load.latencies_s, each) for each in (0.5, 0.99)]
    return Turn(*quantiles)


def _recorded(postgres: Database, to_front: LoadGenerator, pid: int, turns: int, seconds: float) -> str:
    """Return what a recording adds to calls of many sessions, each of another script, as fast as they go."""
    calls = [request("POST", f"/api/v1/execute/{session_id}", {"params": {"a": 5, "b": 3}}) for session_id in _IDS]
    postgres.execute(_BEGIN)
    postgres.execute(_COPIES, {"ids": _IDS})
    off_us, on_us, stored = [], [], 0
    for _ in range(turns):
        postgres.execute("DELETE FROM meta.recording")
        off_us.append(_processor_us(to_front, pid, calls, seconds))
        postgres.execute("DELETE FROM meta.recorded_calls")
        postgres.execute("INSERT INTO meta.recording (recording_until) VALUES (now() + interval '1 hour')")
        on_us.append(_processor_us(to_front, pid, calls, seconds))
        stored += int(postgres.execute("SELECT count(*) FROM meta.recorded_calls")[0][0])
    return (
        f"processor time per call, median of {turns} turns: {median(off_us):.1f} us, and {median(on_us):.1f} us while "
        f"calls are recorded ({stored:,} in all)"
    )


def _processor_us(to_front: LoadGenerator, pid: int, calls: Sequence[bytes], seconds: float) -> float:
    """Return the processor time of a call, once the front has read whether to record."""
    to_front.keep_busy(cycle(calls), _SEEN_S)
    before_s = processor_s(pid)
    load = to_front.keep_busy(cycle(calls), seconds)
    return (processor_s(pid) - before_s) / len(load.latencies_s) * 1e6
