"""The command `token`."""

import json
from datetime import timedelta

import click

from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.cli.arguments import owner_option, scopes_option, span
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

_CANNOT_SIGN = (
    "JWT_SECRET is not set, so there is no key to sign the token with. Set it as for the service. Tokens for "
    "JWT_PUBLIC_KEY and JWT_JWKS_URL come from the holder of the private key. Or create an API key: pglambda "
    "keys create."
)


@click.command(
    epilog=examples(
        "pglambda token --owner alice --scope execute:all",
        "pglambda token --owner ops --scope admin --expires-in 15m",
    )
)
@owner_option
@scopes_option
@click.option(
    "--expires-in",
    "lifetime",
    type=span,
    metavar="TIME",
    default="1h",
    show_default=True,
    help="How long the token is valid.",
)
@output_option
@click.pass_context
def token(context: click.Context, owner: Owner, scopes: tuple[str, ...], lifetime: timedelta, output: str) -> None:
    """Print a token signed with JWT_SECRET.

    The token is for local use. The command prints the token only, or JSON with its facts. It stores nothing.
    """
    with failures_reported():
        settings = settings_in_force()
        if settings.jwt_secret is None:
            raise click.ClickException(_CANNOT_SIGN)
        wanted = frozenset(map(Scope, scopes))
        text = container_of(context)(settings=settings).token(owner, wanted, lifetime)
    if Output(output) is Output.TABLE:
        click.echo(text)
        return
    facts = {
        "token": text,
        "owner": owner,
        "scopes": sorted(wanted),
        "expires_in_seconds": int(lifetime.total_seconds()),
    }
    click.echo(json.dumps(facts, indent=2))
