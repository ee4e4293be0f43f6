"""Two commits in turns on one machine: processor microseconds per request, by kind of process."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from math import comb
from pathlib import Path

import click
from attrs import define, field, frozen

from tests.benchmarks import executions, requests
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.machine import Cores
from tests.benchmarks.process_table import KINDS, processor_s_by_kind
from tests.benchmarks.servers import Program, Server, serving

SPREAD_MAX = 0.03
"""Rounds are added until the base, compared with itself, is within this of 1."""

_ROOT = Path(__file__).parents[2]
_ROUNDS_MIN = 6
_SETTLE_S = 0.05
_SETTLED_SHARE = 0.1
_SETTLE_MAX_S = 3.0
_CONNECTIONS = 16
_KEPT_SESSIONS = 64
_CONFIDENCE = 0.95
_BUILD_TIMEOUT_S = 600.0

Costs = Mapping[str, float]
"""Processor microseconds per request, by kind of process."""


@frozen
class Case:
    """Requests of one kind: `prepare` makes so many of them for a server, before anything is measured."""

    name: str
    count: int
    prepare: Callable[[Server, int], list[bytes]] = field(repr=False)


@define(eq=False)
class Side:
    """A server of one commit, and what its requests have cost, round by round."""

    name: str
    server: Server
    costs: dict[str, list[Costs]] = field(factory=dict)

    def measure(self, case: Case) -> None:
        """Take one round of a case."""
        calls = case.prepare(self.server, case.count)
        with LoadGenerator(self.server.url, _CONNECTIONS) as generator:
            before = self._settled()
            load = generator.each_once(calls)
            after = self._settled()
        if load.errors:
            raise click.ClickException(f"{case.name} at {self.name}: responds with errors, by status: {load.errors}")
        cost = {kind: (after[kind] - before[kind]) / case.count * 1e6 for kind in KINDS}
        self.costs.setdefault(case.name, []).append(cost)

    def totals(self, case: Case) -> list[float]:
        """Return the costs of all processes together, by round."""
        return [sum(cost.values()) for cost in self.costs[case.name]]

    def _settled(self) -> Costs:
        """Return the processor seconds so far, once the work after the last response is over."""
        until_s = time.monotonic() + _SETTLE_MAX_S
        used = processor_s_by_kind(self.server.pid)
        while time.monotonic() < until_s:
            time.sleep(_SETTLE_S)
            before, used = used, processor_s_by_kind(self.server.pid)
            if sum(used.values()) - sum(before.values()) <= _SETTLE_S * _SETTLED_SHARE:
                break
        return used


@frozen
class Comparison:
    """The rounds of one case at the base, at the base again, and at the head."""

    case: Case
    base: Side
    again: Side
    head: Side

    @property
    def ratio(self) -> float:
        """The median over the rounds of what the head costs by what the base costs."""
        return statistics.median(self._ratios(self.head))

    @property
    def spread(self) -> float:
        """How far from 1 the base by itself may be: the farther end of the median's 95 % interval."""
        low, high = interval_of_median(self._ratios(self.again))
        return max(abs(1 - low), abs(1 - high))

    @property
    def is_slower(self) -> bool:
        """Whether the head costs more than what the spread, or 3 %, explains."""
        return self.ratio > 1 + max(self.spread, SPREAD_MAX)

    def median(self, side: Side, kind: str) -> float:
        """Return the median cost of one kind of process."""
        return statistics.median(cost[kind] for cost in side.costs[self.case.name])

    def _ratios(self, side: Side) -> list[float]:
        pairs = zip(side.totals(self.case), self.base.totals(self.case), strict=True)
        return [mine / base for mine, base in pairs]


def interval_of_median(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a 95 % confidence interval of the median, by the order of the values."""
    ordered, count = sorted(values), len(values)
    below, outside = 0.0, 0
    while outside < (count - 1) // 2 and 2 * (below + comb(count, outside) / 2**count) <= 1 - _CONFIDENCE:
        below += comb(count, outside) / 2**count
        outside += 1
    first = max(0, outside - 1)
    return ordered[first], ordered[count - 1 - first]


def cases() -> tuple[Case, ...]:
    """Return what is compared."""
    return (
        Case("get", 3000, _gets),
        Case("initialize", 1500, lambda _, count: [requests.initialize()] * count),
        Case("warm Python", 800, lambda server, count: _warm(server, "python", count)),
        Case("cold Python", 40, lambda server, count: _cold(server, "python", count)),
        Case("warm Node.js", 500, lambda server, count: _warm(server, "nodejs", count)),
        Case("cold Node.js", 20, lambda server, count: _cold(server, "nodejs", count)),
    )


def run(base: str, time_max_s: float, report: Callable[[str], None]) -> list[Comparison]:
    """Compare the working tree with a commit, round by round; raises click.ClickException."""
    cores = Cores.choose()
    os.sched_setaffinity(0, {cores.load})
    with tempfile.TemporaryDirectory(prefix="pgl-compare-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        checkout = stack.enter_context(_checkout(base, folder / "base"))
        places = (("base", checkout), ("base again", checkout), ("head", _ROOT))
        sides = [Side(name, _started(stack, cores, folder, name, place)) for name, place in places]
        compared = [Comparison(case, *sides) for case in cases()]
        _rounds(sides, compared, time.monotonic() + time_max_s, report)
    return compared


def table(compared: Sequence[Comparison]) -> str:
    """Return the costs and the ratios as a table."""
    lines = [
        "Processor us per request: base -> head (median of the rounds)",
        f"{'':14}" + "".join(f"{kind:>22}" for kind in KINDS) + f"{'head / base':>13}{'A/A spread':>12}",
    ]
    for each in compared:
        costs = (f"{each.median(each.base, kind):,.0f} -> {each.median(each.head, kind):,.0f}" for kind in KINDS)
        verdict = "  slower" if each.is_slower else ""
        cells = "".join(f"{cost:>22}" for cost in costs)
        lines.append(f"{each.case.name:14}{cells}{each.ratio:>13.3f}{each.spread:>12.3f}{verdict}")
    lines.append(f"{len(compared[0].base.costs[compared[0].case.name])} rounds")
    return "\n".join(lines)


def _rounds(
    sides: Sequence[Side], compared: Sequence[Comparison], until_s: float, report: Callable[[str], None]
) -> None:
    orders = cycle([sides[turn:] + sides[:turn] for turn in range(len(sides))])
    for number, order in enumerate(orders, start=1):
        for each in compared:
            for side in order:
                side.measure(each.case)
        spreads = [each.spread for each in compared]
        report(f"round {number}: A/A spread at most {max(spreads):.3f}")
        if number >= _ROUNDS_MIN and (max(spreads) < SPREAD_MAX or time.monotonic() > until_s):
            return


def _started(stack: ExitStack, cores: Cores, folder: Path, name: str, place: Path) -> Server:
    environment = {"DATA_DIR": str(folder / name.replace(" ", "-")), "PORT": "{port}", "PYTHONPATH": str(place)}
    python = str(place / ".venv" / "bin" / "python")
    program = Program(name, (python, "-m", "entrypoints", "serve"), environment, "/readyz", place)
    return stack.enter_context(serving(program, cores.server))


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder, with an environment of its own unless the locks are the same."""
    _git("worktree", "add", "--detach", "--quiet", str(folder), commit)
    try:
        if (folder / "requirements.lock").read_bytes() == (_ROOT / "requirements.lock").read_bytes():
            (folder / ".venv").symlink_to(Path(sys.prefix))
        else:
            subprocess.run(["make", "-s", ".venv/.run.stamp"], cwd=folder, check=True, timeout=_BUILD_TIMEOUT_S)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _git("worktree", "prune")


def _git(*arguments: str) -> None:
    result = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        raise click.ClickException(f"git {arguments[0]} failed: {result.stderr.strip()}")


def _gets(server: Server, count: int) -> list[bytes]:
    ids = executions.initialized(server, [requests.initialize("nodejs")] * _KEPT_SESSIONS)
    return list(islice(cycle(requests.request("GET", f"/api/v1/sessions/{each}") for each in ids), count))


def _warm(server: Server, language: str, count: int) -> list[bytes]:
    calls = [
        requests.execute(each)
        for each in executions.initialized(server, [requests.initialize(language)] * executions.WARM_SESSIONS)
    ]
    with LoadGenerator(server.url, _CONNECTIONS) as generator:
        generator.each_once(calls * 4)
    return list(islice(cycle(calls), count))


def _cold(server: Server, language: str, count: int) -> list[bytes]:
    return [requests.execute(each) for each in executions.initialized(server, [requests.initialize(language)] * count)]
