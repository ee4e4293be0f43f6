"""The command `hosts`."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, shown, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands


@click.command(epilog=examples("pglambda hosts", "pglambda hosts --output json"))
@output_option
@click.pass_context
def hosts(context: click.Context, output: str) -> None:
    """List the runtime hosts that have registered themselves.

    Hosts that are `ready` start scripts. `draining` ones end what runs. `stale` ones were not seen for 30 s, and have
    not reported their end. Those that have `ended`, and stale ones, are removed after an hour.
    """
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = asyncio.run(_hosts(commands))
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(table([list(found[0]), *[[shown(str(value)) for value in facts.values()] for facts in found]]))
    else:
        click.echo("No runtime host is registered.")


async def _hosts(commands: "Commands") -> Sequence[dict[str, Any]]:
    async with commands.database_access().opened():
        found, now = await commands.runtime_hosts().hosts(), commands.clock().now()
    return [
        {
            "name": host.name,
            "state": host.standing(now),
            "url": host.url,
            "address": str(host.address),
            "languages": ",".join(host.languages),
            "runs_max": host.runs_max,
            "release": host.release,
            "registered_at": f"{host.registered_at:%Y-%m-%dT%H:%M:%SZ}",
            "seen_s_ago": max(0, round((now - host.seen_at).total_seconds())),
        }
        for host in found
    ]
