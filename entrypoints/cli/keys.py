"""The command `keys`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import click

from domain.access.api_key import PREFIX, ApiKey
from domain.access.api_key_service import ApiKeyService
from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.cli.arguments import any_owner, owner_option, scopes_option, span
from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table

_PAGE = 200
_ONCE = "Save the key now: it is not shown again. The database stores only its digest."
_REJECTED_WITHIN = "Running controllers reject it within 5 seconds."

Result = TypeVar("Result")


@click.group()
def keys() -> None:
    """Create, list and revoke API keys.

    A key authenticates its owner until it expires or is revoked. The database stores only its digest.
    """


@keys.command(epilog=examples("pglambda keys create --owner alice --scope execute:all --expires-in 90d"))
@owner_option
@scopes_option
@click.option(
    "--expires-in",
    "lifetime",
    type=span,
    metavar="TIME",
    help="How long the key is valid. Default: until it is revoked.",
)
@output_option
@click.pass_context
def create(
    context: click.Context, owner: Owner, scopes: tuple[str, ...], lifetime: timedelta | None, output: str
) -> None:
    """Create a key and print it once."""
    wanted = frozenset(map(Scope, scopes))
    issued = _on_keys(context, lambda service: service.create(owner, wanted, lifetime))
    facts = {"key": str(issued.text), **_facts(issued.key)}
    click.echo(json.dumps(facts, indent=2) if Output(output) is Output.JSON else table(list(map(_pair, facts.items()))))
    click.echo(_ONCE, err=True)


@keys.command("list", epilog=examples("pglambda keys list --owner alice", "pglambda keys list --unused-for 90d"))
@click.option("--owner", type=any_owner, metavar="OWNER", help="Only keys of this owner.")
@click.option("--expires-within", type=span, metavar="TIME", help="Only valid keys that end within this time.")
@click.option("--unused-for", type=span, metavar="TIME", help="Only valid keys without a use in this time.")
@output_option
@click.pass_context
def list_keys(
    context: click.Context,
    owner: Owner | None,
    expires_within: timedelta | None,
    unused_for: timedelta | None,
    output: str,
) -> None:
    """List the keys, newest first, without their secrets.

    The last use may be late by a minute. Uses before release 0.3.0 are not recorded.
    """

    async def use(service: ApiKeyService) -> Sequence[ApiKey]:
        now = service.now()
        return [
            key
            for key in await _every(service, owner)
            if (expires_within is None or key.expires_soon(now, expires_within))
            and (unused_for is None or key.is_unused(now, unused_for))
        ]

    found = [_facts(key) for key in _on_keys(context, use)]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(table([[name.replace("_", " ") for name in found[0]], *[_row(facts) for facts in found]]))
    else:
        click.echo("No keys.")


@keys.command(
    epilog=examples(
        "pglambda keys revoke 019a6c1e3f4b7c2d8e9f0a1b2c3d4e5f --dry-run",
        "pglambda keys revoke 019a6c1e3f4b7c2d8e9f0a1b2c3d4e5f --yes",
    )
)
@click.argument("key")
@dry_run_option
@yes_option
@output_option
@click.pass_context
def revoke(context: click.Context, key: str, dry_run: bool, yes: bool, output: str) -> None:
    """Revoke a key by its id or by its full text.

    The command asks before it revokes the key. Revoking a key again changes nothing.
    """
    key_id = _key_id(key)

    async def use(service: ApiKeyService) -> ApiKey:
        found = await service.find(key_id)
        if dry_run or found.revoked_at is not None:
            return found
        require_consent([_loss(found)], consent_of(yes=yes))
        return await service.revoke(key_id)

    found = _on_keys(context, use)
    click.echo(json.dumps(_facts(found), indent=2) if Output(output) is Output.JSON else _revoked(found))


def _loss(key: ApiKey) -> Loss:
    return Loss(f"This revokes 1 API key: {_named(key)}.")


def _revoked(key: ApiKey) -> str:
    if key.revoked_at is None:
        return f"Would revoke 1 API key: {_named(key)}."
    return f"Revoked {key.key_id.hex} of {key.owner}. {_REJECTED_WITHIN}"


def _named(key: ApiKey) -> str:
    return f"{key.key_id.hex} of {key.owner} ({' '.join(sorted(key.scopes))})"


def _on_keys(context: click.Context, use: Callable[[ApiKeyService], Awaitable[Result]]) -> Result:
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:

        async def call() -> Result:
            async with commands.database_access().opened():
                return await use(commands.keys())

        return asyncio.run(call())


async def _every(service: ApiKeyService, owner: Owner | None) -> Sequence[ApiKey]:
    found: list[ApiKey] = []
    after: UUID | None = None
    while True:
        page = await service.page(owner, after, _PAGE)
        found += page.items
        after = page.next_after
        if after is None:
            return found


def _key_id(text: str) -> UUID:
    """Return the id in an id or in the full text of a key; raises BadParameter."""
    name = text.removeprefix(PREFIX).partition("_")[0]
    try:
        return UUID(name)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither the id of a key nor a key ({PREFIX}...)", param_hint="KEY"
        ) from None


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.key_id.hex,
        "owner": key.owner,
        "scopes": sorted(key.scopes),
        "created_at": _instant(key.created_at),
        "expires_at": _instant(key.expires_at),
        "revoked_at": _instant(key.revoked_at),
        "last_used_at": _instant(key.last_used_at),
    }


def _row(facts: dict[str, Any]) -> list[str]:
    return [_shown(value) for value in facts.values()]


def _pair(fact: tuple[str, Any]) -> tuple[str, str]:
    return fact[0].replace("_", " "), _shown(fact[1])


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else value or ""


def _instant(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
