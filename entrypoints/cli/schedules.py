"""The command `schedules`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from domain.audit import ActName
from domain.identity import EVERY_OWNER, Owner
from domain.queue.entry import Entry
from domain.queue.state import ExecutionState
from domain.schedules.firing import Firing
from domain.schedules.plan import FunctionTarget
from domain.schedules.service import ScheduleView
from domain.schedules.timing import Cron, Interval, Timing
from entrypoints.cli.arguments import any_owner
from entrypoints.cli.database import command_database, patient, record_act
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, shown, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_PAGE = 200
_LISTED_MAX = 100_000
_FIRINGS_SHOWN = 20
_EXAMPLE = "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f"

Result = TypeVar("Result")

_id_argument = click.argument("schedule_id", metavar="ID", type=click.UUID)


@click.group()
def schedules() -> None:
    """List, show, pause, resume and run schedules."""


@schedules.command(name="list", epilog=examples("pglambda schedules list --owner alice"))
@click.option("--owner", type=any_owner, metavar="OWNER", help="Only schedules of this owner.")
@click.option(
    "--limit",
    type=click.IntRange(1, _LISTED_MAX),
    default=100,
    show_default=True,
    metavar="N",
    help="The number of schedules to list.",
)
@output_option
@click.pass_context
def list_schedules(context: click.Context, owner: Owner | None, limit: int, output: str) -> None:
    """List schedules, newest first, with their next due times in UTC."""
    found = [
        _facts(each) for each in _in_database(context, lambda commands: _newest(commands, owner or EVERY_OWNER, limit))
    ]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(_table(found) if found else "No schedules.")


@schedules.command(epilog=examples(f"pglambda schedules show {_EXAMPLE}"))
@_id_argument
@output_option
@click.pass_context
def show(context: click.Context, schedule_id: UUID, output: str) -> None:
    """Show a schedule of any owner, with the newest of its due times and what became of them."""

    async def read(commands: "Commands") -> tuple[ScheduleView, Sequence[Firing]]:
        service = commands.schedules()
        view = await service.get(EVERY_OWNER, schedule_id)
        return view, await service.firings(EVERY_OWNER, schedule_id, None, _FIRINGS_SHOWN)

    view, firings = _in_database(context, read)
    facts, became = _facts(view), [_firing(each) for each in firings]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(facts | {"firings": became}, indent=2))
    else:
        click.echo(table([[name, _shown(value)] for name, value in facts.items()]))
        click.echo(f"\n{_table(became)}" if became else "\nNo due time was settled yet.")


@schedules.command(epilog=examples(f"pglambda schedules pause {_EXAMPLE}"))
@_id_argument
@click.pass_context
def pause(context: click.Context, schedule_id: UUID) -> None:
    """Let a schedule of any owner fire nothing until it is resumed."""
    _in_database(context, lambda commands: commands.schedules().pause(EVERY_OWNER, schedule_id, commands.actor()))
    click.echo("It is paused.")


@schedules.command(epilog=examples(f"pglambda schedules resume {_EXAMPLE}"))
@_id_argument
@click.pass_context
def resume(context: click.Context, schedule_id: UUID) -> None:
    """Continue a schedule of any owner with its first due time from now on."""
    view = _in_database(
        context, lambda commands: commands.schedules().resume(EVERY_OWNER, schedule_id, commands.actor())
    )
    click.echo(f"Next due: {_shown(_facts(view)['next_at'])}")


@schedules.command(epilog=examples(f"pglambda schedules run {_EXAMPLE}"))
@_id_argument
@click.pass_context
def run(context: click.Context, schedule_id: UUID) -> None:
    """Accept an execution of a schedule of any owner now, and print its id.

    Its due times stay as they are. A controller runs the execution within a second.
    """

    async def accepted(commands: "Commands") -> UUID:
        entry: Entry | ExecutionState = await commands.schedules().run(EVERY_OWNER, schedule_id, lambda _: None)
        details = {"execution_id": str(entry.execution_id)}
        await record_act(commands, ActName.SCHEDULES_RUN, schedule_id, details, entry.ref.owner)
        return entry.execution_id

    click.echo(_in_database(context, accepted))


def _in_database(context: click.Context, call: "Callable[[Commands], Awaitable[Result]]") -> Result:
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        return asyncio.run(_opened(commands, call))


async def _opened(commands: "Commands", call: "Callable[[Commands], Awaitable[Result]]") -> Result:
    async with commands.database_access().opened():
        return await call(commands)


async def _newest(commands: "Commands", owner: Owner, limit: int) -> Sequence[ScheduleView]:
    service, after = commands.schedules(), None
    found: list[ScheduleView] = []
    while len(found) < limit:
        page = await service.page(owner, after, min(_PAGE, limit - len(found)))
        found += page.items
        after = page.next_after
        if after is None:
            break
    return found


def _facts(view: ScheduleView) -> dict[str, Any]:
    schedule, target = view.schedule, view.schedule.plan.target
    state = "paused" if schedule.paused else schedule.end_reason or ("active" if schedule.next_at else "over")
    return {
        "schedule_id": str(schedule.schedule_id),
        "owner": schedule.owner,
        "name": schedule.plan.name,
        "target": target.name if isinstance(target, FunctionTarget) else str(target.session_id),
        "timing": _timing(schedule.plan.timing),
        "state": str(state),
        "next_at": view.upcoming[0].isoformat() if view.upcoming else None,
    }


def _timing(timing: Timing) -> str:
    if isinstance(timing, Cron):
        return f"{timing.expression} {timing.zone}"
    return f"every {timing.seconds} s" if isinstance(timing, Interval) else f"at {timing.at.isoformat()}"


def _firing(firing: Firing) -> dict[str, Any]:
    return {
        "due_at": firing.due_at.isoformat(),
        "due_times": firing.due_times,
        "state": str(firing.state),
        "reason": firing.reason,
        "execution_id": firing.execution_id and str(firing.execution_id),
    }


def _table(rows: Sequence[dict[str, Any]]) -> str:
    return table([list(rows[0]), *[[_shown(value) for value in facts.values()] for facts in rows]])


def _shown(value: Any) -> str:
    return "-" if value is None else shown(str(value))
