"""The schema's migrations, as an operator takes them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

from entrypoints.commands.database import command_database
from entrypoints.commands.invocation import failures_told, settings_in_force, wiring_of
from entrypoints.commands.lazy_group import examples
from entrypoints.commands.output import Output, output_option
from entrypoints.commands.wiring import Migrations, MigrationState

Answer = TypeVar("Answer")

_to = click.option("--to", type=click.IntRange(min=0), metavar="N", help="The migration to arrive at.")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@click.group()
def migrate() -> None:
    """Bring the database's schema up or down.

    A step works beside the previous release, so controllers of two releases may run while it is taken. The embedded
    server is migrated by `pglambda serve` itself, and any other one where AUTO_MIGRATE is on.
    """


@migrate.command(epilog=examples("pglambda migrate up --dry-run", "pglambda migrate up", "pglambda migrate up --to 3"))
@_to
@_dry_run
@output_option
@click.pass_context
def up(context: click.Context, to: int | None, dry_run: bool, output: str) -> None:
    """Apply the migrations that are missing."""
    names = _on_migrations(context, lambda each: each.up(to, dry_run=dry_run), may_make=not dry_run)
    click.echo(_steps("up", names, Output(output), dry_run=dry_run))


@migrate.command(epilog=examples("pglambda migrate down --dry-run", "pglambda migrate down --to 3"))
@_to
@_dry_run
@click.option("--destroy-sessions", is_flag=True, help="Let the first migration go, and every session with it.")
@output_option
@click.pass_context
def down(context: click.Context, to: int | None, dry_run: bool, destroy_sessions: bool, output: str) -> None:
    """Take migrations back: the newest, or all above N.

    Sessions stay, unless the first migration goes too.
    """
    names = _on_migrations(context, lambda each: each.down(to, dry_run=dry_run, destroy_sessions=destroy_sessions))
    click.echo(_steps("down", names, Output(output), dry_run=dry_run))


@migrate.command(epilog=examples("pglambda migrate status", "pglambda migrate status --output json"))
@click.option("--dry-run", is_flag=True, help="Changes nothing: status never writes.")
@output_option
@click.pass_context
def status(context: click.Context, dry_run: bool, output: str) -> None:  # noqa: ARG001  # accepted beside every migrate command
    """List the migrations and when they were applied."""
    states = _on_migrations(context, lambda migrations: migrations.status())
    click.echo(_states(states, Output(output)))


def _on_migrations(
    context: click.Context, ask: Callable[[Migrations], Awaitable[Answer]], *, may_make: bool = False
) -> Answer:
    wiring = wiring_of(context)

    async def answer(migrations: Migrations) -> Answer:
        return await ask(migrations)

    with failures_told(), command_database(settings_in_force(), wiring, may_make=may_make) as settings:
        return asyncio.run(answer(wiring.migrations(settings)))


def _steps(direction: str, names: Sequence[str], output: Output, *, dry_run: bool) -> str:
    if output is Output.JSON:
        return json.dumps({"direction": direction, "dry_run": dry_run, "migrations": list(names)}, indent=2)
    went = "would go" if dry_run else "went"
    return "\n".join(f"{went} {direction}: {name}" for name in names) or "Nothing to do."


def _states(states: Sequence[MigrationState], output: Output) -> str:
    told = [(each.name, each.applied_at.isoformat() if each.applied_at else None) for each in states]
    if output is Output.JSON:
        return json.dumps([{"name": name, "applied_at": applied_at} for name, applied_at in told], indent=2)
    return "\n".join(f"{name}  {applied_at or 'not applied'}" for name, applied_at in told)
