"""One, two and four controllers on one database, in turns: what a call costs, how full batches are, what is stored."""

import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

import click
from attrs import define, field, frozen

from tests.benchmarks import executions, requests
from tests.benchmarks.database import Database
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.machine import Cores
from tests.benchmarks.process_table import processor_s, processor_s_by_kind
from tests.benchmarks.servers import Server, pglambda, serving
from tests.benchmarks.sessions import SessionSet

NUMBERS = (1, 2, 4)
KINDS = ("controllers", "PostgreSQL", "workers")
_CALLERS = 64
_SESSIONS = 64
_STORED = 100_000
_SETTLE_S = 0.3
_BATCHES = "pglambda_coalescer_batch_calls_"
_TIMEOUT_S = 10.0
_SIZES = """
SELECT pg_total_relation_size('meta.sessions'), (
    SELECT sum(pg_total_relation_size(i.inhrelid)) FROM pg_inherits AS i
    WHERE i.inhparent = 'meta.executions'::regclass
)::bigint
"""


@frozen
class Case:
    """Calls of one kind, so many in a round."""

    name: str
    count: int
    calls: Callable[[Sequence[str]], Iterator[bytes]] = field(repr=False)


CASES = (
    Case("get", 6000, lambda ids: cycle([requests.request("GET", f"/api/v1/sessions/{each}") for each in ids])),
    Case("initialize", 3000, lambda _: cycle([requests.initialize("python")])),
    Case("execute", 1500, lambda ids: cycle([requests.execute(each) for each in ids[: executions.WARM_SESSIONS]])),
)


@frozen
class Round:
    """What one round has cost: processor microseconds and bytes of WAL per call, and calls in a statement."""

    us: Mapping[str, float]
    wal_bytes: float
    batch: float

    @property
    def total_us(self) -> float:
        """All processes together, without those that run scripts."""
        return self.us["controllers"] + self.us["PostgreSQL"]


@define(eq=False)
class Group:
    """The first controllers of all, with so many callers together, and their rounds."""

    servers: Sequence[Server]
    database: Database
    callers: int = _CALLERS
    rounds: dict[str, list[Round]] = field(factory=dict)

    def measure(self, case: Case, ids: Sequence[str]) -> None:
        """Send the calls of a case to all controllers of the group at once."""
        first, *others = [server.url for server in self.servers]
        with LoadGenerator(first, self.callers, others) as generator:
            generator.each_once(list(islice(case.calls(ids), case.count // 4)))
            time.sleep(_SETTLE_S)
            before = self._state()
            load = generator.each_once(list(islice(case.calls(ids), case.count)))
            time.sleep(_SETTLE_S)
            after = self._state()
        if load.errors:
            raise click.ClickException(f"{case.name}: responds with errors, by status: {load.errors}")
        spent = {name: after[name] - before[name] for name in after}
        us = {kind: spent[kind] / case.count * 1e6 for kind in KINDS}
        found = Round(us, spent["wal"] / case.count, spent["calls"] / max(1.0, spent["batches"]))
        self.rounds.setdefault(case.name, []).append(found)

    def _state(self) -> Mapping[str, float]:
        kinds = [processor_s_by_kind(server.pid) for server in self.servers]
        batches = [_batches(server.url) for server in self.servers]
        ((wal,),) = self.database.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return {
            "controllers": sum(each["service"] for each in kinds),
            "workers": sum(each["workers"] for each in kinds),
            "PostgreSQL": processor_s(self.database.pid),
            "wal": float(wal),
            "calls": sum(calls for calls, _ in batches),
            "batches": sum(count for _, count in batches),
        }


def run(database: Database, cores: Cores, folder: Path, rounds: int) -> Iterator[str]:
    """Measure in turns; yield lines of text. Raises click.ClickException."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(pglambda(database.url, folder / f"controller-{number}"), cores.server))
            for number in range(max(NUMBERS))
        ]
        ids = executions.initialized(servers[0], [requests.initialize("python")] * _SESSIONS)
        groups = [Group(servers[:number], database) for number in NUMBERS]
        for turn in range(rounds):
            for case in CASES:
                for group in groups[turn % len(groups) :] + groups[: turn % len(groups)]:
                    group.measure(case, ids)
        yield from _table(groups)
        yield from _sizes(database)


def _table(groups: Sequence[Group]) -> Iterator[str]:
    yield "| call | controllers | controllers, us | PostgreSQL, us | both, beside one controller | calls in a statement | WAL, bytes |"
    yield "|---|---|---|---|---|---|---|"
    for case in CASES:
        for group in groups:
            rounds, base = group.rounds[case.name], groups[0].rounds[case.name]
            ratio = statistics.median(mine.total_us / its.total_us for mine, its in zip(rounds, base, strict=True))
            costs = [statistics.median(each.us[kind] for each in rounds) for kind in KINDS[:2]]
            batch, wal = (statistics.median(getattr(each, name) for each in rounds) for name in ("batch", "wal_bytes"))
            cells = [f"{cost:,.0f}" for cost in costs]
            yield f"| {case.name} | {len(group.servers)} | {' | '.join(cells)} | {ratio:.2f} | {batch:.1f} | {wal:,.0f} |"


def _sizes(database: Database) -> Iterator[str]:
    """Yield what a session and an execution take on disk, with their indexes."""
    ((executed,),) = database.execute("SELECT count(*) FROM meta.executions")
    ((_, history_bytes),) = database.execute(_SIZES)
    yield f"history: {history_bytes / executed:,.0f} bytes an execution, of {executed:,}"
    for _ in database.fill(SessionSet(_STORED)):
        pass
    ((sessions_bytes, _),) = database.execute(_SIZES)
    yield f"sessions: {sessions_bytes / _STORED:,.0f} bytes each, of {_STORED:,} (a script of 38 bytes, a context of 71)"


def _batches(url: str) -> tuple[float, float]:
    """Return the calls in all statements of a controller so far, and the statements."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=_TIMEOUT_S) as response:
        lines = response.read().decode().splitlines()
    return tuple(
        sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{_BATCHES}{part}"))
        for part in ("sum", "count")
    )  # type: ignore[return-value]  # two of them
