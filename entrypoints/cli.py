"""The command `pglambda`."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import click
from msgspec.structs import replace

from domain.language import Language
from entrypoints.commands.database import command_database
from entrypoints.commands.invocation import failures_told, settings_in_force, wiring_of
from entrypoints.commands.keys import keys
from entrypoints.commands.output import Output, output_option
from entrypoints.commands.owners import owners
from entrypoints.commands.selftest import all_held, attack, told
from entrypoints.commands.storage import storage_told
from entrypoints.commands.token import token
from entrypoints.commands.wiring import Migrations
from entrypoints.configuration.checks import RUNTIME_HOST_CHECKS
from entrypoints.configuration.listing import setting_lines
from entrypoints.logs import configure_logs
from entrypoints.settings import Settings
from entrypoints.supervision.announcement import announce, announce_runtime_host
from entrypoints.supervision.supervisor import Supervisor
from entrypoints.supervision.targets import Targets
from entrypoints.version import VERSION

Answer = TypeVar("Answer")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="pglambda")
def cli() -> None:
    """Script sessions on PostgreSQL alone, run in a sandbox.

    Settings come from environment variables; `pglambda config show` lists them all.
    """


@cli.command()
@click.pass_context
def serve(context: click.Context) -> None:
    """Serve the HTTP API until Ctrl-C or SIGTERM; a second one skips the wait for running work."""
    with failures_told():
        settings = settings_in_force()
        server = wiring_of(context).embedded_postgres(settings) if settings.embedded else None
        targets = Targets()
        greeting = partial(announce, authenticated=settings.authenticated)
        asyncio.run(Supervisor(settings, targets.controller, targets, server, greeting).run())


@cli.command("runtime-host")
def runtime_host() -> None:
    """Run scripts for controllers elsewhere, on HOST and PORT; RUNTIME_TOKEN must be set off loopback."""
    with failures_told():
        settings = replace(Settings.load(os.environ, RUNTIME_HOST_CHECKS), web_concurrency=1, auto_migrate=False)
        configure_logs(settings.log_level, settings.log_format)
        targets = Targets()
        asyncio.run(Supervisor(settings, targets.runtime_host, targets, None, announce_runtime_host).run())


@cli.group()
def migrate() -> None:
    """Bring the database's schema up or down, or see where it is."""


_to = click.option("--to", type=click.IntRange(min=0), metavar="N", help="The migration to arrive at.")
_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")


@migrate.command()
@_to
@_dry_run
@click.pass_context
def up(context: click.Context, to: int | None, dry_run: bool) -> None:
    """Apply the migrations that are missing."""
    _tell("up", dry_run, _on_migrations(context, lambda each: each.up(to, dry_run=dry_run)))


@migrate.command()
@_to
@_dry_run
@click.option("--destroy-sessions", is_flag=True, help="Let the first migration go, and every session with it.")
@click.pass_context
def down(context: click.Context, to: int | None, dry_run: bool, destroy_sessions: bool) -> None:
    """Take migrations back: the newest, or all above N."""
    _tell(
        "down",
        dry_run,
        _on_migrations(context, lambda each: each.down(to, dry_run=dry_run, destroy_sessions=destroy_sessions)),
    )


@migrate.command()
@click.option("--dry-run", is_flag=True, help="Changes nothing: status never writes.")
@click.pass_context
def status(context: click.Context, dry_run: bool) -> None:  # noqa: ARG001  # accepted beside every migrate command
    """List the migrations and when they were applied."""
    for each in _on_migrations(context, lambda migrations: migrations.status()):
        click.echo(f"{each.name}  {each.applied_at.isoformat() if each.applied_at else 'not applied'}")


@cli.command()
@click.option(
    "--language",
    "languages",
    type=click.Choice([each.value for each in Language]),
    multiple=True,
    help="Only this language.",
)
@output_option
@click.pass_context
def selftest(context: click.Context, languages: tuple[str, ...], output: str) -> None:
    """Attack this host's sandbox by every known way out; the exit status is 1 when any attack succeeds."""
    with failures_told():
        trials = asyncio.run(
            attack(wiring_of(context), settings_in_force(), [Language(each) for each in languages] or list(Language))
        )
    click.echo(told(trials, Output(output)))
    if not all_held(trials):
        context.exit(1)


@cli.command()
@output_option
@click.pass_context
def storage(context: click.Context, output: str) -> None:
    """Show how much is stored in which part, since when, how fast it grows, and for how long there is room."""
    with failures_told():
        settings, wiring = settings_in_force(), wiring_of(context)
        disk = settings.data_dir if settings.embedded else None
        with command_database(settings, wiring) as found:
            report = asyncio.run(wiring.storage(found, disk).report())
    click.echo(storage_told(report, Output(output)))


@cli.command()
@click.pass_context
def openapi(context: click.Context) -> None:
    """Print the OpenAPI document of the API, with the bounds of these settings."""
    with failures_told():
        click.echo(wiring_of(context).document(settings_in_force()), nl=False)


@cli.group()
def config() -> None:
    """See the settings."""


@config.command()
@click.option("--describe", is_flag=True, help="Say what each setting means.")
def show(describe: bool) -> None:
    """Print every setting as it is in force; secrets are masked."""
    with failures_told():
        for line in setting_lines(Settings.load(os.environ), describe=describe):
            click.echo(line)


cli.add_command(token)
cli.add_command(keys)
cli.add_command(owners)


def main() -> None:
    """Run the command with the process's arguments."""
    cli.main(prog_name="pglambda")


def _on_migrations(context: click.Context, ask: Callable[[Migrations], Awaitable[Answer]]) -> Answer:
    async def answer(migrations: Migrations) -> Answer:
        return await ask(migrations)

    with failures_told(), command_database(settings_in_force(), wiring_of(context)) as settings:
        return asyncio.run(answer(wiring_of(context).migrations(settings)))


def _tell(direction: str, dry_run: bool, names: Sequence[str]) -> None:
    for name in names:
        click.echo(f"{'would go' if dry_run else 'went'} {direction}: {name}")
    if not names:
        click.echo("Nothing to do.")
