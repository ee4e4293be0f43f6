"""The queue of executions: accepts beside initializes, drains beside other queues, starts, and claims of many entries."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from tests.benchmarks import http_runs, queue_rows, requests, servers
from tests.benchmarks.database import Database, another
from tests.benchmarks.http_runs import Case, Contender, Times
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.measurement import Measurement, Turn, quantile_ms
from tests.benchmarks.names import (
    ACCEPT,
    CLAIM,
    CLAIM_DEAD,
    DRAIN,
    INITIALIZE_BESIDE,
    PGLAMBDA,
    PGQUEUER,
    PGQUEUER_TUNED,
    PROCRASTINATE,
    START,
    START_AFTER_IDLING,
    START_ELSEWHERE,
)
from tests.benchmarks.process_table import processor_s
from tests.benchmarks.queue_peers import PeerTask
from tests.benchmarks.queue_process import ClaimsTask, DrainTask, StartsTask
from tests.benchmarks.servers import Server
from tests.benchmarks.sessions import SessionSet
from tests.benchmarks.stages import Stage, Step, no_server

PLACES = 1024
"""Executions that pglambda runs at once in a drain: MAX_ASYNC_EXECUTIONS, with twice as many MAX_EXECUTIONS."""

_PEERS = {PGQUEUER: (5, 10), PGQUEUER_TUNED: (5, 100), PROCRASTINATE: (20, 0)}
"""Loops and batch. Five workers with batches of 10 are pgqueuer's own benchmark; larger ones are its advice for short jobs."""

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 600.0
_ACTIVE_PAUSES_S = (0.0, 0.1)
_HERE_PAUSES_S = (0.0, 0.03)
_IDLE_PAUSES_S = (6.0, 7.0)
"""A second of being busy and the growth of the pause to a second take 5 s."""

_RUNS = count(1)


@frozen
class QueueScope:
    """How much is measured: jobs of a drain, turns, starts, entries of two queues, claims of a turn, dead rows.

    `claims` is a multiple of the number of owners, so that each has the same part in them.
    """

    jobs: int = 5000
    turns: int = 5
    starts: int = 100
    idle_starts: int = 3
    few: int = 10_000
    many: int = 1_000_000
    claims: int = 100
    dead: int = 20_000


WHOLE = QueueScope(jobs=10_000, starts=300, idle_starts=10, many=10_000_000, claims=300, dead=100_000)


@define(eq=False)
class Queues:
    """Makes the stages of the queue."""

    database: Database
    cores: Cores
    folder: Path
    times: Times
    scope: QueueScope
    notes: list[str] = field(factory=list)

    def stages(self) -> Iterator[Stage]:
        """Yield the stages in order."""
        yield Stage(self._accepting, [Step("accepts in turns with initializes", self._accepts)])
        names = ", ".join((PGLAMBDA, *_PEERS))
        yield Stage(no_server, [Step(f"drains in turns: {names}, {self.scope.jobs:,} jobs", self._drains)])
        yield Stage(no_server, list(self._starts()))
        yield Stage(no_server, [Step(f"claims of {self.scope.few:,} and {self.scope.many:,} entries", self._claims)])

    def _accepting(self) -> AbstractContextManager[Server]:
        """Serve, and leave what is accepted to other controllers."""
        program = servers.pglambda(self.database.url, self.folder / "service", MAX_ASYNC_EXECUTIONS="0")
        return servers.serving(program, self.cores.server)

    def _accepts(self, server: Server) -> Sequence[Measurement]:
        sessions = self._filled()
        loads = {ACCEPT: requests.accepts(sessions), INITIALIZE_BESIDE: requests.initializes()}
        rivals = [Contender(Case(PGLAMBDA, name, 64, sessions.count), server, load) for name, load in loads.items()]
        # Each session is read for its first accept.
        return http_runs.in_turns(rivals, self.database.pid, evolve(self.times, warmup_s=4 * self.times.warmup_s))

    def _drains(self, _: Server) -> Sequence[Measurement]:
        sessions, scope = self._filled(), self.scope
        url, jobs = self.database.url, scope.jobs
        tasks: dict[str, tuple[str, str, Any]] = {
            PGLAMBDA: ("queue_process", "drain", DrainTask(url, str(sessions.first), sessions.count, jobs, PLACES))
        }
        for name, (loops, batch) in _PEERS.items():
            tasks[name] = "queue_peers", name, PeerTask(url, jobs, loops, batch)
        lines = {name: _DrainLine(name, jobs) for name in tasks}
        for turn in range(scope.turns):
            for name in list(tasks) if turn % 2 == 0 else reversed(list(tasks)):
                self._drain(lines, name, *tasks[name])
        run = f"drains {next(_RUNS)}"
        return [line.measurement(run) for line in lines.values()]

    def _drain(self, lines: dict[str, "_DrainLine"], name: str, module: str, work: str, task: Any) -> None:
        if name not in lines:
            return
        before_s = processor_s(self.database.pid)
        try:
            found = self._measured(module, work, task)
        except RuntimeError as failure:
            self.notes.append(str(failure))
            del lines[name]
            return
        lines[name].add(found["took_s"], found["own_s"], processor_s(self.database.pid) - before_s)

    def _starts(self) -> Iterator[Step]:
        scope = self.scope
        for name, starts, pauses_s, remote in (
            (START, scope.starts, _HERE_PAUSES_S, False),
            (START_ELSEWHERE, scope.starts, _ACTIVE_PAUSES_S, True),
            (START_AFTER_IDLING, scope.idle_starts, _IDLE_PAUSES_S, True),
        ):
            yield Step(f"{starts} x {name}", partial(self._started, name, starts, pauses_s, remote))

    def _started(
        self, name: str, starts: int, pauses_s: Sequence[float], remote: bool, _: Server
    ) -> Sequence[Measurement]:
        sessions = self._filled()
        task = StartsTask(self.database.url, str(sessions.first), sessions.count, starts, pauses_s, remote)
        return [_latencies(name, self._measured("queue_process", "starts", task), sessions.count)]

    def _claims(self, _: Server) -> Sequence[Measurement]:
        """Claim from a small and a large queue in turns, then from the large one behind rows that died."""
        scope = self.scope
        with another(self.folder / "few", self.cores.load) as other:
            sizes = {other: scope.few, self.database: scope.many}
            for place, entries in sizes.items():
                queue_rows.fill(place, entries)
            found = {entries: _ClaimLine(CLAIM, entries) for entries in sizes.values()}
            for turn in range(scope.turns):
                for place, entries in list(sizes.items()) if turn % 2 == 0 else reversed(list(sizes.items())):
                    self._claim(place, found[entries])
            queue_rows.kill(self.database, scope.dead)
            behind = _ClaimLine(CLAIM_DEAD, scope.many)
            self._claim(self.database, behind)
        return [line.measurement() for line in (*found.values(), behind)]

    def _claim(self, place: Database, line: "_ClaimLine") -> None:
        before_s = processor_s(place.pid)
        line.took_s += self._measured("queue_process", "claims", ClaimsTask(place.url, self.scope.claims))
        line.database_s += processor_s(place.pid) - before_s

    def _filled(self) -> SessionSet:
        """Put ten thousand sessions in place of all others, and empty the queue."""
        sessions = SessionSet(queue_rows.SESSIONS)
        self.database.execute(queue_rows.EMPTY)
        for _rows in self.database.add(sessions):
            pass
        return sessions

    def _measured(self, module: str, work: str, task: Any) -> Any:
        """Run a program of this package on the server's core, and return what it has found."""
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", work, json.dumps(asdict(task))]
        with pinned(self.cores.server):
            ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if ended.returncode:
            raise RuntimeError(f"{work} is left out: {ended.stderr.strip().splitlines()[-1]}")
        return json.loads(ended.stdout.splitlines()[-1])


@define(eq=False)
class _DrainLine:
    """What came of the turns of one system; PostgreSQL's time contains the inserts."""

    system: str
    jobs: int
    turns: list[Turn] = field(factory=list)
    database_us: list[float] = field(factory=list)

    def add(self, took_s: float, own_s: float, database_s: float) -> None:
        self.turns.append(Turn(self.jobs / took_s, own_s / self.jobs * 1e6))
        self.database_us.append(database_s / self.jobs * 1e6)

    def measurement(self, run: str) -> Measurement:
        return Measurement(
            system=self.system,
            operation=DRAIN,
            connections=0,
            sessions=0,
            rate=statistics.median(turn.rate for turn in self.turns),
            p50_ms=0.0,
            p99_ms=0.0,
            service_us=statistics.median(turn.service_us for turn in self.turns),
            database_us=statistics.median(self.database_us),
            turns=self.turns,
            run=run,
        )


@define(eq=False)
class _ClaimLine:
    """Claims of one entry each of a queue of so many entries, and PostgreSQL's time with that of connecting."""

    operation: str
    entries: int
    took_s: list[float] = field(factory=list)
    database_s: float = 0.0

    def measurement(self) -> Measurement:
        measured = _latencies(self.operation, self.took_s, self.entries)
        return evolve(measured, database_us=self.database_s / len(self.took_s) * 1e6)


def _latencies(operation: str, took_s: Sequence[float], sessions: int) -> Measurement:
    return Measurement(
        system=PGLAMBDA,
        operation=operation,
        connections=1,
        sessions=sessions,
        rate=len(took_s) / sum(took_s),
        p50_ms=quantile_ms(took_s, 0.5),
        p99_ms=quantile_ms(took_s, 0.99),
    )
