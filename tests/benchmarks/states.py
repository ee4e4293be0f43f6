"""Counters in the states of sessions, in turns with the same executions without a state."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attrs import asdict

from tests.benchmarks.database import Database
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.report import measurement_table
from tests.benchmarks.states_process import Task

RATE_MIN = 2000
_CALLERS = 64
_SESSIONS = 100
_TURNS = 6
_TIMEOUT_S = 600.0
_ROOT = Path(__file__).parents[2]


def run(database: Database, cores: Cores, seconds: float) -> Iterator[str]:
    """Measure in a process on the server's core, and yield the lines of the report."""
    task = Task(database.url, database.pid, _CALLERS, _SESSIONS, seconds / _TURNS, _TURNS)
    with pinned(cores.server):
        ended = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.states_process", json.dumps(asdict(task))],
            cwd=_ROOT,
            check=True,
            stdout=subprocess.PIPE,
            timeout=_TIMEOUT_S,
        )
    found = json.loads(ended.stdout)
    plain, counting = Measurement(**found["plain"]), Measurement(**found["counting"])
    yield measurement_table([plain, counting])
    yield ""
    yield f"{found['wrong']} of {_SESSIONS} counters differ from the executions of their session"
    yield f"{found['conflicts']} calls waited in vain"
    # Cores of their own; beside other work the measured rate says less than the processor time.
    rate = 1e6 / max(counting.service_us or 0.0, counting.database_us or 0.0)
    yield (
        f"{rate:,.0f} counts per second with a core each for the controller and PostgreSQL (at least {RATE_MIN:,}): "
        f"{'met' if rate >= RATE_MIN else 'NOT MET'}"
    )
