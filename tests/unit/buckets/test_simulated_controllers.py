"""Controllers that read the buckets at different times, with other clocks and under faults, agree on where things lie.

`python -m tests.unit.buckets.test_simulated_controllers --controllers 1000` runs larger sites.
"""

import asyncio
from collections.abc import Sequence

import click
import pytest

from tests.support.virtual_time import VirtualTimeLoop
from tests.unit.buckets.simulated_controllers import Ledger, Plan, Simulation

LATE = Plan(announced_s=0.0, buckets=(2, 40), keys=40, lost=0.0, away_s=0.1)
"""Buckets begin as soon as they are stored, which no distribution does."""


def simulated(plan: Plan, seed: int) -> Ledger:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(Simulation(plan, seed).run())


@pytest.mark.parametrize("seed", [0])
def test_what_was_acknowledged_is_found_once_by_all_controllers_though_the_number_of_buckets_is_raised(
    seed: int,
) -> None:
    ledger = simulated(Plan(), seed)
    assert ledger.problems == []
    assert min(ledger.calls.values()) > 100, "each kind of call was made"
    assert len(ledger.ended) >= len(ledger.accepted) > 50
    assert sum(ledger.refused.values()) < 0.5 * ledger.calls.total()


def test_a_simulation_notices_buckets_that_begin_before_all_controllers_can_know_them() -> None:
    assert simulated(LATE, 0).problems


def _raises(buckets: int) -> Sequence[int]:
    return sorted({max(1, buckets // 16), max(1, buckets // 4), buckets})


@click.command()
@click.option("--controllers", default=1000, show_default=True)
@click.option("--buckets", default=255, show_default=True)
@click.option("--clients", default=200, show_default=True)
@click.option("--seeds", default=5, show_default=True)
def main(controllers: int, buckets: int, clients: int, seeds: int) -> None:
    """Print what clients saw of each seed, and what did not hold."""
    plan = Plan(controllers, _raises(buckets), clients=clients, owners=clients)
    click.echo("| seed | calls | refused | sessions | executions | what did not hold |")
    click.echo("|---|---|---|---|---|---|")
    for seed in range(seeds):
        found = simulated(plan, seed)
        sessions = sum(map(len, found.sessions.values()))
        facts = (seed, found.calls.total(), found.refused.total(), sessions, len(found.ended))
        click.echo(f"| {' | '.join(f'{each:,}' for each in facts)} | {'; '.join(found.problems) or 'nothing'} |")


if __name__ == "__main__":
    main()
