"""The commands `takeover adopt` and `takeover back`."""

import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from domain.takeover.moving import Progress
from domain.takeover.moving_runs import SETTLE_S, AdoptPreview, MoveLimits, MoveRun, Tally, Tell
from domain.takeover.plan import Generation
from domain.takeover.stages import StageCommand
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.invocation import failures_reported
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.connecting import HAD_KEYS, Connected, used
from entrypoints.cli.takeover.options import lost_option, report_option, restored_option, source_options
from entrypoints.cli.takeover.report_file import Note, Report, report_file
from entrypoints.cli.takeover.return_preview import counted, previewed_return

_TOLD_EACH_S = 0.5
_NOTED_ADOPTED = ("foreign", "fenced_again", "waiting", "left")
_NOTED_RETURNED = ("refused", "waiting")
_settle_option = click.option(
    "--settle-seconds",
    type=click.FloatRange(0, 3600),
    default=SETTLE_S,
    show_default=True,
    help="The longest time that an execution of the origin takes. Then the counts that it wrote late are added.",
)
_ADOPTED: Mapping[str, str] = {
    "owned": "moved here",
    "fenced_again": "hidden again: the origin was restored to an earlier state, and served them too",
    "dropped": "copies of sessions that have ended",
    "foreign": "hidden by another takeover of the same origin, which owns them",
    "waiting": "locked at the origin, and not moved",
}
_RETURNED: Mapping[str, str] = {
    "returned": "moved to the origin",
    "refused": "refused by the origin, for a user that it lacks (--make-users), for its tables, or for another session "
    "with the id, and still served here",
    "waiting": "still executing, and moved by the front when they have ended",
    "dropped": "copies of sessions that have ended",
}

_IN_MEMORY = (
    "The origin may be of generation 2, whose controllers keep sessions in memory. So nothing but the front keeps "
    "calls from them: restart the controllers when the command has ended."
)


@contextmanager
def told_progress() -> Iterator[Tell]:
    """Yield what shows progress on standard error: one line that changes on a terminal, else a line now and then."""
    is_terminal, last, told_s = sys.stderr.isatty(), "", 0.0

    def tell(name: str, done: int, total: int | None) -> None:
        """Show a step with its numbers, at most twice a second."""
        nonlocal last, told_s
        if name == last and done != total and time.monotonic() - told_s < _TOLD_EACH_S:
            return
        last, told_s = name, time.monotonic()
        line = f"{name}: {done:,}" if total is None else f"{name}: {done:,} of {total:,}"
        click.echo(f"\r\x1b[K{line}" if is_terminal else line, nl=not is_terminal, err=True)

    try:
        yield tell
    finally:
        if is_terminal and last:
            click.echo(err=True)


@click.command(
    epilog=examples(
        "pglambda takeover adopt --source postgresql://mover@old.example.com/lambda_microservice",
        "pglambda takeover adopt --dry-run",
        "pglambda takeover adopt --settle-seconds 60 --output json",
    )
)
@source_options
@restored_option
@lost_option
@_settle_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def adopt(  # one for each option
    context: click.Context, /, settle_seconds: float, report: Path | None, dry_run: bool, output: str, **given: Any
) -> None:
    """Move live sessions of the origin here, and stay until its late counts were added.

    The command moves sessions in batches, each in one short transaction on either side. A session that a caller uses
    meanwhile moves at once. What cannot be kept here stays with the origin until it expires. Repeat the command at any
    time: it completes what a killed one has left, and repairs what a restored backup on either side has undone. After
    `finish` it continues the takeover. The exit status is 1 if sessions are left with the origin.

    With --origin-lost, the copies become sessions here as they are, and nothing is waited for. Executions that the
    origin has run since the last copy are not counted. Sessions that were returned, and are still stored here, are
    served again.
    """
    limits = MoveLimits(settle_s=0 if given["origin_lost"] else settle_seconds)
    with failures_reported(), report_file(report) as note:
        if dry_run:
            preview = used(context, given, StageCommand.ADOPT, partial(_preview, limits=limits), dry_run=True)
            click.echo(_previewed(preview, Output(output)))
            left = preview.left + preview.foreign
        else:
            use = partial(_moved, command=StageCommand.ADOPT, limits=limits, report=note, outcomes=_NOTED_ADOPTED)
            tally = used(context, given, StageCommand.ADOPT, use)
            click.echo(_told(tally, _ADOPTED, Output(output)))
            left = tally.left_there
    if left:
        context.exit(1)


@click.command(
    epilog=examples(
        "pglambda takeover back --dry-run",
        "pglambda takeover back --make-users --source postgresql://mover@old.example.com/lambda_microservice",
    )
)
@source_options
@restored_option
@_settle_option
@click.option("--make-users", is_flag=True, help="Add users to whom sessions refer and whom the origin lacks.")
@report_option
@dry_run_option
@output_option
@click.pass_context
def back(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    /,
    settle_seconds: float,
    make_users: bool,
    report: Path | None,
    dry_run: bool,
    output: str,
    **given: Any,
) -> None:
    """Move all live sessions to the origin, those that came from there and those that were made here.

    From then on the origin creates new sessions. Each session has every column as it was, but counts that grew. The dry
    run tells what the origin cannot express. The exit status is 1 if sessions are left here.
    """
    limits = MoveLimits(settle_s=settle_seconds)
    with failures_reported(), report_file(report) as note:
        if dry_run:
            preview = used(context, given, StageCommand.BACK, partial(previewed_return, note=note), dry_run=True)
            click.echo(counted(preview, Output(output)))
            return
        use = partial(_moved, command=StageCommand.BACK, limits=limits, report=note, outcomes=_NOTED_RETURNED)
        tally = used(context, given, StageCommand.BACK, use, makes_users=make_users)
        click.echo(_told(tally, _RETURNED, Output(output)))
    if tally.numbers["refused"] or tally.waiting:
        context.exit(1)


async def _moved(
    sides: Connected, command: StageCommand, limits: MoveLimits, report: Report, outcomes: Sequence[str]
) -> Tally:
    tally = await _run(sides, command, limits)
    _note(tally, report, outcomes)
    await report.seal(sides.start, command)
    return tally


async def _run(sides: Connected, command: StageCommand, limits: MoveLimits) -> Tally:
    async with sides.claimed(command) as claim:
        await sides.service.enter(command)
        if sides.generations == {Generation.G1}:
            await sides.parts.store.note(HAD_KEYS, Progress())
        if Generation.G2 in sides.generations and Generation.G3 not in sides.generations:
            click.echo(_IN_MEMORY, err=True)
        with told_progress() as tell:
            run: MoveRun = sides.parts.run(sides.origin, sides.takeover, claim, tell, limits)
            with modules_uncollected():
                return await (run.adopt() if command is StageCommand.ADOPT else run.back())


@contextmanager
def modules_uncollected() -> Iterator[None]:
    """Exclude what is loaded now from garbage collection: a walk takes 90 ms, and a batch has no owner meanwhile."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _preview(sides: Connected, limits: MoveLimits) -> AdoptPreview:
    await sides.service.require(StageCommand.ADOPT)
    with told_progress() as tell:
        run: MoveRun = sides.parts.run(sides.origin, sides.takeover, sides.claim("adopt"), tell, limits)
        return await run.preview()


def _note(tally: Tally, note: Note, outcomes: Sequence[str]) -> None:
    for outcome in outcomes:
        for session_id in tally.named.get(outcome, ()):
            note({"request_id": str(session_id), "outcome": outcome})


def _told(tally: Tally, words: Mapping[str, str], output: Output) -> str:
    numbers = {outcome: tally.numbers[outcome] for outcome in words}
    if output is Output.JSON:
        found = {**numbers, "late_executions": tally.late, "added_rows": tally.added_rows}
        found["left"] = tally.left_there
        named = {outcome: [str(each) for each in tally.named.get(outcome, ())] for outcome in words}
        return json.dumps({**found, "first_ids": {name: ids for name, ids in named.items() if ids}}, indent=2)
    rows = [(f"{numbers[outcome]:,}", text) for outcome, text in words.items() if numbers[outcome] or not any(numbers)]
    rows.append((f"{tally.late:,}", "executions that the origin counted late were added"))
    if tally.added_rows:
        rows.append((f"{tally.added_rows:,}", "sessions were in Redis alone, and got a row at the origin first"))
    if tally.left_there:
        rows.append((f"{tally.left_there:,}", "live sessions are left with the origin: `takeover plan` says why"))
    return table(rows, frozenset({0}))


def _previewed(preview: AdoptPreview, output: Output) -> str:
    if output is Output.JSON:
        return json.dumps(asdict(preview), indent=2)
    rows = [
        (f"{preview.movable:,}", "live sessions would move here"),
        (f"{preview.copied:,}", "of them are copied already"),
        (f"{preview.left:,}", "would stay with the origin: `takeover plan` says why"),
        (f"{preview.lost:,}", "are hidden at the origin and not served here, and would move here"),
        (f"{preview.foreign:,}", "are hidden by another takeover of the same origin"),
        (f"{preview.restored:,}", "are served by both sides, and would be hidden at the origin, which was restored"),
    ]
    return table(rows, frozenset({0}))
