"""The command `migrate distribute`."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from domain.buckets.bucket_map import ANNOUNCED, NUMBER_MAX, SETTLING
from entrypoints.cli.consent import Loss, dry_run_option, require_consent
from entrypoints.cli.database import command_database
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

if TYPE_CHECKING:
    from entrypoints.composition.commands import ClusterNode, Distribution, DistributionPlan, MadeBucket, UnawareClients

_MIBI = 1024**2
_SECOND = timedelta(seconds=1)
_LATER_S = (ANNOUNCED + SETTLING) / _SECOND
_STOP = "--stop-controllers"


@click.command(
    epilog=examples("pglambda migrate distribute --dry-run", "pglambda migrate distribute --buckets 4"),
)
@click.option(
    "--buckets",
    type=click.IntRange(1, NUMBER_MAX),
    metavar="N",
    help="How many buckets there are afterwards; 1 to 255. The default is one for each node that takes buckets. With "
    "more of them statements have fewer calls: a call takes 1.1 to 1.5 times the processor time of a plain database "
    "with 4 on a node, and 4.2 to 5.3 times with 64.",
)
@click.option(_STOP, is_flag=True, help="Allow that controllers which do not know the nodes stop serving.")
@dry_run_option
@output_option
@click.pass_context
def distribute(context: click.Context, buckets: int | None, stop_controllers: bool, dry_run: bool, output: str) -> None:
    """Divide the sessions among the nodes of a Citus cluster.

    DATABASE_URL names the coordinator. New sessions get buckets 65 s later. What is stored stays where it is, and
    nothing is copied; controllers go on serving. For twice REQUEST_TIMEOUT_MS and 5 s more after that instant, a call
    with a new idempotency key may be asked to repeat. Update all controllers to this release and set DATABASE_NODES
    first: others refuse calls, because they would look for all sessions in one place. While the coordinator has
    connections of such controllers, the command asks, or needs --stop-controllers without a terminal. A later run
    raises N. If a run is interrupted, run it again.
    """
    given = {_STOP} if stop_controllers else set()
    settings, say = settings_in_force(), click.echo if output == Output.TABLE else _say_nothing
    with failures_reported(), command_database(container_of(context), settings) as commands:
        pause = timedelta(milliseconds=2 * settings.request_timeout_ms) + SETTLING
        plan, made = asyncio.run(_distributed(commands.distribution(), buckets, given, say, pause, dry_run=dry_run))
        if plan.numbers and not dry_run:
            say(f"New sessions get these buckets in {_LATER_S:.0f} s. {_paused(pause)}")
    if output == Output.JSON:
        click.echo(json.dumps(_as_json(plan, made, dry_run=dry_run), indent=2))


async def _distributed(  # noqa: PLR0913  # what the command was given, and how it reports
    distribution: "Distribution",
    buckets: int | None,
    given: Collection[str],
    say: Callable[[str], None],
    pause: timedelta,
    *,
    dry_run: bool,
) -> "tuple[DistributionPlan, Sequence[MadeBucket]]":
    """Return the plan, and the buckets that were made."""
    made: list[MadeBucket] = []
    plan = await distribution.plan(buckets)
    say(_described(plan, pause))
    if dry_run or not plan.numbers:
        say(_needed(plan, given) if plan.numbers else "Nothing to do.")
        return plan, made
    require_consent(_losses(plan), given)

    def report(bucket: "MadeBucket") -> None:
        made.append(bucket)
        say(_progress(plan, bucket))

    await distribution.run(plan, report)
    return plan, made


def _paused(pause: timedelta) -> str:
    return (
        f"For {pause / _SECOND:g} s more (twice REQUEST_TIMEOUT_MS, and 5 s) a call with a new idempotency key may get "
        "503 and be repeated."
    )


def _say_nothing(_: str) -> None:
    return


def _progress(plan: "DistributionPlan", made: "MadeBucket") -> str:
    nth = plan.numbers.index(made.number) + 1
    return f"Made bucket {made.number} ({nth} of {len(plan.numbers)}), {made.location}."


def _needed(plan: "DistributionPlan", given: Collection[str]) -> str:
    lines = [loss.text for loss in _losses(plan)]
    if lines and _STOP not in given:
        lines.append(f"Set DATABASE_NODES=auto for them, and start them again. To let them stop, add {_STOP}.")
    return "\n".join([*lines, "Nothing was changed."])


def _losses(plan: "DistributionPlan") -> Sequence[Loss]:
    return [Loss(f"{_named(each)} stop as soon as there are buckets.", _STOP) for each in plan.unaware]


def _named(clients: "UnawareClients") -> str:
    where = f"from {clients.address}" if clients.address else "from a local socket"
    if clients.is_hidden:
        where = "from an address that only a role with pg_read_all_stats may see"
    connections = "1 connection" if clients.connections == 1 else f"{clients.connections} connections"
    return f"Controllers without DATABASE_NODES, or of an older release ({connections} as {clients.role} {where}),"


def _described(plan: "DistributionPlan", pause: timedelta) -> str:
    lines = [
        f"Citus {plan.citus_version}, {len(plan.known)} buckets on {len(plan.nodes)} nodes:",
        *(_line(node) for node in plan.nodes),
        f"`meta` keeps its {plan.rows} rows ({plan.size_bytes // _MIBI} MiB): nothing is copied.",
    ]
    if plan.numbers:
        lines.append(f"New buckets: {', '.join(map(str, plan.numbers))}. This takes about {plan.duration_s} s.")
        lines.append(f"New sessions get them {_LATER_S:.0f} s after that. {_paused(pause)}")
    return "\n".join(lines)


def _line(node: "ClusterNode") -> str:
    return f"  {node.host}:{node.port}  {node.buckets} schemas, {node.free} free connections"


def _as_json(plan: "DistributionPlan", made: "Sequence[MadeBucket]", *, dry_run: bool) -> Mapping[str, object]:
    return {
        "dry_run": dry_run,
        "citus": plan.citus_version,
        "buckets": [bucket.number for bucket in plan.known],
        "new_buckets": list(plan.numbers),
        "made": [
            {"bucket": each.number, "nodes": list(each.location.nodes), "shard": each.location.shard} for each in made
        ],
        "rows": plan.rows,
        "size_bytes": plan.size_bytes,
        "duration_s": plan.duration_s,
        "without_nodes": [
            {"role": each.role, "address": each.address, "connections": each.connections, "hidden": each.is_hidden}
            for each in plan.unaware
        ],
        "nodes": [
            {"group": node.group, "host": node.host, "port": node.port, "schemas": node.buckets, "free": node.free}
            for node in plan.nodes
        ],
    }
