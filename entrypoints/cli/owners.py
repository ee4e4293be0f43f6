"""The command `owners`."""

import asyncio
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from attrs import asdict, frozen

from domain.access.owner_move import OwnedData, OwnerMover
from domain.audit import ActName
from domain.identity import EVERY_OWNER, SHARED, Owner
from domain.usage import OwnerReport
from entrypoints.cli.arguments import any_owner, owner
from entrypoints.cli.consent import Loss, consent_of, dry_run_option, require_consent, yes_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_BUSY = "The rest was executing or is new. Run the command again to move it."
_LEFT = "The rest is new, or functions that sessions of others use. Revoke the owner's keys, and run the command again."


_PAGE = 50
_OWNERS_MAX = 10_000
_COLUMNS = ("owner", "sessions", "stored bytes", "functions", "executions", "failed", "CPU s")


@frozen
class OwnerChange:
    """What belonged to an owner before and after the command."""

    before: Mapping[OwnedData, int]
    after: Mapping[OwnedData, int]


@click.group()
def owners() -> None:
    """Show, move or erase what belongs to an owner."""


@owners.command(
    epilog=examples("pglambda owners move anonymous alice --dry-run", "pglambda owners move anonymous alice --yes")
)
@click.argument("source", type=any_owner)
@click.argument("target", type=owner)
@click.option("--skip-functions", is_flag=True, help="Leave functions with SOURCE.")
@dry_run_option
@yes_option
@output_option
@click.pass_context
def move(  # noqa: PLR0913, PLR0917  # one for each argument and option
    context: click.Context,
    source: Owner,
    target: Owner,
    skip_functions: bool,
    dry_run: bool,
    yes: bool,
    output: str,
) -> None:
    """Move everything of SOURCE to TARGET: functions, sessions with their executions, keys, egress rules, secrets.

    Copies of the origin's sessions get their owner when they are adopted, so they are not moved.

    The command asks first: afterwards nothing tells what came from SOURCE. The move runs in small steps while
    controllers serve. In a database with buckets it first waits for 60 s, so that all controllers know of it. You can
    stop it and start it again at any time. To move from `anonymous`, turn authentication on first: then no caller is
    `anonymous` any more. Nothing is moved if both owners have a function of the same title, or if a key that sealed a
    secret is not set. A secret stays if both have one of its name. The exit status is 1 if something is left.
    """
    if source == target:
        raise click.BadParameter("must not be the same as SOURCE", param_hint="TARGET")
    consent = None if dry_run else consent_of(yes=yes)
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = asyncio.run(_moved(commands, source, target, consent, functions=not skip_functions))
    _print(found, Output(output), ("move", "Moved", _BUSY), dry_run=dry_run)
    if not dry_run and any(found.after.values()):
        context.exit(1)


@owners.command(epilog=examples("pglambda owners purge alice --dry-run", "pglambda owners purge alice --yes"))
@click.argument("owner", type=any_owner)
@dry_run_option
@yes_option
@output_option
@click.pass_context
def purge(context: click.Context, owner: Owner, dry_run: bool, yes: bool, output: str) -> None:
    """Erase all content of OWNER: sessions, executions, idempotency keys, functions, egress rules and secrets.

    The command asks first. Sessions are closed and emptied; their rows, without content, stay until their retention is
    over. Copies of the origin's sessions are removed too; the origin still has the sessions. API keys stay: revoke
    them first, so that nothing new comes. The erasure runs in small steps while controllers
    serve. You can stop it and start it again at any time. The audit record says that it happened, with the numbers.
    Dumps and replicas that you keep are not changed. The exit status is 1 if something is left.
    """
    if owner in {SHARED, EVERY_OWNER}:
        raise click.BadParameter(f"{owner} is not an owner whose content can be erased", param_hint="OWNER")
    consent = None if dry_run else consent_of(yes=yes)
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = asyncio.run(_purged(commands, owner, consent))
    _print(found, Output(output), ("purge", "Purged", _LEFT), dry_run=dry_run)
    if not dry_run and any(found.after.values()):
        context.exit(1)


@owners.command(epilog=examples("pglambda owners usage", "pglambda owners usage alice --output json"))
@click.argument("owner", type=any_owner, default=EVERY_OWNER)
@click.option(
    "--limit",
    type=click.IntRange(1, _OWNERS_MAX),
    default=100,
    show_default=True,
    metavar="N",
    help="The number of owners to list.",
)
@output_option
@click.pass_context
def usage(context: click.Context, owner: Owner, limit: int, output: str) -> None:
    """Show what OWNER, or each owner by name, has stored and executed.

    Executions are those of the days that the history keeps. They are counted in the background, some minutes after
    their end, also if they are purged later. A + says that there may be more sessions or functions than were counted.
    """
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        found = asyncio.run(_usage(commands, owner, limit))
    if Output(output) is Output.JSON:
        click.echo(json.dumps([_report_facts(report) for report in found], indent=2, default=str))
    elif found:
        rows = [_COLUMNS, *map(_report_row, found)]
        click.echo(table(rows, frozenset(range(1, len(_COLUMNS)))))
    else:
        click.echo("There are no owners.")


async def _usage(commands: "Commands", owner: Owner, limit: int) -> Sequence[OwnerReport]:
    found: list[OwnerReport] = []
    async with commands.database_access().opened():
        service, after = commands.usage(), Owner("")
        while len(found) < limit:
            page = await service.page(commands.operator(), owner, after, min(_PAGE, limit - len(found)))
            found += page.reports
            if page.next_after is None:
                break
            after = page.next_after
    return found


def _report_facts(report: OwnerReport) -> Mapping[str, object]:
    quotas = {use.limit: {"observed": use.observed, "allowed": use.allowed} for use in report.quotas}
    days = [asdict(day) for day in report.days]
    return {"owner": report.owner, "quotas": quotas, "days": days, "complete": report.complete}


def _report_row(report: OwnerReport) -> Sequence[str]:
    observed, more = {use.limit: use.observed for use in report.quotas}, "" if report.complete else "+"
    stored = [f"{observed[limit]:,}{more}" for limit in ("live_sessions", "stored_bytes", "functions")]
    executions, failed = sum(day.executions for day in report.days), sum(day.failed for day in report.days)
    cpu_s = sum(day.cpu_time_ms for day in report.days) / 1000
    return report.owner, *stored, f"{executions:,}", f"{failed:,}", f"{cpu_s:,.1f}"


async def _purged(commands: "Commands", owner: Owner, consent: Collection[str] | None) -> OwnerChange:
    """Purge if there is consent; None counts only."""
    async with commands.database_access().opened():
        purger = commands.owner_purger()
        before = await purger.count(owner)
        if consent is None:
            return OwnerChange(before, before)
        require_consent([Loss(f"This erases {_listed(before)} of {owner}.")], consent)
        with click.progressbar(length=sum(before.values()), label="Purging", file=sys.stderr) as bar:
            async for step in purger.purge(owner, commands.new_act(ActName.OWNERS_PURGE)):
                bar.update(step.moved)
        return OwnerChange(before, await purger.count(owner))


async def _moved(
    commands: "Commands", source: Owner, target: Owner, consent: Collection[str] | None, *, functions: bool
) -> OwnerChange:
    """Move if there is consent; None counts only."""
    async with commands.database_access().opened():
        mover = commands.owner_mover()
        if functions:
            await _require_no_collision(mover, source, target)
        before = await _counted(mover, source, functions=functions)
        if consent is None:
            return OwnerChange(before, before)
        if any(before.values()):
            require_consent([Loss(f"This moves {_listed(before)} from {source} to {target}.")], consent)
        with click.progressbar(length=sum(before.values()), label="Moving", file=sys.stderr) as bar:
            act = commands.new_act(ActName.OWNERS_MOVE)
            async for step in mover.move(source, target, act, functions=functions):
                bar.update(step.moved)
        return OwnerChange(before, await _counted(mover, source, functions=functions))


async def _require_no_collision(mover: OwnerMover, source: Owner, target: Owner) -> None:
    titles = await mover.collisions(source, target)
    if titles:
        raise click.ClickException(
            f"Both {source} and {target} have functions (or deactivated ones) of these titles, so nothing was moved: "
            f"{', '.join(map(str, titles))}. Add --skip-functions to move the rest: functions then stay with {source}. "
            "An admin can read them there and register them under other titles."
        )


async def _counted(mover: OwnerMover, owner: Owner, *, functions: bool) -> Mapping[OwnedData, int]:
    counts = await mover.count(owner)
    left_out = {OwnedData.ENVIRONMENTS} if functions else {OwnedData.ENVIRONMENTS, OwnedData.FUNCTIONS}
    return {part: number for part, number in counts.items() if part not in left_out}


def _print(found: OwnerChange, output: Output, words: tuple[str, str, str], *, dry_run: bool) -> None:
    """Print what was found; the words are the verb, the verb in the past, and why something may be left."""
    click.echo(_document(found, dry_run) if output is Output.JSON else _text(found, dry_run, *words))


def _text(found: OwnerChange, dry_run: bool, verb: str, past: str, why_left: str) -> str:
    if dry_run:
        return f"Would {verb} {_listed(found.before)}."
    went = {part: number - found.after[part] for part, number in found.before.items()}
    left = f"\nLeft: {_listed(found.after)}. {why_left}" if any(found.after.values()) else ""
    return f"{past} {_listed(went)}.{left}"


def _listed(numbers: Mapping[OwnedData, int]) -> str:
    return ", ".join(f"{number:,} {_NAMES[part][number != 1]}" for part, number in numbers.items())


def _document(found: OwnerChange, dry_run: bool) -> str:
    sides = {"before": found.before} if dry_run else {"before": found.before, "after": found.after}
    return json.dumps(
        {side: {part.replace(" ", "_"): number for part, number in numbers.items()} for side, numbers in sides.items()},
        indent=2,
    )


_NAMES = {
    OwnedData.SESSIONS: ("session", "sessions"),
    OwnedData.KEYS: ("idempotency key", "idempotency keys"),
    OwnedData.HISTORY: ("execution in the history", "executions in the history"),
    OwnedData.FUNCTIONS: ("function", "functions"),
    OwnedData.FILES: ("file", "files"),
    OwnedData.WEBHOOKS: ("webhook", "webhooks"),
    OwnedData.SCHEDULES: ("schedule", "schedules"),
    OwnedData.EGRESS_RULES: ("egress rule", "egress rules"),
    OwnedData.SECRETS: ("secret", "secrets"),
    OwnedData.ENVIRONMENTS: ("environment", "environments"),
}
