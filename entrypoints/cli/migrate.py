"""The command `migrate`."""

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from entrypoints.cli.consent import Loss, dry_run_option, require_consent
from entrypoints.cli.database import command_database
from entrypoints.cli.distribute import distribute
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option

if TYPE_CHECKING:
    from domain.inspection import NodeFacts
    from entrypoints.composition.commands import BucketStatus, DatabaseMigrations, MigrationStatus, PlannedDown

    _States = tuple[Sequence[MigrationStatus], Sequence[BucketStatus], Sequence[NodeFacts]]

Result = TypeVar("Result")

DESTROYED = {
    "sessions": "every session, with its script and context (migration 1).",
    "history": "the history, and the open records of executions (migration 2).",
    "functions": "registered functions with all versions, and the versions that sessions use (migration 3).",
    "idempotency": "idempotency keys with their stored responses, so that a repeated call runs again (migration 4).",
    "keys": "API keys (migration 5).",
    "rates": "the rate balances of owners (migration 6).",
    "shortened-days": "the record of days that the storage budget has removed from the history (migration 7).",
    "registration-times": "the times at which versions of functions became current (migration 9).",
    "owned-functions": "functions of owners, with all versions; shared functions stay (migration 10).",
    "function-authors": "the record of who registered each version of a function (migration 10).",
    "audit": "the audit record (migration 12).",
    "hidden-marks": "the marks of hidden sessions, which become ordinary ones (migration 13).",
    "foreign-sessions": "scripts and contexts of sessions with another calling convention (migration 17).",
    "creation-times": "the times at which sessions were created whose ids do not carry the time (migration 17).",
    "recorded-calls": "calls that were recorded for a rehearsal (migration 21).",
    "takeover": "the takeover: copies of the origin's sessions, and which side owns which session (migration 18).",
    "queue": "executions that have not begun, and the marks of those that were accepted to run later (migration 22).",
    "runtime-hosts": "registered runtime hosts, which register again (migration 26).",
    "live-output": "output of executions that run, for readers at other controllers (migration 25).",
    "schedules": "schedules, and the record of what became of their due times (migration 24).",
    "foreign-functions": "functions and versions with another calling convention (migration 19).",
    "key-uses": "the record of when API keys were last used (migration 20).",
    "webhooks": "webhooks, and the messages to them that wait or were made (migration 23).",
    "buckets": "the record of buckets, of which there must be none (migration 27).",
    "clock-correction": "the correction of the clock after a failover; the time jumps by it (migration 28).",
    "granted-sessions": "scripts and contexts of sessions with grants (migration 29).",
    "granted-functions": "functions and versions with grants (migration 30).",
    "execution-uses": "the record of what executions have used of their grants (migration 32).",
    "egress-rules": "what scripts of single owners may reach (migration 35).",
    "network-usage": "what connections of scripts have used, by owner and day (migration 38).",
    "environments": "environments, their builds and their packages (migration 36).",
    "reservations": "what HTTP workers have reserved of quotas, for a minute at most (migration 37).",
    "states": "the states of sessions (migration 31).",
    "files": "files of owners and of executions (migration 33).",
    "secrets": "the secrets of owners (migration 34).",
    "usage": "the counts of what owners have executed; those of the kept history are counted again (migration 14).",
}
"""The kinds of data that a revert deletes, as in `-- destroys KIND` of the .down.sql files."""

_to = click.option(
    "--to", type=click.IntRange(min=0), metavar="N", help="The number of the last migration that remains applied."
)


@click.group()
def migrate() -> None:
    """Apply or revert migrations of the database's schema.

    Stop the service for migrations up to 16. Later ones work beside controllers of the release before. `pglambda serve`
    migrates the embedded server when it starts, and any other server if AUTO_MIGRATE is on.
    """


@migrate.command(epilog=examples("pglambda migrate up --dry-run", "pglambda migrate up", "pglambda migrate up --to 3"))
@_to
@dry_run_option
@output_option
@click.pass_context
def up(context: click.Context, to: int | None, dry_run: bool, output: str) -> None:
    """Apply the pending migrations."""
    steps = _on_migrations(context, lambda each: each.up(to, dry_run=dry_run), may_make=not dry_run)
    click.echo(_steps_up([str(step) for step in steps], Output(output), dry_run=dry_run))


def _option(kind: str) -> str:
    return f"--destroy-{kind}"


def _destroy_options(command: Callable[..., None]) -> Callable[..., None]:
    for kind, description in reversed(DESTROYED.items()):
        command = click.option(_option(kind), is_flag=True, help=f"Allow the deletion of {description}")(command)
    return command


@migrate.command(
    epilog=examples(
        "pglambda migrate down --to 4 --dry-run", "pglambda migrate down --to 4 --destroy-keys --destroy-rates"
    )
)
@_to
@dry_run_option
@_destroy_options
@output_option
@click.pass_context
def down(context: click.Context, /, to: int | None, dry_run: bool, output: str, **destroy: bool) -> None:
    """Revert migrations: the newest one, or all above N.

    A revert deletes the data of its migration. Each kind of data has an option that allows this. For the others the
    command asks; without a terminal it changes nothing, and the exit status is 2. A kind without rows needs no option.
    --dry-run prints what each revert would delete.
    """
    allowed = frozenset(kind for kind in DESTROYED if destroy[f"destroy_{kind.replace('-', '_')}"])

    async def revert(migrations: "DatabaseMigrations") -> "Sequence[PlannedDown]":
        planned = await migrations.down(to, dry_run=True)
        if dry_run:
            return planned
        require_consent(_losses(planned), frozenset(map(_option, allowed)))
        kinds = {loss.kind for step in planned for loss in step.losses}
        return await migrations.down(to, destroy=allowed | kinds)

    steps = _on_migrations(context, revert)
    click.echo(_steps_back(steps, allowed, Output(output), dry_run=dry_run))


def _losses(steps: "Sequence[PlannedDown]") -> Sequence[Loss]:
    return [
        Loss(f"Reverting {step.name} deletes {loss.text}.", _option(loss.kind))
        for step in steps
        for loss in step.losses
    ]


@migrate.command(epilog=examples("pglambda migrate status", "pglambda migrate status --output json"))
@click.option("--dry-run", is_flag=True, help="Accepted by every migrate command; status never writes.")
@output_option
@click.pass_context
def status(context: click.Context, dry_run: bool, output: str) -> None:  # noqa: ARG001  # every migrate command accepts it
    """List the migrations, and when each was applied; also those of a newer release, beside which this one works.

    The buckets of a distributed database follow, each with the shard of its sessions, its node and the number of
    migrations that it lacks; then the nodes, each with its clock, or why it does not respond.
    """

    async def read(migrations: "DatabaseMigrations") -> "_States":
        return await migrations.status(), await migrations.bucket_status(), await migrations.node_facts()

    click.echo(_states(*_on_migrations(context, read), Output(output)))


def _on_migrations(
    context: click.Context,
    use: "Callable[[DatabaseMigrations], Coroutine[None, None, Result]]",
    *,
    may_make: bool = False,
) -> Result:
    with (
        failures_reported(),
        command_database(container_of(context), settings_in_force(), may_make=may_make) as commands,
    ):
        return asyncio.run(use(commands.migrations()))


def _steps_up(names: Sequence[str], output: Output, *, dry_run: bool) -> str:
    if output is Output.JSON:
        return json.dumps({"direction": "up", "dry_run": dry_run, "migrations": list(names)}, indent=2)
    applied = "Would apply" if dry_run else "Applied"
    return "\n".join(f"{applied} {name}." for name in names) or "Nothing to do."


def _steps_back(steps: "Sequence[PlannedDown]", allowed: Collection[str], output: Output, *, dry_run: bool) -> str:
    if output is Output.JSON:
        deletes = [
            {"migration": step.name, "kind": loss.kind, "option": _option(loss.kind), "counts": dict(loss.counts)}
            for step in steps
            for loss in step.losses
        ]
        names = [step.name for step in steps]
        return json.dumps({"direction": "down", "dry_run": dry_run, "migrations": names, "deletes": deletes}, indent=2)
    lines = [_reverted(step, dry_run=dry_run) for step in steps]
    missing = dict.fromkeys(loss.kind for step in steps for loss in step.losses if loss.kind not in allowed)
    needs = [f"To allow this, add {' '.join(map(_option, missing))}."] if missing and dry_run else []
    return "\n".join([*lines, *needs]) or "Nothing to do."


def _reverted(step: "PlannedDown", *, dry_run: bool) -> str:
    losses = ", ".join(loss.text for loss in step.losses) or "no data"
    return f"Would revert {step.name} and delete {losses}." if dry_run else f"Reverted {step.name}, deleted {losses}."


def _states(
    states: "Sequence[MigrationStatus]", buckets: "Sequence[BucketStatus]", nodes: "Sequence[NodeFacts]", output: Output
) -> str:
    if output is Output.JSON:
        return json.dumps([*map(_status, states), *map(_bucket, buckets), *map(_node, nodes)], indent=2)
    return "\n".join([*map(_status_line, states), *map(_bucket_line, buckets), *map(_node_line, nodes)])


def _node(node: "NodeFacts") -> Mapping[str, object]:
    return {"node": node.address, "clock_ahead_ms": node.clock_ahead_ms, "away": node.reason or None}


def _node_line(node: "NodeFacts") -> str:
    if node.is_away:
        return f"node {node.address}  away: {node.reason}"
    clock = (
        "" if node.clock_ahead_ms is None else f", its clock {node.clock_ahead_ms / 1000:+.2f} s off the coordinator's"
    )
    return f"node {node.address}  responds{clock}"


def _bucket(state: "BucketStatus") -> Mapping[str, object]:
    bucket = state.bucket
    from_at = bucket.from_at.isoformat()
    location = {"nodes": list(state.location.nodes), "shard": state.location.shard}
    facts = {"bucket": bucket.number, "schema": bucket.schema, **location, "from_at": from_at}
    return {**facts, "pending": None if state.away else list(state.pending), "away": state.away or None}


def _bucket_line(state: "BucketStatus") -> str:
    lacks = f"lacks {len(state.pending)} migrations" if state.pending else "has all migrations"
    lacks = f"away: {state.away}" if state.away else lacks
    return f"{state.bucket.schema}  {state.location}  from {state.bucket.from_at.isoformat()}  {lacks}"


def _status(state: "MigrationStatus") -> Mapping[str, object]:
    applied_at = state.applied_at.isoformat() if state.applied_at else None
    return {"name": state.name, "applied_at": applied_at, "newer": state.is_newer}


def _status_line(state: "MigrationStatus") -> str:
    applied = state.applied_at.isoformat() if state.applied_at else "not applied"
    return f"{state.name}  {applied}" + ("  (of a newer release)" if state.is_newer else "")


migrate.add_command(distribute)
