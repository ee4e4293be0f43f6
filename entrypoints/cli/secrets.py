"""The command `secrets`."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from domain.audit import ActName
from domain.identity import Owner
from domain.secrets.secret import StoredSecret
from entrypoints.cli.arguments import any_owner
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.settings.secrets import key_ids

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
    """List the secrets of an owner, and seal those of all owners by another key.

    Owners store secrets by the API. No command shows a value.
    """


@secrets.command("list", epilog=examples("pglambda secrets list alice", "pglambda secrets list alice --output json"))
@click.argument("owner", type=any_owner)
@output_option
@click.pass_context
def list_secrets(context: click.Context, owner: Owner, output: str) -> None:
    """List the secrets of OWNER without their values: version, functions, uses, and the key that opens each."""
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        stored, keys = asyncio.run(_of_owner(commands, owner)), key_ids(commands.settings())
    found = [_facts(each, is_openable=each.key_id in keys) for each in stored]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        rows = [[str("" if fact is None else fact) for fact in each.values()] for each in found]
        click.echo(table([[name.replace("_", " ") for name in found[0]], *rows]))
    else:
        click.echo(f"{owner} has no secrets.")


async def _of_owner(commands: "Commands", owner: Owner) -> Sequence[StoredSecret]:
    async with commands.database_access().opened():
        found: Sequence[StoredSecret] = await commands.stored_secrets().page(owner)
        return found


def _facts(secret: StoredSecret, *, is_openable: bool) -> dict[str, Any]:
    functions, used_at = secret.functions, secret.last_used_at
    return {
        "name": secret.ref.name,
        "version": secret.version,
        "functions": "all" if functions is None else ", ".join(map(str, functions)) or "none",
        "uses": secret.uses,
        "last_used_at": None if used_at is None else f"{used_at:%Y-%m-%dT%H:%M:%SZ}",
        "key": secret.key_id if is_openable else f"{secret.key_id} (not set)",
    }


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
