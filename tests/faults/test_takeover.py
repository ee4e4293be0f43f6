"""Takeovers under load, there and back: nothing is lost, nothing is served by both sides, every execution counts once."""

import os

import pytest

from tests.faults.report import NOTES
from tests.origin.drill.run import Plan, drill
from tests.origin.drill.world import servers

pytestmark = pytest.mark.timeout(600)

SHORT = [Plan(seed=38, generation="g3", idle=1000, settle_s=2)]
LONG = [
    Plan(seed=14, generation="g1", idle=1000, settle_s=2),
    Plan(seed=2, generation="g3", idle=1000, settle_s=2, kills=False, authenticated=True),
]
"""Seeds that kill each kind of process, and no service during `back`, which then waits 70 s for its executions."""

PLANS = SHORT + LONG if os.environ.get("DRILL") == "long" else SHORT
"""Each takes two minutes. `make proof` makes a hundred others, a third of them of g1."""


@pytest.fixture(scope="module")
def both():
    with servers() as pair:
        yield pair


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.generation}{' with kills' if plan.kills else ''}")
async def test_a_takeover_there_and_back(both, plan):
    report = await drill(plan, *both)
    killed = f"killed: {', '.join(report.kills)}" if plan.kills else f"without owner p99 {report.gap_p99_ms:.0f} ms"
    executions = f"{report.executions_there} executions there and {report.executions_here} here"
    NOTES.append(f"takeover of {plan.generation}: {executions}, {report.unsure} unsure, {killed}")
    assert not report.problems, "\n".join(report.problems)
    assert min(report.executions_there, report.executions_here) > plan.clients
