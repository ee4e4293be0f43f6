"""The command `openapi`."""

import click

from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples


@click.command(epilog=examples("pglambda openapi > openapi.json"))
@click.pass_context
def openapi(context: click.Context) -> None:
    """Print the OpenAPI document of the API.

    The document has the limits of the settings, as `/openapi.json` of a service with these settings has.
    """
    with failures_reported():
        click.echo(container_of(context)(settings=settings_in_force()).document(), nl=False)
