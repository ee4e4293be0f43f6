"""The command `secrets`."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import click
from attrs import frozen

from domain.audit import ActName
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands


@frozen
class Rotation:
    """Secrets that an earlier key had sealed, before and after the command, and all secrets."""

    secrets: int
    before: int
    after: int


@click.group()
def secrets() -> None:
    """Seal the secrets of owners by another key.

    Owners store secrets by the API. No command shows a value.
    """


@secrets.command(epilog=examples("pglambda secrets rotate --dry-run", "pglambda secrets rotate"))
@dry_run_option
@output_option
@click.pass_context
def rotate(context: click.Context, dry_run: bool, output: str) -> None:
    """Seal by the first key of SECRETS_KEY what its other keys have sealed.

    First set SECRETS_KEY to the new key, a comma and the former ones, for all controllers. Then run this command, and
    remove the former keys when it has exited with 0. It runs in small steps while controllers serve. You can stop it
    and start it again at any time. Nothing is changed if a key that sealed a secret is not set. The exit status is 1 if
    a controller with another first key has stored a secret meanwhile.
    """
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = asyncio.run(_rotated(commands, dry_run=dry_run))
    if Output(output) is Output.JSON:
        click.echo(json.dumps({"secrets": found.secrets, "before": found.before, "after": found.after}, indent=2))
    elif dry_run:
        click.echo(f"Would seal {found.before:,} of {found.secrets:,} secrets anew.")
    else:
        left = f" {found.after:,} are left. Run the command again." if found.after else ""
        click.echo(f"Sealed {found.before - found.after:,} of {found.secrets:,} secrets anew.{left}")
    if found.after and not dry_run:
        context.exit(1)


async def _rotated(commands: "Commands", *, dry_run: bool) -> Rotation:
    async with commands.database_access().opened():
        resealing = commands.resealing()
        await resealing.require_keys()
        count = await resealing.count()
        before = await resealing.outdated() if count else 0
        if dry_run or not before:
            return Rotation(count, before, before)
        with click.progressbar(length=before, label="Sealing", file=sys.stderr) as bar:
            async for step in resealing.rotate(commands.new_act(ActName.SECRETS_ROTATE)):
                bar.update(step.changed)
        return Rotation(count, before, await resealing.outdated())
