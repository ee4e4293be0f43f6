"""The command `config`."""

import json
import os

import click

from entrypoints.cli.invocation import controller_settings, failures_reported, runtime_host_settings
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.settings.listing import setting_document, setting_lines
from entrypoints.settings.near_names import near_names


@click.group()
def config() -> None:
    """Show and check the settings.

    All settings come from environment variables. A secret can be in a file instead: append _FILE to the name of the
    variable, and set it to the path.
    """


@config.command(
    epilog=examples(
        "pglambda config show",
        "pglambda config show --describe",
        "pglambda config show --output json",
    )
)
@click.option("--describe", is_flag=True, help="Add the meaning of each setting. JSON always has it.")
@output_option
def show(describe: bool, output: str) -> None:
    """Print the value of every setting; secrets are masked."""
    with failures_reported():
        settings = controller_settings()
    _warn_of_near_names()
    if Output(output) is Output.JSON:
        click.echo(json.dumps(setting_document(settings), indent=2))
        return
    for line in setting_lines(settings, describe=describe):
        click.echo(line)


@config.command(epilog=examples("pglambda config check", "pglambda config check --runtime-host"))
@click.option("--runtime-host", is_flag=True, help="Check the settings for a runtime host, not for a controller.")
def check(runtime_host: bool) -> None:
    """Check every setting, and start nothing.

    The check is that of a start: it parses keys, reads files, and runs NODEJS_PATH with --version. The exit status is 0
    if all settings are valid, else 2. A variable that nearly has the name of a setting is a warning.
    """
    with failures_reported():
        runtime_host_settings() if runtime_host else controller_settings()
    _warn_of_near_names()
    click.echo("All settings are valid.")


def _warn_of_near_names() -> None:
    for near in near_names(os.environ):
        click.echo(f"Warning: {near}", err=True)
