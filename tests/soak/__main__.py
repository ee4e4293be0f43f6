"""Runs the soak test and the neighbour benchmark, prints results, and exits with 1 when anything leaks or suffers."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import click
import uvloop

from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.scripts.language import Language
from tests.soak.census import take_census
from tests.soak.endurance import Endurance, Soak
from tests.soak.forks import Forking
from tests.soak.neighbours import FACTOR_MAX, Neighbour, Neighbours, quantile
from tests.soak.rotation import Rotating

_PARTS = ("neighbours", "endurance", "rotation", "forks")
_NEVER = 1 << 30
_BUSY_TIMEOUT_S = 60.0
"""A fork that is late because the machine is busy has not failed."""


@click.command()
@click.option(
    "--executions", default=15_000, show_default=True, help="Number of executions; 100000 is the load of a day."
)
@click.option("--attackers", default=4, show_default=True, help="Number of attackers at once.")
@click.option(
    "--seconds", default=8.0, show_default=True, help="How long a neighbour calls, alone and beside attackers."
)
@click.option("--rotation", default=1000, show_default=True, help="Number of sessions in turn; 10000 is a long run.")
@click.option("--forks", default=2000, show_default=True, help="Number of forks of Node.js; 200000 is a long run.")
@click.option("--only", type=click.Choice(_PARTS), help="Run only this part.")
def main(*, executions: int, attackers: int, seconds: float, rotation: int, forks: int, only: str | None) -> None:
    """Look for leaks, for effects on neighbours of attackers, and for the cost of many sessions in turn."""
    folder = Path(tempfile.mkdtemp(prefix="pglambda-soak-"))
    folder.chmod(0o755)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            parts = {
                "neighbours": lambda: _neighbours(folder, attackers, seconds),
                "endurance": lambda: _endurance(folder, executions),
                "rotation": lambda: _rotation(folder, rotation),
                "forks": lambda: _forks(folder, forks),
            }
            problems = [found for part in (parts if only is None else [only]) for found in loop.run(parts[part]())]
    finally:
        shutil.rmtree(folder)
    for problem in problems:
        click.secho(problem, fg="red")
    raise SystemExit(1 if problems else 0)


async def _endurance(folder: Path, executions: int) -> list[str]:
    # The rotation replaces zygotes. Here, one more zygote would look like a leak.
    runner = SandboxScriptRunner(SandboxOptions(folder, memory_mb=64, forks_max=_NEVER))
    await runner.open()
    soak = Soak(runner, executions)
    before, after, elapsed_s = await soak.run()
    await runner.close(5)
    endured = soak.summary(before, after, take_census(), elapsed_s)
    _print_endurance(endured)
    return endured.problems()


def _print_endurance(endured: Endurance) -> None:
    click.echo(f"{endured.executions:,} executions, the last nine tenths in {endured.elapsed_s:.0f} s")
    for outcome, count in sorted(endured.outcomes.items()):
        click.echo(f"  {outcome:40} {count:>9,}")
    click.echo(f"  after a tenth: {endured.before.line()}")
    click.echo(f"  after all:     {endured.after.line()}")
    click.echo(f"  closed:        {endured.closed.line()}")


async def _rotation(folder: Path, sessions: int) -> list[str]:
    options = SandboxOptions(folder, memory_mb=64, warm_workers_max=64, memory_budget_mb=2048, queue_timeout_s=30)
    runner = SandboxScriptRunner(options)
    await runner.open()
    rotated = await Rotating(runner, sessions).run()
    await runner.close(5)
    click.echo(rotated.line())
    return rotated.problems()


async def _forks(folder: Path, forks: int) -> list[str]:
    options = SandboxOptions(
        folder,
        languages=[Language.NODEJS],
        node_start=NodeStart.FORK,
        start_timeout_s=_BUSY_TIMEOUT_S,
        kill_s=_BUSY_TIMEOUT_S,
    )
    factory = WorkerFactory(options.start_timeout_s)
    forking = await Forking(factory, SandboxBuilder(options).spec(Language.NODEJS), forks).run()
    await factory.close(5)
    click.echo(forking.line())
    return forking.problems()


async def _neighbours(folder: Path, attackers: int, seconds: float) -> list[str]:
    runner = SandboxScriptRunner(SandboxOptions(folder, memory_mb=64))
    await runner.open()
    neighbours = Neighbours(runner, attackers, seconds)
    problems = []
    for language in Language:
        measured = await neighbours.measure(language)
        _print_neighbour(measured)
        if measured.failed:
            problems.append(f"{measured.failed} calls of a neighbour failed ({language})")
        if measured.factor > FACTOR_MAX:
            problems.append(f"the p99 of a neighbour rose to {measured.factor:.1f} times its quiet value ({language})")
    await runner.close(5)
    return problems


def _print_neighbour(measured: Neighbour) -> None:
    for name, latencies_ms in (("alone", measured.quiet_ms), ("beside attackers", measured.loud_ms)):
        p50, p99 = quantile(latencies_ms, 0.5), quantile(latencies_ms, 0.99)
        click.echo(f"{measured.language:7} {name:17} {len(latencies_ms):>6} calls, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    click.echo(f"{'':7} p99 {measured.factor:.2f}x, {measured.failed} failed, {measured.attacks} attacks")


if __name__ == "__main__":
    main()
