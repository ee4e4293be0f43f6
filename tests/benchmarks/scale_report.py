"""What 1, 10 and 100 machines carry, by a model of measured costs that has to predict what two controllers cost."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.benchmarks import executions, requests
from tests.benchmarks.capacity import CallModel, Machine, Measured, Part, Plan, Site, differences
from tests.benchmarks.controllers import CASES, Case, Group
from tests.benchmarks.database import Database
from tests.benchmarks.machine import Cores
from tests.benchmarks.servers import pglambda, serving

DIFFERENCE_MAX = 0.2
MACHINES = (1, 10, 100)
_CALLERS = (8, 16, 32, 64)
_EXECUTE = "execute"
_SESSIONS = 64
_DRAWN_MAX = 100


@frozen
class Loads:
    """One controller under several numbers of callers, the least first, and two that share out the greatest number."""

    alone: Sequence[Group]
    both: Group

    def site(self, machine: Machine) -> Site:
        """Return what an execution costs at the greatest number of callers."""
        case = next(each for each in CASES if each.name == _EXECUTE)
        full = self.alone[-1]
        wal_bytes = statistics.median(each.wal_bytes for each in full.rounds[case.name])
        return Site(_measured(full, case).us, wal_bytes, machine)


def measured(database: Database, cores: Cores, folder: Path, rounds: int) -> Loads:
    """Measure in turns; raises click.ClickException after an error."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(pglambda(database.url, folder / f"controller-{number}"), cores.server))
            for number in range(2)
        ]
        ids = executions.initialized(servers[0], [requests.initialize("python")] * _SESSIONS)
        alone = [Group(servers[:1], database, callers) for callers in _CALLERS]
        both = Group(servers, database, _CALLERS[-1])
        groups = [*alone, both]
        for turn in range(rounds):
            for case in CASES:
                for group in groups[turn % len(groups) :] + groups[: turn % len(groups)]:
                    group.measure(case, ids)
    return Loads(alone, both)


def lines(loads: Loads, site: Site) -> Iterator[str]:
    """Yield what was predicted and measured, and what machines carry."""
    yield from _predictions(loads)
    yield from _walls(site)
    yield from _plans(site)


def _measured(group: Group, case: Case) -> Measured:
    """Return the medians of the rounds."""
    rounds = group.rounds[case.name]
    us = {part: statistics.median(each.us[part] for each in rounds) for part in Part}
    return Measured(group.callers, statistics.median(each.batch for each in rounds), us)


def _predictions(loads: Loads) -> Iterator[str]:
    alone, both = loads.alone, loads.both
    yield f"Two controllers that share {both.callers} callers, predicted from one controller:"
    yield ""
    yield f"| call | figure | predicted | measured | difference, at most {DIFFERENCE_MAX:.0%} |"
    yield "|---|---|---|---|---|"
    for case in CASES:
        predicted = CallModel.of([_measured(group, case) for group in alone]).predicted(2, both.callers)
        for name, expected, found, off in differences(predicted, _measured(both, case)):
            verdict = "" if abs(off) <= DIFFERENCE_MAX else ", NOT MET"
            yield f"| {case.name} | {name} | {expected:,.1f} | {found:,.1f} | {off:+.0%}{verdict} |"
    yield ""


def _walls(site: Site) -> Iterator[str]:
    costs = ", ".join(f"{part} {us:,.0f}" for part, us in site.us.items())
    yield f"An execution takes, in us of a processor: {costs}. It writes {site.wal_bytes:,.0f} bytes of WAL."
    yield f"A million take {site.core_hours_per_million:.2f} hours of a processor."
    yield ""
    yield "| bound of one primary | executions/s |"
    yield "|---|---|"
    for name, rate in site.walls():
        yield f"| {name} | {rate:,.0f} |"
    yield ""


def _plans(site: Site) -> Iterator[str]:
    parts = " | ".join(f"machines for {part}" for part in Part)
    yield f"| machines of {site.machine.cores} processors | executions/s | servers of PostgreSQL | {parts} |"
    yield f"|---|---|---|{'---|' * len(Part)}"
    for plan in map(site.plan, MACHINES):
        yield _row(plan)


def _row(plan: Plan) -> str:
    cells = [f"{plan.parts[part]:.1f}" for part in Part]
    return f"| {plan.machines} | {plan.rate:,.0f} | {plan.primaries} | {' | '.join(cells)} |"


def draw(site: Site, path: Path) -> None:
    """Draw the executions a second over the number of machines; raises ImportError without matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415  # the numbers are of use without the picture

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    numbers = range(1, _DRAWN_MAX + 1)
    _draw_plans(axes, numbers, [site.plan(number) for number in numbers])
    for name, rate in site.walls():
        axes.axhline(rate, linestyle="--", linewidth=1, color="#b4432e")
        axes.annotate(f"one primary: {name.partition(' of ')[0]}", (1, rate), fontsize=8, va="bottom")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _draw_plans(axes: Any, numbers: Sequence[int], plans: Sequence[Plan]) -> None:
    axes.plot(numbers, [plan.rate for plan in plans], color="#1565c0", label="executions a second")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("machines")
    axes.set_ylabel("executions a second")
    axes.grid(alpha=0.3)
    axes.legend()
