"""Tokens for local use."""

import json
from datetime import timedelta

import click

from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.cli.arguments import owner_option, scopes_option, span
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

_UNSIGNED = (
    "There is no JWT_SECRET to sign with. Set it here as for the service; tokens for JWT_PUBLIC_KEY and JWT_JWKS_URL "
    "are made by whoever has the private key. `pglambda keys create` makes an API key instead."
)


@click.command(
    epilog=examples(
        "pglambda token --owner alice --scope execute:all",
        "pglambda token --owner ops --scope admin --expires-in 15m",
    )
)
@owner_option
@scopes_option
@click.option("--expires-in", "lifetime", type=span, default="1h", show_default=True, help="How long it holds.")
@output_option
@click.pass_context
def token(context: click.Context, owner: Owner, scopes: tuple[str, ...], lifetime: timedelta, output: str) -> None:
    """Print a token signed with JWT_SECRET.

    It is for local use, and printed alone, unless JSON is asked for: nothing is stored.
    """
    with failures_reported():
        settings = settings_in_force()
        if settings.jwt_secret is None:
            raise click.ClickException(_UNSIGNED)
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
