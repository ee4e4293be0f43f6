"""The command `executions`."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import click

from domain.audit import ActName
from domain.errors import Unavailable
from domain.executions.execution import ExecutionNotFound
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.queue.ports import ExecutionQueue, StateFilter
from domain.queue.state import CancelResult, ExecutionNotEnded, ExecutionNotKept, ExecutionState
from domain.queue.submission import Submission
from domain.scripts.report import ExecutionStatus
from entrypoints.cli.arguments import any_owner
from entrypoints.cli.database import command_database, patient, record_act
from entrypoints.cli.follow import follow_execution
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, shown, table

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_PAGE = 200
_LISTED_MAX = 100_000
_EXAMPLE = "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f"
_CANCELS = {
    CancelResult.CANCELLED: "It was queued, and will not run.",
    CancelResult.CANCELLING: "It runs, and is being stopped. `pglambda executions show` has its end.",
    CancelResult.ENDED: "It had ended before: {}.",
}

Result = TypeVar("Result")

_id_argument = click.argument("execution_id", metavar="ID", type=click.UUID)


@click.group()
def executions() -> None:
    """List, show, follow, cancel and repeat executions that run later."""


@executions.command(name="list", epilog=examples("pglambda executions list --owner alice --status failed"))
@click.option(
    "--owner", type=any_owner, metavar="OWNER", default=ANONYMOUS, show_default=True, help="Whose executions to list."
)
@click.option("--status", type=click.Choice([each.value for each in ExecutionStatus]), help="Only those in this state.")
@click.option("--session", type=click.UUID, metavar="ID", help="Only those of this session.")
@click.option(
    "--limit",
    type=click.IntRange(1, _LISTED_MAX),
    default=50,
    show_default=True,
    metavar="N",
    help="The number of executions to list.",
)
@output_option
@click.pass_context
def list_executions(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context, owner: Owner, status: str | None, session: UUID | None, limit: int, output: str
) -> None:
    """List executions that were accepted to run later, newest first, while their results are kept."""
    wanted = StateFilter(None if status is None else ExecutionStatus(status), session)
    found = [_facts(each) for each in _in_database(context, lambda commands: _newest(commands, owner, wanted, limit))]
    if Output(output) is Output.JSON:
        click.echo(json.dumps(found, indent=2))
    elif found:
        rows = [["" if each is None else str(each) for each in facts.values()] for facts in found]
        click.echo(table([list(found[0]), *rows]))
    else:
        click.echo("No executions.")


@executions.command(epilog=examples(f"pglambda executions show {_EXAMPLE}"))
@_id_argument
@output_option
@click.pass_context
def show(context: click.Context, execution_id: UUID, output: str) -> None:
    """Show the state of an execution of any owner, with its result and output if they are kept."""
    state = _in_database(context, lambda commands: _state(commands, execution_id))
    facts = _facts(state) | _end(state)
    if Output(output) is Output.JSON:
        click.echo(json.dumps(facts, indent=2))
    else:
        rows = [[name, shown(str(value))] for name, value in facts.items() if value is not None]
        click.echo(table(rows))


@executions.command(epilog=examples(f"pglambda executions follow {_EXAMPLE}"))
@_id_argument
@click.pass_context
def follow(context: click.Context, execution_id: UUID) -> None:
    """Show what an execution of any owner writes while it runs, and how it ends.

    Its output goes to stdout and stderr, its progress and its end to stderr. The exit code is 0 if it succeeded, and
    else 1. Output of an execution that runs for less than a second is shown at the end. A database that is away is
    awaited.
    """
    context.exit(0 if _in_database(context, lambda commands: follow_execution(commands, execution_id)) else 1)


@executions.command(epilog=examples(f"pglambda executions cancel {_EXAMPLE}"))
@_id_argument
@click.pass_context
def cancel(context: click.Context, execution_id: UUID) -> None:
    """Cancel an execution of any owner that has not ended.

    The controller that runs it stops it within half a second. Repeating the command changes nothing.
    """

    async def cancelled(commands: "Commands") -> tuple[CancelResult, ExecutionState]:
        found = await _queue(commands).cancel(EVERY_OWNER, execution_id, commands.clock().now())
        if found[0] is not CancelResult.ENDED:
            await _record(commands, ActName.EXECUTIONS_CANCEL, execution_id, {"found": found[0]})
        return found

    result, state = _in_database(context, cancelled)
    click.echo(_CANCELS[result].format(state.status))


@executions.command(epilog=examples(f"pglambda executions retry {_EXAMPLE}"))
@_id_argument
@click.pass_context
def retry(context: click.Context, execution_id: UUID) -> None:
    """Accept an execution that has ended once more, with its params and options, and print the id of the new one.

    The limits of the queue do not apply. A controller runs it within a second.
    """
    click.echo(_in_database(context, lambda commands: _retried(commands, execution_id)))


def _in_database(context: click.Context, read: "Callable[[Commands], Awaitable[Result]]") -> Result:
    with failures_reported(), command_database(container_of(context), patient(settings_in_force())) as commands:
        return asyncio.run(_opened(commands, read))


async def _opened(commands: "Commands", read: "Callable[[Commands], Awaitable[Result]]") -> Result:
    async with commands.database_access().opened():
        return await read(commands)


def _queue(commands: "Commands") -> ExecutionQueue:
    queue: ExecutionQueue = commands.execution_queue()
    return queue


async def _newest(commands: "Commands", owner: Owner, wanted: StateFilter, limit: int) -> Sequence[ExecutionState]:
    queue, now, after = _queue(commands), commands.clock().now(), None
    states: list[ExecutionState] = []
    while len(states) < limit:
        page = await queue.page(owner, after, min(_PAGE, limit - len(states)), now, wanted)
        states += page.items
        after = page.next_after
        if after is None:
            break
    return states


async def _state(commands: "Commands", execution_id: UUID) -> ExecutionState:
    return await _queue(commands).state(EVERY_OWNER, execution_id, commands.clock().now())


async def _retried(commands: "Commands", execution_id: UUID) -> UUID:
    queue, now, policy = _queue(commands), commands.clock().now(), commands.queue_policy()
    state = await _state(commands, execution_id)
    if not state.status.is_final:
        raise ExecutionNotEnded(execution_id, state.status)
    try:
        entry = await queue.entry(EVERY_OWNER, execution_id, now)
    except ExecutionNotFound:
        raise ExecutionNotKept(execution_id) from None
    again = Submission(entry.params, options=entry.options, retry_of=execution_id)
    following = again.entry(entry.ref, commands.ids().new(now, entry.ref.session_id))
    accepted = await queue.accept(following, policy.allowance, policy.retention)
    await _record(commands, ActName.EXECUTIONS_RETRY, execution_id, {"execution_id": str(accepted.execution_id)})
    return accepted.execution_id


async def _record(commands: "Commands", name: ActName, execution_id: UUID, details: Mapping[str, object]) -> None:
    try:
        owner = await _owner(commands, execution_id)
    except Unavailable:
        owner = None
    await record_act(commands, name, execution_id, details, owner)


async def _owner(commands: "Commands", execution_id: UUID) -> Owner | None:
    """Return whose execution it is; None if its caller waited for it."""
    try:
        return (await _queue(commands).entry(EVERY_OWNER, execution_id, commands.clock().now())).ref.owner
    except ExecutionNotFound:
        return None


def _facts(state: ExecutionState) -> dict[str, Any]:
    return {
        "execution_id": str(state.execution_id),
        "request_id": str(state.ref.session_id),
        "status": str(state.status),
        "accepted_at": state.accepted_at.isoformat(),
        "attempt": state.attempt,
        "retry_of": state.retry_of and str(state.retry_of),
        "next_attempt": state.next_attempt and str(state.next_attempt),
    }


def _end(state: ExecutionState) -> dict[str, Any]:
    """Return how the execution ended, as far as it is kept."""
    report = state.report
    if report is None:
        return {"position": state.position}
    return {
        "result": report.result,
        "error": report.failure and f"{report.failure.code}: {report.failure.message}",
        "stdout": report.stdout or None,
        "stderr": report.stderr or None,
    }
