"""The settings, as an operator sees them."""

import json
import os

import click

from entrypoints.cli.invocation import failures_reported
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.settings.listing import setting_document, setting_lines
from entrypoints.settings.loading import load_settings


@click.group()
def config() -> None:
    """See the settings.

    All of them come from environment variables. A secret may be in a file instead, named by the variable with _FILE
    at its end.
    """


@config.command(
    epilog=examples(
        "pglambda config show",
        "pglambda config show --describe",
        "pglambda config show --output json",
    )
)
@click.option("--describe", is_flag=True, help="Say what each setting means; JSON says it always.")
@output_option
def show(describe: bool, output: str) -> None:
    """Print every setting as it is in force; secrets are masked."""
    with failures_reported():
        settings = load_settings(os.environ)
    if Output(output) is Output.JSON:
        click.echo(json.dumps(setting_document(settings), indent=2))
        return
    for line in setting_lines(settings, describe=describe):
        click.echo(line)
