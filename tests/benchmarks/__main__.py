"""Benchmarks: `python -m tests.benchmarks run`, `cleanup`, `history`, `hosts` and others; one run, one machine."""

from collections.abc import Sequence
from pathlib import Path

import click

from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.telemetry.logs import configure_logs
from tests.benchmarks import (
    bucket_lists,
    cleanup,
    compare,
    controllers,
    egress,
    environments,
    fairness,
    fleet,
    front,
    history,
    hosts,
    plot,
    queues,
    report,
    scale_report,
)
from tests.benchmarks import buckets as buckets_benchmark
from tests.benchmarks import states as states_benchmark
from tests.benchmarks import turns as turns_benchmark
from tests.benchmarks.capacity import Machine
from tests.benchmarks.http_runs import Times
from tests.benchmarks.machine import Cores, describe
from tests.benchmarks.plan import Plan
from tests.benchmarks.queues import WHOLE, QueueScope
from tests.benchmarks.sessions import SessionSet
from tests.benchmarks.stage_runs import carry_out
from tests.benchmarks.stages import Scope
from tests.benchmarks.surroundings import bench, print_notes, strangers_printed, strangers_seen
from tests.benchmarks.targets import Facts, queue_targets

_CONNECTIONS = (1, 16, 64, 256)
_MOSTLY = 64
_SIZES = (10_000, 100_000, 1_000_000)
_HUGE = 10_000_000
_OUTPUT = Path("dist/bench")


@click.group()
def cli() -> None:
    """Measure the service beside others; core 0 serves, core 1 has the load and PostgreSQL."""
    configure_logs(LogLevel.WARNING, LogFormat.AUTO)


@cli.command()
@click.option("--seconds", default=3.0, show_default=True, help="Measured, for each line.")
@click.option(
    "--warmup",
    default=1.0,
    show_default=True,
    help="Seconds of load before that; four times as many where interpreters have to be warm.",
)
@click.option("--sizes", default=",".join(map(str, _SIZES)), show_default=True, help="Numbers of sessions.")
@click.option("--connections", default=",".join(map(str, _CONNECTIONS)), show_default=True)
@click.option("--grid", is_flag=True, help="Every number of connections on every number of sessions, peers too.")
@click.option("--full", is_flag=True, help=f"The whole grid, and {_HUGE:,} sessions; takes the better part of an hour.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=_OUTPUT, show_default=True)
def run(*, seconds: float, warmup: float, sizes: str, connections: str, grid: bool, full: bool, output: Path) -> None:
    """Compare, print tables and the ratios with their targets, and draw a picture."""
    many = _numbers(sizes) + ((_HUGE,) if full else ())
    scope = _scope(many, _numbers(connections), Times(warmup, seconds), everything=grid or full)
    with bench() as (postgres, cores, folder), strangers_seen() as seen:
        plan = Plan(postgres, cores, folder, scope, WHOLE if full else QueueScope(), seen)
        measurements = carry_out(plan)
    facts = Facts(measurements, plan.hot_share, plan.private_mib)
    _tell(cores, facts, plan.notes)
    _write(output, facts, plan.notes)


@cli.command("cleanup")
@click.option("--sessions", default=2_000_000, show_default=True, help="How many there are; half of them are over.")
@click.option("--seconds", default=15.0, show_default=True, help="Of reads in quiet and during the sweep.")
@click.option("--rate", default=4000, show_default=True, help="Reads per second; 0: as many as 64 connections can.")
def run_once(sessions: int, seconds: float, rate: int) -> None:
    """Remove expired sessions by the million while others are read."""
    work = cleanup.Work(SessionSet(sessions), rate or None, seconds)
    with bench() as (postgres, cores, folder), strangers_seen() as seen:
        swept = cleanup.run(postgres, cores, folder, work, lambda text: click.echo(text, err=True))
    click.echo(report.measurement_table([swept.quiet, swept.during]))
    click.echo()
    rows, ratio = swept.rows_per_s, swept.p99_ratio
    click.echo(
        f"removed per second during reads: {rows:,.0f} (at least {cleanup.ROWS_WANTED:,}): {_met(rows >= cleanup.ROWS_WANTED)}"
    )
    click.echo(f"removed per second without reads: {swept.rows_alone_per_s:,.0f}")
    click.echo(
        f"p99 during / quiet: {ratio:.2f} (at most {cleanup.P99_RATIO_MAX:g}): {_met(ratio <= cleanup.P99_RATIO_MAX)}"
    )
    print_notes(seen)


@cli.command("environments")
@click.option("--sessions", default=100, show_default=True, help="New sessions of each kind.")
@click.option("--python-tree", type=click.Path(path_type=Path, exists=True), help="numpy and pandas; else installed.")
@click.option("--nodejs-tree", type=click.Path(path_type=Path, exists=True), help="A folder with node_modules.")
def first_with_packages(*, sessions: int, python_tree: Path | None, nodejs_tree: Path | None) -> None:
    """Execute new sessions with packages and without, in turns; needs no quiet machine for its CPU times."""
    found = environments.run(sessions, python_tree, nodejs_tree)
    click.echo("| language | packages | p50 ms | CPU ms | private MiB |\n|---|---|---|---|---|")
    for each in found.figures:
        click.echo(each.line())
    click.echo(f"\nprivate MiB after {environments.WORN} executions of a groupby in one session: {found.worn_mib:.1f}")
    none, preloaded = found.figures[:2]
    ratio = preloaded.p50_ms / none.p50_ms
    click.echo()
    for text, value, most in (
        ("p50 preloaded / without, Python", ratio, environments.RATIO_MAX),
        ("p50 ms preloaded, Python", preloaded.p50_ms, environments.P50_MS_MAX),
        ("CPU ms preloaded, Python", preloaded.cpu_ms, environments.CPU_MS_MAX),
        ("private MiB preloaded, Python", preloaded.private_mib, environments.PRIVATE_MIB_MAX),
    ):
        click.echo(f"{text}: {value:.1f} (at most {most:g}): {_met(value <= most)}")


@cli.command("history")
@click.option("--rows", default=5_000_000, show_default=True, help="Rows of the large history.")
@click.option("--beside", default=50_000, show_default=True, help="Rows of the small one.")
@click.option("--emptied", default=1_000_000, show_default=True, help="Rows of the day that is emptied under load.")
@click.option("--seconds", default=3.0, show_default=True, help="Measured, for each line of a round.")
@click.option("--rounds", default=3, show_default=True, help="Turns of the two histories.")
def large_history(*, rows: int, beside: int, emptied: int, seconds: float, rounds: int) -> None:
    """Record and page through a history of millions of rows, in turns with a small one; empty a day of it."""
    work = history.Work(beside, rows, emptied, seconds, rounds)
    with bench() as (postgres, cores, folder), strangers_seen() as seen:
        found = history.run(postgres, cores, folder, work)
    day = found.emptied
    click.echo(report.measurement_table([*found.lines, day.quiet, day.during]))
    click.echo()
    for text, ratio, met in (
        ("begin and finish per second", found.finish_rate, found.finish_rate >= history.RATE_RATIO_MIN),
        ("p50 of a page", found.page_p50, found.page_p50 <= history.PAGE_RATIO_MAX),
        ("p99 of a page", found.page_p99, found.page_p99 <= history.PAGE_RATIO_MAX),
    ):
        click.echo(f"{text}, {rows:,} rows / {beside:,} rows: {ratio:.2f}: {_met(met)}")
    click.echo(
        f"emptying {emptied:,} rows took {day.took_ms:.0f} ms; the worst finish that met it {day.worst_during_ms:.0f} ms, "
        f"in quiet {day.worst_quiet_ms:.0f} ms"
    )
    print_notes(seen)


@cli.command("fairness")
@click.option("--seconds", default=5.0, show_default=True, help="Measured, for each line.")
def fair(*, seconds: float) -> None:
    """Let one owner flood the service, and report what a neighbour notices; well under a minute."""
    with bench() as (postgres, cores, folder), strangers_printed():
        click.echo(fairness.table(*fairness.run(postgres, cores, folder, seconds)))


@cli.command("controllers")
@click.option(
    "--rounds", default=6, show_default=True, help="Of each kind of call, at 1, 2 and 4 controllers in turns."
)
def several_controllers(*, rounds: int) -> None:
    """Call 1, 2 and 4 controllers on one database, and report what a call costs, writes and stores; two minutes."""
    with bench() as (postgres, cores, folder), strangers_printed():
        for text in controllers.run(postgres, cores, folder, rounds):
            click.echo(text)


@cli.command("scale")
@click.option("--rounds", default=5, show_default=True, help="Of each kind of call, on each load, in turns.")
@click.option("--cores", "processors", default=8, show_default=True, help="Of a machine.")
@click.option("--busy", default=0.6, show_default=True, help="The part of them that a load may take.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), default=_OUTPUT, show_default=True)
def capacity_of_machines(*, rounds: int, processors: int, busy: float, output: Path) -> None:
    """Measure one controller and two, and say what 1, 10 and 100 machines carry by that; minutes."""
    with bench() as (postgres, cores, folder), strangers_printed():
        loads = scale_report.measured(postgres, cores, folder, rounds)
        site = loads.site(Machine(processors, busy))
        for text in scale_report.lines(loads, site):
            click.echo(text)
    output.mkdir(parents=True, exist_ok=True)
    scale_report.draw(site, output / "scale.svg")


@cli.command("queue")
@click.option("--seconds", default=3.0, show_default=True, help="Measured, for accepts and for initializes.")
@click.option("--whole", is_flag=True, help=f"{WHOLE.many:,} queued executions, and more of all else; half an hour.")
def queue_alone(*, seconds: float, whole: bool) -> None:
    """Measure the queue of executions alone, beside other queues; four minutes."""
    with bench() as (postgres, cores, folder), strangers_seen() as seen:
        scope = WHOLE if whole else QueueScope()
        measurements = carry_out(queues.Queues(postgres, cores, folder, Times(1.0, seconds), scope, seen))
    click.echo(report.measurement_table(measurements))
    click.echo()
    click.echo(report.verdict_table(Facts(measurements), queue_targets))
    print_notes(seen)


@cli.command("buckets")
@click.option("--buckets", default="1,4,16,64", show_default=True, help="Numbers of buckets, of one node and over two.")
@click.option("--turns", default=5, show_default=True, help="Measured, of each kind of call on each side.")
@click.option("--calls", default=6400, show_default=True, help="In a turn.")
def buckets_on_a_node(*, buckets: str, turns: int, calls: int) -> None:
    """Measure buckets of a Citus cluster beside a plain database on a server of it, by processor time, in turns."""
    try:
        table = buckets_benchmark.run(_numbers(buckets), turns, calls, lambda text: click.echo(text, err=True))
    except buckets_benchmark.NoCitus as error:
        raise click.ClickException(str(error)) from error
    click.echo(table)


@cli.command("bucket-lists")
@click.option("--buckets", default=64, show_default=True, help="Buckets on two nodes, beside a database with one.")
@click.option("--sessions", default=1_000_000, show_default=True, help="Of each list.")
@click.option("--turns", default=5, show_default=True, help="Measured, of 40 pages of each list.")
def lists_of_owners(*, buckets: int, sessions: int, turns: int) -> None:
    """Read the first page of an owner's sessions on one bucket and on many of a Citus cluster, in turns."""
    try:
        table = bucket_lists.run(buckets, sessions, turns, lambda text: click.echo(text, err=True))
    except buckets_benchmark.NoCitus as error:
        raise click.ClickException(str(error)) from error
    click.echo(table)


@cli.command("turns")
@click.option("--places", default=64, show_default=True, help="Places for warm workers while more sessions take turns.")
@click.option("--warm", default=1000, show_default=True, help="Sessions that all have a place.")
@click.option("--seconds", default=5.0, show_default=True, help="Measured, for each line.")
def sessions_in_turn(*, places: int, warm: int, seconds: float) -> None:
    """Use sessions in turn, more than there are places and as many; then start 200 at once. Two minutes."""
    with bench() as (postgres, _, folder), strangers_printed():
        for text in turns_benchmark.run(postgres, folder, places, warm, seconds):
            click.echo(text)


@cli.command("states")
@click.option("--seconds", default=6.0, show_default=True, help="Measured, for each line.")
def counters(*, seconds: float) -> None:
    """Count in the states of 100 sessions by 64 callers, in turns with executions without a state; a minute."""
    with bench() as (postgres, cores, _), strangers_printed():
        for text in states_benchmark.run(postgres, cores, seconds):
            click.echo(text)


@cli.command("front")
@click.option("--turns", default=5, show_default=True, help="Turns of the origin called directly, and of the front.")
@click.option("--seconds", default=3.0, show_default=True, help="Measured, for each line of a turn.")
def passed_calls(*, turns: int, seconds: float) -> None:
    """Pass calls on to an origin, and report what that adds to them; under a minute."""
    with bench() as (postgres, cores, folder), strangers_printed():
        for text in front.run(postgres, cores, folder, turns, seconds):
            click.echo(text)


@cli.command("egress")
@click.option("--rounds", default=5, show_default=True, help="Turns of direct connections, and of the egress process.")
def through_egress(*, rounds: int) -> None:
    """Connect directly and through the egress process, in turns, and report what it adds; ten seconds."""
    with strangers_printed():
        for name, value in egress.measure(rounds).items():
            click.echo(f"{name}: {value:.3g}")


@cli.command("hosts")
@click.option("--rounds", default=5, show_default=True, help="Turns of the sandbox and of a host.")
@click.option("--seconds", default=2.0, show_default=True, help="Measured, for each line of a turn.")
def on_hosts(*, rounds: int, seconds: float) -> None:
    """Execute warm sessions on a runtime host, in turns with the sandbox itself; two minutes."""
    with bench(apart=False) as (postgres, _, folder), strangers_printed():
        for text in hosts.run(postgres, folder, rounds, seconds):
            click.echo(text)


@cli.command("fleet")
@click.option("--rounds", default=3, show_default=True, help="Turns of the fleets.")
@click.option("--seconds", default=3.0, show_default=True, help="Measured, of warm executions in a turn.")
def fleets(*, rounds: int, seconds: float) -> None:
    """Execute on 1, 2, 4 and 8 runtime hosts, and weigh idle streams; two minutes."""
    with bench(apart=False) as (postgres, _, folder), strangers_printed():
        for text in fleet.run(postgres, folder, rounds, seconds):
            click.echo(text)


@cli.command("compare")
@click.argument("base")
@click.option("--seconds", default=600.0, show_default=True, help="After this long no further round is begun.")
def two_commits(*, base: str, seconds: float) -> None:
    """Compare the working tree with the commit BASE: processor time per request, in turns."""
    with strangers_seen() as seen:
        compared = compare.run(base, seconds, lambda text: click.echo(text, err=True))
    click.echo(compare.table(compared))
    print_notes(seen)


def _scope(sizes: tuple[int, ...], connections: tuple[int, ...], times: Times, *, everything: bool) -> Scope:
    mostly = (_MOSTLY,)
    return Scope(
        connections=_MOSTLY,
        sizes=sizes,
        times=times,
        connections_small=connections,
        connections_large=connections if everything else mostly,
        connections_peers=connections if everything else mostly,
        sizes_peers=sizes if everything else sizes[:1],
    )


def _tell(cores: Cores, facts: Facts, notes: Sequence[str]) -> None:
    click.echo(report.measurement_table(facts.measurements))
    click.echo()
    click.echo(report.verdict_table(facts))
    click.echo()
    click.echo(report.ceiling(facts.measurements))
    if not cores.apart:
        click.echo("There is one core only: the load and the server take from each other.")
    for note in notes or ["No other process took more than 5 % of a core: before, during or after the run."]:
        click.echo(note)


def _write(output: Path, facts: Facts, notes: Sequence[str]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    report.write_statistics(output / "bench.json", facts, describe(), notes)
    try:
        paths = plot.write_plots(output, facts)
    except ImportError:
        click.echo("There is no picture: matplotlib is not installed (`make bench` does that).")
        return
    click.echo("Written: " + ", ".join(map(str, [output / "bench.json", *paths])))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _met(met: bool) -> str:
    return "met" if met else "NOT MET"


if __name__ == "__main__":
    cli.main(prog_name="python -m tests.benchmarks")
