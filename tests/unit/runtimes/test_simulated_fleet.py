"""The rule that chooses a host beside simpler ones, in a simulated fleet.

`python -m tests.unit.runtimes.test_simulated_fleet` prints the table of docs/decisions/0062.
"""

import statistics

import click
from attrs import evolve

from adapters.remote_runtime.fleet import LOAD_MARGIN, LoadMargin
from tests.unit.runtimes.simulated_fleet import Workload, simulated

FEW = Workload(runs=8_000, unmeasured=2_000)
EVEN = "even"
SKEWED = "few sessions with most runs"
WORKLOADS = {
    EVEN: Workload(),
    "even, 85 % busy": Workload(utilization=0.85),
    SKEWED: Workload(skew=1.0),
    "the same, hosts that run 1,024 at once": Workload(skew=1.0, runs_max=1024),
    "the same, cold starts of 40 ms, 50 % busy": Workload(cold_s=0.04, utilization=0.5),
    "two hosts": Workload(hosts=2, sessions=250),
}
ALWAYS = 1 << 31
NEVER = LoadMargin(share=ALWAYS, runs=ALWAYS)
RULES = {
    "first, or warm": (NEVER, True),
    "any lower load, unless warm": (LoadMargin(share=1e-9, warm_times=ALWAYS), True),
    "a quarter, unless warm": (LoadMargin(runs=ALWAYS, warm_times=ALWAYS), True),
    "16 runs, unless warm": (LoadMargin(warm_times=ALWAYS), True),
    "16 runs, or 32 if warm": (LOAD_MARGIN, True),
    "16 runs, warm or not": (LOAD_MARGIN, False),
}


def test_load_moves_sessions_off_a_host_whose_sessions_have_most_runs():
    load = evolve(FEW, skew=1.0, runs_max=1024)
    chosen = simulated(load)
    assert simulated(load) == chosen, "the seed decides"
    for rule in ("first, or warm", "16 runs, unless warm"):
        assert 3 * chosen.p99_ms < simulated(load, RULES[rule][0]).p99_ms


def test_the_warm_host_saves_cold_starts_that_the_less_loaded_one_would_cost():
    load = evolve(FEW, utilization=0.85)
    warm, other = simulated(load), simulated(load, prefers_warm=False)
    assert 1.3 * warm.cold < other.cold
    assert 1.3 * warm.mean_ms < other.mean_ms


def _table() -> None:
    click.echo(f"| workload | {' | '.join(RULES)} |")
    click.echo("|---|" + "---|" * len(RULES))
    for name, load in WORKLOADS.items():
        cells = []
        for margin, prefers_warm in RULES.values():
            found = [simulated(load, margin, prefers_warm=prefers_warm, seed=seed) for seed in range(1, 6)]
            p99_ms = statistics.median(each.p99_ms for each in found)
            cold = statistics.median(each.cold for each in found)
            cells.append(f"{p99_ms:,.0f}, {100 * cold:.1f} %")
        click.echo(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    _table()
