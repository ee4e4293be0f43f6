"""The live output of an execution in the terminal."""

import sys
from typing import TYPE_CHECKING
from uuid import UUID

import click

from domain.executions.execution import Executed, ExecutionNotFound
from domain.identity import EVERY_OWNER
from domain.live.events import ExecutionEnded, Gap, OutputPiece, What
from domain.live.position import OutputStream, Position
from domain.queue.following import Ended, EventsNotKept
from domain.scripts.output import ScriptProgress
from entrypoints.cli.output import printable, shown

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands


async def follow_execution(commands: "Commands", execution_id: UUID) -> bool:
    """Show events up to the end, and return whether the execution succeeded.

    Raises ExecutionNotFound or EventsNotKept, also if it is erased meanwhile.
    """
    source = await commands.execution_events().follow(EVERY_OWNER, execution_id, Position())
    position, succeeded = Position(), False
    while not position.is_end and (events := await source.next(position)):
        position = events[-1].position
        for event in events:
            _show(event.what)
            if isinstance(event.what, ExecutionEnded):
                succeeded = _has_succeeded(event.what.end)
    return succeeded


def _show(what: What[Ended]) -> None:
    match what:
        case OutputPiece():
            is_error = what.stream is OutputStream.STDERR
            click.echo(printable(what.text, sys.stderr if is_error else sys.stdout), nl=False, err=is_error)
        case ScriptProgress():
            share = "" if what.value is None else f"{what.value:.0%} "
            click.echo(f"progress: {share}{shown(what.message)}".rstrip(), err=True)
        case Gap():
            click.echo(f"{what.stream}: bytes {what.start} to {what.end - 1} are no longer kept.", err=True)
        case ExecutionEnded():
            click.echo(_end(what.end), err=True)


def _has_succeeded(ended: Ended) -> bool:
    return isinstance(ended, Executed) and ended.report.failure is None


def _end(ended: Ended) -> str:
    if isinstance(ended, ExecutionNotFound | EventsNotKept):
        raise ended
    if not isinstance(ended, Executed):
        return f"unknown: {ended.message}"
    failure = ended.report.failure
    if failure is None:
        return f"succeeded: {shown(ended.report.result or 'no result')}"
    return f"{ended.report.status}: {failure.code}: {shown(failure.summary)}"
