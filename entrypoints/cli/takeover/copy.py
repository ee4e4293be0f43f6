"""The command `takeover copy`."""

import asyncio
import json
import shutil
import sys
from collections import Counter
from contextlib import ExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import define, field

from domain.concurrency.pace import Pace
from domain.takeover.cached import CacheCensus
from domain.takeover.copying import COPY, CopyStep
from domain.takeover.fence import Fence
from domain.takeover.options import TakeoverOptions
from domain.takeover.ordinary import ROWS_MAX, PageLimits
from domain.takeover.reader_ports import OriginReader
from domain.takeover.reasons import Flag, Reason
from domain.takeover.source_session import TakeoverPolicy
from domain.takeover.start import TakeoverStart
from entrypoints.cli.consent import dry_run_option
from entrypoints.cli.database import command_database, patient
from entrypoints.cli.invocation import container_of, failures_reported, settings_in_force
from entrypoints.cli.lazy_group import examples
from entrypoints.cli.output import Output, output_option, table
from entrypoints.cli.takeover.connecting import own_address, require_schema
from entrypoints.cli.takeover.options import (
    SourceChoice,
    batch_bytes_option,
    chosen_options,
    policy_options,
    report_option,
    restored_option,
    source_options,
)
from entrypoints.cli.takeover.plan import taking_policy
from entrypoints.cli.takeover.redis_keys import compared_keys, keys_document, keys_text, rdb_option, with_dump
from entrypoints.cli.takeover.report_file import Report, report_file
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import Commands

_ROWS_PER_S_MAX = 1_000_000
_PASS_PAUSE_S = 5.0
_MEASURED_EVERY = 8
"""The stored size is measured once in so many batches; that of the disk before each."""


@define
class CopyTotals:
    """What a pass has done."""

    examined: int = 0
    written: int = 0
    unchanged: int = 0
    taken: int = 0
    size_bytes: int = 0
    left: Counter[Reason] = field(factory=Counter)
    flagged: Counter[Flag] = field(factory=Counter)
    redis: CacheCensus | None = None

    def add(self, step: CopyStep) -> None:
        """Count a batch."""
        self.examined += step.examined
        self.size_bytes += step.size_bytes
        self.written += step.received.written
        self.unchanged += step.received.unchanged
        self.taken += step.received.taken
        self.left.update(session.reason for session in step.left)
        self.flagged.update(flag for session in step.flagged for flag in session.flags)

    @property
    def left_live(self) -> int:
        """The sessions that stay with the origin, but for those that have expired."""
        return self.left.total() - self.left[Reason.EXPIRED]


@click.command(
    epilog=examples(
        "pglambda takeover copy --dry-run --report left.jsonl",
        "pglambda takeover copy --rate 2000",
        "pglambda takeover copy --follow",
    )
)
@source_options
@restored_option
@policy_options
@click.option("--follow", is_flag=True, help="Copy again and again, so that the copies stay close to the origin.")
@click.option(
    "--rate",
    type=click.IntRange(1, _ROWS_PER_S_MAX),
    metavar="ROWS/S",
    help="The sessions to read in a second on average. Default: no limit.",
)
@batch_bytes_option
@rdb_option
@report_option
@dry_run_option
@output_option
@click.pass_context
def copy(  # noqa: PLR0913, PLR0917  # one for each option
    context: click.Context,
    /,
    follow: bool,
    rate: int | None,
    batch_bytes: int,
    rdb: Path | None,
    report: Path | None,
    dry_run: bool,
    output: str,
    **given: Any,
) -> None:
    """Copy the sessions of the origin, which keeps serving them.

    The command reads the origin in short transactions, and stores copies that no call is served from. You can stop it
    at any time and start it again: it continues behind the last batch. A second pass writes only what has changed, and
    finds new sessions. It stops before the disk or STORAGE_MAX_GB is full.

    The rows alone are copied. With a Redis of generation 1, its keys are then compared with their rows: adopt writes
    what only Redis knows to the rows before it moves them.

    The report has each session that is left or unusual, with the reason. The exit status is 1 if sessions are left that
    have not expired.
    """
    with failures_reported(), report_file(report) as note, ExitStack() as stack:
        settings = patient(settings_in_force())
        given = {**stack.enter_context(with_dump(container_of(context)(settings=settings), rdb, given))}
        limits = PageLimits(min(rate or ROWS_MAX, ROWS_MAX), batch_bytes)
        source, options = SourceChoice.of(given, settings), chosen_options(given, settings)
        with command_database(container_of(context), settings) as commands:
            copying = _Copying(commands, settings, note, source, options, limits, rate, dry_run=dry_run)
            totals = asyncio.run(copying.run(follows=follow and not dry_run, has_dump=rdb is not None))
    write = _document if Output(output) is Output.JSON else _text
    click.echo(write(totals, dry_run=dry_run))
    if totals.left_live:
        context.exit(1)


@define(eq=False)
class _Copying:
    """Copies one origin, as the operator wants it."""

    commands: "Commands"
    settings: Settings
    note: Report
    source: SourceChoice
    options: TakeoverOptions
    limits: PageLimits
    rows_per_s: float | None
    dry_run: bool = field(kw_only=True)
    _batches: int = field(default=0, init=False)
    _budget_bytes: int | None = field(default=None, init=False)

    async def run(self, *, follows: bool, has_dump: bool) -> CopyTotals:
        """Make one pass, or pass after pass, and compare the keys of Redis."""
        async with self.commands.database_access().opened():
            shift = await self._begun()
            policy = await taking_policy(self.commands, self.options, opened=True)
            async with self.commands.origin_reader(self.source.address, shift) as reader:
                totals = await self._one_pass(reader, policy)
                while follows:
                    click.echo(_text(totals, dry_run=False), err=True)
                    await self.commands.pause()(_PASS_PAUSE_S)
                    totals = await self._one_pass(reader, policy)
            totals.redis = await compared_keys(
                self.commands, self.source.address, totals.examined, self.note, is_dump=has_dump
            )
            if not self.dry_run:
                await self.note.seal(self.commands.takeover_start(), COPY)
        return totals

    async def _begun(self) -> timedelta:
        """Check the source, and begin the takeover but for a dry run; return the shift of its fence."""
        inspector, address = self.commands.origin_inspector, self.source.address
        async with inspector(address) as origin, inspector(own_address(self.commands)) as target:
            start: TakeoverStart = self.commands.takeover_start()
            server, own = await origin.server(), await target.server()
            await require_schema(origin, server, await origin.schema(), address.timezone)
            if self.dry_run:
                return timedelta(0)
            if self.source.is_restored:
                await start.follow(server, own)
            takeover = await start.chosen(server, own, self.options)
        return Fence.of(takeover.takeover_id).shift

    async def _one_pass(self, reader: OriginReader, policy: TakeoverPolicy) -> CopyTotals:
        """Copy, with a bar of progress on standard error."""
        totals, pace = CopyTotals(), Pace(self.rows_per_s)
        copier = self.commands.copier(reader=reader, policy=policy, limits=self.limits, room=self._room, pace=pace)
        with click.progressbar(length=await copier.total(), label="Copying", file=sys.stderr) as bar:
            async with aclosing(copier.run(dry_run=self.dry_run)) as steps:
                async for step in steps:
                    totals.add(step)
                    self._report(step)
                    bar.update(step.examined)
        return totals

    def _report(self, step: CopyStep) -> None:
        for left in step.left:
            self.note({"request_id": left.request_id, "left": left.reason})
        for flagged in step.flagged:
            self.note({"request_id": flagged.request_id, "flags": flagged.flags})

    async def _room(self) -> int | None:
        """Return how many bytes may still be stored; None if nothing is known that limits it."""
        if self._batches % _MEASURED_EVERY == 0:
            self._budget_bytes = await self._left_of_budget()
        self._batches += 1
        free = shutil.disk_usage(self.settings.data_dir).free if self.settings.embedded else None
        return min((each for each in (self._budget_bytes, free) if each is not None), default=None)

    async def _left_of_budget(self) -> int | None:
        size_max_bytes: int | None = self.commands.storage_budget().size_max_bytes
        if size_max_bytes is None:
            return None
        facts = await self.commands.storage_survey().facts()
        return max(0, size_max_bytes - int(facts.stored.size_bytes))


def _document(totals: CopyTotals, *, dry_run: bool) -> str:
    numbers = {name: getattr(totals, name) for name in ("examined", "written", "unchanged", "taken", "size_bytes")}
    found = {"dry_run": dry_run, **numbers, "left": totals.left, "flagged": totals.flagged}
    return json.dumps(found if totals.redis is None else {**found, "redis": keys_document(totals.redis)}, indent=2)


def _text(totals: CopyTotals, *, dry_run: bool) -> str:
    kept = totals.examined - totals.left.total()
    done = (
        f"Would copy {kept:,} of {totals.examined:,} sessions."
        if dry_run
        else f"Copied {totals.written:,} of {totals.examined:,} sessions: {totals.unchanged:,} were stored already, "
        f"{totals.taken:,} were taken before, {totals.left.total():,} are left."
    )
    reasons = [(f"{number:,}", reason, reason.words) for reason, number in totals.left.most_common()]
    flags = [(f"{number:,}", flag, flag.words) for flag, number in totals.flagged.most_common()]
    parts = [done, *(_listed(title, rows) for title, rows in (("left", reasons), ("taken", flags)) if rows)]
    parts += [] if totals.redis is None else [keys_text(totals.redis)]
    return "\n\n".join(parts)


def _listed(title: str, rows: list[tuple[str, Any, str]]) -> str:
    return table([(title, "why", ""), *((number, str(name), words) for number, name, words in rows)], frozenset({0}))
