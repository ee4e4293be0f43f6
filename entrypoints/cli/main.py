"""The command `pglambda`."""

import os
import sys

import click

from entrypoints.cli.lazy_group import LazyGroup, examples
from entrypoints.version import VERSION

INTERRUPTED = 130
"""The exit status after SIGINT, as shells report it."""

_COMMANDS = {
    "serve": ("entrypoints.cli.serve:serve", "Serve the HTTP API until Ctrl-C or SIGTERM."),
    "runtime-host": ("entrypoints.cli.serve:runtime_host", "Run scripts for controllers on other machines."),
    "hosts": ("entrypoints.cli.hosts:hosts", "List the runtime hosts that have registered themselves."),
    "install": ("entrypoints.cli.install.command:install", "Write units of systemd for this installation."),
    "migrate": ("entrypoints.cli.migrate:migrate", "Apply or revert migrations of the database's schema."),
    "upgrade-database": (
        "entrypoints.cli.upgrade_database:upgrade_database",
        "Move the embedded PostgreSQL to the major version of this release.",
    ),
    "doctor": ("entrypoints.cli.doctor.command:doctor", "Check the installation, and say what to do."),
    "backup": ("entrypoints.cli.backup:backup", "Back up the embedded server while it serves."),
    "restore": ("entrypoints.cli.restore:restore", "Restore a backup, to its end or to a point in time."),
    "explain": (
        "entrypoints.cli.explain.command:explain",
        "Explain what happened to a session, an execution, a schedule, a webhook, a message to one or a file.",
    ),
    "selftest": ("entrypoints.cli.selftest:selftest", "Try every known attack on this host's sandbox."),
    "storage": ("entrypoints.cli.storage:storage", "Show what is stored, and when the space runs out."),
    "token": ("entrypoints.cli.token:token", "Print a token signed with JWT_SECRET."),
    "keys": ("entrypoints.cli.keys:keys", "Create, list and revoke API keys."),
    "egress": ("entrypoints.cli.egress:egress", "Allow, deny and list hosts that scripts of single owners may reach."),
    "environments": (
        "entrypoints.cli.environments.command:environments",
        "Lock, create, list, show and retire sets of packages that scripts may import.",
    ),
    "audit": ("entrypoints.cli.audit:audit", "List administrative acts, newest first."),
    "executions": (
        "entrypoints.cli.executions:executions",
        "List, show, follow, cancel and repeat executions that run later.",
    ),
    "schedules": ("entrypoints.cli.schedules:schedules", "List, show, pause, resume and run schedules."),
    "owners": ("entrypoints.cli.owners:owners", "Show, move or erase what belongs to an owner."),
    "webhooks": (
        "entrypoints.cli.webhooks:webhooks",
        "List webhooks, show what became of their messages, and send messages again.",
    ),
    "secrets": (
        "entrypoints.cli.secrets:secrets",
        "List the secrets of an owner, and seal those of all owners by another key.",
    ),
    "takeover": (
        "entrypoints.cli.takeover.group:takeover",
        "Move the sessions of a live lambda-microservice, the origin, to this service.",
    ),
    "bench": ("entrypoints.cli.bench.command:bench", "Measure a running service from this machine."),
    "config": ("entrypoints.cli.config:config", "Show and check the settings."),
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

    Settings come from environment variables. `pglambda config show --describe` lists them. The exit status is 0 if the
    command succeeded, 1 if it failed or found a problem, 2 if its arguments or the settings are wrong, and 130 after
    Ctrl-C.
    """


def _colour() -> bool | None:
    """Return False if NO_COLOR is set (https://no-color.org), else None: colours on terminals only."""
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
