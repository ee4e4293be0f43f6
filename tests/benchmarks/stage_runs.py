"""Runs the stages of a plan, and notes those that fail."""

from subprocess import SubprocessError

from tests.benchmarks.load import LoadFailed
from tests.benchmarks.measurement import Measurement
from tests.benchmarks.plan import Plan
from tests.benchmarks.progress import Progress
from tests.benchmarks.queues import Queues
from tests.benchmarks.servers import NotServing
from tests.benchmarks.stages import Stage


def carry_out(plan: Plan | Queues) -> list[Measurement]:
    """Return the measurements; a stage that fails is a note of the plan."""
    stages = list(plan.stages())
    progress = Progress(sum(len(stage.steps) for stage in stages))
    measurements: list[Measurement] = []
    for stage in stages:
        try:
            _take(stage, progress, measurements)
        except (NotServing, LoadFailed, RuntimeError, SubprocessError) as failure:
            plan.notes.append(str(failure))
    progress.close()
    return measurements


def _take(stage: Stage, progress: Progress, measurements: list[Measurement]) -> None:
    with stage.opens() as server:
        for step in stage.steps:
            progress.begin(step.label)
            measurements += step.work(server)
            progress.end()
