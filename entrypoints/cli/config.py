"""The command `config`."""

import json

import click

from entrypoints.cli.invocation import controller_settings, failures_reported
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.settings.listing import setting_document, setting_lines


@click.group()
def config() -> None:
    """Show the settings.

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
    if Output(output) is Output.JSON:
        click.echo(json.dumps(setting_document(settings), indent=2))
        return
    for line in setting_lines(settings, describe=describe):
        click.echo(line)
