"""The examination of an installation, as an operator asks for it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from entrypoints.cli.database import command_database
from entrypoints.cli.diagnosis.database_checks import examine_database, unstarted
from entrypoints.cli.diagnosis.finding import Finding, Level, note, worst
from entrypoints.cli.diagnosis.host_checks import examine_host
from entrypoints.cli.diagnosis.report import as_json, as_table
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.server.data_dir import DataDirError
from entrypoints.server.database import ServerFailed
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_UNMADE = "there is no database under {} yet"


@click.command(
    epilog=examples(
        "pglambda doctor",
        "pglambda doctor --output json",
        "DATABASE_URL=postgresql://app@db.example.com/pglambda pglambda doctor",
    )
)
@output_option
@click.pass_context
def doctor(context: click.Context, output: str) -> None:
    """Examine the installation, and say what to do.

    It looks at the database (reached how, its server, rights, schema, indexes, tables, clock, standbys), at this host
    (the sandbox and its layers, interpreters, disk), at runtime hosts, and at what the settings mean. Each finding is
    ok, a note, a warning or a problem, with the reason and the remedy. Nothing is changed. The exit status is 1 when
    there is a problem, and 2 when the settings are wrong.

    The embedded server is started for the look when no service runs. A look has seconds to end, whatever keeps silent.
    """
    with failures_reported():
        settings, container = settings_in_force(), container_of(context)
    found = [*_of_database(container, settings), *asyncio.run(examine_host(container(settings=settings)))]
    click.echo(as_json(found) if Output(output) is Output.JSON else as_table(found))
    if worst(found) is Level.PROBLEM:
        context.exit(1)


def _of_database(container: "type[Commands]", settings: Settings) -> Sequence[Finding]:
    try:
        if settings.embedded and not container(settings=settings).embedded_postgres().exists:
            unmade = _UNMADE.format(settings.data_dir)
            return [note("database", unmade, remedy="`pglambda serve` makes it at its first start.")]
        with command_database(container, settings) as commands:
            return asyncio.run(examine_database(commands))
    except (DataDirError, ServerFailed) as error:
        return [unstarted(str(error))]
    except PermissionError as error:
        return [unstarted(f"{error.filename} may not be looked into by this user. Run it as the service's own user.")]
