"""The command `migrate distribute`."""

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

if TYPE_CHECKING:
    from entrypoints.composition.commands import ClusterNode, Distribution, DistributionPlan

_MIBI = 1024**2


@click.command(
    epilog=examples("pglambda migrate distribute --dry-run", "pglambda migrate distribute --buckets 4"),
)
@click.option(
    "--buckets",
    type=click.IntRange(1, 255),
    metavar="N",
    help="How many buckets there are afterwards; 1 to 255. The default is one for each node that takes buckets.",
)
@dry_run_option
@output_option
@click.pass_context
def distribute(context: click.Context, buckets: int | None, dry_run: bool, output: str) -> None:
    """Divide the sessions among the nodes of a Citus cluster.

    DATABASE_URL names the coordinator. New sessions get buckets a minute later. What is stored stays where it is, and
    nothing is copied; controllers go on serving. In the 10 seconds around that minute a call with a new idempotency key
    may be asked to repeat. Update all controllers to this release first: older ones stop. A later run raises N. If a
    run is interrupted, run it again.
    """
    with failures_reported(), command_database(container_of(context), settings_in_force()) as commands:
        plan = asyncio.run(
            _distributed(commands.distribution(), buckets, dry_run=dry_run, is_table=output == Output.TABLE)
        )
    if output == Output.JSON:
        click.echo(json.dumps(_as_json(plan, dry_run=dry_run), indent=2))


async def _distributed(
    distribution: "Distribution", buckets: int | None, *, dry_run: bool, is_table: bool
) -> "DistributionPlan":
    plan = await distribution.plan(buckets)
    say = click.echo if is_table else _say_nothing
    say(_described(plan))
    if dry_run or not plan.numbers:
        say("Nothing was changed." if plan.numbers else "Nothing to do.")
        return plan
    await distribution.run(plan, lambda number: say(f"Made bucket {number}."))
    say("New sessions get these buckets in 60 s.")
    return plan


def _say_nothing(_: str) -> None:
    return


def _described(plan: "DistributionPlan") -> str:
    lines = [
        f"Citus {plan.citus_version}, {len(plan.known)} buckets on {len(plan.nodes)} nodes:",
        *(_line(node) for node in plan.nodes),
        f"`meta` keeps its {plan.rows} rows ({plan.size_bytes // _MIBI} MiB): nothing is copied.",
    ]
    if plan.numbers:
        lines.append(f"New buckets: {', '.join(map(str, plan.numbers))}. This takes about {plan.duration_s} s.")
    return "\n".join(lines)


def _line(node: "ClusterNode") -> str:
    return f"  {node.host}:{node.port}  {node.buckets} schemas, {node.free} free connections"


def _as_json(plan: "DistributionPlan", *, dry_run: bool) -> Mapping[str, object]:
    return {
        "dry_run": dry_run,
        "citus": plan.citus_version,
        "buckets": [bucket.number for bucket in plan.known],
        "new_buckets": list(plan.numbers),
        "rows": plan.rows,
        "size_bytes": plan.size_bytes,
        "duration_s": plan.duration_s,
        "nodes": [
            {"group": node.group, "host": node.host, "port": node.port, "schemas": node.buckets, "free": node.free}
            for node in plan.nodes
        ],
    }
