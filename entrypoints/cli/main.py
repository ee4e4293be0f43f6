"""The command `pglambda`."""

import os
import sys

import click

from entrypoints.cli.lazy_group import LazyGroup, examples
from entrypoints.version import VERSION

INTERRUPTED = 130
"""As a shell tells of a program that SIGINT has ended."""

_COMMANDS = {
    "serve": ("entrypoints.cli.serve:serve", "Serve the HTTP API until Ctrl-C or SIGTERM."),
    "runtime-host": ("entrypoints.cli.serve:runtime_host", "Run scripts for controllers elsewhere."),
    "migrate": ("entrypoints.cli.migrate:migrate", "Bring the database's schema up or down."),
    "doctor": ("entrypoints.cli.doctor.command:doctor", "Check the installation, and say what to do."),
    "explain": ("entrypoints.cli.explain.command:explain", "Explain what happened to a session or an execution."),
    "selftest": ("entrypoints.cli.selftest:selftest", "Attack this host's sandbox by every known way out."),
    "storage": ("entrypoints.cli.storage:storage", "Show what is stored, and how long there is room."),
    "token": ("entrypoints.cli.token:token", "Print a token signed with JWT_SECRET."),
    "keys": ("entrypoints.cli.keys:keys", "Make, list and revoke API keys."),
    "owners": ("entrypoints.cli.owners:owners", "Hand over what belongs to an owner."),
    "bench": ("entrypoints.cli.bench:bench", "Measure a running service from here."),
    "config": ("entrypoints.cli.config:config", "See the settings."),
    "openapi": ("entrypoints.cli.openapi:openapi", "Print the OpenAPI document of the API."),
    "completion": ("entrypoints.cli.completion:completion", "Print the completion script of a shell."),
}


@click.group(
    cls=LazyGroup,
    deferred=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "pglambda serve",
        "pglambda doctor",
        "DATABASE_URL=postgresql://db.example.com/pglambda pglambda migrate up",
    ),
)
@click.version_option(VERSION, prog_name="pglambda")
def cli() -> None:
    """Script sessions on PostgreSQL alone, run in a sandbox.

    Settings come from environment variables; `pglambda config show --describe` lists them all. The exit status is 0
    when a command has done its work, 1 when it could not or found something wrong, 2 when its arguments or the
    settings are wrong, and 130 after Ctrl-C.
    """


def _colour() -> bool | None:
    """Return that there are to be no colours (https://no-color.org), or None: terminals alone have them."""
    return False if os.environ.get("NO_COLOR") else None


def main(command: click.Command = cli) -> None:
    """Run the command with the process's arguments, and exit."""
    try:
        sys.exit(command.main(prog_name="pglambda", standalone_mode=False, color=_colour()))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED)
