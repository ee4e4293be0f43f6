"""The command `takeover rehearse`."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import define, field

from domain.takeover.recording import RecordingStore
from domain.takeover.rehearser import Sandboxes
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option
from entrypoints.cli.takeover.options import report_option
from entrypoints.cli.takeover.rehearse_report import Rehearsal, written
from entrypoints.cli.takeover.report_file import Note, report_file

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_MINUTES_MAX = 24 * 60
_PAGE = 500


@click.command(
    epilog=examples(
        "pglambda takeover rehearse --minutes 10 --report answers.jsonl",
        "pglambda takeover rehearse --again --output json",
        "pglambda takeover rehearse --discard",
    )
)
@click.option(
    "--minutes",
    type=click.FloatRange(0, _MINUTES_MAX, min_open=True),
    metavar="N",
    help="Let the fronts record calls for so long first. Default: rehearse what was recorded before.",
)
@click.option("--again", is_flag=True, help="Run calls again that were run by an earlier rehearsal.")
@click.option("--discard", is_flag=True, help="Only end the recording, and remove all recorded calls.")
@report_option
@dry_run_option
@output_option
@click.pass_context
def rehearse(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    /,
    minutes: float | None,
    again: bool,
    discard: bool,
    report: Path | None,
    dry_run: bool,
    output: str,
) -> None:
    """Run recorded calls of the origin's clients in the sandbox, and compare the results.

    With --minutes the fronts record a sample of the executions that they pass on, for sessions that were copied. Then
    each call is run under the calling conventions origin and own, without network, and is counted nowhere. A rehearsal
    that was interrupted continues where it stopped. Recorded calls are payloads of callers. They are removed after 24
    hours, by --discard, and by `takeover finish`.

    The report has ids, hashes, sizes, JSON pointers and names of errors, and no payload. The exit status is 1 if a call
    under the convention origin differs or fails, or if no call was recorded.
    """
    if discard and (minutes is not None or again or dry_run):
        raise click.UsageError("--discard goes with no other option.")
    with failures_reported(), report_file(report) as note:
        settings = patient(settings_in_force())
        with command_database(container_of(context), settings) as commands:
            if discard:
                removed = asyncio.run(_discarded(commands))
                click.echo(f"Removed {removed:,} recorded calls. No front records any more.")
                return
            use = _Rehearsing(commands, None if minutes is None else timedelta(minutes=minutes), note, dry_run, again)
            done = asyncio.run(use.run())
    found = done.scripts.scripts()
    click.echo(written(done, found, Output(output), dry_run=dry_run))
    if not done.calls or not all(each.is_same for each in found):
        context.exit(1)


async def _discarded(commands: "Commands") -> int:
    async with commands.database_access().opened():
        removed: int = await commands.recordings().discard()
        return removed


@define(eq=False)
class _Rehearsing:
    """One rehearsal; `length` is that of the recording that it begins, if any."""

    _commands: "Commands"
    _length: timedelta | None
    _note: Note
    _dry_run: bool
    _again: bool
    _done: Rehearsal = field(factory=Rehearsal, init=False)

    async def run(self) -> Rehearsal:
        """Record, run the calls, and return how all of them ended, also those that an earlier rehearsal has run."""
        async with self._commands.database_access().opened():
            recordings = self._commands.recordings()
            if not self._dry_run:
                await self._record()
            if self._again and not self._dry_run:
                await recordings.forget_judgements()
            self._done.recording = await recordings.recording()
            await self._add_earlier(recordings)
            await self._judge(recordings)
        return self._done

    async def _record(self) -> None:
        """Begin a recording if one is wanted, and wait until the one that is going on has ended."""
        left = self._commands.record(length=self._length)
        async for first_s in left:
            with click.progressbar(length=int(first_s), label="Recording", file=sys.stderr) as bar:
                async for left_s in left:
                    bar.update(int(first_s - left_s) - bar.pos)

    async def _add_earlier(self, recordings: RecordingStore) -> None:
        after = None
        while page := await recordings.judgements(after, _PAGE):
            for judgement in page:
                self._done.add(judgement, self._note)
            after = page[-1].call_id

    async def _judge(self, recordings: RecordingStore) -> None:
        counts = await recordings.counts()
        waiting = counts.calls - counts.judged
        if not waiting:
            return
        async with (
            self._commands.sandbox_runners() as runners,
            self._commands.script_examiner() as examiner,
        ):
            rehearser = self._commands.rehearser(sandboxes=Sandboxes(runners, examiner))
            with click.progressbar(length=waiting, label="Rehearsing", file=sys.stderr) as bar:
                async for batch in rehearser.run(dry_run=self._dry_run):
                    self._done.uncopied += batch.uncopied
                    for judgement in batch.judgements:
                        self._done.add(judgement, self._note)
                    bar.update(len(batch.judgements) + batch.uncopied)
