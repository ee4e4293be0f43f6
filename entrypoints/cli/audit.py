"""The command `audit`."""

import asyncio
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from domain.audit import AuditEntry
from domain.identity import MAX_ID
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_PAGE = 200
_ENTRIES_MAX = 100_000


@click.command(epilog=examples("pglambda audit", "pglambda audit --limit 1000 --output json"))
@click.option(
    "--limit",
    type=click.IntRange(1, _ENTRIES_MAX),
    default=100,
    show_default=True,
    metavar="N",
    help="The number of acts to list.",
)
@output_option
@click.pass_context
def audit(context: click.Context, limit: int, output: str) -> None:
    """List administrative acts, newest first.

    Each act has its time, who made it and from where: an owner and a client address, or user@host and "cli". The record
    has acts on keys, functions and owners, purges of sessions, backups, restores and migrations. It keeps them for
    AUDIT_RETENTION_DAYS, and never has scripts, params or results.
    """
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = [_facts(entry) for entry in asyncio.run(_newest(commands, limit))]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        click.echo(table([list(found[0]), *[[_shown(value) for value in facts.values()] for facts in found]]))
    else:
        click.echo("No acts.")


async def _newest(commands: "Commands", limit: int) -> Sequence[AuditEntry]:
    entries: list[AuditEntry] = []
    async with commands.database_access().opened():
        reader, after = commands.audit(), _FIRST
        while after is not None and len(entries) < limit:
            page = await reader.page(after, min(_PAGE, limit - len(entries)))
            entries += page.items
            after = page.next_after
    return entries


_FIRST: UUID | None = MAX_ID
"""All acts are older than this id."""


def _facts(entry: AuditEntry) -> dict[str, Any]:
    return {
        "at": f"{entry.at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "actor": entry.actor.name,
        "origin": entry.actor.origin,
        "act": entry.act,
        "owner": entry.owner,
        "subject": entry.subject,
        "details": dict(entry.details),
    }


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value) if value else ""
